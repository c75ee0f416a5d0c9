"""One request and its response, from admission to account.

The exchange stands between a client's connection and, attempt by attempt, an upstream connection.
Its phases are modules of their own: ``routing`` (which route and pool, what goes upstream),
``intake`` (a body that is read first), ``dispatch`` (pick, lease or connect, send), ``failover``
(try again, or tell the client), ``tunnel`` (after a 101) and ``accounting`` (the end).  Here are
its state and the response half.

The request half is ``body``: octets from the client are sent on at once, or kept while no endpoint
is connected.  The response half goes from nothing over ``answering`` (a head went to the client) to
the end.  Everything is synchronous and happens inside the transports' callbacks; the one coroutine
opens connections.

An exchange ends exactly once, in ``_finish``: it gives back the endpoint and the connection,
counts, logs, and tells the client's connection whether another request may follow.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, Protocol

from proxy import errors
from proxy.errors import Failure
from proxy.exchange import accounting, facts, failing, failover, intake, own_answer, tunnel
from proxy.exchange.body import NOTHING, RequestBody
from proxy.exchange.detour import Detour
from proxy.exchange.error_page import dressed, intercepted, to_error_page
from proxy.exchange.request_head import UpstreamHead
from proxy.exchange.response_head import client_head, for_method, informational_head
from proxy.exchange.routing import body_limit, route_request
from proxy.exchange.runtime import NEVER, Runtime
from proxy.framing import LAST_CHUNK, chunk
from proxy.message import Attempt, Request
from proxy.route import Route
from proxy.site import Site
from proxy.snapshot import Snapshot, Upstream
from proxy.spec import ListenerTimeouts
from proxy.steps.answer import Answer
from proxy.telemetry.counters import ListenerCounters
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.endpoint import Endpoint, Member
from proxy.upstream.idle import make_room
from proxy.upstream.response_parser import ResponseHead
from proxy.upstream.retry_rules import RetryRules

REPLAY_BEFORE_ROUTING: Final = 64 * 1024
"""Octets of a body kept at most before the pool, and so its ``replay_bytes``, is known."""


_CLOSING: Final = frozenset({errors.BAD_REQUEST, errors.INTERNAL})
"""Failures after which nothing more on the client's connection can be trusted."""

_FINAL: Final = _CLOSING | {
    errors.BODY_TIMEOUT, errors.CLIENT_STALLED, errors.DRAIN_TIMEOUT, errors.TOO_MANY_REROUTES,
}  # fmt: skip
"""Failures that no error page takes the place of."""


class Client(Protocol):
    """The client's connection, as an exchange sees it."""

    transport: asyncio.Transport
    last_request: bool
    """No further request is wanted on this connection."""
    requests: int
    """How many came, the present one included."""
    write_paused: bool
    """The client does not take what was written."""

    @property
    def has_backlog(self) -> bool:
        """Octets wait behind the present request."""

    @property
    def runtime(self) -> Runtime:
        """What all exchanges share."""

    @property
    def counters(self) -> ListenerCounters:
        """Of the listener that the connection came in by."""

    def allow(self, timeouts: ListenerTimeouts) -> None:
        """Wait for this client so long, until its next request."""

    def hold(self) -> None:
        """Read no more of the request body for now."""

    def unhold(self) -> None:
        """Read on."""

    def exchange_done(self, *, keep_alive: bool) -> None:
        """Go on to the next request, or close once what was written is flushed."""

    def cut(self) -> None:
        """Close at once: the response cannot be completed."""

    def release_transport(self) -> bytes:
        """Let go of the transport; return what was read behind the request."""


