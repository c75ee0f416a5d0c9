"""What is counted and logged when an exchange or a splice ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.splice.relay import Splice
    from proxy.telemetry.access_log import AccessLog


def settle(exchange: Exchange, now: float) -> None:
    """Count a finished exchange, and log it if the access log wants it."""
    client = exchange.client
    runtime = client.runtime
    status = answered = exchange.status
    client.counters.in_flight -= 1
    route, member = exchange.route, exchange.member
    counters = runtime.no_route if route is None else route.counters
    method = exchange.request.method
    if exchange.detour is not None:
        method = exchange.detour.method or method
        answered = exchange.detour.answered or status
    key = (exchange.pool_name, method.decode(), status)
    requests = counters.requests
    requests[key] = requests.get(key, 0) + 1
    if status != 101:
        counters.duration.observe(now - exchange.request.started)
    if member is not None:
        sent, received = exchange.body.octets, exchange.bytes_out
        if sent and exchange.bodiless:
            sent = 0
        totals = exchange.pool.counters
        totals.http_to_upstream += sent
        totals.http_to_client += received
        endpoint = member.endpoint.counters
        endpoint.by_class[answered // 100 if exchange.answering and status < 600 else 0] += 1
        endpoint.bytes_in += received
        endpoint.bytes_out += sent
    access_log = runtime.access_log
    # A tunnel logs for itself: whether, is asked once for both of its ends.
    if access_log is not None and status != 101 and access_log.wants(status):
        _line(exchange, access_log)(
            bytes_in=exchange.body.octets,
            bytes_out=exchange.bytes_out,
            duration_s=now - exchange.request.started,
        )


def tunnel_log(exchange: Exchange) -> Callable[[Splice, float], None] | None:
    """Log that a tunnel opens; return what logs its end, or nothing if it is not to be logged."""
    access_log = exchange.client.runtime.access_log
    if access_log is None or not access_log.wants(101):
        return None
    line = _line(exchange, access_log)
    started = exchange.request.started
    line(event="tunnel_open", bytes_in=0, bytes_out=0, duration_s=monotonic() - started)

    def log_end(splice: Splice, now: float) -> None:
        line(
            event="tunnel_close",
            bytes_in=splice.to_upstream,
            bytes_out=splice.to_client,
            duration_s=now - started,
        )

    return log_end


def count_error(exchange: Exchange, failure: Failure) -> None:
    """Count what an upstream did wrong."""
    counts = exchange.pool.plan.pool.counters.errors
    counts[failure.reason] = counts.get(failure.reason, 0) + 1


def _line(exchange: Exchange, access_log: AccessLog) -> Callable[..., None]:
    """Return ``access_log.log`` with everything filled in but event, octets and duration."""
    request, route, member = exchange.request, exchange.route, exchange.member
    failure, detour = exchange.failure, exchange.detour
    began = exchange.first_byte_at
    return partial(
        access_log.log,
        request_id=request.request_id,
        client_ip=request.client_ip,
        method=(detour and detour.method) or request.method,
        path=request.target,
        status=exchange.status,
        reason=None if failure is None else failure.reason,
        route="none" if route is None else route.name,
        pool=exchange.pool_name,
        endpoint=None if member is None else member.name,
        attempts=len(exchange.trail) + (member is not None),
        ttfb_s=began - request.started if began else None,
        revision=exchange.snapshot.number,
    )


def count_rejected(rejected: dict[str, int], reason: str, number: int = 1) -> None:
    """Count what a listener refused."""
    rejected[reason] = rejected.get(reason, 0) + number
