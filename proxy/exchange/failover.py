"""When an attempt fails: give its endpoint back, and try another one or tell the client."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from proxy import errors
from proxy.exchange import accounting, dispatch, facts, retry
from proxy.exchange.retry import Ended, Verdict
from proxy.exchange.runtime import NEVER

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange


def attempt_failed(exchange: Exchange, failure: Failure) -> None:
    """One endpoint failed before its response reached the client."""
    plan, member = exchange.pool.plan, exchange.taken_member
    now = monotonic()
    accounting.count_error(exchange, failure)
    verdict = _decide(exchange, failure, 0, now)
    if verdict is not Verdict.FRESH and plan.failed(member, now):
        plan.pool.counters.ejections += 1
    drop(exchange, failure.status, now, answered=False, failure=failure)
    if verdict is Verdict.FRESH:
        exchange.free_try_used = True
        plan.pool.counters.retries += 1
        dispatch.attempt(exchange, member, now, fresh=True)
        return
    exchange.failure = failure
    exchange.tried = (*exchange.tried, member.endpoint)
    if verdict is Verdict.NEXT:
        following = dispatch.pick(exchange, now)
        if following is not None:
            plan.pool.counters.retries += 1
            dispatch.attempt(exchange, following, now)
            return
    exchange.fail(errors.BUDGET_SPENT if verdict is Verdict.BUDGET_SPENT else failure)


def status_failed(exchange: Exchange, status: int, now: float) -> bool:
    """Handle a status that ``retry.when`` names; return whether another endpoint is tried.

    It counts as a failure where it leads to another attempt; what the client is to get as it is, is
    an answer like any other (``ngx_http_upstream_test_next``).
    """
    plan, member = exchange.pool.plan, exchange.taken_member
    again = _decide(exchange, None, status, now) is Verdict.NEXT
    if not again or status not in exchange.retry.failing:
        plan.succeeded(member, now)
    elif plan.failed(member, now):
        plan.pool.counters.ejections += 1
    if not again:
        return False
    tried = exchange.tried
    exchange.tried = (*tried, member.endpoint)
    following = dispatch.pick(exchange, now)
    if following is None:
        exchange.tried = tried
        return False
    drop(exchange, status, now, answered=True)
    plan.pool.counters.retries += 1
    dispatch.attempt(exchange, following, now)
    return True


def _decide(exchange: Exchange, failure: Failure | None, status: int, now: float) -> Verdict:
    return retry.decide(
        Ended(
            failure=failure,
            status=status,
            method=exchange.request.method,
            sent=exchange.sent,
            reused=exchange.reused,
            answered=exchange.heard,
            started=exchange.answering or exchange.informed,
            endpoints=exchange.pool.plan.in_service,
            attempts=exchange.attempts,
            elapsed_s=now - exchange.began,
            replayable=exchange.body.intact or exchange.head.body is not None,
            free_used=exchange.free_try_used,
        ),
        exchange.retry.spec,
    )


def drop(
    exchange: Exchange,
    status: int,
    now: float,
    *,
    answered: bool,
    failure: Failure | None = None,
    reuse: bool = False,
) -> None:
    """Give back the endpoint and the connection of a failed attempt.

    ``status`` is the upstream's, or what it stands for if it did not answer.  With ``reuse``, a
    connection whose response is complete may serve another request.
    """
    endpoint = exchange.taken_member.endpoint
    ended = facts.attempt(exchange, status, now, answered=answered, failure=failure)
    exchange.trail = (*exchange.trail, ended)
    endpoint.active -= 1
    endpoint.count(status // 100 if answered else 0)
    exchange.member = None
    exchange.read_by = exchange.send_by = NEVER
    upstream, exchange.upstream = exchange.upstream, None
    if upstream is not None:
        keepalive = exchange.pool.plan.spec.keepalive
        whole = exchange.body.done or exchange.head.body is not None
        upstream.release(reuse and whole and exchange.head.persistent, keepalive, now)
