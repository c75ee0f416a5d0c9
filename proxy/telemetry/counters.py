"""Plain counters on slotted objects: what the data path touches, and nothing more.

Everything runs on one event loop, so an increment is an increment.  ``prometheus_client`` meets
these numbers only at scrape time (``exposition``).  A ``Ledger`` keeps the counters of every
configured object, and those of a removed one for ``RETENTION_S`` longer, so that the last
increments are still scraped and an object that comes back goes on counting.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

RETENTION_S: Final = 300.0
"""How long the series of a removed object stay, in seconds."""

ENDPOINT_SERIES_PER_POOL: Final = 64
"""A pool with more endpoints than this shows none of them one by one."""

SECONDS_BUCKETS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
TUNNEL_BUCKETS: Final = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


class Histogram:
    """Counts per bucket (not cumulative), the last one for what exceeds every bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS_BUCKETS) -> None:
        self.bounds: Final = bounds
        self.counts: Final = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class ListenerCounters:
    """Of one listener."""

    __slots__ = ("active", "in_flight", "opened", "rejected")

    def __init__(self) -> None:
        self.active: Final = {"http": 0, "websocket": 0, "tunnel": 0}
        self.opened: Final = {"http": 0, "websocket": 0, "tunnel": 0}
        self.in_flight = 0
        self.rejected: Final[dict[str, int]] = {}
        """By reason of the closed list in ``proxy.errors``, and ``underscore_field``."""


RequestKey = tuple[str, bytes, int]
"""Pool (``none`` if the request got none), method, status."""


class RouteCounters:
    """Of one route; requests that no route took are counted under the name ``none``."""

    __slots__ = ("duration", "header_rule_failures", "requests")

    def __init__(self) -> None:
        self.requests: Final[dict[RequestKey, int]] = {}
        self.duration: Final = Histogram()
        self.header_rule_failures = 0


class EndpointCounters:
    """Of one endpoint."""

    __slots__ = ("bytes_in", "bytes_out", "others", "requests", "successes")

    def __init__(self) -> None:
        self.requests = 0
        """Attempts made on it."""
        self.successes = 0
        """Answers 2xx: most are, and with thousands of endpoints even a list is far away."""
        self.others: Final = [0, 0, 0, 0, 0, 0]
        """Others by class: index 1 is 1xx … 5 is 5xx; 0 counts attempts without an answer."""
        self.bytes_in = 0
        """From the upstream: response bodies, and splices that ended."""
        self.bytes_out = 0
        """To the upstream: request bodies, and splices that ended."""

    def count(self, outcome: int) -> None:
        """Count what an attempt ended with, by class."""
        if outcome == 2:
            self.successes += 1
        else:
            self.others[outcome] += 1

    @property
    def by_class(self) -> list[int]:
        """All answers by class."""
        none, informational, _, *others = self.others
        return [none, informational, self.successes, *others]


class PoolCounters:
    """Of one pool."""

    __slots__ = (
        "closes",
        "connect_duration",
        "ejections",
        "errors",
        "http_to_client",
        "http_to_upstream",
        "messages_to_client",
        "messages_to_upstream",
        "retries",
        "spliced_to_client",
        "spliced_to_upstream",
        "ttfb",
        "tunnel_duration",
    )

    def __init__(self) -> None:
        self.ttfb: Final = Histogram()
        self.connect_duration: Final = Histogram()
        self.tunnel_duration: Final = Histogram(TUNNEL_BUCKETS)
        self.http_to_upstream = 0
        self.http_to_client = 0
        self.spliced_to_upstream = 0
        """By splices that ended; ``Reading`` adds the live ones."""
        self.spliced_to_client = 0
        self.messages_to_upstream = 0
        """Of WebSockets that ended; ``Reading`` adds the live ones."""
        self.messages_to_client = 0
        self.closes: Final[dict[tuple[str, int], int]] = {}
        """WebSockets that ended, by who ended them and close code."""
        self.retries = 0
        self.ejections = 0
        self.errors: Final[dict[str, int]] = {}


C = TypeVar("C")


class Ledger(Generic[C]):
    """The counters of one kind of object, by name, with those lately removed.

    ``get`` only reads, so that compiling a configuration that is never published leaves no trace;
    ``publish`` makes a set of names the live one.
    """

    __slots__ = ("_live", "_removed")

    def __init__(self) -> None:
        self._live: dict[str, C] = {}
        self._removed: dict[str, tuple[C, float]] = {}

    def get(self, name: str) -> C | None:
        """Return the counters that a new object of that name goes on with, if there are any."""
        found = self._live.get(name)
        if found is None and name in self._removed:
            found = self._removed[name][0]
        return found

    def publish(self, live: dict[str, C], now: float) -> None:
        """Make ``live`` the live objects; those no longer in it are kept for a while."""
        for name, counters in self._live.items():
            if name not in live:
                self._removed[name] = (counters, now)
        for name in live:
            self._removed.pop(name, None)
        self._live = live
        self.expire(now)

    def expire(self, now: float) -> None:
        """Forget what was removed more than ``RETENTION_S`` ago."""
        gone = [name for name, (_, when) in self._removed.items() if now - when > RETENTION_S]
        for name in gone:
            del self._removed[name]

    def items(self) -> Iterable[tuple[str, C]]:
        """Give every name with its counters, live ones first."""
        yield from self._live.items()
        for name, (counters, _) in self._removed.items():
            yield name, counters
