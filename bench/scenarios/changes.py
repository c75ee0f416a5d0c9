"""A pool replaced under load, again and again: hotsplice by REST, nginx by reloads."""

from __future__ import annotations

import json
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Final

from bench import echo
from bench.holding import held
from bench.load import Load, LoadError, wrk
from bench.machine import family, family_bytes
from bench.measure import WARM_UP_S, Sample, Scenario, Subject
from bench.peers import hotsplice, nginx
from bench.peers.peer import Setup
from bench.processes import Processes
from bench.scenarios.http import CONNECTIONS, addresses

SOCKETS: Final = 20
EVERY_S: Final = 0.1
"""WebSockets that are there from the start, and how often another one comes."""

PAUSE_MS: Final = 20
"""Between two requests of a connection, on average, where latency is measured: a proxy with nothing
to spare has no latency of its own."""

HURRIED: Final = 4
"""At the end there are no pauses for so many times a sample's length."""

LOW_PRIORITY: Final = 10

FOR: Final = 16
"""The requests between changes and those without go on for so many times a sample's length each, in
turns."""

TURN_S: Final = 1
TURN: Final = 8
"""A turn takes so long at least, and has so many changes: the median over the turns leaves out
those in which others held up the machine, as no single long run could."""

Change = Callable[[], None]
"""Put the one set of endpoints, and then the other, in turn."""


def _rest(proxy: hotsplice.Hotsplice, setups: list[Setup]) -> Change:
    bodies = [json.dumps(hotsplice.pool(one.endpoints, one.kept)) for one in setups]
    requests = cycle([proxy.request("PUT", "/v1/pools/backend", body) for body in bodies])
    connection = hotsplice.Writing(proxy.admin)
    return lambda: connection.send(next(requests))


def _reload(proxy: nginx.Nginx, setups: list[Setup]) -> Change:
    # A signal, for `nginx -s reload` would read the file once more to send the same.
    texts = [
        nginx.conf(proxy.folder, nginx.http(one, proxy.port, proxy.folder), one.sockets)
        for one in setups
    ]

    turns = cycle(texts)

    def change() -> None:
        file = proxy.folder / "next.conf"
        file.write_text(next(turns))
        file.replace(proxy.folder / "nginx.conf")
        os.kill(proxy.pid, signal.SIGHUP)

    return change


@contextmanager
def _changing(change: Change, every_s: float) -> Iterator[list[float]]:
    """Change at that rate, by a thread; what is late is done at once.  Gives the times taken."""
    over, took, failed = threading.Event(), list[float](), list[Exception]()

    def work() -> None:
        # It has a core together with what measures.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)
        started = time.monotonic()
        try:
            while not over.wait(max(0.0, started + (len(took) + 0.5) * every_s - time.monotonic())):
                began = time.monotonic()
                change()
                took.append(time.monotonic() - began)
        except (OSError, LoadError) as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()
    if failed:
        raise LoadError(f"a change failed: {failed[0]!r}") from failed[0]


def _sample(subject: Subject, seconds: float, *, every_s: float) -> Sample:
    turn_s = max(TURN_S, TURN * every_s)
    turns = max(2, round(FOR * seconds / turn_s))
    proxy, setup = subject.proxy, subject.setup
    count = len(setup.endpoints)
    other = addresses(setup.endpoints[0], count, count)
    setups = [replace(setup, endpoints=other), setup]
    change = _rest(proxy, setups) if isinstance(proxy, hotsplice.Hotsplice) else None
    if isinstance(proxy, nginx.Nginx):
        change = _reload(proxy, setups)
    assert change is not None
    hurry = (proxy.address, CONNECTIONS, WARM_UP_S)
    pace, at = ("paced", str(PAUSE_MS)), (proxy.address, CONNECTIONS, turn_s)
    first = time.monotonic()
    change()  # hotsplice loads what examines documents, once
    first_ms = (time.monotonic() - first) * 1e3
    with _changing(change, every_s):
        wrk(*hurry, may_fail=True)
    at_first = family_bytes(proxy.pid)
    quiet, busy, hurried, took = list[Load](), list[Load](), list[Load](), list[float]()
    with held(proxy.address, SOCKETS, every_s=EVERY_S) as holder:
        for _ in range(turns):
            hurried.append(wrk(*hurry, may_fail=True))  # idle connections are open again
            quiet.append(wrk(*at, *pace))
            with _changing(change, every_s) as taken:
                busy.append(wrk(*at, *pace, may_fail=True))
            took += taken
        with _changing(change, every_s):
            last = wrk(proxy.address, CONNECTIONS, HURRIED * seconds, may_fail=True)
        resident, processes = family_bytes(proxy.pid), len(family(proxy.pid))
        sockets = holder.end()
    # A connection that is closed while no request is on its way is none that failed.
    is_nginx = isinstance(proxy, nginx.Nginx)
    idle = sum(one.errors.pop("read", 0) for one in busy if is_nginx)
    failed = sum(sum(one.errors.values()) for one in (*busy, *hurried, last))
    added = [after.p99_us - before.p99_us for before, after in zip(quiet, busy, strict=True)]
    return {
        "added_p99_ms": statistics.median(added) / 1e3,
        "quiet_p99_ms": statistics.median(one.p99_us for one in quiet) / 1e3,
        "p99_us": statistics.median(one.p99_us for one in busy),
        "p999_us": statistics.median(one.p999_us for one in busy),
        "failed": float(failed),
        "closed": float(idle),
        "dropped": float(sockets["failed"]),
        "changes_s": len(took) / sum(one.seconds for one in busy),
        "change_ms": statistics.median(took) * 1e3,
        "first_ms": first_ms,
        "rate": last.rate,
        "resident_mb": resident / 1e6,
        "grown_mb": (resident - at_first) / 1e6,
        "processes": float(processes),
    }


def _place(processes: Processes, *, endpoints: int) -> Setup:
    origin = echo.origin(processes, wide=True)
    return Setup(addresses(origin, endpoints), kept=max(128, endpoints), sockets=16_000)


def _scenario(name: str, title: str, endpoints: int, per_s: float) -> Scenario:
    return Scenario(
        name,
        f"{title}, {per_s:g} a second",
        "added_p99_ms",
        partial(_place, endpoints=endpoints),
        partial(_sample, every_s=1 / per_s),
        peers=("nginx", "hotsplice"),
        rounds=3,
        warm_up_s=0.0,
        fresh=True,
        quick=endpoints == 10,
    )


SCENARIOS: Final = (
    _scenario("swap_10", "pool of 10 endpoints replaced", 10, 100.0),
    _scenario("swap_10k", "pool of 10,000 endpoints replaced", 10_000, 2.0),
)
