"""What the project is for, in small: a process changed by REST under load, and bodies of any size.

``bench/swap.py`` and ``bench/streaming.py`` are the same at full size, with figures; here nothing
depends on a clock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from bench.changes import Change, Estate
from bench.machine import resident_bytes
from tests.integration.admin.process import process
from tests.peers import OK, Conn, RawClient, Script, Stage, reply, within
from tests.peers.client import request
from tests.peers.frames import BINARY, HANDSHAKE_FIELDS, Frame, encode, read_frame
from tests.peers.origin import accept_key

CHANGES = 100
CLIENTS = 8
WEBSOCKETS = 20
ROUTES = 10

BODY_BYTES = 32 << 20
"""More than all the kernel's buffers on the way."""

MAX_GROWTH_BYTES = 16_000_000


class Live:
    """A process that serves, and its clients."""

    def __init__(self, pid: int, whereabouts: dict[str, Any]) -> None:
        self.pid: Final = pid
        self.data: Final[str] = whereabouts["listeners"]["public"]
        self.admin: Final[str] = whereabouts["admin"]
        self.token: Final = Path(whereabouts["admin_token_file"]).read_text().strip()
        self.clients: Final[list[RawClient]] = []

    async def connect(self, address: str | None = None) -> RawClient:
        """Connect a client, of the proxy unless told otherwise."""
        client = await RawClient.connect(address or self.data, name=f"client {len(self.clients)}")
        self.clients.append(client)
        return client

    async def apply(self, admin: RawClient, change: Change) -> dict[str, Any]:
        """Make a change, and return what the API says of it."""
        body = None if change.body is None else json.dumps(change.body).encode()
        fields = (f"Authorization: Bearer {self.token}", f"Content-Type: {change.media}")
        answer = await admin.request(
            change.method.encode(),
            change.path.encode(),
            *(field.encode() for field in fields),
            body=body,
            host=self.admin.encode(),
        )
        assert answer.status in (200, 201), (change, answer.body)
        said: dict[str, Any] = json.loads(answer.body)
        return said


