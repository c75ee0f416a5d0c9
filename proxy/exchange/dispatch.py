"""The second phase: an endpoint is picked, a connection leased or opened, the request sent.

One call of ``dispatch`` is one attempt.  With an idle connection at hand it is synchronous; only
opening a new one takes a task.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from proxy import errors
from proxy.exchange import accounting, respond
from proxy.exchange.body import NOTHING
from proxy.exchange.retry import NON_IDEMPOTENT
from proxy.exchange.runtime import NEVER
from proxy.upstream.connection import UpstreamConnection, connect, lease_idle
from proxy.upstream.denied import EndpointDeniedError

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.upstream.endpoint import Member


def dispatch(exchange: Exchange) -> None:
    """Send the request to an endpoint that has not failed it yet."""
    if exchange.attempts or exchange.detour is not None:
        now = monotonic()
    else:
        now = exchange.request.started
    plan = exchange.pool.plan
    simple = plan.key_kind == "none"
    member = plan.pick(now, b"", exchange.tried) if simple else pick(exchange, now)
    if member is None:
        # Nobody is left: what the last one did wrong is what the client is told.
        if exchange.failure is None:
            accounting.count_error(exchange, errors.NO_ENDPOINT)
        exchange.fail(exchange.failure or errors.NO_ENDPOINT)
    else:
        attempt(exchange, member, now)


def pick(exchange: Exchange, now: float) -> Member | None:
    """Let the pool choose among the endpoints not yet tried."""
    pool = exchange.pool
    plan = pool.plan
    if plan.key_kind == "none":
        key = b""
    elif plan.key_kind == "client_ip":
        key = exchange.request.client_ip
    else:
        key = b"" if pool.key is None else pool.key.render(exchange.request)
    return plan.pick(now, key, exchange.tried)


def attempt(exchange: Exchange, member: Member, now: float, *, fresh: bool = False) -> None:
    """Try ``member``; with ``fresh``, on a new connection."""
    exchange.member = member
    exchange.attempt_started = now
    exchange.attempts += 1
    exchange.heard = False
    endpoint = member.endpoint
    endpoint.active += 1
    endpoint.requests += 1
    if endpoint.idle is not None and not fresh:
        upstream = lease_idle(endpoint, exchange.pool.plan.spec.keepalive.max_requests)
        if upstream is not None:
            exchange.reused = True
            send(exchange, upstream)
            return
    exchange.reused = False
    if exchange.body.full and not exchange.body.done and exchange.head.body is None:
        exchange.client.hold()
    exchange.task = exchange.client.runtime.loop.create_task(_connect(exchange, member))


async def _connect(exchange: Exchange, member: Member) -> None:
    plan = exchange.pool.plan
    timeout_s = exchange.taken_route.spec.timeouts.connect_s or plan.spec.timeouts.connect_s
    upstream = failure = None
    try:
        async with asyncio.timeout(timeout_s):
            upstream = await connect(member.endpoint, exchange.client.runtime.upstreams)
    except TimeoutError:
        failure = errors.CONNECT_TIMEOUT
    except EndpointDeniedError:
        failure = errors.ENDPOINT_DENIED
    except (OSError, RuntimeError):
        failure = errors.CONNECT_FAILED
    exchange.task = None
    if upstream is not None and upstream.transport.is_closing():
        upstream, failure = None, errors.UPSTREAM_CLOSED  # accepted, and closed at once
    try:
        if upstream is not None:
            upstream.connect_s = monotonic() - exchange.attempt_started
            plan.pool.counters.connect_duration.observe(upstream.connect_s)
            send(exchange, upstream)
        elif failure is not None:
            exchange.attempt_failed(failure)
    except Exception as error:  # noqa: BLE001 - the client would wait for ever
        exchange.crashed(error)


def send(exchange: Exchange, upstream: UpstreamConnection) -> None:
    """Send what there is of the request over a connection."""
    request, body, spec = exchange.request, exchange.body, exchange.pool.plan.spec
    head = exchange.head
    exchange.upstream = upstream
    exchange.sent = True
    upstream.lease(exchange, to_head=head.to_head, head_limit=spec.header_bytes)
    if body is NOTHING or head.body is not None:
        upstream.transport.write(head.data + head.body if head.body else head.data)
        began = exchange.attempt_started if exchange.reused else monotonic()
        exchange.read_by = began + exchange.read_s
        return
    upstream.transport.write(head.data + body.kept())
    again = request.method not in NON_IDEMPOTENT or exchange.retry.spec.non_idempotent
    body.sent(may_retry=again or exchange.taken_route.keeps_body)
    if body.done:
        exchange.read_by = monotonic() + exchange.read_s
        return
    welcome(exchange)
    if exchange.send_by == NEVER:
        exchange.client.unhold()


def welcome(exchange: Exchange) -> None:
    """Tell a client that waits for it to send the body."""
    if exchange.request.expects_continue and not exchange.body.octets and not exchange.continued:
        exchange.continued = True
        exchange.client.transport.write(respond.CONTINUE)
