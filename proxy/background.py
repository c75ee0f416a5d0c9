"""Long work beside the traffic: in a thread that waits for the event loop, but not for ever.

A thread beside the loop has its core, and the interpreter lock, in turns with it.  Of two equal
threads of one core the scheduler lets each run for some milliseconds before the other may as much
as ask for the lock.  So these threads have a low priority, and the loop comes back at once.  Where
it leaves nothing over, it stands aside for them now and then.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

WORKERS: Final = 4
"""So much may be worked on at a time; what comes besides waits."""

NICE: Final = 10
"""The priority, of Linux's.  The lowest, 19, is no better for requests, but beside busy processes
such a thread hardly runs, and the loop waits as long for the interpreter lock that it has."""

EVERY_S: Final = 0.004
SHARE_S: Final = 0.001
"""Work that had a core for less than ``SHARE_S`` in ``EVERY_S`` gets so much next, in seconds."""

SELDOM_S: Final = 1.0
"""So rarely is it offered to work that made nothing of it: it waits for a disk, for one."""


async def in_background(do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work in a thread, and raise what it raises.

    Who is cancelled does not wait for it; what has begun goes on to its end.
    """
    work = _Work(partial(do, *args, **kwargs))
    future = asyncio.get_running_loop().run_in_executor(_threads, work)
    had_s, every_s = 0.0, EVERY_S
    try:
        while not (await asyncio.wait((future,), timeout=every_s))[0]:
            if (now_s := work.had_s) - had_s < SHARE_S and work.begun:
                stand_aside(SHARE_S)
                had_s = work.had_s
                useful = had_s - now_s > SHARE_S / 4
                every_s = EVERY_S if useful else min(every_s * 2, SELDOM_S)
            else:
                had_s, every_s = now_s, EVERY_S
    finally:
        future.cancel()
    return future.result()


stand_aside: Final = time.sleep
"""Leave the core, and the interpreter lock, to the threads for so many seconds."""


class _Work(Generic[T]):
    """Something to be done, and how long its thread has had a core."""

    def __init__(self, do: Callable[[], T]) -> None:
        self._do: Final = do
        self._clock: int | None = None
        self._before_s = 0.0

    def __call__(self) -> T:
        if sys.platform == "linux":
            clock = time.pthread_getcpuclockid(threading.get_ident())
            self._before_s = time.clock_gettime(clock)
            self._clock = clock
        return self._do()

    @property
    def begun(self) -> bool:
        """It has a thread, and a system that tells how long that ran."""
        return self._clock is not None

    @property
    def had_s(self) -> float:
        """Seconds of a core."""
        return 0.0 if self._clock is None else time.clock_gettime(self._clock) - self._before_s


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere it would be the priority of the process
        with suppress(OSError):  # a sandbox may forbid it; then work and loop share as equals
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


_threads: Final = ThreadPoolExecutor(WORKERS, "background", _give_way)
