"""The drain that ends a process: doors stay open for a moment, then WebSockets are told to go.

One budget: at its end whatever is left is cut.  Requests, and tunnels that no Close frame could
tell, have all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from proxy.pacing import Pace
from proxy.splice.closing import GOING_AWAY
from proxy.splice.relay import Splice

REASON: Final = "server shutdown"
"""What WebSockets are told, beside 1001."""


class ProcessDrain:
    """Whether one is under way, and how far it is."""

    __slots__ = ("_accept_until", "_pace", "_until", "done")

    def __init__(self) -> None:
        self.done: Final = asyncio.Event()
        self._until: float | None = None
        self._accept_until: float | None = None
        self._pace: Pace | None = None

    @property
    def active(self) -> bool:
        """A drain is under way, or done."""
        return self._until is not None

    @property
    def doors_closed(self) -> bool:
        """No new connections are wanted."""
        return self._until is not None and self._accept_until is None

    @property
    def pacing(self) -> bool:
        """WebSockets are yet to be told."""
        return self._pace is not None and self._pace.pending

    def begin(self, now: float, timeout_s: float, accept_s: float) -> None:
        """Start the clock; only the first time does anything."""
        if self._until is None:
            self._until = now + timeout_s
            self._accept_until = now + min(accept_s, timeout_s)

    def undo(self) -> None:
        """Call it off; connections that were told to close stay so."""
        self._until = self._accept_until = self._pace = None
        self.done.clear()

    def close_doors(self, now: float) -> bool:
        """Tell, once, that it is time to accept no more."""
        if self._accept_until is None or now < self._accept_until:
            return False
        self._accept_until = None
        return True

    def say_goodbye(self, splices: Iterable[Splice], now: float) -> None:
        """Close the WebSockets among ``splices``, paced over the time that is left."""
        if self._until is not None:
            self._pace = Pace(GOING_AWAY, REASON, None, self._until)
            self._pace.include([one for one in splices if one.kind == "websocket"], now)

    def joined(self, splice: Splice, now: float) -> None:
        """Receive: a splice was made by a request that was under way."""
        if self._pace is not None and splice.kind == "websocket":
            self._pace.include([splice], now)

    def sweep(self, now: float) -> bool:
        """Close what is due; return whether the budget is spent."""
        if self._pace is not None:
            self._pace.sweep(now)
        return self._until is not None and now >= self._until
