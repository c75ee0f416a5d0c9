"""Goodbyes over real sockets: what clients and upstreams see when we close a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from proxy.spec import DrainSpec, OnRemoval, Spec, TunnelSpec
from proxy.splice import closing
from tests.peers import (
    Conn,
    Origin,
    RawClient,
    Running,
    Stage,
    build_spec,
    eventually,
    everything,
    pool,
    settle,
    within,
)
from tests.peers.frames import (
    BINARY,
    CLOSE,
    HANDSHAKE_FIELDS,
    PING,
    TEXT,
    Frame,
    encode,
    read_frame,
)
from tests.peers.origin import Script, accept_upgrade

MEGABYTE = 1 << 20
PONG = 0xA
SOON = DrainSpec(rate=1000, timeout_s=20, close_code=1012, reason="service restart")


def closes(running: Running) -> dict[tuple[str, int], int]:
    return running.pool().counters.closes


# -- with a real library at both ends -------------------------------------------------------------


class Echo:
    """A ``websockets`` server, and how each of its connections ended."""

    def __init__(self) -> None:
        self.address = ""
        self.codes: list[tuple[int | None, str]] = []

    async def __call__(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        self.codes.append((connection.close_code, connection.close_reason or ""))


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    handler = Echo()
    async with serve(handler, "127.0.0.1", 0, ping_interval=None) as server:
        host, port = next(iter(server.sockets)).getsockname()
        handler.address = f"{host}:{port}"
        yield handler


@contextlib.asynccontextmanager
async def client_of(running: Running, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{running.address()}/", ping_interval=None, **options) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        yield client


async def ended(client: ClientConnection) -> tuple[int | None, str | None]:
    await within(client.wait_closed(), "the client to be closed")
    return client.close_code, client.close_reason


@pytest.mark.parametrize("policy", ["close", "drain"])
async def test_removal_is_said_to_both_ends(stage: Stage, echo: Echo, policy: OnRemoval) -> None:
    spec = build_spec(pools=[pool(echo.address, on_removal=policy, drain=SOON)])
    running = await stage.serve(spec)
    async with client_of(running) as client:
        await running.server.apply(build_spec(pools=[pool(on_removal=policy)]))
        assert await ended(client) == (1012, "service restart")
    await eventually(lambda: echo.codes == [(1012, "service restart")], "the server to be told")
    await running.quiet()
    assert closes(running) == {("proxy", 1012): 1}


async def test_process_drain_says_1001(stage: Stage, echo: Echo) -> None:
    running = await stage.serve(build_spec(echo.address))
    async with client_of(running) as client, client_of(running) as other:
        running.server.drain(timeout_s=5, accept_s=0)
        assert await ended(client) == (1001, "server shutdown")
        assert await ended(other) == (1001, "server shutdown")
        await within(running.server.drained(), "the drain", 2)
    assert closes(running) == {("proxy", 1001): 2}


async def test_idle_websocket_is_told(stage: Stage, echo: Echo) -> None:
    route = everything(tunnel=TunnelSpec(idle_timeout_s=0.5))
    running = await stage.serve(build_spec(echo.address, routes=[route]))
    async with client_of(running) as client:
        assert await ended(client) == (1001, "idle timeout")


async def test_compressed_messages_and_pings_of_the_application_are_undisturbed(
    stage: Stage, echo: Echo
) -> None:
    route = everything(tunnel=TunnelSpec(ping_interval_s=0.2))
    running = await stage.serve(build_spec(echo.address, routes=[route]))
    async with client_of(running, compression="deflate") as client:
        for number in range(6):
            await client.send(f"{number}" * 1000)
            assert await client.recv() == f"{number}" * 1000
            await within(await client.ping(), "the server's pong")
        await eventually(lambda: running.pool().messages_to_client == 7, "seven messages")
        assert running.pool().messages_to_upstream == 7


async def test_live_client_answers_our_pings_and_stays(stage: Stage, echo: Echo) -> None:
    route = everything(tunnel=TunnelSpec(ping_interval_s=0.2))
    running = await stage.serve(build_spec(echo.address, routes=[route]))
    async with client_of(running) as client:
        found = next(iter(running.server._runtime.splices))
        pings = found._pings
        assert pings is not None
        await eventually(lambda: pings.swallowed >= 3 * 18, "three pongs")
        await client.send("still")
        assert await client.recv() == "still"
    await eventually(lambda: echo.codes == [(1000, "")], "the server to have heard it")
    await running.quiet()
    assert closes(running) == {("client", 1000): 1}


async def test_close_of_the_application_is_passed_on_and_counted(stage: Stage) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("hello")
        await connection.close(4321, "enough")

    async with serve(leave, "127.0.0.1", 0) as server:
        host, port = next(iter(server.sockets)).getsockname()
        running = await stage.serve(build_spec(f"{host}:{port}"))
        async with client_of(running) as client:
            assert await ended(client) == (4321, "enough")
        await running.quiet()
    assert closes(running) == {("upstream", 4321): 1}


# -- scripted, to the octet -----------------------------------------------------------------------


async def joined(
    stage: Stage, script: Script, spec: Any = None, *, receive_buffer: int | None = None
) -> tuple[Running, RawClient, Origin]:
    """Upgrade through a pool that drains; the client is a raw one."""
    origin = stage.origin(script, receive_buffer=receive_buffer)
    routes = [everything(upgrades=("*",), **(spec or {}))]
    running = await stage.serve(_spec(origin, routes))
    client = await running.connect(receive_buffer=receive_buffer)
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    return running, client, origin


def _spec(origin: Origin | None, routes: list[Any]) -> Spec:
    addresses = [] if origin is None else [origin.address]
    return build_spec(pools=[pool(*addresses, on_removal="close", drain=SOON)], routes=routes)


async def remove(running: Running) -> None:
    """Remove the endpoint, whose connections are told to close at once."""
    await running.server.apply(_spec(None, [everything(upgrades=("*",))]))


async def read_big(stream: RawClient | Conn, size: int, piece: int, masked: bool) -> Frame:
    """Read a large binary frame slowly; return it."""
    head = await within(stream._exactly(10), "its head")
    assert head[0] & 0x0F == BINARY
    assert int.from_bytes(head[2:], "big") == size
    mask = await within(stream._exactly(4), "its mask") if masked else b""
    payload = bytearray()
    while len(payload) < size:
        payload += await within(stream._exactly(min(piece, size - len(payload))), "its payload", 30)
        await settle(1)
    if masked:
        payload = bytearray(_unmask(bytes(payload), mask))
    return Frame(BINARY, bytes(payload))


def _unmask(data: bytes, mask: bytes) -> bytes:
    long = int.from_bytes(mask * (len(data) // 4 + 1), "big") >> (8 * (-len(data) % 4 or 4))
    return (int.from_bytes(data, "big") ^ long).to_bytes(len(data), "big")


@dataclass(slots=True)
class Sent:
    """A large frame of which a part is under way, and the rest only when told so."""

    size: int
    masked: bool
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def payload(self) -> bytes:
        return bytes(range(256)) * (self.size // 256)

    async def send(self, stream: RawClient | Conn) -> None:
        whole = encode(BINARY, self.payload, mask=self.masked)
        await stream.send(whole[:1000])
        await self.go_on.wait()
        late = encode(TEXT, b"late", mask=self.masked)
        await stream.send(whole[1000:] + late, limit_s=30)


SIZES = pytest.mark.parametrize("size", [MEGABYTE, 10 * MEGABYTE], ids=["1MB", "10MB"])
SPEEDS = pytest.mark.parametrize("piece", [1 << 20, 50_000], ids=["fast", "slow"])


@SIZES
@SPEEDS
async def test_large_frame_to_the_client_is_finished_before_close(
    stage: Stage, size: int, piece: int
) -> None:
    large = Sent(size, masked=False)
    got: list[Frame] = []

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        sending = asyncio.create_task(large.send(conn))
        got.append(await read_frame(conn))
        await sending
        await conn.send(encode(CLOSE, got[0].payload))

    running, client, origin = await joined(stage, script, receive_buffer=32768)
    await eventually(lambda: running.pool().spliced_to_client == 1000, "the frame to be under way")
    await remove(running)
    large.go_on.set()
    assert (await read_big(client, size, piece, False)).payload == large.payload
    told = await read_frame(client)
    assert (told.opcode, told.payload) == (CLOSE, b"\x03\xf4service restart")
    await client.send(encode(CLOSE, told.payload, mask=True))
    await client.read_eof()
    await origin.closed(1)
    assert (got[0].opcode, got[0].payload, got[0].masked) == (CLOSE, told.payload, True)
    await running.quiet()
    assert closes(running) == {("proxy", 1012): 1}


@SIZES
@SPEEDS
async def test_large_frame_to_the_upstream_is_finished_before_close(
    stage: Stage, size: int, piece: int
) -> None:
    large = Sent(size, masked=True)
    got: list[Frame] = []

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        got.append(await read_big(conn, size, piece, True))
        got.append(await read_frame(conn))
        await conn.send(encode(CLOSE, got[1].payload))

    running, client, origin = await joined(stage, script, receive_buffer=32768)
    sending = asyncio.create_task(large.send(client))
    await eventually(
        lambda: running.pool().spliced_to_upstream == 1000, "the frame to be under way"
    )
    await remove(running)
    told = await read_frame(client)  # a client in mid-frame is told at once
    assert (told.opcode, told.payload) == (CLOSE, b"\x03\xf4service restart")
    large.go_on.set()
    await sending
    await client.send(encode(CLOSE, told.payload, mask=True))
    await client.read_eof()
    await origin.closed(1)
    assert got[0].payload == large.payload
    assert (got[1].opcode, got[1].payload, got[1].masked) == (CLOSE, told.payload, True)


async def test_frames_both_ways_at_once_are_finished(stage: Stage) -> None:
    down, up = Sent(4 * MEGABYTE, masked=False), Sent(4 * MEGABYTE, masked=True)
    got: list[Frame] = []

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        sending = asyncio.create_task(down.send(conn))
        got.append(await read_big(conn, up.size, 100_000, True))
        got.append(await read_frame(conn))
        await sending
        await conn.send(encode(CLOSE, got[1].payload))

    running, client, _ = await joined(stage, script, receive_buffer=32768)
    sending = asyncio.create_task(up.send(client))
    await eventually(
        lambda: (
            (running.pool().spliced_to_client, running.pool().spliced_to_upstream) == (1000, 1000)
        ),
        "both frames to be under way",
    )
    await remove(running)
    down.go_on.set()
    up.go_on.set()
    assert (await read_big(client, down.size, 100_000, False)).payload == down.payload
    assert (await read_frame(client)).opcode == CLOSE
    await sending
    await client.send(encode(CLOSE, b"\x03\xf4", mask=True))
    await client.read_eof()
    await eventually(lambda: len(got) == 2, "both frames upstream")
    assert (got[0].payload, got[1].opcode) == (up.payload, CLOSE)


async def test_frame_that_never_ends_is_cut_and_never_broken_into(stage: Stage) -> None:
    begun = encode(BINARY, b"x" * MEGABYTE)[:1000]

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn, behind=begun)
        assert (await read_frame(conn)).opcode == CLOSE
        conn.close()

    running, client, _ = await joined(stage, script)
    await client.read_exactly(1000)
    (one,) = running.server._runtime.splices
    one.close(1012, "", by=0.0)
    await client.gone()
    assert client.unread == b""
    await running.quiet()


@pytest.mark.parametrize("side", ["client", "upstream"])
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_end_that_vanishes_instead_of_answering_lets_the_other_finish(
    stage: Stage, side: str, how: Any
) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        told = await read_frame(conn)
        if side == "upstream":
            conn.vanish(how)
        else:
            await conn.send(encode(CLOSE, told.payload))

    running, client, origin = await joined(stage, script)
    await remove(running)
    told = await read_frame(client)
    if side == "client":
        client.vanish(how)
        await origin.closed(1)
    else:
        await client.send(encode(CLOSE, told.payload, mask=True))
        await client.read_eof()
    await running.quiet()
    assert closes(running) == {("proxy", 1012): 1}


async def test_end_that_never_answers_is_sent_fin(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "ECHO_S", 0.3)

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await read_frame(conn)
        await conn.read_eof()

    running, client, _ = await joined(stage, script)
    await remove(running)
    assert (await read_frame(client)).opcode == CLOSE
    await client.read_eof()
    client.close()
    await running.quiet()


@pytest.mark.parametrize("half_closed", [False, True])
async def test_tunnel_is_closed_without_a_word(stage: Stage, half_closed: bool) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.hold()

    origin = stage.origin(script)
    running = await stage.serve(_spec(origin, [everything(upgrades=("*",))]))
    client = await running.connect()
    fields = (b"Connection: upgrade", b"Upgrade: vpn")
    assert (await client.request(b"GET", b"/", *fields)).status == 101
    if half_closed:
        client.half_close()
        await settle()
    await remove(running)
    await client.read_eof()
    await running.quiet()
    assert closes(running) == {}


async def test_pings_find_a_dead_client(stage: Stage) -> None:
    got: list[Frame] = []

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        got.append(await read_frame(conn))
        await conn.send(encode(CLOSE, got[0].payload))

    _, client, origin = await joined(stage, script, {"tunnel": TunnelSpec(ping_interval_s=0.3)})
    assert (await read_frame(client)).opcode == PING
    await origin.closed(1)
    assert (got[0].opcode, got[0].payload) == (CLOSE, b"\x03\xe9ping timeout")


async def test_pong_to_the_application_passes_beside_ours(stage: Stage) -> None:
    got: list[Frame] = []

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        got.append(await read_frame(conn))
        got.append(await read_frame(conn))

    running, client, _ = await joined(stage, script, {"tunnel": TunnelSpec(ping_interval_s=0.3)})
    ping = await read_frame(client)
    pong = encode(PONG, ping.payload, mask=True)
    await client.send(
        encode(PONG, b"theirs", mask=True) + pong[:4], pong[4:] + encode(TEXT, b"x", mask=True)
    )
    await eventually(lambda: len(got) == 2, "two frames upstream")
    assert [(frame.opcode, frame.payload) for frame in got] == [(PONG, b"theirs"), (TEXT, b"x")]
    assert running.pool().spliced_to_upstream == 12 + 7
