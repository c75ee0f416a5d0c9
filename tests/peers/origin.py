"""A scripted upstream: records every byte, and does what its script says, right or wrong.

A script is a coroutine function that gets one accepted connection and drives it with the primitives
of ``Conn``.  When it returns, the connection stays open and goes on recording until the other side
ends it: so "stall" is simply to return, and "close" or "reset" is to say so.  ``EndedError``
escaping from a script means that the proxy went away, which is no fault of the script; anything
else fails the test at its end.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.peers.stream import EndedError, HttpStream
from tests.peers.waiting import LIMIT_S, eventually, settle, within
from tests.peers.wire import Head

Family = Literal["ipv4", "ipv6", "unix"]

_WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A complete request as an origin read it."""

    head: Head
    body: bytes
    conn: int
    """Number of its connection at this origin, from 1."""

    @property
    def method(self) -> bytes:
        """The method."""
        return self.head.method

    @property
    def target(self) -> bytes:
        """The target, byte for byte."""
        return self.head.target

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field."""
        return self.head.get(name)

    def all(self, name: bytes) -> list[bytes]:
        """Return all values of a field."""
        return self.head.all(name)


class Conn(HttpStream):
    """One connection that an origin accepted."""

    def __init__(self, sock: socket.socket, origin: Origin, number: int) -> None:
        super().__init__(sock, f"connection {number} of {origin.name}")
        self.origin: Final = origin
        self.number: Final = number

    async def next_request(self) -> Recorded:
        """Read one complete request, however long it takes, and record it."""
        head = await self._head()
        recorded = Recorded(head, await self._body(head, None), self.number)
        self.origin.requests.append(recorded)
        return recorded

    async def next_head(self) -> Head:
        """Read one request head, however long it takes; the body stays unread."""
        head = await self._head()
        self.origin.heads.append(head)
        return head

    async def hold(self) -> None:
        """Keep the connection open, and do nothing with it, until the test is over."""
        await self.origin.over.wait()

    async def echo(self) -> None:
        """Send back whatever comes, and FIN for FIN."""
        loop = asyncio.get_running_loop()
        rest = self._take(len(self.received) - self._at)
        await loop.sock_sendall(self.sock, rest)
        while await self._more():
            await loop.sock_sendall(self.sock, self._take(len(self.received) - self._at))
        if self.ended == "fin":
            self.half_close()


Script = Callable[[Conn], Awaitable[None]]


def reply(
    body: bytes = b"", *fields: bytes, status: bytes = b"200 OK", length: bool = True
) -> bytes:
    """Write a response; ``length`` adds the ``Content-Length`` of ``body``."""
    lines = [b"HTTP/1.1 " + status, *fields]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


OK: Final = reply(b"ok")


def answers(*replies: bytes) -> Script:
    """Answer the n-th request of a connection with the n-th reply, the last one for all others."""

    async def script(conn: Conn) -> None:
        for answer in replies[:-1]:
            await conn.next_request()
            await conn.send(answer)
        while True:
            await conn.next_request()
            await conn.send(replies[-1])

    return script


def then(ending: Literal["fin", "rst", "half"], *pieces: bytes) -> Script:
    """Read one request, send ``pieces`` one by one, then end the connection."""

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(*pieces)
        await settle()  # What was sent is read before the end comes.
        if ending == "half":
            conn.half_close()
        else:
            conn.vanish(ending)

    return script


async def echo(conn: Conn) -> None:
    """Answer every request with its own body."""
    while True:
        recorded = await conn.next_request()
        await conn.send(reply(recorded.body))


def accept_key(key: bytes) -> bytes:
    """Compute ``Sec-WebSocket-Accept`` (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest())


async def accept_upgrade(conn: Conn, *fields: bytes, behind: bytes = b"") -> Head:
    """Read a request head and answer 101 for the protocol it names; send ``behind`` with it."""
    head = await conn.next_head()
    protocol = head.get(b"upgrade")
    assert protocol is not None, f"no Upgrade in {head.raw!r}"
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: " + protocol]
    key = head.get(b"sec-websocket-key")
    if key is not None:
        lines.append(b"Sec-WebSocket-Accept: " + accept_key(key))
    await conn.send(b"\r\n".join([*lines, *fields]) + b"\r\n\r\n" + behind)
    return head


