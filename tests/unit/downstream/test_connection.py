"""Client connections and their exchanges as conversations: octets in, octets out, nothing left."""

from __future__ import annotations

import asyncio
import re
import time
from itertools import pairwise

import pytest

from proxy import framing
from proxy.downstream.connection import BACKLOG_BYTES, LINGER_BYTES
from proxy.spec import (
    KeepaliveSpec,
    ListenerLimits,
    ListenerTimeouts,
    PoolTimeouts,
    RetrySpec,
    Spec,
)
from tests.peers.specs import build_spec, listener, pool, route
from tests.unit.downstream.conversation import House, house
from tests.unit.fake_transport import HIGH_WATER, FakeTransport

ENDPOINT = "192.0.2.80:80"
GET = b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def spec(
    *,
    timeouts: ListenerTimeouts | None = None,
    limits: ListenerLimits | None = None,
    retry: RetrySpec | None = None,
    endpoints: tuple[str, ...] = (ENDPOINT,),
) -> Spec:
    return build_spec(
        listeners=[
            listener(timeouts=timeouts or ListenerTimeouts(), limits=limits or ListenerLimits())
        ],
        pools=[
            pool(
                *endpoints,
                retry=retry or RetrySpec(),
                keepalive=KeepaliveSpec(idle_timeout_s=60),
                timeouts=PoolTimeouts(),
            )
        ],
        routes=[route("everything", "/")],
    )


NOWHERE = build_spec(routes=[], pools=[])
"""Every request is answered 404, at once."""


def statuses(data: bytes) -> list[int]:
    """Return the statuses of the answers in ``data``, none of whose bodies looks like one."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


# -- heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_pipelined_requests_in_any_pieces_are_each_answered(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    serving = house(monkeypatch, NOWHERE)
    connection, transport = serving.client()
    raw = b"\r\n" + GET % b"a" + GET % b"b" + b"\r\n\r\n" + GET % b"c"
    for start in range(0, len(raw), size):
        transport.receive(raw[start : start + size])
    await serving.turn()
    assert statuses(transport.take()) == [404, 404, 404]
    assert connection.requests == 3
    assert not transport.is_closing()
    serving.quiet()


async def test_pipelined_requests_take_turns_with_everybody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands fit into one read; answering all of them at once would block the event loop."""
    serving = house(monkeypatch, NOWHERE)
    _, transport = serving.client()
    transport.receive(GET % b"" * 5000)
    assert len(statuses(transport.take())) <= 500
    answered = 0
    for _ in range(5000):
        await serving.turn(1)
        answered += len(statuses(transport.take()))
    assert answered >= 4500
    serving.quiet()


async def test_empty_lines_before_a_request_cost_what_their_length_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, NOWHERE)
    _, transport = serving.client()
    start = time.process_time()
    transport.receive(b"\r\n" * 1_000_000 + GET % b"")
    assert time.process_time() - start < 2  # a cost by the square would be minutes
    await serving.turn()
    assert statuses(transport.take()) in ([404], [400])


async def test_head_that_can_only_become_bad_is_refused_before_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for raw, status in (
        (b"GET / HTTP/1.1\nHost", 400),
        (b"GET /" + b"a" * 32768, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 32768, 431),
    ):
        serving = house(monkeypatch, NOWHERE)
        _, transport = serving.client()
        transport.receive(raw)
        assert statuses(transport.take()) == [status]
        assert transport.eof_written
        assert serving.refused == [status]


async def test_refused_client_is_read_from_until_it_had_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, NOWHERE)
    connection, transport = serving.client()
    transport.receive(b"BAD\r\n\r\n" + GET % b"")
    assert statuses(transport.take()) == [400]
    transport.receive(GET % b"")
    assert transport.take() == b""
    assert not transport.is_closing()
    transport.end()
    assert transport.is_closing()
    transport.lose()
    assert serving.connections == set()
    assert serving.counters.active["http"] == 0
    assert connection.exchange is None


