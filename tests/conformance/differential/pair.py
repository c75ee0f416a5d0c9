"""Both of them with one file and the same origins behind: asked in turn, and observed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.conformance.differential.observation import Message, Side, requests_of
from tests.conformance.differential.row import GOOD, LISTEN, ORIGINS, Row
from tests.peers import Conn, EndedError, MalformedError, Origin, RawClient, Stage, within
from tests.peers.nginx import nginx
from tests.peers.wire import body_framing

PROBE: Final = b"GET /is-it-open HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n"
"""Sent behind everything: it is answered if the connection was kept, and ends it."""

LIMIT_S: Final = 4.0
"""How long either may take for one answer."""


class Pair:
    """Asks both the same, one after the other."""

    def __init__(self, ours: Path, theirs: Path, origins: list[Origin], play: Play) -> None:
        self._sockets: Final = (ours, theirs)
        self._origins: Final = origins
        self._play: Final = play

    async def observe(self, row: Row) -> tuple[Side, Side, Side]:
        """Let a row happen to both; return ours, ours of the third time, and nginx's.

        What comes again is remembered the second time, and used the third.
        """
        ours, theirs = self._sockets
        first, _, third = [await self._observed(row, ours) for _ in range(3)]
        return first, third, await self._observed(row, theirs)

    async def _observed(self, row: Row, socket: Path) -> Side:
        before = [len(origin.connections) for origin in self._origins]
        self._play.script = row.origin
        side = Side()
        client = await RawClient.connect(f"unix:{socket}", name=f"client of {socket.name}")
        try:
            await _converse(client, row, side)
            made = [
                conn
                for origin, count in zip(self._origins, before, strict=True)
                for conn in origin.connections[count:]
            ]
            side.seen = [requests_of(conn) for conn in made]
        finally:
            client.close()
        for conn in made:
            conn.close()
        if row.unread:
            _forget_bodies(side.seen)
        return side


class Play:
    """What connections to the origins meet at present."""

    def __init__(self) -> None:
        self.script = GOOD

    async def __call__(self, conn: Conn) -> None:
        try:
            await self.script(conn)
        except MalformedError:  # recorded all the same, and compared
            conn.close()


async def _converse(client: RawClient, row: Row, side: Side) -> None:
    try:
        await _ask(client, row, side)
    except MalformedError:
        side.replies.append(Message(b"", [], client.unread, "malformed"))
    except EndedError:
        pass  # seen below
    if row.tunnel and side.statuses[-1:] == [101]:
        side.tunnel = await client.read_exactly(row.drawn)
        await client.send(row.tunnel)
        side.tunnel += await client.read_exactly(len(row.tunnel))
        side.after = b"tunnel"
        return
    with suppress(EndedError):
        await client.send(PROBE)
    rest = await client.read_to_end(LIMIT_S)
    kept = rest.startswith(b"HTTP/1.1 ") and rest.count(b"HTTP/1.1 ") == 1
    side.after = b"open" if kept and row.methods else rest or b"closed"


async def _ask(client: RawClient, row: Row, side: Side) -> None:
    writes = row.writes
    try:
        await client.send(*(writes[:1] if row.waits else writes))
        if row.waits:
            head = await client.read_head()
            first = Message(head.start, list(head.fields))
            side.replies.append(first)
            if first.status != 100:
                first.framing = body_framing(head, response_to=row.methods[0])[0]
                first.body = await client.read_body(head, row.methods[0])
                return
            await client.send(*writes[1:])
    except EndedError:
        pass  # it has answered before it had all
    for method in row.methods:
        await _read_response(client, method, side)


async def _read_response(client: RawClient, method: bytes, side: Side) -> None:
    """Read a response with what is said before it, taking fields that have no business there."""
    status = 100
    while 100 <= status < 200 and status != 101:
        head = await within(client.read_head(), f"a response on {client!r}", LIMIT_S)
        message = Message(head.start, list(head.fields))
        side.replies.append(message)
        status = message.status
    if method != b"HEAD" and status not in (101, 204, 304):
        message.framing = body_framing(head, response_to=method)[0]
        message.body = await client.read_body(head, method)


def _forget_bodies(seen: list[list[Message]]) -> None:
    for messages in seen:
        del messages[1:]
        for message in messages:
            message.body = b""


@asynccontextmanager
async def pair(stage: Stage, conf: str) -> AsyncIterator[Pair]:
    """Serve a file by both."""
    play = Play()
    used = [address for address in ORIGINS if address in conf]
    origins = [stage.origin(play) for _ in used]
    for address, origin in zip(used, origins, strict=True):
        conf = conf.replace(address, origin.address)
    folder = stage.path("x").parent
    ours, theirs = folder / "ours.sock", folder / "nginx.sock"
    file = folder / "imported.conf"
    file.write_text("events {}\nhttp {\n" + conf.replace(LISTEN, f"unix:{ours}") + "\n}\n")
    await stage.serve(to_spec(validate(import_nginx(file).document)))
    async with nginx(folder, conf.replace(LISTEN, f"unix:{theirs}")):
        yield Pair(ours, theirs, origins, play)
