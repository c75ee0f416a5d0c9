"""Selective drains: some connections are told to close, paced, and their endpoints left alone.

A drain has a name, and closes connections from its start to its timeout.  If it *cordons*, the
endpoints that it selects are given no new work until it is cancelled, whatever becomes of the
configuration, and connections that requests under way turn into are closed too.  With a
``fraction`` it closes a part of what there is, chosen at random, so that it spreads anew after a
pool has grown.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from proxy import errors
from proxy.connections import ANY, Connections, Selector
from proxy.downstream.connection import ClientConnection
from proxy.exchange.runtime import Runtime
from proxy.pacing import Closable, Pace
from proxy.splice.relay import Splice
from proxy.upstream.endpoint import Endpoint, Member
from proxy.upstream.pool import Pool

MAX_DRAINS: Final = 100
"""Drains that are remembered; the oldest that is over is forgotten first."""

PARTS: Final = 10
"""Progress is told when a further one of so many parts is closed."""

LOOK_S: Final = 1.0
"""Seconds between two looks at connections that are yet to be told."""

DrainState = Literal["draining", "drained", "cancelled"]


class TooManyDrainsError(Exception):
    """So many drains run, or cordon, that no further one is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOrder:
    """What a drain is to do."""

    selector: Selector
    """At least one thing has to be said."""
    cordon: bool | None = None
    """The endpoints of the selector's pool, endpoint and labels take no new work.  ``None``: if it
    names endpoints or labels, and no fraction is wanted; a whole pool only if that is said."""
    fraction: float | None = None
    """Close only so much of what is selected, from 0 to 1."""
    code: int = 1012
    reason: str = "service restart"
    """What WebSockets are told."""
    rate: float = 100.0
    """Connections closed in a second; more, if the timeout asks for it."""
    timeout_s: float = 30.0
    """What is still open after this is cut."""
    author: str = field(default="", compare=False)
    note: str | None = field(default=None, compare=False)
    """Who wants it, and why; the same order by somebody else is the same order."""

    @property
    def cordons(self) -> bool:
        """Whether endpoints take no new work."""
        if self.cordon is None:
            return self.selector.names_endpoints and self.fraction is None
        return self.cordon


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainProgress:
    """How far a drain is."""

    name: str
    order: DrainOrder
    since: float
    """When it was started, in seconds since 1970."""
    selected: int
    closed: int
    remaining: int
    cordoned: tuple[str, ...]
    """Pool and name of each endpoint that takes no new work because of it: ``pool/endpoint``."""
    done: bool
    """None of the connections is left."""


Told = Callable[[DrainState, DrainProgress], None]


class Drain:
    """One of them."""

    __slots__ = (
        "_look_at",
        "_part",
        "cordoned",
        "ends_at",
        "name",
        "order",
        "over",
        "pace",
        "since",
    )

    def __init__(self, name: str, order: DrainOrder, now: float) -> None:
        self.name: Final = name
        self.order: Final = order
        self.since: Final = time.time()
        self.ends_at: Final = now + order.timeout_s
        self.pace: Final = Pace(order.code, order.reason, order.rate, self.ends_at)
        self.cordoned: list[tuple[Pool, Member]] = []
        self.over = False
        """Nothing is closed any more."""
        self._part = 0
        self._look_at = 0.0

    def news(self, now: float) -> DrainState | None:
        """Say how far it is, if that is news: at a further part of it, and at the end.

        Looks at all connections once in ``LOOK_S``; once all are told to close, at those left.
        """
        waits = now < self._look_at if self.pace.pending else self._part == PARTS
        if waits:
            return None
        self._look_at = now + LOOK_S
        remaining, selected = self.pace.remaining, self.pace.selected
        part = PARTS * (selected - remaining) // selected if selected else PARTS
        if part == self._part:
            return None
        self._part = part
        return "draining" if remaining else "drained"

    def progress(self) -> DrainProgress:
        """Say how far it is."""
        remaining = self.pace.remaining
        return DrainProgress(
            name=self.name,
            order=self.order,
            since=self.since,
            selected=self.pace.selected,
            closed=self.pace.selected - remaining,
            remaining=remaining,
            cordoned=tuple(f"{pool.name}/{member.name}" for pool, member in self.cordoned),
            done=not remaining,
        )


