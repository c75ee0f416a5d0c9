"""What is counted and logged when an exchange or a splice ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange


def settle(exchange: Exchange, now: float) -> None:
    """Count a finished exchange, and log it if the access log wants it."""
    client = exchange.client
    runtime = client.runtime
    status = exchange.status
    client.counters.in_flight -= 1
    route, member = exchange.route, exchange.member
    plan = exchange.routed_plan
    counters = runtime.no_route if route is None else route.counters
    pool = "none" if plan is None else plan.spec.name
    key = (pool, exchange.request.method.decode(), status)
    requests = counters.requests
    requests[key] = requests.get(key, 0) + 1
    if status != 101:
        counters.duration.observe(now - exchange.request.started)
    if plan is not None and (exchange.bytes_out or exchange.body.octets):
        plan.pool.counters.http_to_upstream += exchange.body.octets
        plan.pool.counters.http_to_client += exchange.bytes_out
    if member is not None:
        endpoint = member.endpoint.counters
        endpoint.by_class[status // 100 if exchange.answering and status < 600 else 0] += 1
        endpoint.bytes_in += exchange.bytes_out
        endpoint.bytes_out += exchange.body.octets
    if runtime.access_log is not None and runtime.access_log.wants(status):
        _log(exchange, now)


def count_error(exchange: Exchange, failure: Failure) -> None:
    """Count what an upstream did wrong."""
    counts = exchange.pool.plan.pool.counters.errors
    counts[failure.reason] = counts.get(failure.reason, 0) + 1


def _log(exchange: Exchange, now: float) -> None:
    access_log = exchange.client.runtime.access_log
    if access_log is None:
        raise AssertionError
    request, route, member, plan = (
        exchange.request, exchange.route, exchange.member, exchange.routed_plan,
    )  # fmt: skip
    failure = exchange.failure
    access_log.log(
        event="access",
        request_id=request.request_id,
        client_ip=request.client_ip,
        method=request.method,
        path=request.target,
        status=exchange.status,
        reason=None if failure is None else failure.reason,
        route="none" if route is None else route.name,
        pool="none" if plan is None else plan.spec.name,
        endpoint=None if member is None else member.name,
        attempts=exchange.attempts,
        bytes_in=exchange.body.octets,
        bytes_out=exchange.bytes_out,
        ttfb_s=exchange.first_byte_at - request.started if exchange.first_byte_at else None,
        duration_s=now - request.started,
        revision=exchange.snapshot.number,
    )


def count_rejected(rejected: dict[str, int], reason: str, number: int = 1) -> None:
    """Count what a listener refused."""
    rejected[reason] = rejected.get(reason, 0) + number
