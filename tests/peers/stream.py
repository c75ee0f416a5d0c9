"""One end of a connection on a plain non-blocking socket: exact control of bytes and endings."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Final, Literal

from tests.peers.waiting import LIMIT_S, eventually, settle, within
from tests.peers.wire import Head, MalformedError, body_framing, chunk_size, parse_head

Ending = Literal["fin", "rst"]

READ_BYTES: Final = 256 * 1024
STUCK_S: Final = 0.12
"""A peer that took nothing for this long, with all of us in one event loop, takes nothing."""


class EndedError(AssertionError):
    """The other side ended the connection while something else was awaited."""


class Stream:
    """A connected socket with everything that ever came in, and how it ended."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        sock.setblocking(False)
        self.sock: Final = sock
        self.name: Final = name
        self.received: Final = bytearray()
        """Every byte that came, consumed or not."""
        self.ended: Ending | None = None
        """How the other side ended it, as far as was read."""
        self._at = 0

    def __repr__(self) -> str:
        rest = bytes(self.received[self._at :])
        return f"<{self.name} ended={self.ended} unread={rest[:200]!r}{'…' * (len(rest) > 200)}>"

    @property
    def unread(self) -> bytes:
        """What came and was not consumed yet."""
        return bytes(self.received[self._at :])

    # -- writing ------------------------------------------------------------------------------

    async def send(self, *pieces: bytes, limit_s: float = LIMIT_S) -> None:
        """Write every piece on its own, so that the other side reads them one by one."""
        loop = asyncio.get_running_loop()
        for count, piece in enumerate(pieces):
            if count:
                await settle()
            try:
                await within(
                    loop.sock_sendall(self.sock, piece), f"{self!r} to take bytes", limit_s
                )
            except (ConnectionResetError, BrokenPipeError):
                raise EndedError(f"{self!r} was reset while it was written to") from None

    async def pour(self, total: int, block: bytes = b"x" * 65536) -> int:
        """Write up to ``total`` octets until the other side takes no more; return how many."""
        sent = 0
        while sent < total:
            try:
                sent += self.sock.send(memoryview(block)[sent % len(block) :][: total - sent])
            except BlockingIOError:
                if not await self._writable():
                    return sent
            except (ConnectionResetError, BrokenPipeError):
                return sent
        return sent

    async def _writable(self) -> bool:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self.sock, _once, ready)
        try:
            async with asyncio.timeout(STUCK_S):
                await ready
        except TimeoutError:
            return False
        finally:
            loop.remove_writer(self.sock)
        return True

    def half_close(self) -> None:
        """Send FIN, go on reading."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            raise EndedError(f"{self!r} was reset before its half-close") from None

    def close(self) -> None:
        """Close both directions; the kernel sends FIN (or RST, if something is unread).

        Whoever still waits to read or write here waits for ever, until it is cancelled.
        """
        if self.sock.fileno() >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.sock)
            loop.remove_writer(self.sock)
        self.sock.close()

    def reset(self) -> None:
        """Send RST."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def vanish(self, how: Ending) -> None:
        """Go away without a word: ``fin`` closes, ``rst`` resets."""
        if how == "rst":
            self.reset()
        else:
            self.close()

    # -- reading ------------------------------------------------------------------------------

    async def _more(self) -> bool:
        """Read once; ``False`` when the other side has ended the connection."""
        if self.ended is not None:
            return False
        try:
            data = await asyncio.get_running_loop().sock_recv(self.sock, READ_BYTES)
        except ConnectionResetError:
            self.ended = "rst"
            return False
        if not data:
            self.ended = "fin"
            return False
        self.received.extend(data)
        return True

    async def _need_more(self, what: str) -> None:
        if not await self._more():
            raise EndedError(f"{self!r} ended before {what}")

    def _take(self, count: int) -> bytes:
        taken = bytes(self.received[self._at : self._at + count])
        self._at += count
        return taken

    async def _until(self, mark: bytes) -> bytes:
        while (end := self.received.find(mark, self._at)) < 0:
            await self._need_more(f"{mark!r}")
        return self._take(end + len(mark) - self._at)

    async def _exactly(self, count: int) -> bytes:
        while len(self.received) - self._at < count:
            await self._need_more(f"{count} octets")
        return self._take(count)

    async def _to_end(self) -> bytes:
        while await self._more():
            pass
        return self._take(len(self.received) - self._at)

    async def read_until(self, mark: bytes) -> bytes:
        """Read through ``mark``."""
        return await within(self._until(mark), f"{mark!r} on {self.name}")

    async def read_exactly(self, count: int) -> bytes:
        """Read ``count`` octets."""
        return await within(self._exactly(count), f"{count} octets on {self.name}")

    async def read_to_end(self, limit_s: float = LIMIT_S) -> bytes:
        """Read whatever comes until the other side ends; ``ended`` says how."""
        return await within(self._to_end(), f"the end of {self.name}", limit_s)

    async def read_eof(self, limit_s: float = LIMIT_S) -> None:
        """Wait for FIN with not a byte before it."""
        rest = await self.read_to_end(limit_s)
        assert rest == b"", f"{self.name}: unexpected bytes before the end: {rest!r}"
        assert self.ended == "fin", f"{self.name}: ended by {self.ended}"

    async def read_nothing(self) -> None:
        """Check that nothing comes as long as nothing else happens, neither bytes nor an end."""
        await settle()
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            assert not self.unread, f"unexpected bytes on {self!r}"
            return
        raise AssertionError(f"{self.name}: unexpected {data!r} (empty: FIN)")

    def drain_now(self) -> None:
        """Take in what has come so far, without waiting."""
        while self.ended is None:
            try:
                data = self.sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except ConnectionResetError:
                self.ended = "rst"
                return
            self.received.extend(data)
            if not data:
                self.ended = "fin"

    async def gone(self, limit_s: float = LIMIT_S) -> Ending:
        """Read, keeping all, until the other side ends; return how."""

        async def drain() -> None:
            while await self._more():
                pass

        await within(drain(), f"the end of {self.name}", limit_s)
        assert self.ended is not None
        return self.ended


