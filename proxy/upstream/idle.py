"""Idle connections: which an endpoint keeps, the one used last on top, and when they are closed.

With thousands of endpoints all that a request touches of one is cold memory, and costs more than
what is done with it.  So nothing stands between an endpoint and its connections, which are linked
with each other, and a pass over the deadlines looks at those alone that may be due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from proxy.upstream.endpoint import Endpoint

_NEVER: Final = float("inf")


class Kept:
    """What a connection has to be kept by: its place on its endpoint, and in time."""

    __slots__ = ("endpoint", "idle_s", "idle_since", "newer", "older", "transport", "watched",
                 "watched_s")  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint: Final = endpoint
        self.idle_since = 0.0
        self.idle_s = _NEVER
        """After so many seconds it is closed."""
        self.older: Kept | None = None
        """The next one of its endpoint below this one, while it is idle."""
        self.newer: Kept | None = None
        """The next one above."""
        self.watched: set[Kept] | None = None
        """Those of the second in which it is looked at."""
        self.watched_s = _NEVER
        """What ``idle_s`` was when that second was chosen: right for all that are not shorter."""

    @property
    def idle(self) -> bool:
        """Whether it is among those of its endpoint."""
        return self.newer is not None or self.endpoint.idle is self

    def keep(self, idle_s: float, now: float) -> None:
        """Put it on top."""
        self.idle_s = idle_s
        self.idle_since = now
        endpoint = self.endpoint
        below: Kept | None = endpoint.idle
        if below is not None:
            self.older = below
            below.newer = self
        endpoint.idle = self
        endpoint.idle_count += 1

    def leave_idle(self) -> None:
        """Take it out, if it is there."""
        if not self.idle:
            return
        older, newer, endpoint = self.older, self.newer, self.endpoint
        if newer is None:
            endpoint.idle = older
        else:
            newer.older = older
            self.newer = None
        if older is not None:
            older.newer = newer
            self.older = None
        endpoint.idle_count -= 1


class Watch:
    """Closes connections that were idle for long enough.

    Each is looked at in the second in which it would be due, had it not been used since it came to
    stand there; if it was, it goes on to another one.  So using it moves nothing.
    """

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: Final[dict[int, set[Kept]]] = {}

    def add(self, connection: Kept) -> None:
        """Look at an idle connection when it is due."""
        self.remove(connection)
        due = int(connection.idle_since + connection.idle_s)
        connection.watched = self._seconds.setdefault(due, set())
        connection.watched.add(connection)
        connection.watched_s = connection.idle_s

    def remove(self, connection: Kept) -> None:
        """Look at it no more, until it is added again."""
        if connection.watched is not None:
            connection.watched.discard(connection)
            connection.watched = None
            connection.watched_s = _NEVER

    def close_idle(self, now: float) -> None:
        """Close what is due."""
        for second in [begun for begun in self._seconds if begun <= now]:
            for connection in self._seconds.pop(second):
                connection.watched = None
                connection.watched_s = _NEVER
                if not connection.idle:
                    continue
                if connection.idle_since + connection.idle_s <= now:
                    connection.transport.close()
                else:
                    self.add(connection)


def idle_connections(endpoint: Endpoint) -> Iterator[Kept]:
    """Give the idle connections of an endpoint, the one used last first."""
    connection: Kept | None = endpoint.idle
    while connection is not None:
        yield connection
        connection = connection.older


def make_room(endpoints: Iterable[Endpoint], most: int) -> None:
    """Close the connections that were idle for longest until there are at most so many."""
    pools = [endpoint for endpoint in endpoints if endpoint.idle_count]
    surplus = sum(endpoint.idle_count for endpoint in pools) - most
    if surplus <= 0:
        return
    kept = [connection for endpoint in pools for connection in idle_connections(endpoint)]
    for connection in sorted(kept, key=lambda one: one.idle_since)[:surplus]:
        connection.leave_idle()
        connection.transport.close()