@asynccontextmanager
async def live(tmp_path: Path, document: dict[str, Any]) -> AsyncIterator[Live]:
    """Run a process with a document whose listener is named ``public``."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(document))
    async with process(tmp_path, "run", "--config", str(config)) as running:
        proxy = Live(running.process.pid, await running.ready())
        try:
            yield proxy
        finally:
            for client in proxy.clients:
                client.close()


# -- changes under load ---------------------------------------------------------------------------


async def serve(conn: Conn) -> None:
    """Answer requests with their targets; once one asks for WebSocket, echo its frames."""
    while (key := (head := await conn.next_head()).get(b"sec-websocket-key")) is None:
        await conn.send(reply(head.target))
    fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %b\r\n\r\n"
    await conn.send(b"HTTP/1.1 101 Switching Protocols\r\n" + fields % accept_key(key))
    while True:
        frame = await read_frame(conn)
        await conn.send(encode(frame.opcode, frame.payload))


async def load(client: RawClient, route: str, over: asyncio.Event) -> int:
    """Send requests on one connection until it is over; return how many."""
    count = 0
    while not over.is_set():
        target = f"/{route}/{count}".encode()
        answer = await client.get(target)
        assert (answer.status, answer.body, answer.closes) == (200, target, False)
        assert answer.get(b"x-serial") is not None
        count += 1
    return count


async def open_websocket(proxy: Live, route: str) -> RawClient:
    client = await proxy.connect()
    answer = await client.request(b"GET", f"/{route}/ws".encode(), *HANDSHAKE_FIELDS)
    assert answer.status == 101
    return client


async def echoes(client: RawClient, payload: bytes) -> None:
    await client.send(encode(BINARY, payload, mask=True))
    assert await read_frame(client) == Frame(BINARY, payload)


async def test_hundred_changes_by_rest_fail_no_request_and_close_no_websocket(
    stage: Stage, tmp_path: Path
) -> None:
    estate = Estate([stage.origin(serve).address for _ in range(5)], routes=ROUTES, pools=5)
    async with live(tmp_path, estate.document()) as proxy:
        admin = await proxy.connect(proxy.admin)
        websockets = [
            await open_websocket(proxy, f"r{number % ROUTES:02}") for number in range(WEBSOCKETS)
        ]
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            loading = [
                group.create_task(load(await proxy.connect(), f"r{number:02}", over))
                for number in range(CLIENTS)
            ]
            for number, change in zip(range(CHANGES), estate.changes(), strict=False):
                said = await proxy.apply(admin, change)
                assert (said["revision"], said["changed"] != []) == (number + 2, True), change
                await echoes(websockets[number % WEBSOCKETS], b"%d" % number)
            over.set()
        assert min(one.result() for one in loading) > 1
        for websocket in websockets:
            await echoes(websocket, b"still here")


# -- bodies larger than the proxy may grow --------------------------------------------------------

FRAMINGS = {
    "length": (b"Content-Length: %d" % BODY_BYTES, b"", b""),
    "chunked": (b"Transfer-Encoding: chunked", b"%x\r\n" % BODY_BYTES, b"\r\n0\r\n\r\n"),
}
"""By name: the field, and what stands before and behind the octets of the body."""


def all_to(origin: str) -> dict[str, Any]:
    return {
        "version": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "limits": {"body_bytes": "unlimited"}}},
        "pools": {"backend": {"endpoints": {"origin": {"address": origin}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
    }


def answering_then(script: Script) -> Script:
    """Answer one small request, so that all is warm, then run the script."""

    async def both(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(OK)
        await script(conn)

    return both


async def pour_until_stuck(stream: RawClient | Conn) -> int:
    """Send a body whose receiver does not read; return how much of it is left to be sent."""
    poured = await stream.pour(BODY_BYTES)
    assert poured < BODY_BYTES, "there is no back-pressure"
    return BODY_BYTES - poured


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_large_download_to_a_client_that_waits_stays_out_of_memory(
    stage: Stage, tmp_path: Path, framing: str
) -> None:
    field, before, behind = FRAMINGS[framing]
    stuck = asyncio.Event()

    async def send(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (field, before))
        left = await pour_until_stuck(conn)
        stuck.set()
        await conn.send(b"x" * left + behind)

    origin = stage.origin(answering_then(send))
    async with live(tmp_path, all_to(origin.address)) as proxy:
        client = await proxy.connect()
        assert (await client.get(b"/first")).status == 200
        memory = resident_bytes(proxy.pid)
        await client.send(request())
        await within(stuck.wait(), "the origin to be stuck")
        assert resident_bytes(proxy.pid) - memory < MAX_GROWTH_BYTES
        assert len((await client.read_response()).body) == BODY_BYTES
        assert resident_bytes(proxy.pid) - memory < MAX_GROWTH_BYTES


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_large_upload_to_an_origin_that_waits_stays_out_of_memory(
    stage: Stage, tmp_path: Path, framing: str
) -> None:
    field, before, behind = FRAMINGS[framing]
    stuck = asyncio.Event()

    async def take(conn: Conn) -> None:
        head = await conn.next_head()
        await within(stuck.wait(), "the client to be stuck")
        assert len(await conn.read_body(head)) == BODY_BYTES
        await conn.send(OK)

    origin = stage.origin(answering_then(take))
    async with live(tmp_path, all_to(origin.address)) as proxy:
        client = await proxy.connect()
        assert (await client.get(b"/first")).status == 200
        memory = resident_bytes(proxy.pid)
        await client.send(request(b"PUT", b"/", field) + before)
        left = await pour_until_stuck(client)
        assert resident_bytes(proxy.pid) - memory < MAX_GROWTH_BYTES
        stuck.set()
        await client.send(b"x" * left + behind)
        assert (await client.read_response()).status == 200
        assert resident_bytes(proxy.pid) - memory < MAX_GROWTH_BYTES
