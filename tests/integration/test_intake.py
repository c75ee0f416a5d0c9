"""Methods and bodies that the route decides on, with peers that behave and peers that do not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from proxy.spec import (
    ClientTimeouts,
    HeaderRulesSpec,
    KeepaliveSpec,
    ListenerTimeouts,
    RetrySpec,
)
from tests.peers import (
    Conn,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    eventually,
    everything,
    listener,
    pool,
    reply,
    settle,
)
from tests.peers.client import request
from tests.peers.origin import then

KIB = 1024
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


async def serve(
    stage: Stage, *addresses: str, retry: RetrySpec | None = None, **route: Any
) -> Running:
    """Serve by a pool that never takes an endpoint out, over a route with what ``route`` says."""
    endpoints = [endpoint(address, passive_health=None) for address in addresses]
    pools = [pool(*endpoints, retry=retry or RetrySpec())]
    return await stage.serve(build_spec(pools=pools, routes=[everything(**route)]))


HELD: dict[str, dict[str, Any]] = {
    "replaced": {"body": "ours"},
    "buffered": {"request_buffer_bytes": 64 * KIB},
}
SENT = {"replaced": b"ours", "buffered": b"hello"}


# -- until the client's body is there -------------------------------------------------------------


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("start", [CHUNKED, request(b"POST", body=b"hello")[:-5]])
async def test_upstream_hears_nothing_before_the_client_has_sent_its_body(
    stage: Stage, held: str, start: bytes
) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, **HELD[held])
    client = await running.connect()
    body = HELLO if start is CHUNKED else b"hello"
    await client.send(start, body[:4])
    await settle()
    assert origin.connections == []
    await client.send(body[4:])
    assert (await client.read_response()).status == 200
    (recorded,) = origin.requests
    assert recorded.body == SENT[held]
    assert recorded.get(b"content-length") == b"%d" % len(SENT[held])
    assert recorded.get(b"transfer-encoding") is None
    assert (await client.get()).status == 200  # both connections go on
    assert len(origin.connections) == 1


@pytest.mark.parametrize("held", HELD)
async def test_client_that_expects_it_is_told_to_go_on_before_there_is_an_upstream(
    stage: Stage, held: str
) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, **HELD[held])
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Expect: 100-continue", body=b"hello")[:-5])
    assert await client.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert origin.connections == []
    await client.send(b"hello")
    answer = await client.read_response()
    assert (answer.status, answer.informational) == (200, ())
    assert origin.requests[0].body == SENT[held]
    assert origin.requests[0].get(b"expect") is None


ENDS = {
    "too large": (CHUNKED + b"10\r\n0123456789abcdef\r\n", 413),
    "no chunk": (CHUNKED + b"5\r\nhelloX", 400),
    "silent": (CHUNKED + b"5\r\nhel", 408),
}


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("end", ENDS)
async def test_body_that_comes_to_no_end_never_reaches_an_upstream(
    stage: Stage, held: str, end: str
) -> None:
    origin = stage.origin()
    raw, status = ENDS[end]
    running = await serve(
        stage,
        origin.address,
        body_bytes=10,
        client_timeouts=ClientTimeouts(body_s=0.2),
        **HELD[held],
    )
    client = await running.connect()
    for octets in (raw[:-4], raw[-4:]):
        await client.send(octets)
        await settle()
    assert (await client.read_response()).status == status
    await client.gone()
    assert origin.connections == []


@pytest.mark.parametrize("held", HELD)
async def test_client_that_goes_away_amid_its_body_leaves_nothing(stage: Stage, held: str) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, **HELD[held])
    client = await running.connect()
    await client.send(CHUNKED, b"5\r\nhel")
    await settle()
    client.vanish("rst")
    await running.counted(499)
    assert origin.connections == []


@pytest.mark.parametrize("held", HELD)
async def test_body_in_a_thousand_pieces_is_read_to_its_end(stage: Stage, held: str) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, **HELD[held])
    client = await running.connect()
    await client.send(CHUNKED)
    for _ in range(10):
        await client.send(b"1\r\nx\r\n" * 1000)
    await client.send(b"0\r\n\r\n", request(b"GET", b"/next"))
    assert (await client.read_response()).status == 200
    assert (await client.read_response()).status == 200
    body = b"ours" if held == "replaced" else b"x" * 10_000
    assert [one.body for one in origin.requests][:1] == [body]
    assert origin.requests[1].target == b"/next"


# -- replaced -------------------------------------------------------------------------------------


async def test_replaced_body_goes_to_the_next_endpoint_too(stage: Stage) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    text = "x" * 200 * KIB  # more than is kept of a client's
    running = await serve(stage, bad.address, good.address, body=text)
    client = await running.connect()
    assert (await client.request(b"PUT", body=b"hello")).status == 200
    assert bad.requests[0].body == good.requests[0].body == text.encode()


async def test_replaced_body_may_hold_lines_and_variables(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, body="a=$arg_a\r\nm=$request_method\n$uri")
    client = await running.connect()
    assert (await client.get(b"/x%0Ay?a=1")).status == 200
    assert origin.requests[0].body == b"a=1\r\nm=GET\n/x\ny"


async def test_no_body_goes_upstream_with_no_length(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, body="")
    client = await running.connect()
    for raw in (request(b"POST", body=b"hello"), CHUNKED + HELLO, request(b"GET")):
        await client.send(raw)
        assert (await client.read_response()).status == 200
    for recorded in origin.requests:
        assert recorded.body == b""
        assert recorded.get(b"content-length") is recorded.get(b"transfer-encoding") is None


# -- buffered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [True, False])
async def test_body_that_outgrows_the_buffer_goes_on_as_it_comes(
    stage: Stage, chunked: bool
) -> None:
    origin = stage.origin()
    running = await serve(
        stage, origin.address, request_buffer_bytes=1000, upstream_http_version="1.0"
    )
    client = await running.connect()
    if chunked:
        await client.send(CHUNKED)
        await client.send(*[b"200\r\n" + b"x" * 512 + b"\r\n"] * 2)
        await origin.connection()  # though the body has no end yet
        await client.send(*[b"200\r\n" + b"x" * 512 + b"\r\n"] * 8, b"0\r\n\r\n")
    else:
        await client.send(request(b"POST", body=b"x" * 5120)[:-4000])
        await origin.connection()
        await client.send(b"x" * 4000)
    assert (await client.read_response()).status == 200
    (recorded,) = origin.requests
    assert recorded.body == b"x" * 5120
    assert recorded.get(b"transfer-encoding") == (b"chunked" if chunked else None)
    version = b"HTTP/1.1" if chunked else b"HTTP/1.0"  # which has no chunks
    assert recorded.head.raw.partition(b"\r\n")[0].endswith(version)


async def test_buffered_body_is_sent_again_with_its_length(stage: Stage) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    running = await serve(stage, bad.address, good.address, request_buffer_bytes=64 * KIB)
    client = await running.connect()
    await client.send(CHUNKED.replace(b"POST", b"PUT"), HELLO)
    assert (await client.read_response()).status == 200
    assert bad.requests[0].head.raw == good.requests[0].head.raw
    assert good.requests[0].body == b"hello"


async def test_body_that_is_not_kept_is_not_sent_again(stage: Stage) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    running = await serve(
        stage, bad.address, good.address, request_buffer_bytes=64 * KIB,
        retry=RetrySpec(replay_bytes=0),
    )  # fmt: skip
    client = await running.connect()
    await client.send(CHUNKED.replace(b"POST", b"PUT"), HELLO)
    assert (await client.read_response()).status == 502
    assert good.requests == []


# -- methods --------------------------------------------------------------------------------------


async def test_head_of_a_client_gets_no_body_of_an_upstreams_get(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"x" * 100)))
    running = await serve(stage, origin.address, method="GET")
    client = await running.connect()
    for _ in range(2):
        answer = await client.request(b"HEAD")
        assert (answer.status, answer.get(b"content-length"), answer.body) == (200, b"100", b"")
    assert {one.method for one in origin.requests} == {b"GET"}
    assert (await client.get()).body == b"x" * 100


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_endless_answer_to_a_head_is_not_waited_for(stage: Stage, head: bytes) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(head, b"5\r\n")

    origin = stage.origin(script)
    running = await serve(stage, origin.address, method="$arg_m")
    client = await running.connect()
    assert (await client.request(b"HEAD", b"/?m=GET")).status == 200
    await origin.closed(1)
    assert (await client.request(b"HEAD", b"/?m=GET")).status == 200


async def test_length_that_only_a_head_has_is_not_told_to_a_get(stage: Stage) -> None:
    origin = stage.origin(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-A: 1\r\n\r\n"))
    running = await serve(stage, origin.address, method="HEAD")
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.get(b"content-length"), answer.get(b"x-a")) == (b"0", b"1")
    assert len(origin.connections) == 1


async def test_whether_to_repeat_goes_by_the_clients_method(stage: Stage) -> None:
    """As in nginx, where ``r->method`` counts."""
    bad, good = stage.origin(then("fin"), then("fin")), stage.origin()
    running = await serve(stage, bad.address, good.address, method="$arg_m")
    client = await running.connect()
    assert (await client.get(b"/?m=POST")).status == 200
    assert good.requests[0].method == b"POST"
    running = await serve(stage, stage.origin(then("fin")).address, good.address, method="GET")
    client = await running.connect()
    assert (await client.request(b"POST", body=b"")).status == 502


@pytest.mark.parametrize("method", [b"", b"A/B", b"CONNECT", b"trace", b"A,B"])
async def test_value_that_is_no_method_leaves_the_clients(stage: Stage, method: bytes) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, method="$arg_m")
    client = await running.connect()
    assert (await client.request(b"PUT", b"/?m=" + method, body=b"")).status == 200
    assert origin.requests[0].method == b"PUT"
    assert running.route().counters.header_rule_failures == 1


# -- targets and fields ---------------------------------------------------------------------------


async def test_target_never_holds_what_ends_a_request_line(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, target="/to$uri?q=$arg_q")
    client = await running.connect()
    assert (await client.get(b"/a%0D%0AX:%201%23?q=b")).status == 200
    (recorded,) = origin.requests
    assert recorded.target == b"/to/a%0D%0AX:%201%23?q=b"


async def test_no_field_of_the_client_passes_where_all_are_removed(stage: Stage) -> None:
    origin = stage.origin()
    rules = HeaderRulesSpec(remove=("*",), set=(("X-A", "$http_x_a"),))
    spec = build_spec(
        origin.address,
        listeners=[listener(trusted_proxies=("127.0.0.1/32",))],
        routes=[everything(request_headers=rules)],
    )
    running = await stage.serve(spec)
    client = await running.connect()
    fields = [b"X-A: 1", b"Cookie: c", b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https",
              b"Connection: upgrade", b"Upgrade: websocket"]  # fmt: skip
    assert (await client.get(b"/", *fields)).status == 200
    (recorded,) = origin.requests
    names = sorted(name.lower() for name, _ in recorded.head.fields)
    assert names == [
        b"host", b"x-a", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
        b"x-request-id",
    ]  # fmt: skip
    assert recorded.get(b"host") == b"backend"
    assert recorded.get(b"x-forwarded-for") == b"127.0.0.1"


# -- what else a route says in place of pool and listener -----------------------------------------


async def test_retry_rules_of_a_route_stand_in_place_of_the_pools(stage: Stage) -> None:
    bad, good = stage.origin(answers(reply(b"no", status=b"503 No"))), stage.origin()
    named = RetrySpec(when=frozenset({"http_503"}))
    for mine, pools, status in ((named, RetrySpec(), 200), (RetrySpec(), named, 503)):
        endpoints = [endpoint(one.address, passive_health=None) for one in (bad, good)]
        running = await stage.serve(
            build_spec(pools=[pool(*endpoints, retry=pools)], routes=[everything(retry=mine)])
        )
        assert (await (await running.connect()).get()).status == status


async def test_response_of_unknown_length_ends_with_the_connection_where_chunks_are_off(
    stage: Stage,
) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO
    origin = stage.origin(answers(chunks))
    running = await serve(stage, origin.address, chunked_responses=False)
    client = await running.connect()
    answer = await client.get()
    assert answer.body == b"hello"
    assert answer.get(b"transfer-encoding") is None
    assert answer.get(b"connection") == b"close"


async def test_client_is_waited_for_as_the_route_of_its_last_request_says(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(
        build_spec(
            origin.address,
            listeners=[listener(timeouts=ListenerTimeouts(idle_s=60.0))],
            routes=[everything(client_timeouts=ClientTimeouts(idle_s=0.2))],
        )
    )
    client = await running.connect()
    assert (await client.get()).status == 200
    start = time.monotonic()
    await client.gone()
    assert time.monotonic() - start < 5.0


async def test_connection_ends_with_the_last_request_that_a_route_allows(stage: Stage) -> None:
    running = await serve(stage, stage.origin().address, requests_per_connection=2)
    client = await running.connect()
    assert (await client.get()).get(b"connection") is None
    assert (await client.get()).get(b"connection") == b"close"


async def test_idle_connections_are_counted_over_all_endpoints(stage: Stage) -> None:
    origins = [stage.origin() for _ in range(3)]
    keepalive = KeepaliveSpec(max_idle=2, max_idle_total=2)
    running = await stage.serve(
        build_spec(pools=[pool(*(one.address for one in origins), keepalive=keepalive)])
    )
    client = await running.connect()
    for _ in origins:
        assert (await client.get()).status == 200
    await origins[0].closed(1)  # the one that was idle for longest
    assert sum(one.connections_idle for one in running.pool().endpoints) == 2
    assert (await client.get()).status == 200
    await eventually(lambda: len(origins[0].connections) == 2, "a new connection")


async def test_connection_that_is_too_old_is_closed_behind_its_request(stage: Stage) -> None:
    origin = stage.origin()
    keepalive = KeepaliveSpec(max_age_s=0.0)
    running = await stage.serve(build_spec(pools=[pool(origin.address, keepalive=keepalive)]))
    client = await running.connect()
    for _ in range(2):
        assert (await client.get()).status == 200
    assert len(origin.connections) == 2
