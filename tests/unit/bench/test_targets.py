"""What was seen, held against what is to be reached."""

from __future__ import annotations

import pytest

from bench.measure import Outcome
from bench.targets import Verdict, verdicts
from tests.unit.bench.results import outcome


def judged(found: Outcome) -> dict[str, Verdict]:
    seen = verdicts({found.name: found}, "hotsplice", "nginx", [found.name])
    return {one.target.figure: one for one in seen}


@pytest.mark.parametrize(
    ("ours", "met"),
    [(14.9, (True, True)), (15.1, (True, False)), (20.0, (True, False)), (20.1, (False, False))],
)
def test_a_ratio_is_held_against_both_stages(ours: float, met: tuple[bool, bool]) -> None:
    verdict = judged(outcome(nginx=[10.0], hotsplice=[ours]))["cpu_us"]
    assert verdict.met == met
    assert verdict.seen is not None
    assert verdict.seen.median == ours / 10


def test_the_median_counts_where_some_is_allowed() -> None:
    assert judged(outcome("idle", "tunnel_kb", hotsplice=[4.0, 4.5, 99.0]))["tunnel_kb"].met == (
        True,
        True,
    )


def test_once_is_too_often_where_nothing_is_allowed() -> None:
    assert judged(outcome("swap_10", "failed", hotsplice=[0.0, 0.0, 1.0]))["failed"].met == (
        False,
        False,
    )


@pytest.mark.parametrize(
    ("added", "met"),
    [
        ([-0.2, -0.1, 0.3], (True, True)),
        ([-0.1, 0.2, 0.3], (True, False)),
        ([-0.1, 1.2, 1.3], (False, False)),
    ],
)
def test_what_most_rounds_saw_is_visible(added: list[float], met: tuple[bool, bool]) -> None:
    found = outcome("swap_10", "added_p99_ms", hotsplice=added)
    assert judged(found)["added_p99_ms"].met == met


def test_what_was_not_measured_is_not_met() -> None:
    failed = judged(outcome(hotsplice=[10.0]))["cpu_us"]
    assert failed.seen is None
    assert failed.met == (False, False)
    (absent,) = verdicts({}, "hotsplice", "nginx", ["bulk"])
    assert absent.seen is None
