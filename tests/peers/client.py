"""A client that sends exactly the bytes it is told to, and reads responses by the letter."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from tests.peers.stream import HttpStream
from tests.peers.waiting import LIMIT_S, within
from tests.peers.wire import Head, Reply, body_framing


class RawClient(HttpStream):
    """A connection to the proxy, or to an origin."""

    @classmethod
    async def connect(
        cls, address: str, *, receive_buffer: int | None = None, name: str = "client"
    ) -> RawClient:
        """Connect to ``host:port``, ``[v6]:port`` or ``unix:/path``.

        ``receive_buffer`` bounds what the kernel takes in for a client that does not read, octets.
        """
        sock, target = _socket_for(address)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = cls(sock, name)
        try:
            await within(asyncio.get_running_loop().sock_connect(sock, target), f"{address}")
        except BaseException:
            sock.close()
            raise
        return client

    async def request(
        self,
        method: bytes = b"GET",
        target: bytes = b"/",
        *fields: bytes,
        body: bytes | None = None,
        host: bytes = b"example.test",
    ) -> Reply:
        """Send one plain request and read its response."""
        await self.send(request(method, target, *fields, body=body, host=host))
        return await self.read_response(method)

    async def get(self, target: bytes = b"/", *fields: bytes) -> Reply:
        """Send a GET and read its response."""
        return await self.request(b"GET", target, *fields)

    async def _response(self, method: bytes) -> Reply:
        informational: list[Head] = []
        while True:
            head = await self._head()
            if head.status >= 200 or head.status == 101:
                break
            body_framing(head, response_to=method)
            informational.append(head)
        framing = body_framing(head, response_to=method)[0]
        return Reply(head, await self._body(head, method), framing, tuple(informational))

    async def read_response(self, method: bytes = b"GET", limit_s: float = LIMIT_S) -> Reply:
        """Read one complete response, with the 1xx heads before it."""
        return await within(self._response(method), f"a response on {self!r}", limit_s)

    async def read_responses(self, methods: Sequence[bytes]) -> list[Reply]:
        """Read the responses to pipelined requests."""
        return [await self.read_response(method) for method in methods]


def request(
    method: bytes = b"GET",
    target: bytes = b"/",
    *fields: bytes,
    body: bytes | None = None,
    host: bytes = b"example.test",
) -> bytes:
    """Write a well-formed request; ``body`` adds a ``Content-Length``."""
    lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: " + host, *fields]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _socket_for(address: str) -> tuple[socket.socket, str | tuple[str, int]]:
    if address.startswith("unix:"):
        return socket.socket(socket.AF_UNIX), address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        return socket.socket(socket.AF_INET6), (host.strip("[]"), int(port))
    return socket.socket(socket.AF_INET), (host, int(port))
