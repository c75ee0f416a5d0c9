"""A gigabyte up and a gigabyte down, with ends of different speed: ``python bench/streaming.py``.

Whatever the size and whoever is slower, the proxy holds a bounded part of it: its resident memory
must grow by less than 16 MB.  ``README.md`` says more.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop

from bench.load import LoadError
from bench.machine import claim, resident_bytes
from bench.peers.hotsplice import Hotsplice, hotsplice
from bench.processes import Processes, StartError
from bench.table import table
from bench.wire import Framing, Wire, framing_field

MAX_GROWTH_BYTES: Final = 16_000_000
SAMPLE_S: Final = 0.1

FAST: Final = 200e6
SLOW: Final = 60e6
"""Octets per second of the two ends."""

WARM_UP_BYTES: Final = 1_000_000

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
                    await self._connection(Wire(sock, FAST))

    async def _connection(self, wire: Wire) -> None:
        await wire.head()
        case, octets = self.case, self.octets
        wire.rate = case.origin
        close = b"Connection: close\r\n\r\n"
        if case.direction == "up":
            await wire.take_body(octets, case.framing)
            await wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + close)
        else:
            field = framing_field(case.framing, octets)
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
            field = framing_field(case.framing, octets)
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
    claim()
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
    except* (StartError, LoadError, OSError) as errors:
        print(*errors.exceptions, sep="\n", file=sys.stderr)
        missed = True
    print(f"{octets / 1e6:.0f} MB each", table(heads, rows), sep="\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
