"""Every timeout: it strikes in its time, not before, and not when the wait is ours."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.spec import ListenerTimeouts, PoolTimeouts, RouteTimeouts, TunnelSpec
from tests.peers import (
    OK,
    Conn,
    EndedError,
    RawClient,
    Running,
    Stage,
    answers,
    build_spec,
    everything,
    listener,
    pool,
    reply,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS, read_frame
from tests.peers.origin import Script, accept_upgrade, websocket
from tests.peers.stream import Stream, until_time

SHORT = 0.3
"""Long enough to be told from "at once" on a busy machine, short enough to wait for."""

SLACK = 3.0
"""Timeouts are swept, not scheduled one by one, and the machine may be busy."""


@asynccontextmanager
async def strikes(after_s: float = SHORT) -> AsyncIterator[None]:
    """Check that what happens within takes ``after_s`` seconds, and not much longer."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert 0.9 * after_s <= took <= after_s + SLACK, took


async def drip(stream: Stream, data: bytes, every_s: float) -> None:
    """Send octet by octet, one each ``every_s`` seconds."""
    for octet in data:
        await stream.send(b"%c" % octet)
        await until_time(time.monotonic() + every_s)


async def serve(
    stage: Stage,
    *addresses: str,
    client: ListenerTimeouts | None = None,
    upstream: PoolTimeouts | None = None,
    **route: Any,
) -> Running:
    return await stage.serve(
        build_spec(
            listeners=[listener(timeouts=client or ListenerTimeouts())],
            pools=[pool(*addresses, timeouts=upstream or PoolTimeouts())],
            routes=[everything(**route)],
        )
    )


async def stall(conn: Conn) -> None:
    await conn.next_request()


# -- the client's side ----------------------------------------------------------------------------


async def test_header_timeout_runs_from_the_first_byte_and_drips_do_not_extend_it(
    stage: Stage,
) -> None:
    running = await serve(stage, stage.refused(), client=ListenerTimeouts(header_s=SHORT))
    client = await running.connect()
    async with strikes():
        await drip(client, b"GET / HTTP/1.1\r\nHo"[:6], 0.1)
        assert (await client.read_response()).status == 408
    assert running.rejected() == {"head_timeout": 1}


async def test_header_timeout_of_a_later_request_runs_from_its_own_first_byte(
    stage: Stage,
) -> None:
    running = await serve(
        stage, stage.origin().address, client=ListenerTimeouts(header_s=SHORT, idle_s=60)
    )
    client = await running.connect()
    await client.get()
    await until_time(time.monotonic() + 1.2 * SHORT)
    async with strikes():
        await client.send(b"GET / HT")
        assert (await client.read_response()).status == 408


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "kept-alive"])
async def test_empty_lines_keep_no_connection_open(stage: Stage, used: bool) -> None:
    """They are skipped before a request (RFC 9112, 2.2), and are none."""
    running = await serve(
        stage,
        stage.origin().address,
        client=ListenerTimeouts(header_s=SHORT, idle_s=SHORT),
    )
    client = await running.connect()
    if used:
        await client.get()
    with pytest.raises(EndedError):
        for _ in range(20):
            await drip(client, b"\r\n", 0.2 * SHORT)
            client.drain_now()
            if client.ended:
                raise EndedError


async def test_idle_timeout_closes_without_a_word(stage: Stage) -> None:
    running = await serve(
        stage, stage.origin().address, client=ListenerTimeouts(idle_s=SHORT, header_s=60)
    )
    client = await running.connect()
    await client.get()
    async with strikes():
        await client.read_eof()


async def test_idle_timeout_does_not_strike_a_request_under_way(stage: Stage) -> None:
    async def slow(conn: Conn) -> None:
        await conn.next_request()
        await until_time(time.monotonic() + 3 * SHORT)
        await conn.send(OK)

    running = await serve(
        stage,
        stage.origin(slow).address,
        client=ListenerTimeouts(idle_s=SHORT, header_s=SHORT, body_s=SHORT, write_s=SHORT),
    )
    assert (await (await running.connect()).get()).body == b"ok"


async def test_body_timeout_runs_between_two_reads(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, client=ListenerTimeouts(body_s=SHORT))
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Content-Length: 5"))
    await drip(client, b"1234", 0.6 * SHORT)
    await client.send(b"5")
    assert (await client.read_response()).status == 200
    await client.send(request(b"POST", b"/", b"Content-Length: 5"))
    await drip(client, b"12", 0.6 * SHORT)
    async with strikes(0.3 * SHORT):
        answer = await client.read_response()
    assert (answer.status, answer.closes) == (408, True)
    assert len(origin.requests) == 1