class Drains:
    """All that are remembered."""

    __slots__ = ("_connections", "_cordons", "_drains", "_runtime", "told")

    def __init__(self, runtime: Runtime, connections: Connections) -> None:
        self._runtime: Final = runtime
        self._connections: Final = connections
        self._drains: Final[dict[str, Drain]] = {}
        self._cordons: dict[Endpoint, tuple[Pool, str]] = {}
        self.told: Told | None = None
        """Told of every drain: when it begins, how far it is, and how it ends."""

    @property
    def busy(self) -> bool:
        """Connections are yet to be told."""
        return any(drain.pace.pending for drain in self._drains.values())

    def start(self, name: str, order: DrainOrder, now: float) -> DrainProgress:
        """Start a drain.  One of that name with the same order goes on; with another, it is ended.

        Raise ``ValueError`` if the selector takes everything, ``TooManyDrainsError``.
        """
        if order.selector == ANY:
            raise ValueError("the selector takes every connection; a process drain is for that")
        present = self._drains.get(name)
        if present is not None:
            if present.order == order:
                return present.progress()
            self.cancel(name, order.author)
        self._make_room()
        drain = self._drains[name] = Drain(name, order, now)
        selected = [
            closable
            for one in self._connections.select(order.selector, now)
            if (closable := self._closable(one, order.selector)) is not None
        ]
        if order.fraction is not None:
            selected = random.sample(selected, round(order.fraction * len(selected)))
        else:
            selected.sort(key=lambda _: random.random())  # shuffle() takes twice as long
        drain.pace.include(selected, now)
        self.published()
        progress = drain.progress()
        if self.told is not None:
            self.told("draining", progress)
        return progress

    def cancel(self, name: str, author: str = "") -> bool:
        """Close no further connections, give endpoints work again, and forget the drain.

        ``author`` wants it.  Return whether there was one of that name.
        """
        drain = self._drains.pop(name, None)
        if drain is None:
            return False
        progress = drain.progress()  # of those whom the pace is about to forget
        drain.pace.cancel()
        self.published()
        if self.told is not None:
            order = replace(drain.order, author=author, note=None)
            self.told("cancelled", replace(progress, order=order))
        return True

    def get(self, name: str) -> DrainProgress | None:
        """Return how far a drain is."""
        drain = self._drains.get(name)
        return None if drain is None else drain.progress()

    def all(self) -> tuple[DrainProgress, ...]:
        """Return how far each is, the oldest first."""
        return tuple(drain.progress() for drain in self._drains.values())

    def joined(self, splice: Splice, now: float) -> None:
        """Receive: a splice was made."""
        for drain in self._drains.values():
            order = drain.order
            if (
                not drain.over
                and order.fraction is None
                and order.cordons
                and self._connections.takes(order.selector, splice, now)
            ):
                drain.pace.include([splice], now)

    def sweep(self, now: float) -> None:
        """Close what is due."""
        for drain in self._drains.values():
            if not drain.over:
                drain.pace.sweep(now)
                drain.over = now >= drain.ends_at
            if self.told is not None and (state := drain.news(now)) is not None:
                self.told(state, drain.progress())

    def published(self) -> None:
        """Cordon the endpoints that the drains select in the present configuration, and no other.

        O(endpoints) while a drain cordons.
        """
        cordons: dict[Endpoint, tuple[Pool, str]] = {}
        for drain in self._drains.values():
            drain.cordoned = list(self._selected_endpoints(drain.order))
            for pool, member in drain.cordoned:
                _, others = cordons.get(member.endpoint, (pool, ""))
                names = f"{others}, {drain.name}" if others else drain.name
                cordons[member.endpoint] = pool, names
        for endpoint, (pool, _) in self._cordons.items():
            if endpoint not in cordons:
                pool.cordon(endpoint, "")
        for endpoint, (pool, names) in cordons.items():
            if endpoint.cordoned != names or endpoint not in pool.standing.suspects:
                pool.cordon(endpoint, names)
        self._cordons = cordons

    def _selected_endpoints(self, order: DrainOrder) -> Iterator[tuple[Pool, Member]]:
        selector = order.selector
        if not order.cordons or not (selector.names_endpoints or selector.pool is not None):
            return
        wanted = set(selector.labels)
        for name, upstream in self._runtime.snapshot.pools.items():
            if selector.pool not in (None, name):
                continue
            for member in upstream.plan.members:
                known = (member.name, member.endpoint.address)
                if selector.endpoint not in (None, *known) or not wanted <= set(member.labels):
                    continue
                yield upstream.plan.pool, member

    def _closable(self, one: object, selector: Selector) -> Closable | None:
        """Return what a drain may close: a connection of HTTP belongs to no endpoint for long."""
        if isinstance(one, Splice):
            return one
        if (
            isinstance(one, ClientConnection)
            and not selector.names_endpoints
            and selector.pool is None
            and selector.route is None
        ):
            return _Client(one, self._runtime)
        return None

    def _make_room(self) -> None:
        if len(self._drains) < MAX_DRAINS:
            return
        for name, drain in self._drains.items():
            if drain.over and not drain.cordoned:
                del self._drains[name]
                return
        raise TooManyDrainsError(f"{MAX_DRAINS} drains run, or keep endpoints from new work")


class _Client:
    """A connection of HTTP: it ends after the request under way."""

    __slots__ = ("_connection", "_runtime")

    def __init__(self, connection: ClientConnection, runtime: Runtime) -> None:
        self._connection: Final = connection
        self._runtime: Final = runtime

    @property
    def ended(self) -> bool:
        """It is closed, or has become a splice."""
        live = self._runtime.live.get(self._connection.peer.serial)
        return live is not self._connection

    def close(self, code: int, reason: str, *, by: float | None) -> None:
        """Take the request under way for the last."""
        self._connection.last_request = True
        self._connection.close_idle()

    def abort(self) -> None:
        """Cut it."""
        self._connection.abort(errors.DRAIN_TIMEOUT)
