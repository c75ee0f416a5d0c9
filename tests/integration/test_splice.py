"""After 101: raw bytes both ways, back-pressure, half-close, and counters that live."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers import (
    Conn,
    Origin,
    RawClient,
    Running,
    Stage,
    build_spec,
    eventually,
    everything,
    settle,
)
from tests.peers.client import request
from tests.peers.frames import BINARY, HANDSHAKE_FIELDS, PING, TEXT, encode, read_frame
from tests.peers.leaks import resident_bytes
from tests.peers.origin import Script, accept_upgrade, websocket
from tests.peers.stage import largest_write_buffer

MEGABYTE = 1 << 20
WATER = 64 * 1024 + 256 * 1024 + 4096
TUNNEL = (b"Connection: upgrade", b"Upgrade: vpn")


class Splice:
    """A client and an origin joined through a running proxy."""

    def __init__(self, running: Running, client: RawClient, origin: Origin) -> None:
        self.running = running
        self.client = client
        self.origin = origin

    @property
    def conn(self) -> Conn:
        return self.origin.connections[0]


async def joined(
    stage: Stage,
    script: Script | None = None,
    *,
    fields: tuple[bytes, ...] = HANDSHAKE_FIELDS,
    receive_buffer: int | None = None,
) -> Splice:
    origin = stage.origin(script or websocket(), receive_buffer=receive_buffer)
    running = await stage.serve(build_spec(origin.address, routes=[everything(upgrades=("*",))]))
    client = await running.connect(receive_buffer=receive_buffer)
    assert (await client.request(b"GET", b"/", *fields)).status == 101
    return Splice(running, client, origin)


@pytest.mark.parametrize("fields", [HANDSHAKE_FIELDS, TUNNEL], ids=["websocket", "tunnel"])
async def test_bytes_pass_unchanged_both_ways(stage: Stage, fields: tuple[bytes, ...]) -> None:
    pair = await joined(stage, fields=fields)
    data = bytes(range(256)) * 100
    await pair.client.send(*(data[at : at + 997] for at in range(0, len(data), 997)))
    assert await pair.client.read_exactly(len(data)) == data


async def test_frames_pass_whole_whatever_their_splits(stage: Stage) -> None:
    pair = await joined(stage)
    frames = [
        encode(TEXT, b"hi", mask=True),
        encode(BINARY, b"x" * 70_000, mask=True),
        encode(TEXT, b"frag", fin=False, mask=True),
        encode(PING, b"between", mask=True),
        encode(0, b"ments", mask=True),
        encode(BINARY, b"", mask=True),
    ]
    stream = b"".join(frames)
    await pair.client.send(*(stream[at : at + 9001] for at in range(0, len(stream), 9001)))
    got = [await read_frame(pair.client) for _ in frames]
    assert [frame.payload for frame in got] == [
        b"hi",
        b"x" * 70_000,
        b"frag",
        b"between",
        b"ments",
        b"",
    ]
    assert got[2].fin is False


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff" * 50,
        b"\x81\x7f" + b"\xff" * 8 + b"x",
        b"\x89\x7e\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["reserved", "length", "long-ping", "http"],
)
async def test_stream_that_breaks_the_framing_is_spliced_all_the_same(
    stage: Stage, nonsense: bytes
) -> None:
    pair = await joined(stage)
    await pair.client.send(nonsense)
    assert await pair.client.read_exactly(len(nonsense)) == nonsense
    await pair.client.send(b"still here")
    assert await pair.client.read_exactly(10) == b"still here"


async def test_bulk_both_ways_at_once_arrives_in_order(stage: Stage) -> None:
    total = 6 * MEGABYTE
    pair = await joined(stage)
    data = b"".join(b"%08d" % number for number in range(total // 8))
    sending = asyncio.create_task(pair.client.send(data, limit_s=30))
    received = await pair.client.trickle(total, 200_000)
    await sending
    assert received == data


# -- counters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [(HANDSHAKE_FIELDS, "websocket"), (TUNNEL, "tunnel")],
    ids=["websocket", "tunnel"],
)
async def test_counters_are_live_while_the_splice_runs(
    stage: Stage, fields: tuple[bytes, ...], kind: str
) -> None:
    pair = await joined(stage, fields=fields)
    running, address = pair.running, pair.origin.address
    await pair.client.send(b"x" * 1000)
    await pair.client.read_exactly(1000)
    await pair.conn.send(b"y" * 234)
    await pair.client.read_exactly(234)
    counters = running.listener().counters
    assert counters.active == {"http": 0, "websocket": 0, "tunnel": 0} | {kind: 1}
    assert counters.opened[kind] == 1
    assert counters.in_flight == 0
    assert running.pool().spliced_to_upstream == 1000
    assert running.pool().spliced_to_client == 1234
    at = running.endpoint(address)
    assert (at.splices, at.active_requests) == (1, 0)
    assert (at.bytes_to_upstream, at.bytes_to_client) == (1000, 1234)
    pair.client.close()
    await running.quiet()
    assert running.pool().spliced_to_upstream == 1000
    assert running.pool().spliced_to_client == 1234
    assert running.pool().counters.spliced_to_upstream == 1000
    assert running.endpoint(address).bytes_to_client == 1234


async def test_early_bytes_are_counted_as_spliced(stage: Stage) -> None:
    origin = stage.origin(websocket(behind=b"12345"))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS) + b"123")
    await client.read_response()
    await client.read_exactly(8)
    assert running.pool().spliced_to_upstream == 3
    assert running.pool().spliced_to_client == 8


# -- half-close -----------------------------------------------------------------------------------


async def test_half_close_of_the_client_is_carried_over_and_the_rest_still_comes(
    stage: Stage,
) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        assert await conn.read_to_end() == b"last words"
        assert conn.ended == "fin"
        await conn.send(b"x" * 500_000, b"end")
        conn.half_close()

    pair = await joined(stage, script)
    await pair.client.send(b"last words")
    pair.client.half_close()
    answer = await pair.client.read_to_end()
    assert (len(answer), pair.client.ended) == (500_003, "fin")
    await pair.running.quiet()


async def test_half_close_of_the_upstream_is_carried_over_and_the_rest_still_goes(
    stage: Stage,
) -> None:
    got = bytearray()

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.send(b"bye")
        conn.half_close()
        got.extend(await conn.read_to_end())

    pair = await joined(stage, script)
    assert await pair.client.read_exactly(3) == b"bye"
    await pair.client.read_eof()
    await pair.client.send(b"x" * 500_000, b"end")
    pair.client.half_close()
    await pair.origin.closed(1)
    assert len(got) == 500_003
    await pair.running.quiet()


async def test_half_closes_that_cross_end_the_splice(stage: Stage) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.origin.over.wait()

    pair = await joined(stage, script)
    pair.client.half_close()
    pair.conn.half_close()
    await pair.client.read_eof()
    await pair.running.quiet()


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_reset_of_one_side_ends_the_other(stage: Stage, side: str) -> None:
    pair = await joined(stage)
    await pair.client.send(b"x")
    await pair.client.read_exactly(1)
    if side == "client":
        pair.client.reset()
        await pair.origin.closed(1)
    else:
        pair.conn.reset()
        await pair.client.gone()
    await pair.running.quiet()


async def test_everything_sent_before_a_close_is_delivered(stage: Stage) -> None:
    total = 3 * MEGABYTE

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.send(b"x" * total, limit_s=30)
        conn.close()

    pair = await joined(stage, script)
    assert len(await pair.client.read_to_end(30)) == total
    assert pair.client.ended == "fin"


async def test_upstream_that_leaves_right_after_its_101_is_heard_out(stage: Stage) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn, behind=b"bye")
        conn.close()

    pair = await joined(stage, script)
    assert await pair.client.read_exactly(3) == b"bye"
    await pair.client.read_eof()
    pair.client.close()
    await pair.running.quiet()


# -- back-pressure --------------------------------------------------------------------------------


async def test_client_that_does_not_read_holds_the_upstream_back(stage: Stage) -> None:
    total = 64 * MEGABYTE
    sent = 0
    poured, release = asyncio.Event(), asyncio.Event()

    async def script(conn: Conn) -> None:
        nonlocal sent
        await accept_upgrade(conn)
        sent = await conn.pour(total)
        poured.set()
        await release.wait()
        conn.half_close()

    before = resident_bytes()
    pair = await joined(stage, script, receive_buffer=32768)
    await asyncio.wait_for(poured.wait(), 20)
    assert sent < total
    assert 0 < largest_write_buffer() <= WATER
    assert resident_bytes() - before < 8 * MEGABYTE
    # The other direction is not held up by it.
    await pair.client.send(b"still talking")
    await eventually(lambda: pair.running.pool().spliced_to_upstream == 13, "13 octets upstream")
    release.set()
    assert len(await pair.client.read_to_end(30)) == sent


async def test_upstream_that_does_not_read_holds_the_client_back(stage: Stage) -> None:
    release = asyncio.Event()
    got = 0

    async def script(conn: Conn) -> None:
        nonlocal got
        await accept_upgrade(conn)
        await conn.send(b"hello")
        await release.wait()
        got = len(await conn.read_to_end(30))

    before = resident_bytes()
    pair = await joined(stage, script, receive_buffer=32768)
    total = 64 * MEGABYTE
    sent = await pair.client.pour(total)
    assert sent < total
    assert 0 < largest_write_buffer() <= WATER
    assert resident_bytes() - before < 8 * MEGABYTE
    assert await pair.client.read_exactly(5) == b"hello"
    release.set()
    pair.client.half_close()
    await pair.origin.closed(1)
    await pair.running.quiet()
    assert got == sent


async def test_both_sides_stuck_come_loose_again(stage: Stage) -> None:
    release = asyncio.Event()
    poured = 0

    async def script(conn: Conn) -> None:
        nonlocal poured
        await accept_upgrade(conn)
        poured = await conn.pour(64 * MEGABYTE)
        await release.wait()
        await conn.read_exactly(sent)
        conn.half_close()

    pair = await joined(stage, script, receive_buffer=32768)
    sent = await pair.client.pour(64 * MEGABYTE)
    await settle()
    release.set()
    assert len(await pair.client.read_to_end(30)) == poured


# -- isolation ------------------------------------------------------------------------------------


async def test_upgraded_connection_is_not_pooled(stage: Stage) -> None:
    pair = await joined(stage)
    assert pair.running.endpoint(pair.origin.address).connections_idle == 0
    pair.client.close()
    await pair.origin.closed(1)
    await pair.running.quiet()
    assert pair.running.endpoint(pair.origin.address).connections_idle == 0


async def test_many_splices_do_not_mix(stage: Stage) -> None:
    pair = await joined(stage)
    clients = [await pair.running.connect() for _ in range(20)]
    for client in clients:
        assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    assert pair.running.endpoint(pair.origin.address).splices == 21
    for number, client in enumerate(clients):
        await client.send(b"%03d" % number * 100)
    for number, client in enumerate(clients):
        assert await client.read_exactly(300) == b"%03d" % number * 100