def _once(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class HttpStream(Stream):
    """A stream that reads HTTP/1.1 messages, strictly."""

    async def _head(self) -> Head:
        return parse_head(await self._until(b"\r\n\r\n"))

    async def read_head(self) -> Head:
        """Read one message head."""
        return await within(self._head(), f"a head on {self.name}")

    async def _chunked(self) -> bytes:
        body = bytearray()
        while size := chunk_size((await self._until(b"\r\n"))[:-2]):
            body += await self._exactly(size)
            if await self._exactly(2) != b"\r\n":
                raise MalformedError(f"{self.name}: chunk not ended by CRLF")
        if await self._exactly(2) != b"\r\n":
            raise MalformedError(f"{self.name}: trailers were passed on")
        return bytes(body)

    async def _body(self, head: Head, response_to: bytes | None) -> bytes:
        framing, length = body_framing(head, response_to=response_to)
        if framing == "length":
            return await self._exactly(length)
        if framing == "chunked":
            return await self._chunked()
        if framing == "close":
            body = await self._to_end()
            if self.ended != "fin":
                raise EndedError(f"{self.name}: body delimited by close was cut by {self.ended}")
            return body
        return b""

    async def read_body(self, head: Head, response_to: bytes | None = None) -> bytes:
        """Read the body behind ``head``; ``response_to`` is the method if it is a response."""
        return await within(self._body(head, response_to), f"a body on {self.name}")

    async def trickle(self, total: int, piece: int) -> bytes:
        """Read ``total`` octets, ``piece`` at a time with a turn of the loop between."""
        start = self._at
        while self._at - start < total:
            await self.read_exactly(min(piece, total - (self._at - start)))
            await settle(1)
        return bytes(self.received[start : self._at])


async def until_time(moment: float) -> None:
    """Let the loop run until ``time.monotonic()`` reaches ``moment``."""
    await eventually(lambda: time.monotonic() >= moment, "the clock")
