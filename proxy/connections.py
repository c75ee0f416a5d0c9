"""Who is connected: every client connection and splice, chosen by what it belongs to, in pages.

A page looks at a bounded number of connections, so that ten thousand of them never hold the event
loop for long; whoever wants all asks for the next page, and lets the loop run in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from proxy.connection_view import (
    Belongs,
    ConnectionKind,
    ConnectionView,
    belonging,
    id_of,
    of_splice,
    serial_of,
    view,
)
from proxy.downstream.connection import ClientConnection
from proxy.errors import CLOSED_BY_OPERATOR
from proxy.exchange.runtime import Runtime
from proxy.spec import Pairs
from proxy.splice.relay import Splice

PAGE: Final = 100
"""Connections in a page, unless it is asked for otherwise."""

MAX_PAGE: Final = 250

LOOKS: Final = 2_000
"""Connections that are looked at for one page, whether or not they are in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which connections: those for which everything that is given holds.

    A connection of HTTP belongs to a route, pool and endpoint only during a request.
    """

    kind: ConnectionKind | None = None
    listener: str | None = None
    route: str | None = None
    pool: str | None = None
    endpoint: str | None = None
    """Name or address."""
    labels: Pairs = ()
    """Of the endpoint, as the present configuration has them; all must be there."""
    min_age_s: float | None = None
    min_idle_s: float | None = None

    @property
    def names_endpoints(self) -> bool:
        """It says something of endpoints beyond their pool."""
        return self.endpoint is not None or bool(self.labels)


ANY: Final = Selector()
"""Every connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list."""

    items: tuple[ConnectionView, ...]
    next: str | None
    """What to go on from; ``None``: that was all.  A page may be empty and have a next one."""


class Connections:
    """Everything that is live in a ``Runtime``."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime: Final = runtime

    def page(self, selector: Selector, cursor: str | None, limit: int, now: float) -> Page:
        """Return up to ``limit`` connections that a selector takes, the oldest first.

        Raise ``ValueError`` if ``cursor`` is none that a page has given.
        """
        live = self._runtime.live
        serials = list(live)  # ascending: numbers are given at the accept
        start = 0 if cursor is None else bisect_right(serials, serial_of(cursor))
        limit = min(limit, MAX_PAGE)
        items: list[ConnectionView] = []
        looked = start
        for serial in serials[start : start + LOOKS]:
            looked += 1
            one = live[serial]
            belongs = belonging(one, self._runtime.snapshot, now)
            if takes(selector, belongs, now):
                items.append(view(one, belongs, now))
                if len(items) == limit:
                    break
        more = looked < len(serials)
        return Page(items=tuple(items), next=id_of(serials[looked - 1]) if more else None)

    def view(self, name: str, now: float) -> ConnectionView | None:
        """Return one connection by its id."""
        one = self.find(name)
        return None if one is None else view(one, belonging(one, self._runtime.snapshot, now), now)

    def find(self, name: str) -> object | None:
        """Return the live connection itself."""
        try:
            return self._runtime.live.get(serial_of(name))
        except ValueError:
            return None

    def close(self, name: str, code: int, reason: str) -> bool:
        """Close a connection; return whether there is one of that id.

        Both ends of a WebSocket are told code and reason.  A request under way is cut.
        """
        found = self.find(name)
        if isinstance(found, Splice):
            found.close(code, reason)
        elif isinstance(found, ClientConnection):
            found.abort(CLOSED_BY_OPERATOR)
        return found is not None

    def select(self, selector: Selector, now: float) -> Iterator[object]:
        """Give every connection that a selector takes, in one go."""
        snapshot = self._runtime.snapshot
        # What thousands have in common is looked at once.
        known: dict[tuple[object, ...], bool] = {}
        lasting = replace(selector, min_age_s=None, min_idle_s=None)
        born = inf if selector.min_age_s is None else now - selector.min_age_s
        moved = inf if selector.min_idle_s is None else now - selector.min_idle_s
        for one in list(self._runtime.live.values()):
            if not isinstance(one, Splice):
                if takes(selector, belonging(one, snapshot, now), now):
                    yield one
            elif one.started <= born and one.moved_at <= moved:
                place = one.place
                if place is None:
                    raise TypeError(one)
                common = (
                    one.kind, place.listener, place.route, place.pool, place.endpoint_key,
                    place.endpoint, place.labels,
                )  # fmt: skip
                taken = known.get(common)
                if taken is None:
                    taken = known[common] = takes(lasting, of_splice(one, snapshot), now)
                if taken:
                    yield one

    def takes(self, selector: Selector, one: object, now: float) -> bool:
        """Tell whether a selector takes a connection."""
        place = one.place if isinstance(one, Splice) else None
        if place is not None and (
            selector.pool not in (None, place.pool) or selector.route not in (None, place.route)
        ):
            return False
        return takes(selector, belonging(one, self._runtime.snapshot, now), now)


def takes(selector: Selector, one: Belongs, now: float) -> bool:
    """Tell whether everything that a selector says holds."""
    return (
        (selector.kind is None or selector.kind == one.kind)
        and (selector.listener is None or selector.listener == one.listener)
        and (selector.route is None or selector.route == one.route)
        and (selector.pool is None or selector.pool == one.pool)
        and (selector.endpoint is None or selector.endpoint in (one.endpoint, one.endpoint_address))
        and (not selector.labels or _labelled(selector.labels, one.labels))
        and (selector.min_age_s is None or now - one.started >= selector.min_age_s)
        and (selector.min_idle_s is None or now - one.moved >= selector.min_idle_s)
    )


def _labelled(wanted: Pairs, labels: Pairs) -> bool:
    for pair in wanted:  # noqa: SIM110 - all() takes twice as long for the one that is usual
        if pair not in labels:
            return False
    return True