class Exchange:
    """See the module's docstring."""

    __slots__ = (
        "answering", "attempt_started", "attempts", "body", "bytes_out", "client", "continued",
        "detour", "failure", "finished", "first_byte_at", "framing", "free_try_used", "head",
        "heard", "informed", "keep_alive", "member", "pool", "pool_name", "read_by", "read_s",
        "rechunk", "replied", "request", "retry", "reused", "route", "send_backlog", "send_by",
        "sent", "site", "snapshot", "status", "task", "told", "trail", "tried", "upstream",
    )  # fmt: skip

    pool: Upstream
    """The pool as the snapshot has it; set once the request is routed, and with it:"""
    head: UpstreamHead
    """The head that goes upstream, the same for every attempt."""
    read_s: float
    """Seconds between two reads from the upstream."""
    retry: RetryRules
    """When another endpoint may be tried."""
    framing: int
    """Octets that chunks cost so far; set if the response goes to the client in chunks."""
    replied: bytes
    """The whole answer, if it is our own."""
    told: int
    """The status that a client was told before it went; set if there was one."""

    def __init__(self, client: Client, snapshot: Snapshot, site: Site, request: Request) -> None:
        self.client: Final = client
        self.snapshot: Final = snapshot
        self.site: Final = site
        self.request: Final = request
        self.route: Route | None = None
        self.detour: Detour | None = None
        self.pool_name = "none"
        self.member: Member | None = None
        self.upstream: UpstreamConnection | None = None
        self.task: asyncio.Task[None] | None = None
        """Opening a connection."""
        self.body = NOTHING
        self.tried: tuple[Endpoint, ...] = ()
        """Endpoints that failed this request, in order."""
        self.trail: tuple[Attempt, ...] = ()
        """The failed attempts."""
        self.attempts = 0
        self.attempt_started = 0.0
        self.free_try_used = False
        self.continued = False
        """We said 100 Continue."""
        self.reused = False
        """The upstream connection had served another request before."""
        self.sent = False
        """An octet of the request went to an upstream."""
        self.heard = False
        """An octet of a response came from the present upstream."""
        self.informed = False
        """A 1xx went to the client."""
        self.answering = False
        """The head of the response went to the client."""
        self.rechunk = False
        self.keep_alive = False
        self.finished = False
        self.status = 0
        self.failure: Failure | None = None
        self.first_byte_at = 0.0
        self.bytes_out = 0
        """Payload of the response sent to the client."""
        self.send_backlog = 0
        self.read_by = NEVER
        """When the upstream must have said something more (monotonic seconds)."""
        self.send_by = NEVER
        """When the upstream must have taken something more."""

    def __repr__(self) -> str:
        request = self.request
        where = self.member.name if self.member is not None else "-"
        half = "done" if self.finished else "answering" if self.answering else "waiting"
        return f"<Exchange {request.method!r} {request.target!r} {half} on {where}>"

    def begin(self, body: bytes, *, last: bool) -> None:
        """Start: ``body`` is what is already there of the request body, ``last`` if that is all."""
        self.client.counters.in_flight += 1
        if body or not last:
            self.body = RequestBody(chunked=self.request.chunked, limit=REPLAY_BEFORE_ROUTING)
            self.body.add(body, last=last)
        elif self.request.chunked:
            self.body = RequestBody(chunked=True, limit=REPLAY_BEFORE_ROUTING)
            self.body.add(b"", last=True)
        if route_request(self):
            intake.proceed(self)

    @property
    def taken_route(self) -> Route:
        """The route, once there is one."""
        if self.route is None:
            raise AssertionError
        return self.route

    @property
    def taken_member(self) -> Member:
        """The member of the present attempt."""
        if self.member is None:
            raise AssertionError
        return self.member

    @property
    def began(self) -> float:
        """When the present route began (monotonic seconds)."""
        detour = self.detour
        if detour is None or detour.began is None:
            return self.request.started
        return detour.began

    @property
    def bodiless(self) -> bool:
        """The request goes on without the body that the client sends."""
        return self.detour is not None and self.detour.bodiless

    def may_keep_alive(self) -> bool:
        """Tell whether another request may follow on the client's connection."""
        client = self.client
        return (
            self.request.keep_alive
            and self.body.done
            and not client.last_request
            and not client.runtime.draining
        )

    # The request half

    def request_body(self, payload: bytes, *, last: bool) -> None:
        """Receive more of the request body from the client."""
        body = self.body
        framed = body.add(payload, last=last)
        if self.bodiless:
            return
        limit = body_limit(self)
        if limit is not None and body.octets > limit:
            self.fail(errors.BODY_TOO_LARGE)
            return
        upstream = self.upstream
        if upstream is None:
            if not self.attempts:
                intake.more(self, last=last)
            elif body.full and not last:
                self.client.hold()
            return
        upstream.transport.write(framed)
        body.sent(may_retry=True)
        if last and not self.answering:
            self.read_by = monotonic() + self.read_s

    def upstream_paused(self) -> None:
        """Receive: the upstream's buffer is full."""
        if self.upstream is None:
            return
        send_s = self.taken_route.spec.timeouts.send_s or self.pool.plan.spec.timeouts.send_s
        self.send_by = monotonic() + send_s
        self.send_backlog = self.upstream.transport.get_write_buffer_size()
        if not self.body.done:
            self.client.hold()

    def upstream_resumed(self) -> None:
        """Receive: the upstream takes more again."""
        self.send_by = NEVER
        if not self.body.done:
            self.client.unhold()

    # The response half

    def response_begun(self) -> None:
        """Receive: a part of a head."""
        self.heard = True
        self.read_by = monotonic() + self.read_s

    def informational(self, head: ResponseHead) -> None:
        """Receive a 1xx: passed to clients that know them, but for a 100, which is ours."""
        self.response_begun()
        if head.status != 100 and self.request.version_minor:
            self.informed = True
            self.client.transport.write(informational_head(head))

    def response(self, head: ResponseHead, body: bytes, *, last: bool) -> None:
        """Receive the final head, with what is already there of the body."""
        now = monotonic()
        self.heard = True
        request, route, pool, member = self.request, self.route, self.pool, self.member
        if route is None or member is None:
            raise AssertionError
        if head.status in self.retry.retried:
            if failover.status_failed(self, head.status, now):
                return
        elif member.endpoint.fails:
            pool.plan.succeeded(member, now)
        if head.status in route.intercepted and intercepted(self, head):
            return
        if route.method is not None:
            head, body, last = for_method(request, head, body, last=last, to_head=self.head.to_head)
        shown = head
        if self.detour is not None and self.detour.paged:
            shown = dressed(self, self.detour, head)
            if head.body and not shown.body:
                body, last = b"", True
        else:
            self.failure = None  # of an attempt before
        pool.counters.ttfb.observe(now - self.attempt_started)
        self.first_byte_at = now
        self.status = shown.status
        keep_alive = self.may_keep_alive()
        if shown.body < 0:  # its end is marked by chunks, or by closing
            if request.version_minor and route.spec.chunked_responses:
                self.rechunk = True
                self.framing = 0
            else:
                keep_alive = False
        if self.head.upgrade and self.client.has_backlog:
            keep_alive = False  # what stands behind the refused upgrade is another protocol's
        self.keep_alive = keep_alive
        if route.asks_response:
            data = self._asked_head(head, shown, now, keep_alive=keep_alive)
        else:
            data = client_head(
                request, shown, route, self.status, keep_alive=keep_alive, rechunk=self.rechunk
            )
        self.answering = True
        if last and not self.rechunk:
            self.bytes_out = len(body)
            self.client.transport.write(data + body)
            self._finish(keep_alive=keep_alive)
        else:
            self.response_body(body, last=last, head=data)

    def response_body(self, body: bytes, *, last: bool, head: bytes = b"") -> None:
        """Receive more of the response body; a head still to be sent goes into the same write."""
        self.bytes_out += len(body)
        if self.rechunk:
            payload = len(body)
            body = chunk(body) if body else b""
            if last:
                body += LAST_CHUNK
            self.framing += len(body) - payload
        if head:
            body = head + body
        if body:
            self.client.transport.write(body)
        if last:
            self._finish(keep_alive=self.keep_alive)
        elif self.client.write_paused:
            self.client_paused()
        else:
            self.read_by = monotonic() + self.read_s

    def client_paused(self) -> None:
        """Receive: the client's buffer is full."""
        if self.upstream is not None and self.answering:
            self.read_by = NEVER
            self.upstream.hold()

    def client_resumed(self) -> None:
        """Receive: the client takes more again."""
        if self.upstream is not None and self.answering:
            self.read_by = monotonic() + self.read_s
            self.upstream.unhold()

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Receive a 101: join the two transports, if this is what was asked for."""
        asked = [name.strip(b" \t") for name in self.head.upgrade.lower().split(b",")]
        protocol = head.headers.get("Upgrade", "").encode("utf-8", "surrogateescape")
        if not head.upgraded or protocol.lower() not in asked or not self.body.done:
            self.attempt_failed(errors.UNASKED_UPGRADE)
            return
        now = monotonic()
        route, member, upstream = self.taken_route, self.taken_member, self.upstream
        if upstream is None:
            raise AssertionError
        if member.endpoint.fails:
            self.pool.plan.succeeded(member, now)
        self.first_byte_at = now
        self.status = 101
        self.failure = None  # of an attempt before
        self.answering = True
        if route.asks_response:
            data = self._asked_head(head, head, now, keep_alive=True, upgrade=protocol)
        else:
            data = client_head(
                self.request, head, route, 101, keep_alive=True, rechunk=False, upgrade=protocol
            )
        self.client.transport.write(data)
        tunnel.join(self, upstream, rest, protocol, now)

    def _asked_head(
        self,
        head: ResponseHead,
        shown: ResponseHead,
        now: float,
        *,
        keep_alive: bool,
        upgrade: bytes = b"",
    ) -> bytes:
        """Build the client's head where somebody asks what is in it.

        ``head`` is what the upstream sent, ``shown`` what the client is to see of it.
        """
        request = self.request
        response = request.response = facts.begun(self, head, now)
        response.sent = client_head(
            request,
            shown,
            self.taken_route,
            self.status,
            keep_alive=keep_alive,
            rechunk=self.rechunk,
            upgrade=upgrade,
        )
        return response.sent

    # Failures

    def upstream_failed(self, *, malformed: bool) -> None:
        """Receive: the response cannot go on."""
        if not self.answering:
            failure = errors.BAD_RESPONSE if malformed else errors.UPSTREAM_CLOSED
            self.attempt_failed(failure)
        else:
            accounting.count_error(self, errors.RESPONSE_TRUNCATED)
            self.fail(errors.RESPONSE_TRUNCATED)

    def expire(self, now: float) -> None:
        """Act on a deadline that passed."""
        if now >= self.send_by and self.upstream is not None:
            if self.upstream.transport.get_write_buffer_size() < self.send_backlog:
                self.upstream_paused()
                return
            failure = errors.SEND_TIMEOUT
        else:
            failure = errors.READ_TIMEOUT
        if self.answering:
            accounting.count_error(self, failure)
            self.fail(failure)
        else:
            self.attempt_failed(failure)

    def attempt_failed(self, failure: Failure) -> None:
        """Try again elsewhere, or tell the client; nothing of a response went to it yet."""
        failover.attempt_failed(self, failure)

    def fail(self, failure: Failure) -> None:
        """End for a reason that no other attempt can help: answer, or cut a begun response.

        A shorter body must not look complete (RFC 9112, 8).
        """
        if self.finished:
            return
        if self.answering:
            self.failure = failure
            self._finish(keep_alive=False, cut=True)
        elif failure in _FINAL or not to_error_page(self, failure.status, failure):
            self.failure = failure
            own_answer.write(self, Answer(failure.status), may_last=failure not in _CLOSING)

    def reply(self, answer: Answer) -> None:
        """End with an answer that the configuration gives, or with the page of its error."""
        own_answer.reply(self, answer)

    def finish(self, *, keep_alive: bool, cut: bool = False) -> None:
        """End once everything for the client is written; ``cut``: without an end that looks so."""
        self._finish(keep_alive=keep_alive, cut=cut)

    def client_gone(self) -> None:
        """Receive: the client went away.  Cancel everything."""
        if not self.finished:
            self.failure = errors.CLIENT_GONE
            if self.answering:
                self.told = self.status
            self.status = errors.CLIENT_GONE.status
            self._finish(keep_alive=False, cut=True)

    def crashed(self, error: Exception) -> None:
        """End after a callback raised: a defect of ours must not leave anybody hanging."""
        self.client.runtime.log.error("internal error", exc_info=error, exchange=repr(self))
        self.client.last_request = True  # what was read behind the request may be lost
        self.fail(errors.INTERNAL)

    # The end

    def _finish(self, *, keep_alive: bool, cut: bool = False) -> None:
        """End the exchange; only the first call does."""
        if self.finished:
            return
        self.settle()
        if cut:
            self.client.cut()
        else:
            self.client.exchange_done(keep_alive=keep_alive)

    def settle(self) -> None:
        """Give everything back and account for it; what becomes of the client is the caller's."""
        self.finished = True
        now = monotonic()
        self.read_by = self.send_by = NEVER
        if self.failure is not None or self.status >= 500:
            failing.record(self, now)
        if self.task is not None:
            self.task.cancel()
            self.task = None
        if self.member is not None:
            self.member.endpoint.active -= 1
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            keepalive = self.pool.plan.spec.keepalive
            whole = self.body.done or self.head.body is not None
            reuse = whole and self.head.persistent
            upstream.release(reuse, keepalive, now)
            if keepalive.max_idle_total is not None:
                make_room(self.pool.plan.pool.endpoints.values(), keepalive.max_idle_total)
        accounting.settle(self, now)