def websocket(*fields: bytes, behind: bytes = b"") -> Script:
    """Accept an upgrade to whatever is asked for, then echo raw bytes."""

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn, *fields, behind=behind)
        await conn.echo()

    return script


class Origin:
    """A listening upstream; connection n runs the n-th script, the last one for all others."""

    def __init__(self, sock: socket.socket, scripts: tuple[Script, ...], name: str) -> None:
        self.name: Final = name
        self.connections: Final[list[Conn]] = []
        self.requests: Final[list[Recorded]] = []
        """Complete requests, in the order in which their last byte was read."""
        self.heads: Final[list[Head]] = []
        """Heads read by scripts that leave the body alone."""
        self.over: Final = asyncio.Event()
        self._sock: Final = sock
        self._scripts: Final = scripts
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self.address: Final = _address_of(sock)

    @classmethod
    def listen(
        cls,
        *scripts: Script,
        family: Family = "ipv4",
        unix_path: Path | None = None,
        receive_buffer: int | None = None,
        bind: tuple[str, int] | None = None,
        name: str = "origin",
    ) -> Origin:
        """Bind to a loopback port of the kernel's choice (or as told) and accept.

        ``receive_buffer`` bounds what the kernel takes in for a script that does not read, octets.
        """
        sock = socket.socket(_FAMILIES[family])
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if family == "unix":
            assert unix_path is not None
            sock.bind(str(unix_path))
        else:
            sock.bind(bind or ("127.0.0.1" if family == "ipv4" else "::1", 0))
        sock.listen(128)
        origin = cls(sock, scripts or (answers(OK),), name)
        origin._tasks.append(asyncio.create_task(origin._accept()))
        return origin

    @property
    def raw(self) -> bytes:
        """Every byte ever read, connection by connection."""
        return b"".join(bytes(conn.received) for conn in self.connections)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._sock)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Conn(sock, self, len(self.connections) + 1)
            script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
            self.connections.append(conn)
            self._tasks.append(asyncio.create_task(self._run(script, conn)))

    async def _run(self, script: Script, conn: Conn) -> None:
        try:
            await script(conn)
            while conn.sock.fileno() >= 0 and await conn._more():
                pass
        except EndedError:
            # A torn connection may still hold what a test wants to see: how it ended.
            conn.ended = conn.ended or "rst"
        finally:
            conn.close()

    async def connection(self, number: int = 1) -> Conn:
        """Wait for the ``number``-th connection to be accepted."""
        await eventually(
            lambda: len(self.connections) >= number,
            lambda: f"connection {number} at {self.name}; there are {len(self.connections)}",
        )
        return self.connections[number - 1]

    async def request(self, number: int = 1) -> Recorded:
        """Wait for the ``number``-th complete request, over all connections."""
        await eventually(
            lambda: len(self.requests) >= number,
            lambda: f"request {number} at {self.name}; connections: {self.connections}",
        )
        return self.requests[number - 1]

    async def head(self, number: int = 1) -> Head:
        """Wait for the ``number``-th head that a script read by itself."""
        await eventually(
            lambda: len(self.heads) >= number,
            lambda: f"head {number} at {self.name}; connections: {self.connections}",
        )
        return self.heads[number - 1]

    async def closed(self, number: int = 1, limit_s: float = LIMIT_S) -> Conn:
        """Wait until the proxy has ended the ``number``-th connection; the script must read."""
        conn = await self.connection(number)
        await eventually(lambda: conn.ended is not None, f"the proxy to close {conn!r}", limit_s)
        return conn

    def stop_listening(self) -> None:
        """Refuse new connections; those accepted stay."""
        self._tasks[0].cancel()
        self._sock.close()

    async def close(self) -> None:
        """End everything; raise what went wrong in a script."""
        self.over.set()
        for task in self._tasks:
            task.cancel()
        results = await within(asyncio.gather(*self._tasks, return_exceptions=True), self.name)
        self.stop_listening()
        for conn in self.connections:
            conn.close()
        for result in results:
            if isinstance(result, Exception):
                raise result


_FAMILIES: Final = {
    "ipv4": socket.AF_INET,
    "ipv6": socket.AF_INET6,
    "unix": socket.AF_UNIX,
}


def _address_of(sock: socket.socket) -> str:
    name = sock.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
