"""When which of many connections is told to close."""

from __future__ import annotations

import itertools

import pytest

from proxy.pacing import JITTER_S, Pace
from proxy.splice.closing import ECHO_S

NOW = 1000.0


class Connection:
    """One that can be closed, and says when it was."""

    def __init__(self) -> None:
        self.ended = False
        self.told: tuple[int, str, float | None] | None = None
        self.aborted = False

    def close(self, code: int, reason: str, *, by: float | None) -> None:
        assert self.told is None, "told twice"
        self.told = code, reason, by

    def abort(self) -> None:
        self.aborted = True


def paced(
    number: int, *, rate: float | None, lasts_s: float = 30.0
) -> tuple[Pace, list[Connection]]:
    pace = Pace(1012, "moved", rate, NOW + lasts_s)
    connections = [Connection() for _ in range(number)]
    pace.include(connections, NOW)
    return pace, connections


def told(connections: list[Connection]) -> int:
    return sum(one.told is not None for one in connections)


def test_each_is_told_code_reason_and_until_when() -> None:
    pace, (one,) = paced(1, rate=10)
    pace.sweep(NOW + 0.2)
    assert one.told == (1012, "moved", NOW + 30)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 0.9])
def test_rate_is_kept(seconds: float) -> None:
    pace, connections = paced(100, rate=100)
    pace.sweep(NOW + seconds)
    assert abs(told(connections) - seconds * 100) <= 1
    pace.sweep(NOW + 1.01)
    assert told(connections) == 100


def test_without_a_rate_the_time_is_used_but_for_what_answers_take() -> None:
    pace, connections = paced(100, rate=None, lasts_s=105)
    pace.sweep(NOW + 50)
    assert abs(told(connections) - 50) <= 1
    pace.sweep(NOW + 105 - ECHO_S + 0.1)
    assert told(connections) == 100


def test_time_that_is_too_short_for_the_rate_makes_it_faster() -> None:
    pace, connections = paced(100, rate=1, lasts_s=10)
    pace.sweep(NOW + 4)
    assert abs(told(connections) - 50) <= 2
    pace.sweep(NOW + 8.1)
    assert told(connections) == 100


def test_the_only_one_does_not_wait_long() -> None:
    pace, connections = paced(1, rate=None, lasts_s=1000)
    pace.sweep(NOW + JITTER_S)
    assert told(connections) == 1


def test_times_are_not_even() -> None:
    pace, _ = paced(50, rate=1, lasts_s=1000)
    dues = [due for due, _ in pace._queue]
    gaps = {round(later - due, 3) for due, later in itertools.pairwise(dues)}
    assert len(gaps) > 5


def test_what_is_left_at_the_end_is_told_and_cut() -> None:
    pace, connections = paced(3, rate=100)
    pace.sweep(NOW + 1)
    connections[0].ended = True
    pace.sweep(NOW + 29.9)
    assert not any(one.aborted for one in connections)
    late = Connection()
    pace.include([late], NOW + 29.9)
    pace.sweep(NOW + 30)
    assert [one.aborted for one in (*connections, late)] == [False, True, True, True]


def test_progress_is_what_has_really_ended() -> None:
    pace, connections = paced(4, rate=100)
    connections[3].ended = True
    assert (pace.selected, pace.remaining, pace.done) == (4, 3, False)
    pace.sweep(NOW + 1)
    assert connections[3].told is None, "it went by itself"
    assert pace.remaining == 3
    for one in connections:
        one.ended = True
    assert (pace.selected, pace.remaining, pace.done) == (4, 0, True)


def test_those_who_come_later_follow() -> None:
    pace, first = paced(10, rate=10)
    more = [Connection() for _ in range(10)]
    pace.include(more, NOW)
    pace.sweep(NOW + 0.89)
    assert told(more) == 0
    pace.sweep(NOW + 2.2)
    assert (told(first), told(more), pace.selected) == (10, 10, 20)
    pace.include([], NOW)
    assert pace.selected == 20


def test_cancelled_pace_tells_and_cuts_nobody() -> None:
    pace, connections = paced(10, rate=10)
    pace.sweep(NOW + 0.5)
    before = told(connections)
    pace.cancel()
    pace.sweep(NOW + 100)
    assert told(connections) == before
    assert not any(one.aborted for one in connections)
