"""The lag gauge: what a late timer shows, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from proxy.telemetry.loop_lag import TICK_S, WINDOW_S, LoopLag
from tests.peers.waiting import within


class Timer:
    """What ``call_later`` gives, with a record of its end."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clockwork:
    """A loop and its clock: time passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []
        self.delays: list[float] = []
        self.lag = LoopLag(clock=lambda: self.now)

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> Timer:
        timer = Timer(lambda: callback(*args))
        self.timers.append(timer)
        self.delays.append(delay)
        return timer

    def start(self) -> None:
        self.lag.start(cast(asyncio.AbstractEventLoop, self))

    def tick(self, late_s: float = 0.0) -> None:
        """Let the one timer that is set run as late as that."""
        self.now += TICK_S + late_s
        self.timers.pop().call()
        assert len(self.timers) == 1

    def wait(self, seconds: float) -> None:
        """Let a time pass in ticks, none of them late."""
        end = self.now + seconds
        while self.now < end:
            self.tick()


@pytest.fixture
def clockwork() -> Clockwork:
    clockwork = Clockwork()
    clockwork.start()
    return clockwork


def test_timer_on_time_shows_no_lag(clockwork: Clockwork) -> None:
    clockwork.wait(1.0)
    assert clockwork.lag.seconds == pytest.approx(0.0, abs=1e-9)
    assert set(clockwork.delays) == {TICK_S}


def test_late_timer_shows_how_late(clockwork: Clockwork) -> None:
    clockwork.tick(late_s=0.3)
    assert clockwork.lag.seconds == pytest.approx(0.3)


def test_timer_that_is_early_shows_no_lag(clockwork: Clockwork) -> None:
    clockwork.tick(late_s=-0.001)
    assert clockwork.lag.seconds == 0.0


def test_greatest_of_several_delays_is_kept(clockwork: Clockwork) -> None:
    for late_s in (0.1, 0.4, 0.2):
        clockwork.tick(late_s=late_s)
    assert clockwork.lag.seconds == pytest.approx(0.4)


def test_delay_is_shown_through_the_next_window_and_then_forgotten(clockwork: Clockwork) -> None:
    clockwork.tick(late_s=0.3)
    clockwork.wait(WINDOW_S)
    assert clockwork.lag.seconds == pytest.approx(0.3)
    clockwork.wait(WINDOW_S - 1)
    assert clockwork.lag.seconds == pytest.approx(0.3)
    clockwork.wait(2.0)
    assert clockwork.lag.seconds == pytest.approx(0.0, abs=1e-9)


def test_delay_across_the_end_of_a_window_belongs_to_the_new_one(clockwork: Clockwork) -> None:
    clockwork.wait(WINDOW_S - 1)
    clockwork.tick(late_s=2.0)
    clockwork.wait(WINDOW_S + 1)
    assert clockwork.lag.seconds == pytest.approx(2.0)


def test_start_twice_sets_one_timer(clockwork: Clockwork) -> None:
    clockwork.start()
    assert len(clockwork.timers) == 1


def test_stop_cancels_the_timer_and_keeps_the_figure(clockwork: Clockwork) -> None:
    clockwork.tick(late_s=0.3)
    clockwork.lag.stop()
    assert clockwork.timers[0].cancelled
    assert clockwork.lag.seconds == pytest.approx(0.3)
    clockwork.lag.stop()


def test_start_after_stop_measures_again(clockwork: Clockwork) -> None:
    clockwork.lag.stop()
    clockwork.timers.clear()
    clockwork.now += 60
    clockwork.start()
    clockwork.tick(late_s=0.1)
    assert clockwork.lag.seconds == pytest.approx(0.1)


async def test_running_loop_that_is_held_up_shows_it() -> None:
    ticked = asyncio.Event()
    ahead_s = 0.0

    def clock() -> float:
        if ahead_s:
            asyncio.get_running_loop().call_soon(ticked.set)
        return time.monotonic() + ahead_s

    lag = LoopLag(clock)
    lag.start()
    ahead_s = 0.5
    await within(ticked.wait(), "a tick")
    lag.stop()
    assert 0.4 < lag.seconds < 5.0
