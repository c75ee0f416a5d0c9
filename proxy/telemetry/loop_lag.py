"""How late the event loop runs: the one number that says that this process is overloaded.

A timer is set every ``TICK_S`` and looks how much later than asked it is called.  The greatest
delay of a window of ``WINDOW_S`` is kept, and that of the window before, so that a scrape sees each
delay for at least ten and at most twenty seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.05
WINDOW_S: Final = 10.0


class LoopLag:
    """The lag of the running event loop; ``clock`` gives monotonic seconds."""

    __slots__ = ("_clock", "_current", "_due", "_previous", "_timer", "_window_end")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._window_end = 0.0
        self._current = 0.0
        self._previous = 0.0

    @property
    def seconds(self) -> float:
        """The greatest delay of this window and the one before; 0.0 before the first tick."""
        return max(self._current, self._previous)

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Measure ``loop``, or else the running one; only the first call does anything."""
        if self._timer is None:
            loop = loop or asyncio.get_running_loop()
            self._window_end = self._clock() + WINDOW_S
            self._set(loop)

    def stop(self) -> None:
        """Measure no longer; ``seconds`` keeps what it was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = self._clock() + TICK_S
        self._timer = loop.call_later(TICK_S, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._clock()
        if now >= self._window_end:
            self._previous, self._current = self._current, 0.0
            self._window_end = now + WINDOW_S
        self._current = max(self._current, now - self._due)
        self._set(loop)
