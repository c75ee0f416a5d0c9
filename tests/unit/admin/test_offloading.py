from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from itertools import groupby

import pytest

from admin import collector, offloading
from admin.offloading import INLINE_BYTES, Pieces, Piecewise, in_turns, offload


@Piecewise
def numbered(most: int, told: list[object]) -> Pieces[int]:
    for number in range(most):
        told.append(number)
        yield
    told.append(threading.get_ident())
    return most


def test_called_it_is_done_at_once() -> None:
    told: list[object] = []
    assert numbered(2, told) == 2
    assert told == [0, 1, threading.get_ident()]


async def test_traffic_goes_on_between_pieces_of_little_work_and_after_it() -> None:
    told: list[object] = []

    async def traffic() -> None:
        while True:
            told.append("traffic")
            await asyncio.sleep(0)

    others = asyncio.create_task(traffic())
    assert await offload(INLINE_BYTES, numbered, 2, told) == 2
    others.cancel()
    assert told == [0, "traffic", 1, "traffic", threading.get_ident(), "traffic"]


async def test_much_work_is_done_in_a_thread_in_one_go() -> None:
    told: list[object] = []
    assert await offload(INLINE_BYTES + 1, numbered, 2, told) == 2
    assert told[:2] == [0, 1]
    assert told[2] != threading.get_ident()


@pytest.mark.parametrize(("traffic_us", "at_once"), [(0, 2), (100, 2), (2_000, 9), (100_000, 17)])
async def test_pieces_and_traffic_take_turns_the_longer_the_busier_the_loop(
    traffic_us: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_us = 0
    told: list[str] = []
    monkeypatch.setattr(offloading, "perf_counter", lambda: clock_us / 1e6)

    def pieces() -> Iterator[int]:
        nonlocal clock_us
        for number in range(40):
            clock_us += 60
            told.append("piece")
            yield number

    async def traffic() -> None:
        nonlocal clock_us
        while True:
            told.append("traffic")
            clock_us += traffic_us
            await asyncio.sleep(0)

    others = asyncio.create_task(traffic())
    assert await in_turns(pieces()) == list(range(40))
    others.cancel()
    turns = [len(list(group)) for what, group in groupby(told) if what == "piece"]
    assert turns[0] == 2  # nothing is known of the traffic yet
    assert set(turns[1:-1]) == {at_once}


async def test_collector_waits_for_much_work_and_goes_on_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = gc.get_threshold()
    monkeypatch.setattr(collector, "WAITS_S", 3600.0)
    try:
        assert await offload(INLINE_BYTES + 1, gc.get_threshold) == (collector.MANY, *before[1:])
        monkeypatch.setattr(collector, "WAITS_S", 0.0)
        await offload(INLINE_BYTES + 1, gc.get_threshold)
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, later.set)
        await later.wait()
        assert await offload(INLINE_BYTES, gc.get_threshold) == collector.THRESHOLD
    finally:
        gc.set_threshold(*before)
