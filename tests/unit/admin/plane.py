"""A data plane that serves nothing and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from proxy.connection_view import ConnectionView
from proxy.connections import Page, Selector
from proxy.drains import DrainOrder, DrainProgress, DrainState, TooManyDrainsError
from proxy.errors import Fault, SpecError
from proxy.explain.inquiry import Explanation, Live, Question, explain
from proxy.overrides import overridden
from proxy.snapshot import NOTHING, compile_snapshot
from proxy.spec import EMPTY, EndpointSpec, OnRemoval, Overrides, Spec
from proxy.telemetry.counters import (
    EndpointCounters,
    Ledger,
    ListenerCounters,
    PoolCounters,
    RouteCounters,
)
from proxy.telemetry.failures import Failures
from proxy.telemetry.reading import (
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
    RouteReading,
)
from proxy.upstream.discovery.following import Discovered
from proxy.upstream.transitions import Transition

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "listeners": {"public": {"bind": "127.0.0.1:0"}},
    "pools": {
        "backend": {"endpoints": {"127.0.0.1:8000": {}, "blue": {"address": "127.0.0.1:8001"}}},
        "spare": {"endpoints": {}},
    },
    "header_maps": {
        "connection_upgrade": {
            "source": "$http_upgrade",
            "default": "upgrade",
            "exact": {"": "close"},
        }
    },
    "routes": {
        "all": {
            "path": {"prefix": "/"},
            "pool": "backend",
            "request_headers": {"set": {"X-Upgrade": "$connection_upgrade"}},
        }
    },
}


class FakePrepared:
    """What the fake gives for a spec it takes."""

    def __init__(
        self, plane: FakePlane, spec: Spec | None = None, overrides: Overrides | None = None
    ) -> None:
        self._plane = plane
        self._spec = spec
        self._overrides = overrides
        self.warnings = plane.warnings

    def publish(self, on_removal: OnRemoval | None = None) -> None:
        self._plane.on_removal = on_removal
        if self._spec is not None:
            self._plane.published.append(self._spec)
        if self._overrides is not None:
            self._plane.overrides = self._overrides

    def discard(self) -> None:
        self._plane.discarded.append(self._spec)


class FakePlane:
    """Looks like ``proxy.Server`` to the control plane."""

    def __init__(self) -> None:
        self.published: list[Spec] = []
        self.discarded: list[Spec | None] = []
        self.overrides: Overrides = {}
        self.on_removal: OnRemoval | None = None
        self.refuse: tuple[Fault, ...] = ()
        self.crash: Exception | None = None
        self.warnings: tuple[str, ...] = ()
        self.hold: asyncio.Event | None = None
        self.draining = False
        self.ready = True
        self.remaining = 0
        self.process_drains: list[tuple[float, float]] = []
        self.live: list[ConnectionView] = []
        self.asked: list[tuple[Selector, str | None, int]] = []
        self.closed: list[tuple[str, int, str]] = []
        self.started: dict[str, DrainOrder] = {}
        self.crowded = False
        self.done = asyncio.Event()
        self.reopened = 0
        self.failures = Failures()
        self.told: Callable[[Transition], None] | None = None
        self.told_of_drains: Callable[[DrainState, DrainProgress], None] | None = None

    @property
    def spec(self) -> Spec:
        return self.published[-1] if self.published else EMPTY

    @property
    def addresses(self) -> dict[str, str]:
        return {name: f"127.0.0.1:{number}" for number, name in enumerate(self.spec.listeners, 1)}

    async def prepare(
        self, spec: Spec, *, revision: int | None = None, served: bool = False
    ) -> FakePrepared:
        if self.hold is not None:
            await self.hold.wait()
        if self.crash is not None:
            raise self.crash
        if self.refuse:
            raise SpecError(self.refuse)
        compile_snapshot(spec, NOTHING, {}, {}, Ledger())
        return FakePrepared(self, spec)

    async def prepare_overrides(self, overrides: Overrides) -> FakePrepared:
        if self.refuse:
            raise SpecError(self.refuse)
        return FakePrepared(self, overrides=overrides)

    def drain(self, *, timeout_s: float, accept_s: float) -> None:
        self.process_drains.append((timeout_s, accept_s))
        self.draining = True
        self.ready = False

    async def undrain(self) -> None:
        if self.crash is not None:
            raise self.crash
        self.draining = False
        self.ready = True
        self.done.clear()

    async def drained(self) -> None:
        await self.done.wait()

    async def explain(self, asked: Question, candidate: Spec | None = None) -> Explanation:
        return await explain(asked, Live(addresses=self.addresses), candidate or self.spec)

    def watch_endpoints(self, told: Callable[[Transition], None]) -> None:
        self.told = told

    def watch_discovery(self, told: Callable[[Discovered], None]) -> None:
        self.told_of_discovery = told

    def watch_drains(self, told: Callable[[DrainState, DrainProgress], None]) -> None:
        self.told_of_drains = told

    def connections(self, selector: Selector, cursor: str | None, limit: int) -> Page:
        self.asked.append((selector, cursor, limit))
        ids = [one.id for one in self.live]
        start = 0 if cursor is None else ids.index(cursor) + 1
        items = tuple(self.live[start : start + limit])
        more = start + limit < len(self.live)
        return Page(items=items, next=items[-1].id if more else None)

    def connection(self, name: str) -> ConnectionView | None:
        return next((one for one in self.live if one.id == name), None)

    def close_connection(self, name: str, code: int, reason: str) -> bool:
        self.closed.append((name, code, reason))
        return self.connection(name) is not None

    def start_drain(self, name: str, order: DrainOrder) -> DrainProgress:
        if self.crowded:
            raise TooManyDrainsError("100 drains run")
        self.started[name] = order
        return _progress(name, order)

    def cancel_drain(self, name: str, author: str = "") -> bool:
        return self.started.pop(name, None) is not None

    def drain_progress(self, name: str) -> DrainProgress | None:
        order = self.started.get(name)
        return None if order is None else _progress(name, order)

    def drains(self) -> tuple[DrainProgress, ...]:
        return tuple(_progress(name, order) for name, order in self.started.items())

    def reopen_logs(self) -> None:
        self.reopened += 1

    def read(self) -> Reading:
        spec = self.spec
        return Reading(
            draining=self.draining,
            drain_remaining=self.remaining,
            loop_lag_s=0.001,
            listeners=tuple(
                ListenerReading(
                    name=name, address=where, accepting=True, counters=ListenerCounters()
                )
                for name, where in self.addresses.items()
            ),
            pools=tuple(
                _pool(name, overridden(pool, self.overrides.get(name)).endpoints)
                for name, pool in spec.pools.items()
            ),
            routes=tuple(RouteReading(name=name, counters=_route()) for name in spec.routes),
        )


def _progress(name: str, order: DrainOrder) -> DrainProgress:
    return DrainProgress(
        name=name,
        order=order,
        since=5.0,
        selected=3,
        closed=1,
        remaining=2,
        cordoned=("backend/blue",),
        done=False,
    )


def _pool(name: str, endpoints: tuple[EndpointSpec, ...]) -> PoolReading:
    return PoolReading(
        name=name,
        live=True,
        counters=PoolCounters(),
        endpoints=tuple(
            EndpointReading(
                name=one.name,
                address=one.address,
                state=one.state,
                why="",
                weight=one.weight,
                backup=one.backup,
                fails=0,
                active_requests=2,
                splices=1,
                connections_idle=0,
                labels=one.labels,
                counters=EndpointCounters(),
                bytes_to_upstream=10,
                bytes_to_client=20,
            )
            for one in endpoints
        ),
        spliced_to_upstream=3,
        spliced_to_client=4,
    )


def _route() -> RouteCounters:
    counters = RouteCounters()
    counters.requests.update({("backend", b"GET", 200): 5, ("backend", b"PUT", 200): 1})
    counters.requests["none", b"GET", 404] = 2
    return counters
