"""Hundreds of changes under load: ``python bench/swap.py``.

A document of 50 routes and 20 pools serves wrk on one route and 200 WebSockets spread over others,
while REST changes weights, endpoints, routes, maps and whole pools.  Nothing may fail or close.
``README.md`` says more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
import uvloop

from bench.changes import Change, Estate
from bench.load import Load, LoadError, read, wrk_command
from bench.machine import claim, resident_bytes
from bench.peers.hotsplice import Hotsplice, hotsplice, lag_s
from bench.processes import Processes, StartError
from bench.table import table
from bench.websocket import client_frame, handshake, server_frame

ORIGINS: Final = 6
CONNECTIONS: Final = 64
BUSY_ROUTE: Final = "r00"
"""The route that wrk loads.  Changes hit its pool, its rules and its map like any other's."""

SOCKET_ROUTES: Final = 20
"""WebSockets are spread over the first so many routes, and so over as many pools."""

MAX_LAG_S: Final = 0.020
"""Target for the event loop's greatest delay."""

SCRAPE_S: Final = 2.0
TALK_S: Final = 1.0
"""How often metrics are scraped, and how often each WebSocket sends a frame."""

ECHO_S: Final = 10.0
"""A WebSocket whose echo takes longer counts as failed."""

START_FORGOTTEN_S: Final = 22.0
"""For how long the lag's metric may remember the start of the process, and a bit."""


@dataclass(slots=True)
class Seen:
    """What happened while the changes went on."""

    answered: list[float] = field(default_factory=list)
    """Seconds that each accepted change took."""
    refused: list[str] = field(default_factory=list)
    """Changes that were not answered 200 (201 for what was created), or changed nothing."""
    echoes: int = 0
    failed_sockets: list[str] = field(default_factory=list)
    lag_before: float = 0.0
    lags: list[float] = field(default_factory=list)


async def change(
    session: aiohttp.ClientSession,
    proxy: Hotsplice,
    changes: list[Change],
    every_s: float,
    to: Seen,
) -> None:
    """Send the changes, evenly paced; one that is late is sent at once."""
    headers = {"Authorization": f"Bearer {proxy.token}"}
    started = monotonic()
    for number, one in enumerate(changes):
        await asyncio.sleep(max(0.0, started + number * every_s - monotonic()))
        sent = monotonic()
        data = None if one.body is None else json.dumps(one.body)
        headers["Content-Type"] = one.media
        url = f"http://{proxy.admin}{one.path}"
        async with session.request(one.method, url, data=data, headers=headers) as answer:
            text = await answer.text()
        if answer.status in (200, 201) and json.loads(text)["changed"]:
            to.answered.append(monotonic() - sent)
        else:
            to.refused.append(f"{one.method} {one.path}: {answer.status} {text}")


async def talk(address: str, number: int, over: asyncio.Event, to: Seen) -> None:
    """Hold a WebSocket: a frame a second, each echoed before the next, until it is over."""
    try:
        await _talk(address, number, over, to)
    except (OSError, EOFError, TimeoutError) as error:
        to.failed_sockets.append(f"WebSocket {number}: {error!r}")


async def _talk(address: str, number: int, over: asyncio.Event, to: Seen) -> None:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(handshake(f"/r{number % SOCKET_ROUTES:02}/ws", address))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ECHO_S)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(head.partition(b"\r\n")[0].decode())
        count = 0
        while not over.is_set():
            payload = b"%d of %d" % (count, number)
            writer.write(client_frame(payload))
            echo = server_frame(payload)
            if await asyncio.wait_for(reader.readexactly(len(echo)), ECHO_S) != echo:
                raise ConnectionError("a wrong echo")
            to.echoes += 1
            count += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), TALK_S)
    finally:
        writer.transport.abort()


async def lag_of(session: aiohttp.ClientSession, proxy: Hotsplice) -> float:
    """Read the greatest delay of the event loop in the last ten to twenty seconds."""
    async with session.get(f"http://{proxy.telemetry}/metrics") as answer:
        return lag_s(await answer.text())


async def forget_the_start(session: aiohttp.ClientSession, proxy: Hotsplice) -> None:
    """Wait until the metric no longer holds that the process was busy with starting."""
    async with asyncio.timeout(START_FORGOTTEN_S):
        while await lag_of(session, proxy) > MAX_LAG_S:  # noqa: ASYNC110 - it is another process's
            await asyncio.sleep(0.5)


async def scrape(session: aiohttp.ClientSession, proxy: Hotsplice, to: list[float]) -> None:
    """Read the lag now and again, until cancelled."""
    while True:
        await asyncio.sleep(SCRAPE_S)
        to.append(await lag_of(session, proxy))


