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
from bench.load import LoadError, wrk
from bench.machine import family, family_bytes
from bench.measure import WARM_UP_S, Sample, Scenario, Subject
from bench.peers import hotsplice, nginx
from bench.peers.peer import Setup
from bench.processes import Processes
from bench.scenarios.http import CONNECTIONS, addresses
from bench.scenarios.websocket import held

SOCKETS: Final = 20
EVERY_S: Final = 0.1
"""WebSockets that are there from the start, and how often another one comes."""

PAUSE_MS: Final = 20
"""Between two requests of a connection, on average, where latency is measured: a proxy with nothing
to spare has no latency of its own."""

LOW_PRIORITY: Final = 10

LEAST: Final = 10
LEAST_S: Final = 4.0
"""So many changes at least, and for so long."""

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
            while not over.wait(max(0.0, started + len(took) * every_s - time.monotonic())):
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
    seconds = max(seconds, LEAST * every_s, LEAST_S)
    proxy, setup = subject.proxy, subject.setup
    count = len(setup.endpoints)
    other = addresses(setup.endpoints[0], count, count)
    setups = [replace(setup, endpoints=other), setup]
    change = _rest(proxy, setups) if isinstance(proxy, hotsplice.Hotsplice) else None
    if isinstance(proxy, nginx.Nginx):
        change = _reload(proxy, setups)
    assert change is not None
    pace, at = ("paced", str(PAUSE_MS)), (proxy.address, CONNECTIONS, seconds)
    first = time.monotonic()
    change()  # hotsplice loads what examines documents, once
    first_ms = (time.monotonic() - first) * 1e3
    with _changing(change, every_s):
        wrk(proxy.address, CONNECTIONS, WARM_UP_S, may_fail=True)
    wrk(proxy.address, CONNECTIONS, WARM_UP_S, may_fail=True)
    before = family_bytes(proxy.pid)
    with held(proxy.address, SOCKETS, every_s=EVERY_S) as holder:
        quiet = wrk(*at, *pace)
        with _changing(change, every_s) as took:
            busy = wrk(*at, *pace, may_fail=True)
            in_time = len(took)
            hurried = wrk(*at, may_fail=True)
        after, processes = family_bytes(proxy.pid), len(family(proxy.pid))
        sockets = holder.end()
    # A connection that is closed while no request is on its way is none that failed.
    idle = busy.errors.pop("read", 0) if isinstance(proxy, nginx.Nginx) else 0
    failed = sum(busy.errors.values()) + sum(hurried.errors.values())
    return {
        "added_p99_ms": (busy.p99_us - quiet.p99_us) / 1e3,
        "quiet_p99_ms": quiet.p99_us / 1e3,
        "p99_us": busy.p99_us,
        "p999_us": busy.p999_us,
        "failed": float(failed),
        "closed": float(idle),
        "dropped": float(sockets["failed"]),
        "changes_s": in_time / busy.seconds,
        "change_ms": statistics.median(took) * 1e3,
        "first_ms": first_ms,
        "rate": hurried.rate,
        "resident_mb": after / 1e6,
        "grown_mb": (after - before) / 1e6,
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
