"""What is counted when an exchange ends, and that it is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.exchange import facts
from proxy.exchange.log_lines import entry_of, log_as_documented

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange


def settle(exchange: Exchange, now: float) -> None:
    """Count a finished exchange, and log it if the access log wants it."""
    client = exchange.client
    runtime = client.runtime
    status = answered = exchange.status
    client.counters.in_flight -= 1
    if exchange.request.response is not None:
        facts.complete(exchange, exchange.request.response, now)
    route, member = exchange.route, exchange.member
    counters = runtime.no_route if route is None else route.counters
    method = exchange.request.method
    if exchange.detour is not None:
        method = exchange.detour.method or method
        answered = exchange.detour.answered or status
    key = (exchange.pool_name, method, status)
    requests = counters.requests
    requests[key] = requests.get(key, 0) + 1
    if status != 101:
        counters.duration.observe(now - exchange.request.started)
    if member is not None:
        another = exchange.head.body
        sent = exchange.body.octets if another is None else len(another)
        received = exchange.bytes_out
        totals = exchange.pool.counters
        totals.http_to_upstream += sent
        totals.http_to_client += received
        endpoint = member.endpoint
        endpoint.count(answered // 100 if exchange.answering and status < 600 else 0)
        endpoint.bytes_in += received
        endpoint.bytes_out += sent
    if status == 101:  # a tunnel logs for itself
        return
    if route is None or route.logged:
        log_as_documented(exchange, now)
    elif runtime.access_log is not None and runtime.access_log.wants(status):
        runtime.access_log.add_entry(entry_of(exchange, now))


def count_error(exchange: Exchange, failure: Failure) -> None:
    """Count what an upstream did wrong."""
    counts = exchange.pool.plan.pool.counters.errors
    counts[failure.reason] = counts.get(failure.reason, 0) + 1


def count_rejected(rejected: dict[str, int], reason: str, number: int = 1) -> None:
    """Count what a listener refused."""
    rejected[reason] = rejected.get(reason, 0) + number