async def test_discarding_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    serving = house(monkeypatch, NOWHERE)
    _, transport = serving.client()
    transport.receive(b"BAD\r\n\r\n")
    for _ in range(LINGER_BYTES // 65536 + 1):
        if not transport.reading:
            break
        transport.receive(b"x" * 65536)
    assert transport.aborted or not transport.reading


# -- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("served", [0, 1])
async def test_slow_head_gets_one_timeout_whatever_drips(
    monkeypatch: pytest.MonkeyPatch, served: int
) -> None:
    serving = house(monkeypatch, NOWHERE)
    connection, transport = serving.client()
    transport.receive(GET % b"" * served)
    transport.take()
    due = []
    for octet in GET[:-4]:
        transport.receive(b"%c" % octet)
        due.append(connection.read_by)
    assert len(set(due)) == 1
    connection.expire(connection.read_by)
    assert statuses(transport.take()) == [408]


@pytest.mark.parametrize("buffered", [0, 1000])
async def test_idle_connection_is_closed_and_never_left_to_itself(
    monkeypatch: pytest.MonkeyPatch, buffered: int
) -> None:
    """Closing waits for what is buffered; a client that never takes it needs a deadline too."""
    serving = house(monkeypatch, NOWHERE)
    connection, transport = serving.client()
    transport.stuck = bool(buffered)
    transport.receive(GET % b"")
    connection.expire(connection.read_by)
    assert transport.is_closing()
    if transport.buffered:
        assert connection.read_by < float("inf")
        connection.expire(connection.read_by)
        assert transport.aborted


async def test_client_that_ends_with_something_unread_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, NOWHERE)
    connection, transport = serving.client()
    transport.stuck = True
    transport.receive(GET % b"" + b"GET")
    transport.end()
    assert transport.is_closing()
    assert min(connection.read_by, connection.write_by) < float("inf")


async def test_client_that_takes_something_is_given_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec())
    connection, transport = serving.client()
    transport.stuck = True
    transport.receive(GET % b"")
    await serving.turn()
    serving.upstreams[0].receive(
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * (HIGH_WATER + 1)
    )
    assert not serving.upstreams[0].reading
    transport.drain(HIGH_WATER // 2)
    connection.expire(connection.write_by)
    assert not transport.is_closing()
    connection.expire(connection.write_by)
    assert transport.aborted
    serving.quiet()


# -- one exchange ---------------------------------------------------------------------------------


async def asked(serving: House, *raw: bytes) -> FakeTransport:
    """Let a client ask, and the request reach the upstream."""
    _, transport = serving.client()
    for piece in raw:
        transport.receive(piece)
    await serving.turn()
    return transport


async def test_request_goes_up_and_the_response_comes_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec())
    client = await asked(serving, GET % b"a")
    assert serving.upstreams[0].take().startswith(b"GET /a HTTP/1.1\r\n")
    for before, after in pairwise([*range(0, len(OK), 5), len(OK)]):
        serving.upstreams[0].receive(OK[before:after])
    assert client.take() == OK
    client.receive(GET % b"b")
    assert serving.upstreams[0].take().startswith(b"GET /b HTTP/1.1\r\n"), "reused, at once"
    serving.upstreams[0].receive(OK)
    assert client.take() == OK
    assert len(serving.upstreams) == 1
    serving.quiet()


@pytest.mark.parametrize("per_feed", [1, 3, 4096])
async def test_request_behind_a_body_of_many_chunks_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, per_feed: int
) -> None:
    monkeypatch.setattr(framing, "MAX_CHUNKS_PER_FEED", per_feed)
    serving = house(monkeypatch, spec())
    client = await asked(serving, CHUNKED + b"1\r\na\r\n" * 10 + b"0\r\n\r\n" + GET % b"next")
    await serving.turn(40)
    upstream = serving.upstreams[0]
    assert upstream.take().endswith(b"0\r\n\r\n")
    upstream.receive(OK)
    await serving.turn()
    assert upstream.take().startswith(b"GET /next HTTP/1.1\r\n")
    upstream.receive(OK)
    assert client.take() == OK + OK
    serving.quiet()