async def test_body_timeout_does_not_strike_while_the_upstream_is_the_slow_one(
    stage: Stage,
) -> None:
    total = 16 << 20

    async def slow(conn: Conn) -> None:
        await conn.next_head()
        await until_time(time.monotonic() + 4 * SHORT)
        await conn.read_exactly(total)
        await conn.send(OK)

    origin = stage.origin(slow, receive_buffer=32768)
    running = await serve(stage, origin.address, client=ListenerTimeouts(body_s=SHORT))
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Content-Length: %d" % total))
    sent = await client.pour(total)
    while sent < total:
        sent += await client.pour(total - sent)
    assert (await client.read_response(limit_s=30)).body == b"ok"


async def test_write_timeout_cuts_a_client_that_takes_nothing(stage: Stage) -> None:
    async def endless(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        await conn.pour(999_999_999)

    origin = stage.origin(endless)
    running = await serve(stage, origin.address, client=ListenerTimeouts(write_s=SHORT))
    client = await running.connect(receive_buffer=32768)
    async with strikes():
        await client.send(request())
        await origin.closed(1)
    await running.quiet()
    await client.gone()
    assert len(client.received) < 64 << 20


async def test_write_timeout_spares_a_client_that_reads_slowly(stage: Stage) -> None:
    body = b"x" * (4 << 20)
    running = await serve(
        stage,
        stage.origin(answers(reply(body))).address,
        client=ListenerTimeouts(write_s=2 * SHORT),
    )
    client = await running.connect(receive_buffer=65536)
    await client.send(request())
    head = await client.read_head()
    assert head.get(b"content-length") == b"%d" % len(body)
    got = 0
    while got < len(body):
        size = min(1 << 20, len(body) - got)
        await client.read_exactly(size)
        got += size
        await until_time(time.monotonic() + 0.7 * SHORT)


# -- the upstream's side --------------------------------------------------------------------------


async def test_connect_timeout_is_504(stage: Stage) -> None:
    running = await serve(stage, stage.unreachable(), upstream=PoolTimeouts(connect_s=SHORT))
    client = await running.connect()
    async with strikes():
        assert (await client.get()).status == 504
    assert running.pool().counters.errors == {"connect_timeout": 1}


async def test_send_timeout_is_504(stage: Stage) -> None:
    async def deaf(conn: Conn) -> None:
        await conn.hold()

    origin = stage.origin(deaf, receive_buffer=32768)
    running = await serve(stage, origin.address, upstream=PoolTimeouts(send_s=SHORT))
    client = await running.connect()
    total = 64 << 20
    await client.send(request(b"PUT", b"/", b"Content-Length: %d" % total))
    async with strikes():
        await client.pour(total)
        answer = await client.read_response()
    assert (answer.status, answer.closes) == (504, True)
    assert running.pool().counters.errors == {"send_timeout": 1}


async def test_send_timeout_spares_an_upstream_that_reads_slowly(stage: Stage) -> None:
    total = 8 << 20

    async def slow(conn: Conn) -> None:
        await conn.next_head()
        got = 0
        while got < total:
            size = min(2 << 20, total - got)
            await conn.read_exactly(size)
            got += size
            await until_time(time.monotonic() + 0.5 * SHORT)
        await conn.send(OK)

    origin = stage.origin(slow, receive_buffer=65536)
    running = await serve(stage, origin.address, upstream=PoolTimeouts(send_s=2 * SHORT))
    client = await running.connect()
    await client.send(
        request(b"PUT", b"/", b"Content-Length: %d" % total) + b"x" * total, limit_s=30
    )
    assert (await client.read_response()).status == 200


async def test_read_timeout_before_the_head_is_504(stage: Stage) -> None:
    origin = stage.origin(stall)
    running = await serve(stage, origin.address, upstream=PoolTimeouts(read_s=SHORT))
    client = await running.connect()
    async with strikes():
        answer = await client.get()
    assert (answer.status, answer.closes) == (504, False)
    await origin.closed(1)


async def test_read_timeout_within_the_head_is_504(stage: Stage) -> None:
    origin = stage.origin(answers(b"HTTP/1.1 200 OK\r\nContent-"))
    running = await serve(stage, origin.address, upstream=PoolTimeouts(read_s=SHORT))
    async with strikes():
        assert (await (await running.connect()).get()).status == 504


async def test_read_timeout_within_the_body_cuts_the_response(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"half-")[:-1]))
    running = await serve(stage, origin.address, upstream=PoolTimeouts(read_s=SHORT))
    client = await running.connect()
    await client.send(request())
    async with strikes():
        assert (await client.read_head()).status == 200
        assert await client.read_to_end() == b"half"
    await origin.closed(1)
    assert running.pool().counters.errors == {"read_timeout": 1}


