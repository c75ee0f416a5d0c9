"""Small requests: what one costs, and what it must not depend on."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from bench import echo
from bench.holding import held
from bench.load import Load, LoadError, wrk
from bench.machine import max_files
from bench.measure import Sample, Scenario, Subject, loaded
from bench.peers.nginx import BODY, origin
from bench.peers.peer import KEPT, MANY, USUAL, Rules, Setup
from bench.processes import Processes

CONNECTIONS: Final = 64
MOST: Final = 10_000
REACH_S: Final = 60.0

MANY_MAPS: Final = 100
LIVE: Final = min(5000, max_files() // 4)
"""WebSockets beside requests; the origin holds both ends of them, too."""


def addresses(origin: str, count: int, first: int = 0) -> tuple[str, ...]:
    """Return so many loopback addresses of an origin that listens on all of them."""
    _, _, port = origin.rpartition(":")
    numbers = range(first, first + count)
    return tuple(f"127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}:{port}" for n in numbers)


def place(
    processes: Processes,
    *,
    endpoints: int = 1,
    routes: int = 0,
    rules: Rules = USUAL,
    kept: int = KEPT,
    access_log: bool = False,
) -> Setup:
    """Start the origin."""
    address = origin(processes, wide=endpoints > 1)
    at = addresses(address, endpoints) if endpoints > 1 else (address,)
    sockets = max(4096, 2 * kept)
    return Setup(at, routes, rules, access_log=access_log, kept=kept, sockets=sockets)


def look(subject: Subject) -> tuple[str | None, ...]:
    """Return what a proxy sends the origin and answers; ``LoadError`` if that is another answer."""
    connection = http.client.HTTPConnection(subject.proxy.address, timeout=10)
    headers = {"Host": "bench.test", "X-Forwarded-For": "192.0.2.1"}
    headers |= {one.source: one.when for one in subject.setup.rules.maps[:2]}
    connection.request("GET", "/headers", headers=headers)
    answer = connection.getresponse()
    sent, _, request_id = answer.read().decode().rpartition("|")
    rules = subject.setup.rules.response
    answered = [answer.headers[name] for name in (*rules, "Content-Type", "Content-Length")]
    connection.request("GET", "/")
    body = connection.getresponse().read().decode()
    connection.close()
    if body != BODY:
        raise LoadError(f"does not pass the origin's answer on: {body[:100]}")
    # The id is another one each time, and of the proxy's own form.
    return sent, "an id" if len(request_id) >= 16 else "no id", *answered[:-1]


def reach_all(subject: Subject) -> None:
    """See to it that a proxy is connected to all of many endpoints, which take turns."""
    left, deadline = len(subject.setup.endpoints) * 1.2, time.monotonic() + REACH_S
    while left > 1.2:
        if time.monotonic() > deadline:
            raise LoadError(f"did not reach all endpoints within {REACH_S:g} s")
        left -= wrk(subject.proxy.address, CONNECTIONS, 1.0).requests


def scenario(
    name: str,
    title: str,
    *words: str,
    place: Callable[[Processes], Setup] = place,
    connections: int = CONNECTIONS,
    octets: bool = False,
) -> Scenario:
    """Return one in which wrk sends what the words say."""
    # Each connection is to have some turns.
    least_s = connections / 500

    def generate(address: str, seconds: float) -> Load:
        return wrk(address, connections, max(seconds, least_s), *words)

    def sample(subject: Subject, seconds: float) -> Sample:
        reach_all(subject)
        return loaded(subject, generate, seconds, octets=octets)

    figure = "cpu_ns_kb" if octets else "cpu_us"
    return Scenario(name, title, figure, place, sample, generate, look)


def _crowded(processes: Processes) -> Setup:
    address = origin(processes, tunnels=echo.origin(processes))
    return Setup((address,), unused_maps=MANY_MAPS, live=LIVE, sockets=max_files())


@contextmanager
def _beside(subject: Subject) -> Iterator[None]:
    if not (count := subject.setup.live):
        yield
        return
    with held(subject.proxy.address, count) as holder:
        yield
        if failed := holder.end()["failed"]:
            raise LoadError(f"{failed} of {count} idle WebSockets were closed")


def _alone(setup: Setup) -> Setup:
    return replace(setup, endpoints=setup.endpoints[:1], routes=0, kept=KEPT)


SCENARIOS: Final = (
    replace(scenario("get_64", "small GET, 64 connections"), quick=True),
    scenario("get_1", "small GET, 1 connection", connections=1),
    scenario(
        "get_1000",
        "small GET, 1,000 connections",
        connections=1000,
        place=partial(place, kept=1024),
    ),
    scenario("varied", "small GET, no two heads alike", "varied"),
    scenario("rules", "10 header rules, 3 maps", place=partial(place, rules=MANY)),
    scenario(
        "routes_1k", "1,000 routes, in turn", "varied", "1000", place=partial(place, routes=1000)
    ),
    scenario(
        "routes_10k",
        "10,000 routes, in turn",
        "varied",
        str(MOST),
        place=partial(place, routes=MOST),
    ),
    replace(
        scenario(
            "endpoints_10k", "10,000 endpoints", place=partial(place, endpoints=MOST, kept=MOST)
        ),
        fresh=True,
        rounds=3,
    ),
    replace(
        scenario(
            "grown",
            "10,000 routes and endpoints against 1 and 1",
            place=partial(place, endpoints=MOST, kept=MOST, routes=MOST),
        ),
        against=_alone,
        awake=True,
        fresh=True,
        rounds=3,
        peers=("nginx", "hotsplice"),
    ),
    replace(
        scenario(
            "crowded",
            f"beside {LIVE:,} idle WebSockets and {MANY_MAPS} unused maps, against none",
            place=_crowded,
        ),
        against=lambda setup: replace(setup, unused_maps=0, live=0),
        beside=_beside,
        fresh=True,
        rounds=3,
        peers=("nginx", "hotsplice"),
    ),
    scenario("connect", "small GET, a new connection each", "close"),
    replace(
        scenario("logged", "access log on against off", place=partial(place, access_log=True)),
        against=lambda setup: replace(setup, access_log=False),
        fresh=True,
        peers=("nginx", "hotsplice"),
    ),
)