async def test_client_answered_amid_many_chunks_is_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Paused for the sake of others, it would see no FIN and be reset instead."""
    monkeypatch.setattr(framing, "MAX_CHUNKS_PER_FEED", 2)
    serving = house(monkeypatch, spec(limits=ListenerLimits(body_bytes=3)))
    client = await asked(serving, CHUNKED + b"1\r\na\r\n" * 20)
    await serving.turn(20)
    assert statuses(client.take()) == [413]
    assert client.reading
    serving.quiet()


@pytest.mark.parametrize("replay_bytes", [0, 10, 65536])
@pytest.mark.parametrize("body", [b"", b"x" * 100_000])
async def test_client_that_sent_everything_is_read_from_while_it_waits(
    monkeypatch: pytest.MonkeyPatch, body: bytes, replay_bytes: int
) -> None:
    """A paused transport sees no FIN: nobody would know that the client went away."""
    serving = house(monkeypatch, spec(retry=RetrySpec(replay_bytes=replay_bytes)))
    head = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    client = await asked(serving, head + body)
    assert serving.upstreams[0].take().endswith(body)
    assert client.reading
    client.end()
    assert serving.upstreams[0].aborted
    serving.quiet()


async def test_body_beyond_the_replay_limit_waits_for_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec(retry=RetrySpec(replay_bytes=100)))
    serving.gate = asyncio.Event()
    _, client = serving.client()
    client.receive(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\n" + b"x" * 200)
    await serving.turn()
    assert not client.reading
    client.receive(b"y" * 100)
    serving.gate.set()
    await serving.turn()
    client.deliver()
    assert serving.upstreams[0].take().endswith(b"x" * 200 + b"y" * 100)
    serving.upstreams[0].receive(OK)
    assert client.take() == OK
    serving.quiet()


async def test_slow_upstream_holds_the_client_back(monkeypatch: pytest.MonkeyPatch) -> None:
    serving = house(monkeypatch, spec())
    client = await asked(serving, b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n")
    upstream = serving.upstreams[0]
    upstream.stuck = True
    client.receive(b"x" * 100_000)
    assert not client.reading
    client.receive(b"y" * 100_000)
    upstream.drain()
    assert client.reading
    client.deliver()
    assert upstream.take().endswith(b"y" * 100_000)
    upstream.drain()
    upstream.receive(OK)
    assert client.take() == OK
    serving.quiet()


async def test_response_that_fills_the_client_at_its_end_leaves_the_upstream_readable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec())
    client = await asked(serving, GET % b"a")
    client.stuck = True
    body = b"x" * (HIGH_WATER + 1)
    upstream = serving.upstreams[0]
    upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert client.take().endswith(body)
    other = await asked(serving, GET % b"b")
    for one in serving.upstreams:
        if not one.is_closing():
            one.receive(OK)
    assert other.take() == OK
    client.drain()
    serving.quiet()


async def test_backlog_is_bounded_and_comes_after_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec())
    client = await asked(serving, GET % b"first")
    ahead = GET % b"ahead" * (BACKLOG_BYTES // 30 + 100)
    client.receive(ahead)
    assert not client.reading
    serving.upstreams[0].take()
    serving.upstreams[0].receive(OK)
    await serving.turn()
    assert serving.upstreams[0].take().startswith(b"GET /ahead ")
    client.end() if client.reading else client.lose()
    serving.quiet()


async def test_expectation_is_met_once_there_is_an_upstream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec())
    serving.answers = [ConnectionRefusedError, None]
    serving.publish(spec(endpoints=("192.0.2.80:80", "192.0.2.81:80")))
    client = await asked(
        serving,
        b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    )
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.receive(b"ab")
    serving.upstreams[0].receive(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert client.take() == OK
    serving.quiet()


async def test_early_answer_ends_the_connection_and_abandons_the_upstream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = house(monkeypatch, spec())
    client = await asked(serving, b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\nabc")
    serving.upstreams[0].receive(OK)
    assert b"Connection: close" in client.take()
    assert client.eof_written
    assert serving.upstreams[0].aborted
    client.receive(b"more of the body")
    assert not client.aborted
    serving.quiet()


async def test_upstream_that_is_gone_before_the_request_is_sent_is_a_failed_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It accepted and closed; writing to a closed transport raises."""
    serving = house(monkeypatch, spec())
    original = serving.connect

    async def connect(*where: object) -> object:
        connection = await original(*where)  # type: ignore[arg-type]
        serving.upstreams[-1].lose()
        return connection

    monkeypatch.setattr("proxy.exchange.dispatch.connect", connect)
    client = await asked(serving, GET % b"a")
    assert statuses(client.take()) == [502]
    serving.quiet()


STAGES = ["connecting", "waiting", "mid-head", "mid-body", "answered"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["end", "lose"])
async def test_client_that_vanishes_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, stage: str, how: str
) -> None:
    serving = house(monkeypatch, spec())
    if stage == "connecting":
        serving.gate = asyncio.Event()
    client = await asked(serving, GET % b"a")
    if stage != "connecting":
        sent = {"waiting": 0, "mid-head": 20, "mid-body": len(OK) - 1, "answered": len(OK)}[stage]
        if sent:
            serving.upstreams[0].receive(OK[:sent])
    getattr(client, how)()
    if not client.closed:
        client.lose()
    await serving.turn()
    serving.quiet()
    assert serving.connections == set()
    assert serving.counters.active["http"] == 0
    kept = stage == "answered"
    assert [one.is_closing() for one in serving.upstreams] == [not kept] * len(serving.upstreams)


async def test_internal_error_ends_the_exchange_and_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stood behind the request is lost with it: nothing may be read as a request again."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    serving = house(monkeypatch, spec())
    monkeypatch.setattr("proxy.exchange.intake.dispatch", broken)
    client = await asked(serving, GET % b"a" + b"GET /half-a-h")
    assert statuses(client.take()) == [500]
    assert [type(error) for error in serving.log.errors] == [ZeroDivisionError]
    client.receive(b"ead HTTP/1.1\r\nHost: h\r\n\r\n")
    assert client.take() == b""
    assert client.is_closing() or client.eof_written
    serving.log.errors.clear()
    serving.quiet()
