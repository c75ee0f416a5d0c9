"""Looks at everything that is live, for metrics and status: ``Server.read``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import cast

from proxy.addresses import parse_address
from proxy.downstream.listener import Listener
from proxy.exchange.runtime import Runtime
from proxy.snapshot import Upstream
from proxy.splice.relay import Splice
from proxy.telemetry.counters import Ledger, ListenerCounters, PoolCounters, RouteCounters
from proxy.telemetry.reading import (
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
    RouteReading,
)
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where to look."""

    runtime: Runtime
    listeners: Mapping[str, Listener]
    pools: Mapping[str, Pool]
    leaving: Sequence[Pool]
    routes: Ledger[RouteCounters]
    listener_counters: Ledger[ListenerCounters]
    pool_counters: Ledger[PoolCounters]
    draining: bool
    remaining: int
    loop_lag_s: float
    log_lines_dropped: Sequence[tuple[str, int]]


def look(at: Look) -> Reading:
    """Make a reading."""
    now = monotonic()
    snapshot = at.runtime.snapshot
    routes = [RouteReading(name=name, counters=counters) for name, counters in at.routes.items()]
    routes.append(RouteReading(name="none", counters=at.runtime.no_route))
    return Reading(
        draining=at.draining,
        drain_remaining=at.remaining,
        loop_lag_s=at.loop_lag_s,
        access_log_dropped=tuple(at.log_lines_dropped),
        listeners=tuple(
            _listener(name, at.listeners.get(name), counters)
            for name, counters in at.listener_counters.items()
        ),
        pools=tuple(
            _pool(name, counters, snapshot.pools.get(name), at, now)
            for name, counters in at.pool_counters.items()
        ),
        routes=tuple(routes),
        generation=snapshot.number,
    )


def _listener(name: str, listener: Listener | None, counters: ListenerCounters) -> ListenerReading:
    return ListenerReading(
        name=name,
        address=None if listener is None else listener.address,
        accepting=listener is not None and listener.accepting,
        counters=counters,
    )


def _pool(
    name: str, counters: PoolCounters, upstream: Upstream | None, at: Look, now: float
) -> PoolReading:
    endpoints: list[EndpointReading] = []
    gone: list[Endpoint] = []
    live = upstream is not None and upstream.plan.pool.counters is counters
    if upstream is not None and live:
        plan = upstream.plan
        for member, state, why in plan.states(now):
            endpoints.append(
                _endpoint(
                    member.endpoint, member.name, state, why,
                    weight=member.weight, backup=member.backup, labels=member.labels,
                )
            )  # fmt: skip
        endpoints += [
            _endpoint(
                Endpoint(parse_address(spec.address)), spec.name, "unresolved",
                "its name does not resolve",
                weight=spec.weight, backup=spec.backup, labels=spec.labels,
            )
            for spec in plan.unresolved
        ]  # fmt: skip
        gone += plan.pool.leaving.values()
    gone += [
        endpoint
        for pool in at.leaving
        if pool.counters is counters
        for endpoint in pool.leaving.values()
    ]
    endpoints += [
        _endpoint(endpoint, endpoint.address, "removed", "removed; work on it still ends")
        for endpoint in gone
        if endpoint.active
    ]
    # Splices of removed endpoints count too: their pool's totals must never go back.
    everywhere = [*(upstream.plan.pool.endpoints.values() if upstream and live else ()), *gone]
    to_upstream, to_client = _spliced(everywhere)
    return PoolReading(
        name=name,
        live=live,
        counters=counters,
        endpoints=tuple(endpoints),
        spliced_to_upstream=counters.spliced_to_upstream + to_upstream,
        spliced_to_client=counters.spliced_to_client + to_client,
    )


def _spliced(endpoints: Sequence[Endpoint]) -> tuple[int, int]:
    """Sum up what the live splices of some endpoints have moved."""
    to_upstream = to_client = 0
    for endpoint in endpoints:
        for splice in cast("set[Splice]", endpoint.splice_set):
            to_upstream += splice.to_upstream
            to_client += splice.to_client
    return to_upstream, to_client


def _endpoint(
    endpoint: Endpoint,
    name: str,
    state: str,
    why: str,
    *,
    weight: int = 0,
    backup: bool = False,
    labels: tuple[tuple[str, str], ...] = (),
) -> EndpointReading:
    to_upstream, to_client = _spliced([endpoint])
    counters = endpoint.counters
    return EndpointReading(
        name=name,
        address=endpoint.address,
        state=state,
        why=why,
        weight=weight,
        backup=backup,
        fails=endpoint.fails,
        active_requests=endpoint.active - endpoint.splices,
        splices=endpoint.splices,
        connections_idle=len(endpoint.idle),
        labels=labels,
        counters=counters,
        bytes_to_upstream=counters.bytes_out + to_upstream,
        bytes_to_client=counters.bytes_in + to_client,
    )
