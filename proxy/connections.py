"""Who is connected: every client connection and splice, chosen by what it belongs to, in pages.

A page looks at a bounded number of connections, so that ten thousand of them never hold the event
loop for long; whoever wants all asks for the next page, and lets the loop run in between.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from proxy.downstream.connection import ClientConnection
from proxy.errors import CLOSED_BY_OPERATOR
from proxy.exchange.runtime import Runtime
from proxy.snapshot import Snapshot
from proxy.spec import Pairs
from proxy.splice.half import FrameHalf, Half
from proxy.splice.relay import Splice

ConnectionKind = Literal["http", "websocket", "tunnel"]

PAGE: Final = 100
"""Connections in a page, unless it is asked for otherwise."""

MAX_PAGE: Final = 250

LOOKS: Final = 2_000
"""Connections that are looked at for one page, whether or not they are in it."""

_RUN: Final = os.urandom(3).hex()
"""Part of every id, so that it does not mean another connection after a restart."""


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
class Direction:
    """What came from one end and was passed on."""

    octets: int
    frames: int | None = None
    """``None``: it has no frames, or they could not be followed."""
    messages: int | None = None
    close_code: int | None = None
    """The code of its Close frame, if it sent one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """A connection, at one moment."""

    id: str
    kind: ConnectionKind
    state: Literal["idle", "busy", "open", "closing"]
    """``idle`` and ``busy`` for HTTP, the others for splices."""
    client: str
    """Address of its other end: ``host:port``, ``[v6]:port`` or ``unix:``."""
    server: str
    """Our own address that it came to."""
    listener: str
    route: str | None
    pool: str | None
    endpoint: str | None
    endpoint_address: str | None
    labels: Pairs
    revision: int | None
    """Of the configuration that the request, or the one that was upgraded, was routed by."""
    request_id: str | None
    started: float
    """When it was accepted, or upgraded; seconds since 1970."""
    age_s: float
    idle_s: float
    """Since something came from either end: up to ``proxy.splice.relay.ACTIVITY_S`` too much."""
    requests: int
    """How many came over it; a splice began with its last."""
    from_client: Direction
    """For HTTP, of the bodies of the present exchange."""
    from_upstream: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list."""

    items: tuple[ConnectionView, ...]
    next: str | None
    """What to go on from; ``None``: that was all.  A page may be empty and have a next one."""


class Belongs(NamedTuple):
    """What a selector asks about, of one connection."""

    kind: ConnectionKind
    listener: str
    route: str | None
    pool: str | None
    endpoint: str | None
    endpoint_address: str | None
    labels: Pairs
    started: float
    moved: float


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
        start = 0 if cursor is None else bisect_right(serials, _serial(cursor))
        limit = min(limit, MAX_PAGE)
        items: list[ConnectionView] = []
        looked = start
        for serial in serials[start : start + LOOKS]:
            looked += 1
            one = live[serial]
            belongs = self._belongs(one, now)
            if takes(selector, belongs, now):
                items.append(self._view(one, belongs, now))
                if len(items) == limit:
                    break
        more = looked < len(serials)
        return Page(items=tuple(items), next=_id(serials[looked - 1]) if more else None)

    def view(self, name: str, now: float) -> ConnectionView | None:
        """Return one connection by its id."""
        one = self.find(name)
        return None if one is None else self._view(one, self._belongs(one, now), now)

    def find(self, name: str) -> object | None:
        """Return the live connection itself."""
        try:
            return self._runtime.live.get(_serial(name))
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
        for one in list(self._runtime.live.values()):
            # As ``takes``, but ten thousand times in one go.
            if isinstance(one, Splice):
                belongs = _of_splice(one, snapshot)
            else:
                belongs = self._belongs(one, now)
            if takes(selector, belongs, now):
                yield one

    def takes(self, selector: Selector, one: object, now: float) -> bool:
        """Tell whether a selector takes a connection."""
        place = one.place if isinstance(one, Splice) else None
        if place is not None and (
            selector.pool not in (None, place.pool) or selector.route not in (None, place.route)
        ):
            return False
        return takes(selector, self._belongs(one, now), now)

    def _belongs(self, one: object, now: float) -> Belongs:
        if isinstance(one, Splice):
            return _of_splice(one, self._runtime.snapshot)
        if not isinstance(one, ClientConnection):
            raise TypeError(one)
        return _of_client(one, now)

    def _view(self, one: object, belongs: Belongs, now: float) -> ConnectionView:
        if isinstance(one, Splice):
            return _splice_view(one, belongs, now)
        if not isinstance(one, ClientConnection):
            raise TypeError(one)
        return _client_view(one, belongs, now)


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


def _of_splice(splice: Splice, snapshot: Snapshot) -> Belongs:
    place = splice.place
    if place is None:
        raise TypeError(splice)
    # A label that the endpoint has got since counts; a splice belongs to its endpoint.
    upstream = snapshot.pools.get(place.pool)
    member = None if upstream is None else upstream.plan.member_at(place.endpoint_key)
    return Belongs(
        splice.kind, place.listener, place.route, place.pool,
        place.endpoint if member is None else member.name,
        place.endpoint_address,
        place.labels if member is None else member.labels,
        splice.started, splice.moved_at,
    )  # fmt: skip


def _of_client(client: ClientConnection, now: float) -> Belongs:
    exchange = client.exchange
    route = pool = name = address = None
    labels: Pairs = ()
    if exchange is not None:
        route = None if exchange.route is None else exchange.route.name
        if exchange.member is not None:
            pool, name = exchange.pool_name, exchange.member.name
            address, labels = exchange.member.endpoint.address, exchange.member.labels
    since = client.peer.started
    return Belongs(
        "http", client.listener.name, route, pool, name, address, labels, since,
        now if exchange is not None else client.idle_since,
    )  # fmt: skip


def _splice_view(splice: Splice, belongs: Belongs, now: float) -> ConnectionView:
    place = splice.place
    if place is None:
        raise TypeError(splice)
    return _made(
        belongs, now, place.serial, place.client, place.server,
        state="closing" if splice.closing else "open",
        revision=place.revision,
        request_id=place.request_id.decode("ascii", "replace"),
        requests=place.ordinal,
        from_client=_direction(splice.client),
        from_upstream=_direction(splice.upstream),
    )  # fmt: skip


def _direction(half: Half) -> Direction:
    if not isinstance(half, FrameHalf):
        return Direction(octets=half.octets)
    tracker = half.tracker
    followed = tracker.tracked
    return Direction(
        octets=tracker.octets,
        frames=tracker.frames if followed else None,
        messages=tracker.messages if followed else None,
        close_code=tracker.close_code,
    )


def _client_view(client: ClientConnection, belongs: Belongs, now: float) -> ConnectionView:
    exchange, peer = client.exchange, client.peer
    return _made(
        belongs, now, peer.serial, peer.client_end, peer.server_end,
        state="idle" if exchange is None else "busy",
        revision=None if exchange is None else exchange.snapshot.number,
        request_id=None
        if exchange is None
        else exchange.request.request_id.decode("ascii", "replace"),
        requests=client.requests,
        from_client=Direction(octets=0 if exchange is None else exchange.body.octets),
        from_upstream=Direction(octets=0 if exchange is None else exchange.bytes_out),
    )  # fmt: skip


def _made(
    belongs: Belongs,
    now: float,
    serial: int,
    client: str,
    server: str,
    *,
    state: Literal["idle", "busy", "open", "closing"],
    revision: int | None,
    request_id: str | None,
    requests: int,
    from_client: Direction,
    from_upstream: Direction,
) -> ConnectionView:
    age_s = max(0.0, now - belongs.started)
    return ConnectionView(
        id=_id(serial),
        kind=belongs.kind,
        state=state,
        client=client,
        server=server,
        listener=belongs.listener,
        route=belongs.route,
        pool=belongs.pool,
        endpoint=belongs.endpoint,
        endpoint_address=belongs.endpoint_address,
        labels=belongs.labels,
        revision=revision,
        request_id=request_id,
        started=time.time() - age_s,
        age_s=age_s,
        idle_s=max(0.0, now - belongs.moved),
        requests=requests,
        from_client=from_client,
        from_upstream=from_upstream,
    )


def _id(serial: int) -> str:
    return f"{_RUN}-{serial}"


def _serial(name: str) -> int:
    """Read an id; ``ValueError`` if this process has given none of that form."""
    run, _, number = name.partition("-")
    if run != _RUN or not number.isascii() or not number.isdigit():
        raise ValueError(f"{name!r} is not the id of a connection of this process")
    return int(number)
