"""Work in the background gives way to the loop, and still gets its share."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy import background
from proxy.background import NICE, SHARE_S, in_background
from tests.peers import within


def fail(why: str) -> None:
    raise ValueError(why)


async def test_it_returns_what_the_work_returns_and_raises_what_it_raises() -> None:
    assert await in_background(max, 3, 5) == 5
    assert await in_background(int, "11", base=2) == 3
    with pytest.raises(ValueError, match="no such thing"):
        await in_background(fail, "no such thing")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
async def test_its_threads_have_a_low_priority_and_nobody_else() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await in_background(priority) == NICE
    assert priority() == await asyncio.to_thread(priority) == before


async def test_sandbox_that_forbids_priorities_does_not_keep_work_from_being_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(which: int, who: int, priority: int) -> None:
        raise PermissionError(which, who, priority)

    monkeypatch.setattr(os, "setpriority", forbidden)
    with ThreadPoolExecutor(1, initializer=background._give_way) as threads:
        monkeypatch.setattr(background, "_threads", threads)
        assert await in_background(sum, (1, 2)) == 3


async def test_who_is_cancelled_does_not_wait_for_it() -> None:
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait()

    task = asyncio.create_task(in_background(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(task, "the cancelled one")
    over.set()


class Clock:
    """Of a thread that works as far as it is let; each look at it is one of the loop's."""

    def __init__(self, *, alone_s: float, beside_s: float) -> None:
        """Let it have so much between two looks, and so much when the loop stands aside."""
        self.had_s, self.looks = 0.0, 0
        self.aside: list[float] = []
        self._alone_s, self._beside_s = alone_s, beside_s
        self._looked_after = False

    def look(self) -> float:
        self.looks += 1
        if not self._looked_after:
            self.had_s += self._alone_s
        self._looked_after = False
        return self.had_s

    def stand_aside(self, seconds: float) -> None:
        self.aside.append(seconds)
        self.had_s += self._beside_s
        self._looked_after = True


async def looked_at(clock: Clock, looks: int, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Do work until the loop has looked at it so many times."""
    enough = threading.Event()

    def look(_: object) -> float:
        if clock.looks >= looks:
            enough.set()
        return clock.look()

    monkeypatch.setattr(background, "EVERY_S", 0.0001)
    monkeypatch.setattr(background, "stand_aside", clock.stand_aside)
    monkeypatch.setattr(background._Work, "begun", True)
    monkeypatch.setattr(background._Work, "had_s", property(look))
    await within(in_background(enough.wait), "the work")
    return clock


async def test_loop_stands_aside_for_what_gets_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(alone_s=SHARE_S / 10, beside_s=SHARE_S)
    await looked_at(clock, 40, monkeypatch)
    assert len(clock.aside) >= 20  # each time, and it looks before and after that
    assert set(clock.aside) == {SHARE_S}


async def test_loop_does_not_stand_aside_for_what_gets_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = await looked_at(Clock(alone_s=2 * SHARE_S, beside_s=SHARE_S), 40, monkeypatch)
    assert not clock.aside


async def test_loop_rarely_stands_aside_for_what_makes_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    wait = asyncio.wait

    async def noted(futures: tuple[asyncio.Future[bool]], **how: float) -> object:
        waits.append(how["timeout"])
        return await wait(futures, timeout=0.0001)

    monkeypatch.setattr(asyncio, "wait", noted)
    await looked_at(Clock(alone_s=0.0, beside_s=0.0), 60, monkeypatch)
    assert waits[:3] == [0.0001, 0.0002, 0.0004]
    assert waits[-1] == background.SELDOM_S
