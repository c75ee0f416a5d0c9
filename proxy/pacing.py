"""Closing many connections one after another: their clients shall not come back all at once."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection
from typing import Final, Protocol

from proxy.splice.closing import ECHO_S

JITTER_S: Final = 1.0
"""How much later than evenly a connection may be told to close, at most, in seconds."""


class Closable(Protocol):
    """A connection that can be told to close."""

    @property
    def ended(self) -> bool:
        """It is closed on both sides."""

    def close(self, code: int, reason: str, *, by: float | None) -> None:
        """Close; until ``by`` it may take to begin (monotonic seconds)."""

    def abort(self) -> None:
        """Cut it."""


class Pace:
    """Some connections, each of which is told to close at a time of its own.

    They follow each other at ``rate`` a second, faster if ``ends_at`` asks for it; without a rate
    they are spread over the time there is.  It ends at ``ends_at`` (monotonic seconds), when what
    is left is cut; the last are told early enough to answer.
    """

    __slots__ = ("_code", "_ends_at", "_queue", "_rate", "_reason", "_told", "selected")

    def __init__(self, code: int, reason: str, rate: float | None, ends_at: float) -> None:
        self._code: Final = code
        self._reason: Final = reason
        self._rate: Final = rate
        self._ends_at: Final = ends_at
        self._queue: Final[deque[tuple[float, Closable]]] = deque()
        self._told: list[Closable] = []
        self.selected = 0
        """How many there were."""

    @property
    def remaining(self) -> int:
        """How many of them live."""
        return sum(not one.ended for _, one in self._queue) + sum(
            not one.ended for one in self._told
        )

    @property
    def pending(self) -> bool:
        """Some are yet to be told."""
        return bool(self._queue)

    @property
    def done(self) -> bool:
        """None of them lives."""
        return not self.remaining

    def include(self, connections: Collection[Closable], now: float) -> None:
        """Take connections in, to be closed in this order after those already there."""
        if not connections:
            return
        self.selected += len(connections)
        left_s = max(0.0, self._ends_at - now)
        step = max(0.0, left_s - min(ECHO_S, left_s / 5)) / len(connections)
        if self._rate is not None:
            step = min(1 / self._rate, step)
        start = max(now, self._queue[-1][0]) if self._queue else now
        jitter = min(step, JITTER_S)
        self._queue.extend(
            (start + number * step + random.random() * jitter, one)
            for number, one in enumerate(connections)
        )

    def sweep(self, now: float) -> None:
        """Tell those whose time has come; cut what is left at the end."""
        queue = self._queue
        while queue and (queue[0][0] <= now or now >= self._ends_at):
            one = queue.popleft()[1]
            if not one.ended:
                one.close(self._code, self._reason, by=self._ends_at)
                self._told.append(one)
        self._told = [one for one in self._told if not one.ended]
        if now >= self._ends_at:
            for one in self._told:
                one.abort()

    def cancel(self) -> None:
        """Close no further ones, and cut none."""
        self._queue.clear()
        self._told.clear()
