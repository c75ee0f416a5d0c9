"""One end of a bulk transfer: a socket of a given speed, and bodies whose content is checked."""

from __future__ import annotations

import asyncio
import socket
import zlib
from time import monotonic
from typing import Final, Literal

from bench.load import LoadError

BLOCK: Final = bytes(range(256)) * 512
"""What bodies are made of, over and over: 128 KiB."""

Framing = Literal["length", "chunked"]


class Wire:
    """A connected socket, not faster than so many octets per second either way."""

    def __init__(self, sock: socket.socket, rate: float) -> None:
        self._sock: Final = sock
        self._loop: Final = asyncio.get_running_loop()
        self._rest = b""
        self.rate = rate
        self._started = 0.0
        self._moved = 0

    async def _pace(self, octets: int) -> None:
        if not self._moved:
            self._started = monotonic()
        self._moved += octets
        ahead_s = self._started + self._moved / self.rate - monotonic()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)

    async def write(self, data: bytes) -> None:
        """Write, unpaced."""
        await self._loop.sock_sendall(self._sock, data)

    async def read(self) -> bytes:
        """Read what is there, unpaced; ``LoadError`` at the end."""
        data, self._rest = self._rest or await self._loop.sock_recv(self._sock, len(BLOCK)), b""
        if not data:
            raise LoadError("the connection ended in the middle")
        return data

    async def head(self) -> bytes:
        """Read through the end of a message head."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self.read()
        head, _, self._rest = data.partition(b"\r\n\r\n")
        return head

    async def send_body(self, octets: int, framing: Framing) -> None:
        """Send a body at the wire's rate."""
        self._moved = 0
        for at in range(0, octets, len(BLOCK)):
            block = BLOCK[: octets - at]
            await self.write(_chunk(block) if framing == "chunked" else block)
            await self._pace(len(block))
        if framing == "chunked":
            await self.write(b"0\r\n\r\n")

    async def take_body(self, octets: int, framing: Framing) -> None:
        """Take a body at the wire's rate; ``LoadError`` if it is not the one that was sent."""
        self._moved = 0
        decoder = Chunks() if framing == "chunked" else None
        taken, crc = 0, 0
        while taken < octets or (decoder is not None and not decoder.done):
            data = await self.read()
            for piece in [data] if decoder is None else decoder.feed(data):
                crc = zlib.crc32(piece, crc)
                taken += len(piece)
            await self._pace(len(data))
        if taken != octets or crc != _crc(octets):
            raise LoadError(f"{taken} octets came instead of {octets}, or others")


class Chunks:
    """A decoder of chunked bodies, without extensions and trailers."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self.done = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces of payload."""
        pieces: list[bytes] = []
        while data:
            if self._left > 2:
                piece = data[: self._left - 2]
                pieces.append(piece)
                self._left -= len(piece)
                data = data[len(piece) :]
            elif self._left:
                behind = data[: self._left]
                self._left -= len(behind)
                data = data[len(behind) :]
            else:
                line, mark, data = (self._line + data).partition(b"\n")
                self._line = b"" if mark else line
                if mark:
                    size = int(line, 16)
                    self._left = size + 2
                    self.done = size == 0
        return pieces


def _chunk(block: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), block)


def _crc(octets: int) -> int:
    whole, rest = divmod(octets, len(BLOCK))
    crc = 0
    for _ in range(whole):
        crc = zlib.crc32(BLOCK, crc)
    return zlib.crc32(BLOCK[:rest], crc)


def framing_field(framing: Framing, octets: int) -> bytes:
    """Write the field that announces a body."""
    length = b"Content-Length: %d" % octets
    return b"Transfer-Encoding: chunked" if framing == "chunked" else length
