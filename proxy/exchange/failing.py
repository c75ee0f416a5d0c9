"""From an exchange that failed to the record of it.

A request failed if there is a reason of ``proxy.errors`` for its end, or if what an upstream
answered in the end is a 5xx.  One that another attempt made good did not fail, and an answer that
the configuration gives (``respond: {status: 503}``) is no failure either.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.exchange import facts
from proxy.telemetry.escaping import decode
from proxy.telemetry.failures import FailedAttempt, FailedRequest

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.message import Attempt


def record(exchange: Exchange, now: float) -> None:
    """Remember an exchange that ends with a failure, or with a status from 500 on."""
    failure, route = exchange.failure, exchange.route
    trail = (*exchange.trail, *_last(exchange, now))
    if failure is None and not trail:
        return
    request = exchange.request
    exchange.client.runtime.failures.add(
        FailedRequest(
            id=decode(request.request_id),
            time=time.time(),
            listener=exchange.site.spec.name,
            route=None if route is None else route.name,
            pool=None if exchange.pool_name == "none" else exchange.pool_name,
            method=request.method.decode(),
            path=decode(request.target.partition(b"?")[0]),
            status=exchange.status,
            reason=None if failure is None else failure.reason,
            side="upstream" if failure is None else failure.side,
            duration_s=now - request.started,
            attempts=tuple(_attempt(one) for one in trail),
            revision=exchange.snapshot.number,
        )
    )


def _last(exchange: Exchange, now: float) -> tuple[Attempt, ...]:
    """Return the attempt that is under way, unless it gets the page of an error that was before."""
    failure, detour = exchange.failure, exchange.detour
    if exchange.member is None or (
        detour is not None and detour.paged and failure is detour.failure
    ):
        return ()
    answered = exchange.answering
    status = exchange.status if answered else 0
    last = facts.attempt(exchange, status, now, answered=answered, failure=failure)
    if answered:
        last = last._replace(header_s=exchange.first_byte_at - exchange.attempt_started)
    return (last,)


def _attempt(one: Attempt) -> FailedAttempt:
    return FailedAttempt(
        endpoint=one.endpoint,
        address=one.address,
        reason=one.reason,
        status=None if one.header_s is None else int(one.status),
        duration_s=one.seconds,
        connect_s=one.connect_s,
        ttfb_s=one.header_s,
    )
