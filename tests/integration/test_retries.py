"""Which failures are tried again, where, and which never are."""

from __future__ import annotations

from typing import Any

import pytest

from proxy import sweep
from proxy.spec import KeepaliveSpec, PassiveHealthSpec, PoolTimeouts, RetrySpec
from tests.peers import (
    OK,
    Conn,
    Origin,
    RawClient,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    pool,
    reply,
    route,
    settle,
)
from tests.peers.client import request
from tests.peers.origin import Script, then

CAUTIOUS = (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS")
UNSAFE = (b"POST", b"PATCH", b"LOCK")


def status(line: bytes) -> bytes:
    return reply(line, status=line)


async def serve(stage: Stage, *addresses: str, **differs: Any) -> Running:
    """Serve a pool that never takes an endpoint out, so that every test sees the same order."""
    retry = differs.pop("retry", RetrySpec())
    endpoints = [endpoint(address, passive_health=None) for address in addresses]
    return await stage.serve(build_spec(pools=[pool(*endpoints, retry=retry, **differs)]))


async def stall(conn: Conn) -> None:
    await conn.next_request()


# -- error ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*CAUTIOUS, *UNSAFE])
async def test_refused_connection_is_retried_whatever_the_method(
    stage: Stage, method: bytes
) -> None:
    good = stage.origin()
    running = await serve(stage, stage.refused(), good.address)
    client = await running.connect()
    assert (await client.request(method, body=b"body")).status == 200
    assert good.requests[0].body == b"body"


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("method", CAUTIOUS)
async def test_connection_that_breaks_before_the_response_is_retried_elsewhere(
    stage: Stage, method: bytes, how: str
) -> None:
    bad, good = stage.origin(then("rst" if how == "rst" else "fin")), stage.origin()
    running = await serve(stage, bad.address, good.address)
    client = await running.connect()
    assert (await client.request(method, b"/x", body=b"body")).status == 200
    assert len(bad.requests) == 1
    assert good.requests[0].head.raw == bad.requests[0].head.raw
    assert good.requests[0].body == b"body"
    assert running.pool().counters.retries == 1


@pytest.mark.parametrize("method", UNSAFE)
async def test_unsafe_method_is_not_retried_once_a_byte_was_sent(
    stage: Stage, method: bytes
) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    running = await serve(stage, bad.address, good.address)
    client = await running.connect()
    assert (await client.request(method, body=b"body")).status == 502
    assert good.raw == b""
    assert running.pool().counters.retries == 0


async def test_unsafe_method_is_retried_where_that_is_allowed(stage: Stage) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    running = await serve(stage, bad.address, good.address, retry=RetrySpec(non_idempotent=True))
    client = await running.connect()
    assert (await client.request(b"POST", body=b"body")).status == 200
    assert good.requests[0].body == b"body"


async def test_error_is_not_retried_where_it_is_not_named(stage: Stage) -> None:
    running = await serve(
        stage, stage.refused(), stage.origin().address, retry=RetrySpec(when=frozenset())
    )
    client = await running.connect()
    statuses = [(await client.get()).status for _ in range(2)]
    assert statuses == [502, 200]


async def test_response_that_began_is_never_retried(stage: Stage) -> None:
    bad = stage.origin(then("fin", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    good = stage.origin()
    running = await serve(stage, bad.address, good.address)
    client = await running.connect()
    await client.send(request())
    assert (await client.read_to_end()).endswith(b"half")
    assert good.raw == b""


async def test_failure_after_an_informational_response_is_not_hidden(stage: Stage) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    bad, good = stage.origin(then("fin", hints)), stage.origin()
    running = await serve(stage, bad.address, good.address)
    client = await running.connect()
    answer = await client.get()
    # A byte of a response has reached the client.
    assert answer.status == 502
    assert [head.status for head in answer.informational] == [103]
    assert good.raw == b""


# -- each endpoint once ---------------------------------------------------------------------------


async def test_each_endpoint_is_tried_once(stage: Stage) -> None:
    bad = [stage.origin(then("fin")) for _ in range(3)]
    retry = RetrySpec(max_attempts=None)
    running = await serve(stage, *(one.address for one in bad), retry=retry)
    client = await running.connect()
    assert (await client.get()).status == 502
    assert [len(one.requests) for one in bad] == [1, 1, 1]


async def test_attempts_are_bounded(stage: Stage) -> None:
    bad = [stage.origin(then("fin")) for _ in range(5)]
    running = await serve(stage, *(one.address for one in bad), retry=RetrySpec(max_attempts=3))
    client = await running.connect()
    assert (await client.get()).status == 502
    assert sum(len(one.requests) for one in bad) == 3
    assert running.pool().counters.retries == 2


async def test_single_attempt_means_none_other(stage: Stage) -> None:
    good = stage.origin()
    running = await serve(stage, stage.refused(), good.address, retry=RetrySpec(max_attempts=1))
    client = await running.connect()
    assert (await client.get()).status == 502
    assert good.raw == b""


# -- timeout --------------------------------------------------------------------------------------


async def test_timeout_is_retried_where_it_is_named(stage: Stage) -> None:
    bad, good = stage.origin(stall), stage.origin()
    running = await serve(
        stage,
        bad.address,
        good.address,
        retry=RetrySpec(when=frozenset({"timeout"})),
        timeouts=PoolTimeouts(read_s=0.2),
    )
    client = await running.connect()
    assert (await client.get()).status == 200
    await bad.closed(1)


async def test_timeout_is_not_an_error(stage: Stage) -> None:
    bad, good = stage.origin(stall), stage.origin()
    running = await serve(stage, bad.address, good.address, timeouts=PoolTimeouts(read_s=0.2))
    client = await running.connect()
    assert (await client.get()).status == 504
    assert good.raw == b""


async def test_connect_timeout_is_retried_whatever_the_method(stage: Stage) -> None:
    good = stage.origin()
    running = await serve(
        stage,
        stage.unreachable(),
        good.address,
        retry=RetrySpec(when=frozenset({"timeout"})),
        timeouts=PoolTimeouts(connect_s=0.2),
    )
    client = await running.connect()
    assert (await client.request(b"POST", body=b"body")).status == 200
    assert good.requests[0].body == b"body"


async def test_budget_stops_new_attempts(stage: Stage) -> None:
    slow = [stage.origin(stall) for _ in range(4)]
    running = await serve(
        stage,
        *(one.address for one in slow),
        retry=RetrySpec(when=frozenset({"timeout"}), max_attempts=None, budget_s=0.3),
        timeouts=PoolTimeouts(read_s=0.2),
    )
    client = await running.connect()
    assert (await client.get()).status == 504
    assert 1 <= sum(len(one.requests) for one in slow) <= 2


# -- statuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"500 Internal Server Error",
        b"502 Bad Gateway",
        b"503 Service Unavailable",
        b"504 Gateway Timeout",
        b"403 Forbidden",
        b"404 Not Found",
        b"429 Too Many Requests",
    ],
)
async def test_named_status_is_retried_and_not_a_byte_of_it_shows(
    stage: Stage, line: bytes
) -> None:
    bad, good = stage.origin(answers(status(line))), stage.origin()
    word = f"http_{line[:3].decode()}"
    running = await serve(stage, bad.address, good.address, retry=RetrySpec(when=frozenset({word})))
    client = await running.connect()
    for _ in range(4):
        assert (await client.get()).body == b"ok"
    assert len(bad.requests) == 2
    assert line not in client.received


async def test_status_that_is_not_named_passes(stage: Stage) -> None:
    bad, good = stage.origin(answers(status(b"500 Oops"))), stage.origin()
    retry = RetrySpec(when=frozenset({"http_503"}))
    running = await serve(stage, bad.address, good.address, retry=retry)
    client = await running.connect()
    answer = await client.get()
    assert (answer.status, answer.body) == (500, b"500 Oops")


async def test_last_answer_passes_when_all_are_bad(stage: Stage) -> None:
    bad = [stage.origin(answers(status(b"503 Busy"))) for _ in range(2)]
    retry = RetrySpec(when=frozenset({"http_503"}))
    running = await serve(stage, *(one.address for one in bad), retry=retry)
    client = await running.connect()
    answer = await client.get()
    assert (answer.status, answer.body) == (503, b"503 Busy")
    assert [len(one.requests) for one in bad] == [1, 1]


async def test_status_is_not_retried_for_an_unsafe_method(stage: Stage) -> None:
    bad, good = stage.origin(answers(status(b"503 Busy"))), stage.origin()
    retry = RetrySpec(when=frozenset({"http_503"}))
    running = await serve(stage, bad.address, good.address, retry=retry)
    client = await running.connect()
    answer = await client.request(b"POST", body=b"x")
    assert (answer.status, answer.body) == (503, b"503 Busy")
    assert good.raw == b""


async def test_large_body_of_a_retried_status_is_not_waited_for(stage: Stage) -> None:
    async def endless(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000000\r\n\r\nbusy")

    bad, good = stage.origin(endless), stage.origin()
    retry = RetrySpec(when=frozenset({"http_503"}))
    running = await serve(stage, bad.address, good.address, retry=retry)
    client = await running.connect()
    assert (await client.get()).body == b"ok"
    await bad.closed(1)


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_body_that_streams_is_replayed_from_its_beginning(stage: Stage, framing: str) -> None:
    async def half(conn: Conn) -> None:
        await conn.next_head()
        await conn.read_until(b"first")
        conn.reset()

    bad, good = stage.origin(half), stage.origin()
    running = await serve(stage, bad.address, good.address)
    client = await running.connect()
    if framing == "length":
        pieces = [request(b"PUT", b"/", b"Content-Length: 11") + b"first-", b"second"[:5]]
    else:
        pieces = [
            request(b"PUT", b"/", b"Transfer-Encoding: chunked") + b"6\r\nfirst-\r\n",
            b"5\r\nsecon\r\n0\r\n\r\n",
        ]
    await client.send(pieces[0])
    conn = await good.connection()
    await client.send(pieces[1])
    assert (await client.read_response()).status == 200
    assert good.requests[0].body == b"first-secon"
    assert conn.number == 1


async def test_body_that_outgrew_the_replay_buffer_is_not_retried(stage: Stage) -> None:
    async def half(conn: Conn) -> None:
        await conn.next_head()
        await conn.read_exactly(2000)
        conn.reset()

    bad, good = stage.origin(half), stage.origin()
    running = await serve(stage, bad.address, good.address, retry=RetrySpec(replay_bytes=1000))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 4000") + b"x" * 2000)
    answer = await client.read_response()
    assert (answer.status, answer.closes) == (502, True)
    assert good.raw == b""


async def test_body_larger_than_the_replay_buffer_survives_a_refused_connection(
    stage: Stage,
) -> None:
    good = stage.origin()
    running = await serve(stage, stage.refused(), good.address, retry=RetrySpec(replay_bytes=1000))
    client = await running.connect()
    body = b"x" * 500_000
    assert (await client.request(b"PUT", body=body)).status == 200
    assert good.requests[0].body == body


# -- reused connections ---------------------------------------------------------------------------


def once_then(ending: Script) -> Script:
    """Answer one request, then treat the second one on the same connection badly."""

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        await ending(conn)

    return script


async def reuse(stage: Stage, method: bytes, *scripts: Script) -> tuple[int, Origin]:
    origin = stage.origin(*scripts)
    running = await serve(stage, origin.address, retry=RetrySpec(max_attempts=1))
    client = await running.connect()
    assert (await client.get()).status == 200
    return (await client.request(method, body=b"x")).status, origin


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_reused_connection_that_dies_gives_a_free_try_on_a_fresh_one(
    stage: Stage, how: str
) -> None:
    ending = then("rst" if how == "rst" else "fin")
    status, origin = await reuse(stage, b"GET", once_then(ending), answers(OK))
    assert status == 200
    assert [one.conn for one in origin.requests] == [1, 1, 2]


async def test_free_try_is_given_once(stage: Stage) -> None:
    status, origin = await reuse(stage, b"GET", once_then(then("fin")), then("fin"))
    assert status == 502
    assert len(origin.requests) == 3


@pytest.mark.parametrize("method", UNSAFE)
async def test_unsafe_method_gets_no_free_try(stage: Stage, method: bytes) -> None:
    status, origin = await reuse(stage, method, once_then(then("fin")), answers(OK))
    assert status == 502
    assert len(origin.requests) == 2


async def test_free_try_is_not_given_after_a_byte_of_response(stage: Stage) -> None:
    status, origin = await reuse(stage, b"GET", once_then(then("fin", b"HTTP/1.1 2")))
    assert status == 502
    assert len(origin.requests) == 2


async def test_connection_closed_while_idle_is_not_used(stage: Stage) -> None:
    async def close_after_one(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        await settle()
        conn.close()

    origin = stage.origin(close_after_one)
    running = await serve(stage, origin.address)
    client = await running.connect()
    for number in range(1, 4):
        assert (await client.request(b"POST", body=b"x")).status == 200
        conn = await origin.connection(number)
        while conn.sock.fileno() >= 0:
            await settle()
        await settle()
    assert [one.conn for one in origin.requests] == [1, 2, 3]


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_connection_that_closes_together_with_its_response_is_not_used_again(
    stage: Stage, method: bytes
) -> None:
    async def answer_and_close(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        conn.half_close()

    origin = stage.origin(answer_and_close)
    running = await serve(stage, origin.address)
    client = await running.connect()
    for _ in range(5):
        assert (await client.request(method, body=b"x")).status == 200
    assert [one.conn for one in origin.requests] == [1, 2, 3, 4, 5]


async def test_fresh_connection_is_not_swept_away_before_it_is_used(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sweeping all the time puts a sweep between any connection and its first request.
    monkeypatch.setattr(sweep, "SWEEP_S", 0.00001)
    origin = stage.origin()
    running = await serve(stage, origin.address, keepalive=KeepaliveSpec(max_idle=0))
    client = await running.connect()
    statuses = [(await client.request(b"POST", body=b"x")).status for _ in range(50)]
    assert statuses == [200] * 50


# -- passive health -------------------------------------------------------------------------------


async def get_all(client: RawClient, count: int) -> list[int]:
    return [(await client.get()).status for _ in range(count)]


async def test_endpoint_that_fails_too_often_is_taken_out_and_comes_back(stage: Stage) -> None:
    bad = stage.origin(then("fin"), then("fin"), answers(reply(b"recovered")))
    good = [stage.origin() for _ in range(2)]
    health = PassiveHealthSpec(max_fails=2, fail_timeout_s=0.5)
    addresses = [bad.address, *(one.address for one in good)]
    running = await stage.serve(
        build_spec(*(endpoint(address, passive_health=health) for address in addresses))
    )
    client = await running.connect()
    for _ in range(12):
        assert (await client.get()).status == 200
        if running.endpoint(bad.address).state == "ejected":
            break
    assert running.endpoint(bad.address).state == "ejected"
    assert running.endpoint(bad.address).why
    assert running.pool().counters.ejections == 1
    await get_all(client, 9)
    assert len(bad.requests) == 2, "nothing goes to an ejected endpoint"
    while len(bad.requests) == 2:  # Once its time is up, it is tried again.
        assert (await client.get()).status == 200
    await get_all(client, 6)
    assert running.endpoint(bad.address).state == "active"
    assert len(bad.requests) >= 4


async def test_pool_of_one_is_never_taken_out(stage: Stage) -> None:
    bad = stage.origin(then("fin"))
    health = PassiveHealthSpec(max_fails=1, fail_timeout_s=60)
    running = await stage.serve(build_spec(endpoint(bad.address, passive_health=health)))
    client = await running.connect()
    assert await get_all(client, 5) == [502] * 5
    assert len(bad.requests) == 5
    assert running.pool().counters.ejections == 0


async def test_more_than_half_are_never_taken_out(stage: Stage) -> None:
    bad = [stage.origin(then("fin")) for _ in range(2)]
    good = stage.origin()
    health = PassiveHealthSpec(max_fails=1, fail_timeout_s=60)
    addresses = [*(one.address for one in bad), good.address]
    running = await stage.serve(
        build_spec(*(endpoint(address, passive_health=health) for address in addresses))
    )
    client = await running.connect()
    assert await get_all(client, 9) == [200] * 9
    # Both are marked; as that would be two of three, the marks are ignored and both still get work.
    assert sum(len(one.requests) for one in bad) > 2


async def test_statuses_count_as_failures_only_where_retry_names_them(stage: Stage) -> None:
    busy = [stage.origin(answers(status(b"503 Busy"))) for _ in range(2)]
    health = PassiveHealthSpec(max_fails=1, fail_timeout_s=60)
    good = [stage.origin() for _ in range(2)]
    pools = [
        pool(
            *(endpoint(one.address, passive_health=health) for one in (busy[index], *good)),
            name=name,
            retry=RetrySpec(when=frozenset(when)),
        )
        for index, (name, when) in enumerate({"named": ["http_503"], "other": []}.items())
    ]
    running = await stage.serve(
        build_spec(pools=pools, routes=[route("n", "/n", to="named"), route("o", "/o", to="other")])
    )
    client = await running.connect()
    for _ in range(6):
        await client.get(b"/n")
        await client.get(b"/o")
    assert [len(one.requests) for one in busy] == [1, 2]


async def test_status_that_the_client_gets_is_no_failure_of_the_endpoint(stage: Stage) -> None:
    """It is one where it leads to another attempt, as in nginx."""
    busy = [stage.origin(answers(status(b"503 Busy"))) for _ in range(2)]
    health = PassiveHealthSpec(max_fails=1, fail_timeout_s=60)
    members = [endpoint(one.address, passive_health=health) for one in busy]
    retry = RetrySpec(when=frozenset({"http_503"}))
    plan = pool(*members, retry=retry, max_ejected_percent=100)
    running = await stage.serve(build_spec(pools=[plan]))
    client = await running.connect()
    for _ in range(4):  # nobody repeats a POST
        assert (await client.request(b"POST", body=b"x")).status == 503
    assert [at.state for at in running.pool().endpoints] == ["active", "active"]
    assert (await client.get()).body == b"503 Busy"
    # The first one tried led to the second; what that said is what there was to say.
    assert sorted(at.state for at in running.pool().endpoints) == ["active", "ejected"]


async def test_client_that_goes_away_is_no_failure_of_the_endpoint(stage: Stage) -> None:
    slow, other = stage.origin(stall), stage.origin(stall)
    health = PassiveHealthSpec(max_fails=1, fail_timeout_s=60)
    running = await stage.serve(
        build_spec(*(endpoint(one.address, passive_health=health) for one in (slow, other)))
    )
    for number in (1, 2):
        clients = [await running.connect() for _ in range(2)]
        for client in clients:
            await client.send(request())
        await slow.request(number)
        await other.request(number)
        for client in clients:
            client.reset()
        await running.quiet()
    assert [at.state for at in running.pool().endpoints] == ["active", "active"]
    assert running.pool().counters.ejections == 0
