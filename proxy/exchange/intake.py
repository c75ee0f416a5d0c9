"""Between routing and dispatch, for routes that want it: what becomes of the request's body first.

A route may want the body whole before anybody works on the request (``request_buffer_bytes``), or
send another one in its place.  Until the client's is complete, the exchange then waits here, with
no endpoint picked: what is to be kept is kept, and what is not passed on is counted and discarded.
A body that outgrows the buffer goes on as it comes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.exchange.body import NOTHING, Replacement, RequestBody
from proxy.exchange.dispatch import dispatch, welcome
from proxy.exchange.request_head import upstream_head

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.route import Route


def prepare(exchange: Exchange, body: bytes, *, last: bool) -> None:
    """Go on to dispatch, now or once the body is there; ``body`` is what came of it so far."""
    route = exchange.taken_route
    _govern(exchange, route)
    received = exchange.body
    if route.body is not None:
        if last:
            _go_with_another(exchange)
            return
        exchange.body = RequestBody(chunked=False, limit=0)
        exchange.body.add(body, last=False)
        exchange.body.forget()
        welcome(exchange)
    elif received is NOTHING or not _fits(exchange, route) or (last and not _is_chunked(exchange)):
        dispatch(exchange)
    else:
        exchange.body = RequestBody(chunked=False, limit=route.spec.request_buffer_bytes)
        exchange.body.add(body, last=last)
        if last:
            _go_whole(exchange)
        else:
            welcome(exchange)


def more(exchange: Exchange, *, last: bool) -> None:
    """Receive more of a body that is waited for; it has been added."""
    route, body = exchange.taken_route, exchange.body
    if route.body is not None:
        if last:
            _go_with_another(exchange)
    elif last:
        _go_whole(exchange)
    elif body.octets > route.spec.request_buffer_bytes:
        if _is_chunked(exchange):
            body.reframe()
        body.limit = exchange.retry.spec.replay_bytes
        dispatch(exchange)


def _govern(exchange: Exchange, route: Route) -> None:
    """Let what the route says of the client's connection hold."""
    client = exchange.client
    over = route.client_timeouts
    if over is not None:
        timeouts = exchange.site.spec.timeouts
        client.allow(
            replace(
                timeouts,
                body_s=over.body_s or timeouts.body_s,
                write_s=over.write_s or timeouts.write_s,
                idle_s=over.idle_s or timeouts.idle_s,
            )
        )
    most = route.spec.requests_per_connection
    if isinstance(most, int) and client.requests >= most:
        client.last_request = True


def _is_chunked(exchange: Exchange) -> bool:
    return exchange.request.chunked


def _fits(exchange: Exchange, route: Route) -> bool:
    length = exchange.request.content_length or exchange.body.octets
    return length <= route.spec.request_buffer_bytes


def _go_whole(exchange: Exchange) -> None:
    """Dispatch with a body that is all there, so that its length is known."""
    request, head, body = exchange.request, exchange.head, exchange.body
    body.limit = exchange.retry.spec.replay_bytes
    if request.chunked:
        request.chunked = False
        request.content_length = body.octets
        exchange.head = upstream_head(
            request, exchange.taken_route, head.target, peer_trusted=head.peer_trusted
        )
    dispatch(exchange)


def _go_with_another(exchange: Exchange) -> None:
    """Dispatch with the route's body in place of the client's."""
    data = exchange.head.body
    exchange.body = Replacement(data) if data else NOTHING
    dispatch(exchange)
