"""What is asked of a proxy, and what one is that is asked.

Each does the same for every request: a route, header maps, header rules, ``X-Forwarded-For``,
``-Proto``, ``-Host`` and ``X-Request-Id``, ``Host`` as the client sent it, connections to the
origin kept, metrics on, access log off; WebSocket on every path.  One process or worker.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from bench.processes import ROOT, Processes, StartError

INSTALLED: Final = ROOT / ".peers"
"""Where ``make bench-peers`` puts what no Debian package has."""

KEPT: Final = 128
"""Idle connections to origins that a proxy keeps: more than clients ask at once, mostly."""


class MissingError(StartError):
    """The program is not installed."""


class UnsupportedError(StartError):
    """The proxy cannot do what the setup asks of it."""


@dataclass(frozen=True, slots=True)
class HeaderMap:
    """What the origin gets as ``target`` depends on what the client sent as ``source``."""

    variable: str
    source: str
    target: str
    when: str
    then: str
    default: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to header fields.  Each map, and each constant, is one rule."""

    maps: tuple[HeaderMap, ...]
    request: dict[str, str] = field(default_factory=dict)
    response: dict[str, str] = field(default_factory=dict)


TIER: Final = HeaderMap("tier", "X-Plan", "X-Tier", "gold", "paid", "free")

USUAL: Final = Rules((TIER,), response={"X-Served-By": "bench"})
"""Two header rules and a map."""

MANY: Final = Rules(
    (
        TIER,
        HeaderMap("zone", "X-Region", "X-Zone", "north", "cold", "warm"),
        HeaderMap("level", "X-Age", "X-Level", "old", "senior", "junior"),
    ),
    request={f"X-Constant-{number}": f"value {number}" for number in range(4)},
    response={"X-Served-By": "bench", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"},
)
"""Ten header rules and three maps."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all proxies of a scenario are set up for."""

    endpoints: tuple[str, ...]
    """Addresses of origins, ``host:port``, that take turns."""
    routes: int = 0
    """Beside ``/``, so many with the prefixes ``/r0/``, ``/r1/`` …"""
    rules: Rules = USUAL
    access_log: bool = False
    unused_maps: int = 0
    """Beside those of the rules, so many that no rule asks."""
    live: int = 0
    """WebSockets that are there and say nothing."""
    kept: int = KEPT
    sockets: int = 4096
    """How many of them the proxy may need at once, both sides together."""


def unused(setup: Setup) -> tuple[HeaderMap, ...]:
    """Return the maps that no rule asks."""
    return tuple(
        replace(TIER, variable=f"unused_{number}", source=f"X-Unused-{number}")
        for number in range(setup.unused_maps)
    )


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs."""

    name: str
    address: str
    """Where its clients connect, ``host:port``."""
    pid: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy that can be started."""

    name: str
    version: Callable[[], str]
    """``MissingError`` if it is not installed."""
    start: Callable[[Processes, Setup], Proxy]
    """Return once it serves; ``UnsupportedError`` if it cannot do what is asked."""
    lacks: str = ""
    """What of the common work it does not do."""
    warm_up: float = 1.0
    """How much longer than others it takes to get going."""


def said(*command: str, pattern: str = r"\d+\.\d+[\w.+~-]*") -> str:
    """Return the version that a program tells."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[0] if found else "unknown"
