"""A client connection or a splice at one moment: what it belongs to, and what is told of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from proxy.downstream.connection import ClientConnection
from proxy.snapshot import Snapshot
from proxy.spec import Pairs
from proxy.splice.half import FrameHalf, Half
from proxy.splice.relay import Splice

ConnectionKind = Literal["http", "websocket", "tunnel"]

_RUN: Final = os.urandom(3).hex()
"""Part of every id, so that it does not mean another connection after a restart."""


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


def belonging(one: object, snapshot: Snapshot, now: float) -> Belongs:
    """Tell what a live connection belongs to."""
    if isinstance(one, Splice):
        return of_splice(one, snapshot)
    if not isinstance(one, ClientConnection):
        raise TypeError(one)
    return _of_client(one, now)


def view(one: object, belongs: Belongs, now: float) -> ConnectionView:
    """Look at a live connection."""
    if isinstance(one, Splice):
        return _splice_view(one, belongs, now)
    if not isinstance(one, ClientConnection):
        raise TypeError(one)
    return _client_view(one, belongs, now)


def of_splice(splice: Splice, snapshot: Snapshot) -> Belongs:
    """Tell what a splice belongs to."""
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
        id=id_of(serial),
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


def id_of(serial: int) -> str:
    """Return the id of a connection by its number."""
    return f"{_RUN}-{serial}"


def serial_of(name: str) -> int:
    """Read an id; ``ValueError`` if this process has given none of that form."""
    run, _, number = name.partition("-")
    if run != _RUN or not number.isascii() or not number.isdigit():
        raise ValueError(f"{name!r} is not the id of a connection of this process")
    return int(number)
