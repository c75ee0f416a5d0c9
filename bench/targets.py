"""What hotsplice has to reach, in two stages, held against what was measured.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from bench.figures import Spread, ratios, spread, values
from bench.measure import Outcome


@dataclass(frozen=True, slots=True)
class Target:
    """The most that a figure may be."""

    title: str
    scenario: str
    figure: str
    stages: tuple[float, float]
    unit: str
    """What it is counted in; ``x`` is a ratio to the baseline."""
    digits: int = 2


TARGETS: Final = (
    Target("HTTP, CPU per request", "get_64", "cpu_us", (2.0, 1.5), "x"),
    Target("WebSocket echo of 64 octets, CPU", "echo_64", "cpu_us", (1.6, 1.2), "x"),
    Target("WebSocket bulk, CPU per KB", "bulk", "cpu_ns_kb", (0.5, 0.4), "x"),
    Target("answer of 10 MiB, CPU per KB", "answer_10m", "cpu_ns_kb", (1.5, 1.0), "x"),
    Target("memory per idle WebSocket", "idle", "tunnel_kb", (8, 5), "KB", 1),
    Target("resident memory, idle", "start", "idle_mb", (50, 42), "MB", 1),
    Target("start to ready", "start", "ready_ms", (600, 350), "ms", 0),
    Target("10 endpoints replaced: failed requests", "swap_10", "failed", (0, 0), "", 0),
    Target("10 endpoints replaced: dropped WebSockets", "swap_10", "dropped", (0, 0), "", 0),
    Target("10 endpoints replaced: added p99", "swap_10", "added_p99_ms", (1, 0), "ms"),
    Target("10,000 endpoints replaced: failed requests", "swap_10k", "failed", (0, 0), "", 0),
    Target("10,000 endpoints replaced: dropped WebSockets", "swap_10k", "dropped", (0, 0), "", 0),
    Target("10,000 endpoints replaced: added p99", "swap_10k", "added_p99_ms", (50, 10), "ms"),
    Target("10,000 routes and endpoints against 1 and 1 (the load's core kept awake)",
           "grown", "growth", (1.1, 1.05), "times"),
    Target("loop lag while 200 pools are scraped", "scrape", "lag_ms", (5, 5), "ms", 1),
    Target("access-log line", "logged", "added_us", (5, 5), "us", 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, and what was seen of it."""

    target: Target
    seen: Spread | None
    """Nothing, if the row failed or was not asked for."""
    met: tuple[bool, bool]


def verdicts(
    outcomes: Mapping[str, Outcome], ours: str, baseline: str, asked: Container[str]
) -> list[Verdict]:
    """Hold what was measured against the targets of the scenarios that were asked for."""
    return [
        _verdict(one, outcomes.get(one.scenario), ours, baseline)
        for one in TARGETS
        if one.scenario in asked
    ]


def _verdict(target: Target, outcome: Outcome | None, ours: str, baseline: str) -> Verdict:
    found: list[float] = []
    if outcome is not None and target.unit == "x":
        found = ratios(outcome, ours, baseline, target.figure)
    elif outcome is not None:
        found = values(outcome, ours, target.figure)
    if not found or outcome is None:
        return Verdict(target, None, (False, False))
    seen = statistics.median(found)
    first, second = target.stages
    # Nothing that fails once is 0.
    worst = max(found) if first == 0 else seen
    return Verdict(target, spread(found), (worst <= first, worst <= min(first, second)))
