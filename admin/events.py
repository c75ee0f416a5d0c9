"""What happens, told as it does to whoever listens: ``/v1/events``.

The last events are kept in one ring, and a listener is a place in it.  So one that reads slowly
costs nothing and holds up nobody: what falls off the ring before it was read is lost to it, and it
is told how many those were.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

KEPT: Final = 1_000
"""Events in the ring; a listener may be that far behind, and resume from that long ago."""

LISTENERS: Final = 32
"""At a time."""

LISTED: Final = 50
"""Objects that an event names, at most; ``more`` counts the rest."""

Kind = Literal["revision", "endpoint", "override", "drain", "discovery"]


class TooManyListenersError(Exception):
    """There are ``LISTENERS`` already."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    number: int
    """From 1, without gaps, in the order in which things happened."""
    kind: Kind
    data: bytes
    """As JSON, on one line."""


class Events:
    """The ring, and who listens."""

    def __init__(self) -> None:
        # Numbers begin anew with each process; so that nobody takes one's for another's:
        self._process: Final = f"{time.time_ns() // 1_000_000:x}"
        self._ring: Final[deque[Event]] = deque(maxlen=KEPT)
        self._listeners: Final[set[Listener]] = set()
        self._closed = False
        self.last = 0
        """The number of the last event."""

    def emit(self, kind: Kind, **facts: object) -> None:
        """Tell of something.  Costs the same however many listen slowly."""
        self.last += 1
        told = {"time": time.time(), **facts}
        data = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        self._ring.append(Event(self.last, kind, data.encode("utf-8", "replace")))
        self._wake()

    def listen(self, last_seen: str | None = None) -> Listener:
        """Listen from now on, or from behind the event whose id was last seen.

        An id of another process, or of no event, misses an unknown number of events and gets all
        that are kept.  Raise ``TooManyListenersError``.
        """
        if len(self._listeners) >= LISTENERS:
            raise TooManyListenersError
        listener = Listener(self, self.last)
        if last_seen is not None:
            listener.resume(self._number(last_seen))
        self._listeners.add(listener)
        return listener

    def id_of(self, number: int) -> str:
        """Return what stands for an event, in this process and after it."""
        return f"{self._process}-{number}"

    @property
    def oldest(self) -> int:
        """The number of the first event that is kept, or of the next one if none is."""
        return self.last - len(self._ring) + 1

    def behind(self, number: int) -> Sequence[Event]:
        """Return the events that are kept and came behind one."""
        return list(islice(self._ring, max(number + 1 - self.oldest, 0), None))

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """Let all listeners go, for good."""
        self._closed = True
        self._wake()

    @property
    def closed(self) -> bool:
        """Whether nothing will be told any more."""
        return self._closed

    def _number(self, text: str) -> int | None:
        process, _, digits = text.rpartition("-")
        if process != self._process or not digits.isdecimal() or len(digits) > 18:
            return None
        number = int(digits)
        return number if number <= self.last else None

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()


class Listener:
    """One who listens: a place in the ring."""

    __slots__ = ("_events", "_missed_unknown", "_news", "_seen")

    def __init__(self, events: Events, seen: int) -> None:
        self._events: Final = events
        self._seen = seen
        self._news: Final = asyncio.Event()
        self._missed_unknown = False

    def resume(self, seen: int | None) -> None:
        """Go on behind an event; ``None``: nobody can tell which."""
        self._seen = 0 if seen is None else seen
        self._missed_unknown = seen is None

    @property
    def seen(self) -> int:
        """The number of the last event that was taken, or passed over."""
        return self._seen

    def wake(self) -> None:
        """Learn that there is something new."""
        self._news.set()

    async def wait(self) -> None:
        """Return when there is something to take, or nothing will be told any more."""
        while self._seen >= self._events.last and not self._events.closed:
            self._news.clear()
            await self._news.wait()

    def lost(self) -> int | None:
        """Return how many events this one has missed since it was last asked.

        ``None`` stands for a number that nobody knows.
        """
        if self._missed_unknown:
            self._missed_unknown = False
            self._seen = max(self._seen, self._events.oldest - 1)
            return None
        missed = max(self._events.oldest - 1 - self._seen, 0)
        self._seen += missed
        return missed

    def take(self) -> Sequence[Event]:
        """Return what is new to this one, in order."""
        news = self._events.behind(self._seen)
        self._seen = self._events.last
        return news

    def close(self) -> None:
        """Listen no more."""
        self._events.leave(self)


def listed(names: Sequence[str]) -> dict[str, object]:
    """Name some of many objects."""
    return {"changed": list(names[:LISTED]), "more": max(len(names) - LISTED, 0)}
