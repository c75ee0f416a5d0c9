"""What can be measured, in words; and medians, ratios and their spread.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.measure import Outcome


@dataclass(frozen=True, slots=True)
class Figure:
    """A column."""

    head: str
    digits: int = 1
    compared: bool = True
    """Whether its ratio to the baseline says something."""


FIGURES: Final = {
    "cpu_us": Figure("CPU us/request"),
    "cpu_ns_kb": Figure("CPU ns/KB", 0),
    "alone": Figure("without"),
    "growth": Figure("x without", 2, compared=False),
    "added_us": Figure("us more", 1, compared=False),
    "tunnel_kb": Figure("KB/tunnel"),
    "ready_ms": Figure("ready ms", 0),
    "start_cpu_ms": Figure("CPU ms until then", 0),
    "idle_mb": Figure("idle MB"),
    "lag_ms": Figure("loop lag ms"),
    "scrape_ms": Figure("slowest scrape ms"),
    "series": Figure("series", 0, compared=False),
    "added_p99_ms": Figure("p99 added ms", 2, compared=False),
    "quiet_p99_ms": Figure("p99 before ms", 2, compared=False),
    "failed": Figure("failed requests", 0, compared=False),
    "closed": Figure("idle closed", 0, compared=False),
    "dropped": Figure("dropped WebSockets", 0, compared=False),
    "changes_s": Figure("changes/s", 0, compared=False),
    "change_ms": Figure("ms each", 1, compared=False),
    "first_ms": Figure("first ms", 0, compared=False),
    "rate": Figure("requests/s", 0),
    "mb_s": Figure("MB/s", 0),
    "p50_us": Figure("p50 us", 0),
    "p99_us": Figure("p99 us", 0),
    "p999_us": Figure("p99.9 us", 0),
    "resident_mb": Figure("resident MB"),
    "grown_mb": Figure("MB more", 1, compared=False),
    "processes": Figure("processes", 0, compared=False),
    "busy": Figure("core used", 2, compared=False),
}
"""In the order of the tables."""

SATURATED: Final = 0.9
"""A proxy that used less of its core was not the limit: then rates and latencies are the load's."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several values, and the ends."""

    median: float
    least: float
    most: float

    def text(self, digits: int) -> str:
        """Write it; without the ends where they are no different."""
        middle, least, most = (f"{one:,.{digits}f}" for one in (self.median, self.least, self.most))
        return middle if least == most else f"{middle} ({least}–{most})"


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def values(outcome: Outcome, name: str, figure: str) -> list[float]:
    """Return a proxy's figure in each round; nothing if it has none."""
    return [one[figure] for one in outcome.samples.get(name, ()) if figure in one]


def ratios(outcome: Outcome, name: str, baseline: str, figure: str) -> list[float]:
    """Divide a proxy's figure by the baseline's, round by round."""
    pairs = zip(values(outcome, name, figure), values(outcome, baseline, figure), strict=False)
    return [one / base for one, base in pairs if base]


def limited(outcome: Outcome, name: str) -> bool:
    """Tell whether a proxy was faster than what loaded it."""
    busy = values(outcome, name, "busy")
    return bool(busy) and statistics.median(busy) < SATURATED