async def load(address: str, seconds: float) -> Load:
    """Run wrk on the busy route."""
    command = wrk_command(address, f"/{BUSY_ROUTE}/", CONNECTIONS, seconds)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return read(output)


async def run(
    proxy: Hotsplice, estate: Estate, changes: int, seconds: float, sockets: int
) -> tuple[Load, Load, Seen]:
    """Return the load without changes (a quarter as long), the load with them, and the rest."""
    seen, over = Seen(), asyncio.Event()
    series = estate.changes()
    planned = [next(series) for _ in range(changes)]
    async with aiohttp.ClientSession() as session:
        await forget_the_start(session, proxy)
        async with asyncio.TaskGroup() as group:
            for number in range(sockets):
                group.create_task(talk(proxy.address, number, over, seen))
            quiet = await load(proxy.address, max(1.0, seconds / 4))
            seen.lag_before = await lag_of(session, proxy)
            scraping = group.create_task(scrape(session, proxy, seen.lags))
            loading = group.create_task(load(proxy.address, seconds))
            await change(session, proxy, planned, seconds / changes, seen)
            busy = await loading
            scraping.cancel()
            over.set()
        seen.lags.append(await lag_of(session, proxy))
    return quiet, busy, seen


Verdict = tuple[str, str, str, bool]
"""What, how much, the target, whether it was met."""


def verdicts(busy: Load, seen: Seen, changes: int, sockets: int) -> list[Verdict]:
    """Hold what was seen against the targets."""
    lag = max(seen.lags)
    failed = ", ".join(f"{kind} {count}" for kind, count in busy.errors.items())
    return [
        ("failed requests", failed or "0", "0", not busy.errors and busy.requests > 0),
        ("closed or broken WebSockets", str(len(seen.failed_sockets)), "0",
         not seen.failed_sockets and seen.echoes >= sockets),
        ("changes accepted", str(len(seen.answered)), str(changes), len(seen.answered) == changes),
        ("event loop lag, max ms", f"{lag * 1e3:.1f}", f"<= {MAX_LAG_S * 1e3:.0f}",
         lag <= MAX_LAG_S),
    ]  # fmt: skip


def show(quiet: Load, busy: Load, seen: Seen, grown_bytes: int) -> str:
    """Lay out what has no target."""
    took = sorted(seen.answered) or [0.0]
    change_ms = statistics.median(took) * 1e3, took[int(len(took) * 0.99)] * 1e3
    rows = [
        ("requests per second", f"{quiet.rate:.0f}", f"{busy.rate:.0f}"),
        ("request p50, ms", f"{quiet.p50_us / 1e3:.1f}", f"{busy.p50_us / 1e3:.1f}"),
        ("request p99, ms", f"{quiet.p99_us / 1e3:.1f}", f"{busy.p99_us / 1e3:.1f}"),
        ("requests", str(quiet.requests), str(busy.requests)),
        ("a change: median, p99, ms", "", f"{change_ms[0]:.1f}, {change_ms[1]:.1f}"),
        ("event loop lag, max ms", f"{seen.lag_before * 1e3:.1f}", f"{max(seen.lags) * 1e3:.1f}"),
        ("WebSocket echoes", "", str(seen.echoes)),
        ("memory grown, MB", "", f"{grown_bytes / 1e6:.1f}"),
    ]
    return table(("", "before the changes", "during"), rows)


def main() -> int:
    """Run it; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--websockets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    changes, sockets = arguments.changes, arguments.websockets
    claim()
    try:
        with Processes() as processes:
            _, file = processes.start_python("echo", "bench.echo", "--ports", str(ORIGINS))
            estate = Estate(json.loads(file.read_text()), seed=arguments.seed)
            proxy = hotsplice(processes, estate.document())
            before = resident_bytes(proxy.pid)
            quiet, busy, seen = uvloop.run(run(proxy, estate, changes, arguments.seconds, sockets))
            grown = resident_bytes(proxy.pid) - before
    except* (StartError, LoadError, OSError, aiohttp.ClientError) as errors:
        raise SystemExit("\n".join(map(str, errors.exceptions))) from None
    found = verdicts(busy, seen, changes, sockets)
    rows = [(what, value, target, "met" if met else "MISSED") for what, value, target, met in found]
    print(f"{changes} changes in {arguments.seconds:g} s, {CONNECTIONS} connections, "
          f"{sockets} WebSockets, 50 routes, 20 pools, {ORIGINS} origins")  # fmt: skip
    print(table(("", "seen", "target", ""), rows), show(quiet, busy, seen, grown), sep="\n\n")
    for line in (*seen.refused[:10], *seen.failed_sockets[:10]):
        print(line, file=sys.stderr)
    return int(not all(met for *_, met in found))


if __name__ == "__main__":
    sys.exit(main())
