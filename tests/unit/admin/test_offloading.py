from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from admin import collector
from admin.offloading import INLINE_BYTES, Pieces, Piecewise, offload


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


async def test_collector_waits_for_much_work_and_goes_on_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = gc.get_threshold()
    monkeypatch.setattr(collector, "WAITS_S", 0.0)
    try:
        assert await offload(INLINE_BYTES + 1, gc.get_threshold) == (collector.MANY, *before[1:])
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, later.set)
        await later.wait()
        assert await offload(INLINE_BYTES, gc.get_threshold) == collector.THRESHOLD
    finally:
        gc.set_threshold(*before)
