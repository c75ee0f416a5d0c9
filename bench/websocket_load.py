"""A load generator for WebSockets.

``python -m bench.websocket_load MODE HOST:PORT --connections N --seconds S --size OCTETS``

``echo``: each connection sends a frame when it has the echo of the last one.
``bulk``: each takes as many frames as come.
``connect``: each is opened, echoes a frame, is closed, and begins anew.
These write a ``Load`` as JSON; of ``bulk`` its requests are frames.

``hold``: opens all connections and says ``ready``.  With ``--every`` it opens one more every so
many seconds, and each echoes a frame a second.  At the end of its standard input it writes how many
were opened, how many of them failed or were closed, and how many frames were echoed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter_ns
from typing import Final, TypeVar, cast

import uvloop

from bench.echo import STREAMED
from bench.load import Load
from bench.websocket import client_frame, handshake, server_frame

CONNECT_S: Final = 60.0
TALK_S: Final = 1.0
"""How often each connection that is held echoes a frame, where more and more are opened."""

AT_ONCE: Final = 64
"""So many handshakes at once: more than that would measure queues."""

MAX_US: Final = 1_000_000
"""Latencies are counted by the microsecond up to this."""


class Tally:
    """What all connections together saw."""

    def __init__(self) -> None:
        self.by_us: Final = [0] * (MAX_US + 1)
        self.errors: Final[dict[str, int]] = {}
        self.octets = 0
        self.over = False

    def took(self, started_ns: int) -> None:
        """Count what began then and is done now."""
        self.by_us[min((perf_counter_ns() - started_ns) // 1000, MAX_US)] += 1

    def fail(self, kind: str) -> None:
        """Count an error."""
        self.errors[kind] = self.errors.get(kind, 0) + 1

    def percentile(self, share: float) -> float:
        """Return the latency below which that share of the echoes came, microseconds."""
        wanted = share * sum(self.by_us)
        seen = 0
        for us, count in enumerate(self.by_us):
            seen += count
            if seen >= wanted:
                return float(us)
        return float(MAX_US)

    def load(self, requests: int, seconds: float) -> Load:
        """Return all of it."""
        p50, p99, p999 = (self.percentile(share) for share in (0.5, 0.99, 0.999))
        return Load(requests, seconds, p50, p99, p999, self.errors, self.octets)


class Client(asyncio.Protocol):
    """One connection, up to the end of the handshake."""

    transport: asyncio.Transport
    path = "/ws"

    def __init__(self, host: str, tally: Tally) -> None:
        self._host: Final = host
        self._tally: Final = tally
        self._partial = b""
        self._is_open = False
        self.open: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(handshake(self.path, self._host))

    def data_received(self, data: bytes) -> None:
        if self._is_open:
            self.frames(data)
            return
        head, mark, behind = (self._partial + data).partition(b"\r\n\r\n")
        self._partial = b"" if mark else head
        if mark and head.startswith(b"HTTP/1.1 101 "):
            self._is_open = True
            self.open.set_result(None)
            if behind:
                self.frames(behind)
        elif mark:
            self.fail("refused")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._tally.over:
            self.fail("closed")

    def frames(self, data: bytes) -> None:
        """Take what came after the handshake."""
        self.fail("unexpected")

    def fail(self, kind: str) -> None:
        """Count an error, and give up."""
        self._tally.fail(kind)
        if not self.open.done():
            self.open.set_exception(ConnectionError(kind))
        self.transport.abort()


class Busy(Client):
    """One that has something to do."""

    def begin(self) -> None:
        """Begin with it."""


class Echoing(Busy):
    """Sends a frame, and when its echo is there another one, until it is over."""

    frame: bytes
    expected: bytes

    def begin(self) -> None:
        """Send a frame."""
        self._sent_ns = perf_counter_ns()
        self.transport.write(self.frame)

    def frames(self, data: bytes) -> None:
        """Take an echo, or a part of it."""
        if self._partial:
            data = self._partial + data
        if data == self.expected:
            self._partial = b""
            self._tally.took(self._sent_ns)
            self.echoed()
        elif self.expected.startswith(data):
            self._partial = data
        else:
            self.fail("wrong echo")

    def echoed(self) -> None:
        """Go on."""
        if not self._tally.over:
            self.begin()


class Taking(Busy):
    """Takes frames; the beginning of each read is compared with what it should be."""

    path = "/ws/stream"
    _twice: Final = STREAMED * 2
    _at = 0

    def frames(self, data: bytes) -> None:
        """Count them."""
        if not self._twice.startswith(data[:64], self._at):
            self.fail("wrong stream")
        self._at = (self._at + len(data)) % len(STREAMED)
        self._tally.octets += len(data)


class Held(Echoing):
    """Echoes a frame when told to."""

    def echoed(self) -> None:
        """Wait for the next."""


class Brief(Echoing):
    """Echoes one frame."""

    def __init__(self, host: str, tally: Tally) -> None:
        super().__init__(host, tally)
        self.done: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

    def echoed(self) -> None:
        """Be done."""
        self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.fail("closed")
            self.done.set_result(None)


C = TypeVar("C", bound=Client)


async def _open(kind: Callable[[str, Tally], C], address: str, tally: Tally) -> C:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: kind(address, tally), host, int(port))
    await client.open
    return client


async def _open_all(
    kind: Callable[[str, Tally], C], address: str, tally: Tally, count: int
) -> list[C]:
    found: list[C] = []
    async with asyncio.timeout(CONNECT_S):
        while len(found) < count:
            some = min(AT_ONCE, count - len(found))
            found += await asyncio.gather(*(_open(kind, address, tally) for _ in range(some)))
    return found


async def busy(kind: type[Busy], address: str, connections: int, seconds: float) -> Load:
    """Keep connections busy for so long."""
    tally = Tally()
    clients = await _open_all(kind, address, tally, connections)
    gc.freeze()
    before, started = tally.octets, perf_counter_ns()
    for client in clients:
        client.begin()
    await asyncio.sleep(seconds)
    tally.over = True
    tally.octets -= before
    took_s = (perf_counter_ns() - started) / 1e9
    for client in clients:
        client.transport.abort()
    return tally.load(sum(tally.by_us) or tally.octets // len(STREAMED), took_s)


async def brief(address: str, connections: int, seconds: float) -> Load:
    """Open, use and close connections, so many at a time."""
    tally, echoes = Tally(), Tally()
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def again() -> None:
        while loop.time() - started < seconds:
            began_ns = perf_counter_ns()
            client = await _open(Brief, address, echoes)
            client.begin()
            await client.done
            client.transport.close()
            tally.took(began_ns)

    await asyncio.gather(*(again() for _ in range(connections)))
    tally.errors.update(echoes.errors)
    return tally.load(sum(tally.by_us), loop.time() - started)


async def hold(address: str, connections: int, every_s: float) -> dict[str, int]:
    """Hold connections, and ever more of them, until nobody wants it any more."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    clients = await _open_all(Held, address, tally, connections)
    print("ready", flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    step_s = every_s or TALK_S
    beats = max(1, round(TALK_S / step_s))
    beat = 0
    while not ended.done():
        await asyncio.wait({ended}, timeout=step_s)
        if every_s and not ended.done():
            clients.append(await _open(Held, address, tally))
            # A few at a time: all at once would be a burst that others measure.
            for client in clients[beat % beats :: beats]:
                client.begin()
            beat += 1
    tally.over = True
    failed = sum(tally.errors.values())
    return {"opened": len(clients), "failed": failed, "echoes": sum(tally.by_us)}


def main() -> None:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=("echo", "bulk", "connect", "hold"))
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--every", type=float, default=0.0)
    one = parser.parse_args()
    payload = bytes(number % 256 for number in range(one.size))
    Echoing.frame, Echoing.expected = client_frame(payload), server_frame(payload)
    match one.mode:
        case "hold":
            print(json.dumps(uvloop.run(hold(one.address, one.connections, one.every))))
            return
        case "connect":
            load = uvloop.run(brief(one.address, one.connections, one.seconds))
        case _:
            kind = Echoing if one.mode == "echo" else Taking
            load = uvloop.run(busy(kind, one.address, one.connections, one.seconds))
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
