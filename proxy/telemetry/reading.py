"""One consistent look at everything that is live: what ``/metrics`` and ``/v1/status`` show.

``proxy.Server.read`` makes a ``Reading`` in one go on the event loop; turning it into text may
then happen anywhere, a thread included.  What there are thousands of, endpoints, is looked at there
too, as it is by then; totals, which must never go back, are those of the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, overload

from proxy.telemetry.counters import (
    EndpointCounters,
    ListenerCounters,
    PoolCounters,
    RouteCounters,
)

T = TypeVar("T")


class Rows(Sequence[T]):
    """So many rows, made by whom they are first asked of."""

    __slots__ = ("_made", "_make", "_size")

    def __init__(self, size: int, make: Callable[[], Iterable[T]]) -> None:
        self._size: Final = size
        self._make: Final = make
        self._made: tuple[T, ...] | None = None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._rows[index]

    @property
    def _rows(self) -> tuple[T, ...]:
        if self._made is None:
            self._made = tuple(self._make())
        return self._made


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerReading:
    """A listener; ``address`` is what it is bound to, ``None`` once it is removed."""

    name: str
    address: str | None
    accepting: bool
    counters: ListenerCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReading:
    """An endpoint of a pool."""

    name: str
    address: str
    state: str
    """``active``, ``drain``, ``down``, ``ejected``, ``full``, ``unresolved``, or ``removed`` while
    splices or requests on it still live."""
    why: str
    """Why it is in that state, for people."""
    weight: int
    backup: bool
    fails: int
    active_requests: int
    splices: int
    connections_idle: int
    labels: tuple[tuple[str, str], ...]
    counters: EndpointCounters
    bytes_to_upstream: int
    """Request bodies and spliced bytes, live splices included."""
    bytes_to_client: int
    discovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryReading:
    """What a pool is told of its endpoints."""

    name: str
    """That is asked for."""
    records: str
    found: int | None
    """Endpoints of the last good answer; ``None`` if there never was one."""
    answered_at: float | None
    """When that was, in seconds since 1970."""
    reason: str
    """Why the last look-up failed; empty if it did not."""
    lookups: Mapping[str, int]
    """How many were ``answered``, and ``failed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReading:
    """A pool; ``live`` is false once it is removed."""

    name: str
    live: bool
    counters: PoolCounters
    endpoints: Sequence[EndpointReading]
    spliced_to_upstream: int
    """Live splices included."""
    spliced_to_client: int
    messages_to_upstream: int = 0
    """Of WebSockets, live ones included."""
    messages_to_client: int = 0
    discovery: DiscoveryReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteReading:
    """A route; ``none`` counts the requests that no route took."""

    name: str
    counters: RouteCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything at one moment."""

    draining: bool
    drain_remaining: int
    """Client connections that the drain still waits for."""
    loop_lag_s: float
    """The greatest delay of the event loop seen in the last ten to twenty seconds."""
    listeners: tuple[ListenerReading, ...] = ()
    pools: tuple[PoolReading, ...] = ()
    routes: tuple[RouteReading, ...] = ()
    access_log_dropped: tuple[tuple[str, int], ...] = ()
    """Lines that were lost, by where they were to go."""
    generation: int = field(default=0)
    """Number of snapshots published by this process."""
