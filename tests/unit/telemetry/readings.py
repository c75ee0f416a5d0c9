"""Readings to show: small ones by keyword, and one as large as a sidecar gets."""

from __future__ import annotations

from proxy.telemetry.counters import (
    EndpointCounters,
    ListenerCounters,
    PoolCounters,
    RouteCounters,
)
from proxy.telemetry.reading import (
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
    RouteReading,
)


def endpoint(
    name: str = "blue-0",
    *,
    state: str = "active",
    active: int = 0,
    splices: int = 0,
    idle: int = 0,
    by_class: tuple[int, ...] = (0, 0, 0, 0, 0, 0),
) -> EndpointReading:
    counters = EndpointCounters()
    counters.successes = by_class[2]
    counters.others[:] = (*by_class[:2], 0, *by_class[3:])
    return EndpointReading(
        name=name,
        address="127.0.0.1:8000",
        state=state,
        why="",
        weight=1,
        backup=False,
        fails=0,
        active_requests=active,
        splices=splices,
        connections_idle=idle,
        labels=(),
        counters=counters,
        bytes_to_upstream=0,
        bytes_to_client=0,
    )


def pool(
    *endpoints: EndpointReading,
    name: str = "backend",
    counters: PoolCounters | None = None,
    spliced: tuple[int, int] = (0, 0),
) -> PoolReading:
    return PoolReading(
        name=name,
        live=True,
        counters=counters or PoolCounters(),
        endpoints=endpoints,
        spliced_to_upstream=spliced[0],
        spliced_to_client=spliced[1],
    )


def route(counters: RouteCounters, name: str = "chat") -> RouteReading:
    return RouteReading(name=name, counters=counters)


def listener(counters: ListenerCounters, name: str = "public") -> ListenerReading:
    return ListenerReading(name=name, address="127.0.0.1:8080", accepting=True, counters=counters)


def reading(
    *,
    draining: bool = False,
    remaining: int = 0,
    lag_s: float = 0.0,
    listeners: tuple[ListenerReading, ...] = (),
    pools: tuple[PoolReading, ...] = (),
    routes: tuple[RouteReading, ...] = (),
) -> Reading:
    return Reading(
        draining=draining,
        drain_remaining=remaining,
        loop_lag_s=lag_s,
        listeners=listeners,
        pools=pools,
        routes=routes,
    )


def busy(pools: int = 2, endpoints: int = 2) -> Reading:
    """Return a reading in which every family has samples, ``pools`` routes among them."""
    at_listener = ListenerCounters()
    at_listener.in_flight = 3
    at_listener.active["websocket"] = 2
    at_listener.opened["websocket"] = 7
    at_listener.rejected["bad_request"] = 5
    return reading(
        draining=True,
        remaining=4,
        lag_s=0.0125,
        listeners=(listener(at_listener),),
        pools=tuple(_busy_pool(f"pool-{number}", endpoints) for number in range(pools)),
        routes=tuple(_busy_route(f"route-{number}") for number in range(pools)),
    )


def _busy_pool(name: str, endpoints: int) -> PoolReading:
    counters = PoolCounters()
    for seconds in (0.0004, 0.001, 0.2, 2.0, 99.0):
        counters.ttfb.observe(seconds)
        counters.connect_duration.observe(seconds)
        counters.tunnel_duration.observe(seconds * 100)
    counters.http_to_upstream, counters.http_to_client = 10, 12_345_678_901
    counters.retries = counters.ejections = 1
    counters.closes.update({("client", 1000): 1, ("proxy", 1012): 2})
    counters.errors.update(connect_failed=2, read_timeout=1)
    members = [
        endpoint(f"blue-{n}", active=1, splices=1, idle=2, by_class=(1, 2, 1_234_567, 4, 5, 6))
        for n in range(endpoints)
    ]
    return pool(*members, name=name, counters=counters, spliced=(3, 4))


def _busy_route(name: str) -> RouteReading:
    counters = RouteCounters()
    counters.requests.update(
        {("pool-0", b"GET", 200): 10, ("pool-0", b"POST", 502): 1, ("none", b"GET", 404): 2}
    )
    counters.duration.observe(0.02)
    counters.header_rule_failures = 1
    return route(counters, name)
