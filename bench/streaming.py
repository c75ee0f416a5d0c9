"""A gigabyte up and a gigabyte down, with ends of different speed: ``python bench/streaming.py``.

Whatever the size and whoever is slower, the proxy holds a bounded part of it: its resident memory
must grow by less than 16 MB.  ``README.md`` says more.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop

from bench.load import LoadError
from bench.machine import resident_bytes, stay_on_load_core
from bench.processes import Processes, StartError
from bench.proxies import Hotsplice, hotsplice
from bench.table import table

MAX_GROWTH_BYTES: Final = 16_000_000
SAMPLE_S: Final = 0.1

FAST: Final = 200e6
SLOW: Final = 60e6
"""Octets per second of the two ends."""

BLOCK: Final = bytes(range(256)) * 512
"""What bodies are made of, over and over: 128 KiB."""

WARM_UP_BYTES: Final = 8 * len(BLOCK)

Framing = Literal["length", "chunked"]
Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Case:
    """A transfer of one body."""

    direction: Direction
    framing: Framing
    client: float
    """Octets per second that the client sends or takes."""
    origin: float


CASES: Final = (
    Case("down", "length", SLOW, FAST),
    Case("down", "length", FAST, SLOW),
    Case("down", "chunked", SLOW, FAST),
    Case("up", "length", FAST, SLOW),
    Case("up", "length", SLOW, FAST),
    Case("up", "chunked", FAST, SLOW),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transfer took."""

    seconds: float
    before_bytes: int
    """Resident memory of the proxy before it."""
    most_bytes: int

    @property
    def grown_bytes(self) -> int:
        """By how much the proxy grew at most."""
        return self.most_bytes - self.before_bytes


class Wire:
    """A connected socket, not faster than so many octets per second either way."""

    def __init__(self, sock: socket.socket, rate: float = FAST) -> None:
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


def _field(framing: Framing, octets: int) -> bytes:
    length = b"Content-Length: %d" % octets
    return b"Transfer-Encoding: chunked" if framing == "chunked" else length


class Origin:
    """Serves one connection after another: each request as the present case has it."""

    def __init__(self) -> None:
        self._sock: Final = socket.create_server(("127.0.0.1", 0))
        self._sock.setblocking(False)
        self.address: Final = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self.case = CASES[0]
        self.octets = 0

    async def serve(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        with self._sock:
            while True:
                sock, _ = await loop.sock_accept(self._sock)
                with sock:
                    await self._connection(Wire(sock))

    async def _connection(self, wire: Wire) -> None:
        await wire.head()
        case, octets = self.case, self.octets
        wire.rate = case.origin
        close = b"Connection: close\r\n\r\n"
        if case.direction == "up":
            await wire.take_body(octets, case.framing)
            await wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + close)
        else:
            field = _field(case.framing, octets)
            await wire.write(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (field, close))
            await wire.send_body(octets, case.framing)


async def transfer(proxy: Hotsplice, origin: Origin, case: Case, octets: int) -> None:
    """Send one request through the proxy, with a body up or down; ``LoadError`` if it fails."""
    origin.case, origin.octets = case, octets
    host, _, port = proxy.address.rpartition(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.setblocking(False)
        wire = Wire(sock, case.client)
        if case.direction == "up":
            field = _field(case.framing, octets)
            await wire.write(b"PUT / HTTP/1.1\r\nHost: bench.test\r\n%b\r\n\r\n" % field)
            await wire.send_body(octets, case.framing)
        else:
            await wire.write(b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n")
        head = await wire.head()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise LoadError(head.partition(b"\r\n")[0].decode())
        if case.direction == "down":
            await wire.take_body(octets, case.framing)


async def watched(pid: int, work: Coroutine[Any, Any, None]) -> Outcome:
    """Do the work, and look at the proxy's memory all the while."""
    before = most = resident_bytes(pid)
    started = monotonic()
    task = asyncio.create_task(work)
    while not task.done():
        await asyncio.wait({task}, timeout=SAMPLE_S)
        most = max(most, resident_bytes(pid))
    await task
    return Outcome(monotonic() - started, before, most)


@asynccontextmanager
async def served(origin: Origin) -> AsyncIterator[None]:
    """Serve an origin; if it breaks, whoever waits for it is cancelled with its error."""
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(origin.serve())
        yield
        serving.cancel()


async def run(processes: Processes, octets: int, say: Callable[[Case, Outcome], None]) -> None:
    """Run every case on one proxy, after a small transfer of each that is not counted."""
    origin = Origin()
    proxy = hotsplice(processes, _document(origin.address))
    print(f"resident before the first request: {resident_bytes(proxy.pid) / 1e6:.1f} MB")
    async with served(origin):
        for case in CASES:
            await transfer(proxy, origin, case, WARM_UP_BYTES)
        for case in CASES:
            say(case, await watched(proxy.pid, transfer(proxy, origin, case, octets)))


def _document(origin: str) -> dict[str, Any]:
    return {
        "version": 1,
        "listeners": {
            "public": {"bind": "127.0.0.1:0", "limits": {"body_bytes": "unlimited"}},
        },
        "pools": {"backend": {"endpoints": {"origin": {"address": origin}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
    }


def main() -> int:
    """Run all cases; 1 if memory grew too much or a transfer failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    octets = parser.parse_args().megabytes * 1_000_000
    stay_on_load_core()
    rows: list[tuple[str, ...]] = []
    missed = False

    def say(case: Case, outcome: Outcome) -> None:
        nonlocal missed
        met = outcome.grown_bytes < MAX_GROWTH_BYTES
        missed = missed or not met
        rows.append((
            f"{case.direction}, {case.framing}",
            f"{case.client / 1e6:.0f}",
            f"{case.origin / 1e6:.0f}",
            f"{outcome.seconds:.1f}",
            f"{octets / outcome.seconds / 1e6:.0f}",
            f"{outcome.before_bytes / 1e6:.1f}",
            f"{outcome.most_bytes / 1e6:.1f}",
            f"{outcome.grown_bytes / 1e6:.1f}",
            "met" if met else "MISSED",
        ))  # fmt: skip

    heads = ("body", "client MB/s", "origin MB/s", "s", "MB/s", "before MB", "most MB", "grown MB",
             f"< {MAX_GROWTH_BYTES / 1e6:.0f}")  # fmt: skip
    try:
        with Processes() as processes:
            uvloop.run(run(processes, octets, say))
    except (StartError, LoadError, OSError) as error:
        print(error, file=sys.stderr)
        missed = True
    print(f"{octets / 1e6:.0f} MB each", table(heads, rows), sep="\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