async def test_read_timeout_spares_an_upstream_that_drips(stage: Stage) -> None:
    async def slow(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(reply(b"12345")[:-5])
        await drip(conn, b"12345", 0.5 * SHORT)

    origin = stage.origin(slow)
    running = await serve(stage, origin.address, upstream=PoolTimeouts(read_s=SHORT))
    assert (await (await running.connect()).get()).body == b"12345"


async def test_read_timeout_does_not_strike_while_the_client_is_the_slow_one(
    stage: Stage,
) -> None:
    body = b"x" * (16 << 20)

    async def big(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(reply(body), limit_s=30)

    running = await serve(stage, stage.origin(big).address, upstream=PoolTimeouts(read_s=SHORT))
    client = await running.connect(receive_buffer=32768)
    await client.send(request())
    await client.read_head()
    await until_time(time.monotonic() + 3 * SHORT)
    assert len(await client.trickle(len(body), 1 << 20)) == len(body)


async def test_read_timeout_does_not_strike_while_the_request_is_still_being_sent(
    stage: Stage,
) -> None:
    origin = stage.origin()
    running = await serve(stage, origin.address, upstream=PoolTimeouts(read_s=SHORT))
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Content-Length: 4"))
    await origin.connection()
    await drip(client, b"body", 0.6 * SHORT)
    assert (await client.read_response()).status == 200


async def test_informational_response_restarts_the_read_timeout(stage: Stage) -> None:
    async def slow(conn: Conn) -> None:
        await conn.next_request()
        for _ in range(4):
            await until_time(time.monotonic() + 0.6 * SHORT)
            await conn.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await conn.send(OK)

    origin = stage.origin(slow)
    running = await serve(stage, origin.address, upstream=PoolTimeouts(read_s=SHORT))
    assert (await (await running.connect()).get()).body == b"ok"


@pytest.mark.parametrize(
    ("timeouts", "status"),
    [(RouteTimeouts(read_s=SHORT), 504), (RouteTimeouts(), 200)],
    ids=["own", "inherited"],
)
async def test_timeout_of_the_route_stands_over_the_pools(
    stage: Stage, timeouts: RouteTimeouts, status: int
) -> None:
    async def slow(conn: Conn) -> None:
        await conn.next_request()
        await until_time(time.monotonic() + 2 * SHORT)
        await conn.send(OK)

    running = await serve(stage, stage.origin(slow).address, timeouts=timeouts)
    assert (await (await running.connect()).get()).status == status


async def test_connect_timeout_of_the_route_stands_over_the_pools(stage: Stage) -> None:
    running = await serve(stage, stage.unreachable(), timeouts=RouteTimeouts(connect_s=SHORT))
    async with strikes():
        assert (await (await running.connect()).get()).status == 504


# -- tunnels --------------------------------------------------------------------------------------


async def joined(stage: Stage, script: Script, **differs: Any) -> tuple[Running, RawClient]:
    origin = stage.origin(script)
    running = await serve(stage, origin.address, **differs)
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    return running, client


async def test_tunnel_without_traffic_is_closed_at_its_idle_timeout(stage: Stage) -> None:
    running, client = await joined(stage, websocket(), tunnel=TunnelSpec(idle_timeout_s=SHORT))
    async with strikes():
        assert (await read_frame(client)).payload == b"\x03\xe9idle timeout"
    client.close()
    await running.quiet()


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_traffic_of_either_side_keeps_a_tunnel_open(stage: Stage, side: str) -> None:
    async def talk(conn: Conn) -> None:
        await accept_upgrade(conn)
        if side == "upstream":
            await drip(conn, b"12345", 0.6 * SHORT)

    running, client = await joined(stage, talk, tunnel=TunnelSpec(idle_timeout_s=SHORT))
    if side == "client":
        await drip(client, b"12345", 0.6 * SHORT)
        assert not client.unread
    else:
        assert await client.read_exactly(5) == b"12345"
    assert running.listener().counters.active["websocket"] == 1


async def test_read_timeout_of_the_pool_does_not_hold_for_a_tunnel(stage: Stage) -> None:
    running, client = await joined(
        stage,
        websocket(),
        upstream=PoolTimeouts(read_s=SHORT),
        client=ListenerTimeouts(idle_s=SHORT, header_s=SHORT, body_s=SHORT),
    )
    await until_time(time.monotonic() + 4 * SHORT)
    await client.send(b"alive")
    assert await client.read_exactly(5) == b"alive"
    assert running.listener().counters.active["websocket"] == 1


async def test_tunnel_without_an_idle_timeout_stays(stage: Stage) -> None:
    _, client = await joined(stage, websocket(), tunnel=TunnelSpec(idle_timeout_s=None))
    await until_time(time.monotonic() + 2 * SHORT)
    await client.send(b"alive")
    assert await client.read_exactly(5) == b"alive"
