"""The process drain: nothing accepted is cut before the budget, and then everything ends."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.peers import (
    OK,
    Conn,
    Running,
    Stage,
    build_spec,
    everything,
    listener,
    reply,
    settle,
    within,
)
from tests.peers.client import RawClient, request
from tests.peers.frames import CLOSE, HANDSHAKE_FIELDS, TEXT, encode, read_frame
from tests.peers.origin import accept_upgrade, websocket


async def serve(stage: Stage, release: asyncio.Event | None = None) -> Running:
    async def script(conn: Conn) -> None:
        while True:
            await conn.next_request()
            if release is not None:
                await release.wait()
            await conn.send(OK)

    return await stage.serve(build_spec(stage.origin(script).address))


async def test_before_a_drain_the_server_is_ready(stage: Stage) -> None:
    running = await serve(stage)
    assert (running.server.ready, running.server.draining) == (True, False)
    assert (running.read().draining, running.read().drain_remaining) == (False, 0)


async def test_drain_of_an_idle_server_is_done_at_once(stage: Stage) -> None:
    running = await serve(stage)
    running.server.drain(timeout_s=30, accept_s=0)
    await within(running.server.drained(), "the drain", 3)
    assert (running.server.ready, running.server.draining) == (False, True)
    assert running.server.remaining == 0
    assert running.read().draining


async def test_responses_say_close_from_the_first_second_on(stage: Stage) -> None:
    running = await serve(stage)
    kept = await running.connect()
    assert not (await kept.get()).closes
    running.server.drain(timeout_s=30, accept_s=30)
    assert (await kept.get()).closes
    await kept.read_eof()
    # Listeners go on accepting, for those who have not heard of it.
    late = await running.connect()
    answer = await late.get()
    assert (answer.status, answer.closes) == (200, True)
    await late.read_eof()


async def test_error_answers_say_close_too(stage: Stage) -> None:
    running = await stage.serve(build_spec(routes=[], pools=[]))
    client = await running.connect()
    running.server.drain(timeout_s=30, accept_s=30)
    answer = await client.get()
    assert (answer.status, answer.closes) == (404, True)


async def test_listeners_close_at_the_end_of_the_accept_phase(stage: Stage) -> None:
    running = await serve(stage)
    address = running.address()
    running.server.drain(timeout_s=30, accept_s=0.3)
    (await RawClient.connect(address)).close()
    await within(running.server.drained(), "the drain", 5)
    with pytest.raises(ConnectionRefusedError):
        await RawClient.connect(address)


async def test_idle_connections_do_not_hold_the_drain(stage: Stage) -> None:
    running = await serve(stage)
    fresh, used = await running.connect(), await running.connect()
    await used.get()
    running.server.drain(timeout_s=30, accept_s=0.2)
    await within(running.server.drained(), "the drain", 5)
    await fresh.read_eof()
    await used.read_eof()


async def test_request_under_way_is_finished_and_then_the_drain_is_done(stage: Stage) -> None:
    release = asyncio.Event()
    running = await serve(stage, release)
    client = await running.connect()
    await client.send(request())
    drained = asyncio.create_task(running.server.drained())
    await settle()
    running.server.drain(timeout_s=30, accept_s=0)
    await settle()
    assert running.server.remaining == 1
    assert running.read().drain_remaining == 1
    assert not drained.done()
    release.set()
    answer = await client.read_response()
    assert (answer.body, answer.closes) == (b"ok", True)
    await client.read_eof()
    await within(drained, "the drain", 5)


async def test_half_sent_request_is_served_too(stage: Stage) -> None:
    running = await serve(stage)
    client = await running.connect()
    raw = request(b"POST", body=b"body")
    await client.send(raw[:30])
    running.server.drain(timeout_s=30, accept_s=0)
    await settle()
    await client.send(raw[30:])
    answer = await client.read_response()
    assert (answer.status, answer.closes) == (200, True)


async def test_pipelined_requests_behind_the_current_one_are_given_up(stage: Stage) -> None:
    release = asyncio.Event()
    running = await serve(stage, release)
    client = await running.connect()
    await client.send(request() * 3)
    await settle()
    running.server.drain(timeout_s=30, accept_s=0)
    release.set()
    assert (await client.read_response()).closes
    await client.read_eof()
    client.close()
    await within(running.server.drained(), "the drain", 5)


async def test_what_is_left_at_the_budget_is_cut(stage: Stage) -> None:
    running = await serve(stage, asyncio.Event())
    client = await running.connect()
    await client.send(request())
    await settle()
    start = time.monotonic()
    running.server.drain(timeout_s=0.4, accept_s=0)
    await within(running.server.drained(), "the drain", 5)
    assert time.monotonic() - start >= 0.35
    await client.gone()
    assert running.server.remaining == 0


async def test_second_drain_joins_the_first(stage: Stage) -> None:
    running = await serve(stage, asyncio.Event())
    client = await running.connect()
    await client.send(request())
    await settle()
    running.server.drain(timeout_s=0.3, accept_s=0)
    running.server.drain(timeout_s=300, accept_s=300)
    await within(running.server.drained(), "the drain", 5)


async def test_drain_can_be_undone(stage: Stage) -> None:
    release = asyncio.Event()
    running = await serve(stage, release)
    client = await running.connect()
    await client.send(request())
    await settle()
    running.server.drain(timeout_s=30, accept_s=30)
    await running.server.undrain()
    assert (running.server.draining, running.server.ready) == (False, True)
    release.set()
    assert not (await client.read_response()).closes
    assert not (await client.get()).closes
    assert not (await (await running.connect()).get()).closes


async def test_drain_undone_after_the_listeners_closed_opens_them_again(stage: Stage) -> None:
    running = await serve(stage, asyncio.Event())
    client = await running.connect()
    await client.send(request())
    await settle()
    running.server.drain(timeout_s=30, accept_s=0)
    await settle()
    await running.server.undrain()
    assert running.server.ready
    late = await running.connect()
    await late.send(request())
    await settle()
    assert running.listener().counters.in_flight == 2


async def test_drain_undone_after_its_end_can_be_done_again(stage: Stage) -> None:
    running = await serve(stage)
    for _ in range(2):
        running.server.drain(timeout_s=30, accept_s=0)
        await within(running.server.drained(), "the drain", 3)
        await running.server.undrain()
        assert running.server.ready
        client = await running.connect()
        assert not (await client.get()).closes
        client.close()


@pytest.mark.parametrize("accept_s", [0.3, 0.0], ids=["during", "after"])
async def test_configuration_applied_in_a_drain_does_not_hinder_it(
    stage: Stage, accept_s: float
) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    running.server.drain(timeout_s=30, accept_s=accept_s)
    if not accept_s:
        await within(running.server.drained(), "the drain", 3)
    await running.server.apply(
        build_spec(origin.address, listeners=[listener(), listener("second")])
    )
    await within(running.server.drained(), "the drain", 3)
    for name in ("public", "second"):
        with pytest.raises(ConnectionRefusedError):
            await running.connect(name)
    await running.server.undrain()
    for name in ("public", "second"):
        assert (await (await running.connect(name)).get()).status == 200


async def test_websocket_goes_on_while_listeners_accept_and_is_told_to_go_then(
    stage: Stage,
) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        while True:
            frame = await read_frame(conn)
            await conn.send(encode(frame.opcode, frame.payload))

    running = await stage.serve(build_spec(stage.origin(script).address))
    client, late = await running.connect(), await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    start = time.monotonic()
    running.server.drain(timeout_s=5.0, accept_s=0.5)
    assert (await late.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    await client.send(encode(TEXT, b"still here", mask=True))
    assert (await read_frame(client)).payload == b"still here"
    for one in (client, late):
        told = await read_frame(one)
        assert told.payload == b"\x03\xe9server shutdown"
        await one.send(encode(CLOSE, told.payload, mask=True))
        await one.read_eof()
    assert time.monotonic() - start >= 0.45
    await within(running.server.drained(), "the drain", 5)


async def test_tunnel_lives_until_the_budget(stage: Stage) -> None:
    origin = stage.origin(websocket())
    running = await stage.serve(build_spec(origin.address, routes=[everything(upgrades=("*",))]))
    client = await running.connect()
    fields = (b"Connection: upgrade", b"Upgrade: vpn")
    assert (await client.request(b"GET", b"/", *fields)).status == 101
    start = time.monotonic()
    running.server.drain(timeout_s=0.5, accept_s=0)
    await client.send(b"still")
    assert await client.read_exactly(5) == b"still"
    assert running.server.remaining == 1
    await client.gone()
    assert time.monotonic() - start >= 0.45
    await within(running.server.drained(), "the drain", 5)


async def test_large_response_under_way_is_not_cut(stage: Stage) -> None:
    body = b"x" * (8 << 20)

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(reply(body), limit_s=30)

    running = await stage.serve(build_spec(stage.origin(script).address))
    client = await running.connect(receive_buffer=32768)
    await client.send(request())
    await client.read_head()
    running.server.drain(timeout_s=30, accept_s=0)
    assert len(await client.trickle(len(body), 500_000)) == len(body)
    await within(running.server.drained(), "the drain", 5)


async def test_close_cuts_everything_at_once(stage: Stage) -> None:
    running = await serve(stage, asyncio.Event())
    clients = [await running.connect() for _ in range(3)]
    await clients[0].send(request())
    await clients[1].send(b"GET / HT")
    await settle()
    await within(running.server.close(), "the server to close", 3)
    for client in clients:
        await client.gone()
    assert running.server.remaining == 0


async def test_drain_goes_on_if_an_address_cannot_be_had_again(stage: Stage) -> None:
    origin = stage.origin()
    spec = build_spec(origin.address, listeners=[listener(), listener("second")])
    running = await stage.serve(spec)
    running.server.drain(timeout_s=30, accept_s=0)
    await within(running.server.drained(), "the drain", 3)
    first, second = running.server.addresses.values()
    host, _, port = second.rpartition(":")
    with socket.create_server((host, int(port))):
        with pytest.raises(OSError, match="in use"):
            await running.server.undrain()
        assert running.server.draining
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(first.rpartition(":")[2]))
    await running.server.undrain()
    assert running.server.ready
