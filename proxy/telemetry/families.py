"""Which metrics there are: the numbers of a ``Reading``, by name and labels.

Label values are names from the configuration and words from closed lists, never anything a client
sent.  Nothing here needs the event loop, and the loop goes on counting while a scrape is written,
in pieces or in a thread: so every dict is copied before it is walked, and each copy is one C call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from proxy.telemetry.counters import ENDPOINT_SERIES_PER_POOL, RequestKey
from proxy.telemetry.family import Counter, Distribution, Family, Gauge
from proxy.telemetry.reading import (
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
    RouteReading,
)

METHODS: Final = frozenset({
    "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK",
    "M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH",
    "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH",
    "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
})  # fmt: skip
"""The methods that the request parser takes; every other is ``other``."""

CODES: Final = {int(status): str(int(status)) for status in HTTPStatus} | {499: "499"}
"""Registered status codes, and nginx's for a client that went away; the rest is ``other``."""

CLOSE_CODES: Final = frozenset({*range(1000, 1004), *range(1005, 1016), 3000, 3003, 3008})
"""WebSocket close codes that IANA has registered; 1005: none was given, 1006: no Close frame."""

STATES: Final = ("active", "drain", "down", "ejected", "full", "unresolved", "removed")
"""Every state that ``pool_endpoints`` counts, at 0 too, so that an alert can compare with it."""

UP: Final = frozenset({"active", "full", "drain"})
"""States of an endpoint that is believed to answer, whether or not it is given new work."""

CLASSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""``code_class`` by index into ``EndpointCounters.by_class``; ``none``: an attempt without an
answer."""

Families = Iterator[Family[Any]]


def all_families(reading: Reading) -> Families:
    """Give every family that a ``Reading`` has the numbers of."""
    yield from _of_routes(reading.routes)
    yield from _of_listeners(reading.listeners)
    yield from _of_pools(reading.pools)
    yield from _of_upstreams(reading.pools)
    yield from _of_endpoints(reading.pools)
    yield from _of_discovery(reading.pools)
    yield from _of_process(reading)


def _of_discovery(pools: Iterable[PoolReading]) -> Families:
    found = [(pool.name, pool.discovery) for pool in pools if pool.discovery is not None]
    yield Counter(
        "discovery_lookups",
        "Look-ups for the endpoints of a pool, by how they ended: answered, failed",
        ("pool", "result"),
        (
            ((name, result), count)
            for name, discovery in found
            for result, count in discovery.lookups.items()
        ),
    )
    yield Gauge(
        "discovery_stale",
        "Whether the last look-up failed, so that what was found before goes on",
        ("pool",),
        (((name,), int(bool(discovery.reason))) for name, discovery in found),
    )


def _of_process(reading: Reading) -> Families:
    yield Gauge(
        "drain_connections_remaining",
        "Client connections that the drain still waits for",
        (),
        [((), reading.drain_remaining)],
    )
    yield Gauge("draining", "1 while the process drains", (), [((), int(reading.draining))])
    yield Gauge(
        "event_loop_lag_seconds",
        "Greatest delay of the event loop in the last ten to twenty seconds",
        (),
        [((), reading.loop_lag_s)],
    )
    yield Counter(
        "access_log_dropped",
        "Log lines that were lost because they could not be written, or not as fast as they came",
        ("target",),
        (((target,), count) for target, count in reading.access_log_dropped),
    )


def _of_routes(routes: Iterable[RouteReading]) -> Families:
    yield Counter(
        "requests",
        "Requests by what they were answered",
        ("route", "pool", "method", "code"),
        (
            ((route.name, *key), count)
            for route in routes
            for key, count in _by_label(route.counters.requests).items()
        ),
    )
    yield Distribution(
        "request_duration_seconds",
        "From the end of a request head to the end of its response, tunnels excluded",
        ("route",),
        (((route.name,), route.counters.duration) for route in routes),
    )
    yield Counter(
        "header_rule_failures",
        "Header fields left out because a rule gave them CR, LF or NUL",
        ("route",),
        (((route.name,), route.counters.header_rule_failures) for route in routes),
    )


def _by_label(requests: dict[RequestKey, int]) -> dict[tuple[str, str, str], int]:
    """Fold what shares ``other`` into one series."""
    totals: dict[tuple[str, str, str], int] = {}
    for (pool, octets, status), count in requests.copy().items():
        method = octets.decode()
        key = (pool, method if method in METHODS else "other", CODES.get(status, "other"))
        totals[key] = totals.get(key, 0) + count
    return totals


def _of_listeners(listeners: Iterable[ListenerReading]) -> Families:
    yield Gauge(
        "requests_in_flight",
        "Requests being served",
        ("listener",),
        (((one.name,), one.counters.in_flight) for one in listeners),
    )
    yield Gauge(
        "connections_active",
        "Client connections that are open",
        ("listener", "kind"),
        (
            ((one.name, kind), count)
            for one in listeners
            for kind, count in one.counters.active.copy().items()
        ),
    )
    yield Counter(
        "connections_opened",
        "Client connections that were opened, or became of that kind",
        ("listener", "kind"),
        (
            ((one.name, kind), count)
            for one in listeners
            for kind, count in one.counters.opened.copy().items()
        ),
    )
    yield Counter(
        "rejected",
        "What a listener refused by itself",
        ("listener", "reason"),
        (
            ((one.name, reason), count)
            for one in listeners
            for reason, count in one.counters.rejected.copy().items()
        ),
    )


def _of_pools(pools: Iterable[PoolReading]) -> Families:
    """Give what passed through each pool."""
    yield Distribution(
        "upstream_ttfb_seconds",
        "From a request sent to the first byte of its response, tunnels excluded",
        ("pool",),
        (((pool.name,), pool.counters.ttfb) for pool in pools),
    )
    yield Distribution(
        "tunnel_duration_seconds",
        "From an upgrade to the end of the tunnel",
        ("pool",),
        (((pool.name,), pool.counters.tunnel_duration) for pool in pools),
    )
    yield Counter(
        "spliced_bytes",
        "Bytes through tunnels, those still open included",
        ("pool", "direction"),
        _directions(
            (pool.name, pool.spliced_to_upstream, pool.spliced_to_client) for pool in pools
        ),
    )
    yield Counter(
        "websocket_messages",
        "Messages through WebSockets, those still open included",
        ("pool", "direction"),
        _directions(
            (pool.name, pool.messages_to_upstream, pool.messages_to_client) for pool in pools
        ),
    )
    yield Counter(
        "websocket_closes",
        "WebSockets that ended, by who ended them and close code",
        ("pool", "initiator", "code"),
        (
            ((pool.name, *key), count)
            for pool in pools
            for key, count in _by_code(pool.counters.closes).items()
        ),
    )
    yield Counter(
        "http_bytes",
        "Bytes of request and response bodies",
        ("pool", "direction"),
        _directions(
            (pool.name, pool.counters.http_to_upstream, pool.counters.http_to_client)
            for pool in pools
        ),
    )
    yield Counter(
        "retries",
        "Attempts after the first of a request",
        ("pool",),
        (((pool.name,), pool.counters.retries) for pool in pools),
    )


def _by_code(closes: dict[tuple[str, int], int]) -> dict[tuple[str, str], int]:
    """Fold what shares ``other`` into one series."""
    totals: dict[tuple[str, str], int] = {}
    for (initiator, code), count in closes.copy().items():
        key = initiator, str(code) if code in CLOSE_CODES else "other"
        totals[key] = totals.get(key, 0) + count
    return totals


def _directions(
    rows: Iterable[tuple[str, int, int]],
) -> Iterator[tuple[tuple[str, str], int]]:
    for pool, to_upstream, to_client in rows:
        yield (pool, "to_upstream"), to_upstream
        yield (pool, "to_client"), to_client


def _of_upstreams(pools: Iterable[PoolReading]) -> Families:
    """Give how the servers behind each pool do."""
    yield Distribution(
        "upstream_connect_duration_seconds",
        "Time to connect to an endpoint",
        ("pool",),
        (((pool.name,), pool.counters.connect_duration) for pool in pools),
    )
    yield Counter(
        "upstream_errors",
        "Attempts that failed",
        ("pool", "reason"),
        (
            ((pool.name, reason), count)
            for pool in pools
            for reason, count in pool.counters.errors.copy().items()
        ),
    )
    yield Counter(
        "ejections",
        "Times that failures took an endpoint out",
        ("pool",),
        (((pool.name,), pool.counters.ejections) for pool in pools),
    )
    yield Gauge(
        "upstream_connections",
        "Connections to endpoints, in use or idle",
        ("pool", "state"),
        (row for pool in pools for row in _connections(pool)),
    )
    yield Gauge(
        "pool_endpoints",
        "Endpoints by state",
        ("pool", "state"),
        (
            ((pool.name, state), count)
            for pool in pools
            for state, count in _by_state(pool.endpoints).items()
        ),
    )


def _connections(pool: PoolReading) -> Iterator[tuple[tuple[str, str], int]]:
    yield (pool.name, "idle"), sum([one.connections_idle for one in pool.endpoints])
    yield (pool.name, "active"), _active(pool.endpoints)


def _active(endpoints: Iterable[EndpointReading]) -> int:
    return sum([one.active_requests + one.splices for one in endpoints])


def _by_state(endpoints: Iterable[EndpointReading]) -> dict[str, int]:
    totals = dict.fromkeys(STATES, 0)
    for endpoint in endpoints:
        totals[endpoint.state] = totals.get(endpoint.state, 0) + 1
    return totals


def _of_endpoints(pools: Iterable[PoolReading]) -> Families:
    named = [((pool.name, name), same) for pool in pools for name, same in _by_name(pool.endpoints)]
    yield Gauge(
        "endpoint_up",
        "1 if the endpoint is believed to answer, 0 if down, ejected, unresolved or removed",
        ("pool", "endpoint"),
        ((names, int(any(one.state in UP for one in same))) for names, same in named),
    )
    yield Gauge(
        "endpoint_active",
        "Requests and tunnels on the endpoint",
        ("pool", "endpoint"),
        ((names, _active(same)) for names, same in named),
    )
    yield Counter(
        "endpoint_requests",
        "Attempts on the endpoint by the class of the answer, none for no answer",
        ("pool", "endpoint", "code_class"),
        (
            ((*names, code_class), count)
            for names, same in named
            for code_class, count in _by_class(same)
        ),
    )


def _by_name(
    endpoints: Iterable[EndpointReading],
) -> Iterable[tuple[str, list[EndpointReading]]]:
    """Group by the configured name, which may stand for several addresses.

    There is nothing for a pool of more than ``ENDPOINT_SERIES_PER_POOL`` names.
    """
    named: dict[str, list[EndpointReading]] = {}
    for endpoint in endpoints:
        named.setdefault(endpoint.name, []).append(endpoint)
    return named.items() if len(named) <= ENDPOINT_SERIES_PER_POOL else ()


def _by_class(same: list[EndpointReading]) -> Iterable[tuple[str, int]]:
    counts = [one.counters.by_class for one in same]
    return zip(CLASSES, map(sum, zip(*counts, strict=True)), strict=True)
