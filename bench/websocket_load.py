"""A load generator for WebSockets: each connection sends a frame when it has the last one's echo.

``python -m bench.websocket_load HOST:PORT --connections N --seconds S`` writes a ``Load`` as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from dataclasses import asdict
from time import perf_counter_ns
from typing import Final, cast

import uvloop

from bench.load import Load
from bench.websocket import client_frame, handshake, server_frame

PAYLOAD: Final = bytes(range(64))
FRAME: Final = client_frame(PAYLOAD)
ECHO: Final = server_frame(PAYLOAD)

PATH: Final = "/ws"
CONNECT_S: Final = 10.0
MAX_US: Final = 100_000
"""Latencies are counted by the microsecond up to this."""


class Tally:
    """What all connections together saw."""

    def __init__(self) -> None:
        self.by_us: Final = [0] * (MAX_US + 1)
        self.errors: Final[dict[str, int]] = {}
        self.over = False

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


class Client(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, host: str, tally: Tally) -> None:
        self._host: Final = host
        self._by_us: Final = tally.by_us
        self._tally: Final = tally
        self._sent_ns = 0
        self._partial = b""
        self.open: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(handshake(PATH, self._host))

    def data_received(self, data: bytes) -> None:
        if data != ECHO:
            data = self._partial + data
            if not self.open.done():
                self._handshaken(data)
                return
            if ECHO.startswith(data) and len(data) < len(ECHO):
                self._partial = data
                return
            self._partial = b""
            if data != ECHO:
                self._fail("wrong echo")
                return
        now = perf_counter_ns()
        us = (now - self._sent_ns) // 1000
        self._by_us[us if us < MAX_US else MAX_US] += 1
        if not self._tally.over:
            self._sent_ns = now
            self.transport.write(FRAME)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._tally.over:
            self._fail("closed")

    def begin(self) -> None:
        """Send the first frame."""
        self._sent_ns = perf_counter_ns()
        self.transport.write(FRAME)

    def _handshaken(self, data: bytes) -> None:
        self._partial = data
        if data.endswith(b"\r\n\r\n"):
            self._partial = b""
            if data.startswith(b"HTTP/1.1 101 "):
                self.open.set_result(None)
            else:
                self._fail("refused")

    def _fail(self, kind: str) -> None:
        self._tally.fail(kind)
        if not self.open.done():
            self.open.set_exception(ConnectionError("no WebSocket"))
        self.transport.abort()


async def generate(address: str, connections: int, seconds: float) -> Load:
    """Keep ``connections`` busy for ``seconds``."""
    loop = asyncio.get_running_loop()
    host, _, port = address.rpartition(":")
    tally = Tally()
    clients: list[Client] = []
    async with asyncio.timeout(CONNECT_S):
        for _ in range(connections):
            _, client = await loop.create_connection(
                lambda: Client(address, tally), host, int(port)
            )
            await client.open
            clients.append(client)
    gc.freeze()
    started = perf_counter_ns()
    for client in clients:
        client.begin()
    await asyncio.sleep(seconds)
    tally.over = True
    took_s = (perf_counter_ns() - started) / 1e9
    echoes = sum(tally.by_us)
    for client in clients:
        client.transport.abort()
    return Load(echoes, took_s, tally.percentile(0.5), tally.percentile(0.99), tally.errors)


def main() -> None:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    load = uvloop.run(generate(arguments.address, arguments.connections, arguments.seconds))
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
