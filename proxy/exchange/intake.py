"""Between routing and dispatch: what becomes of the request's body first, if the route wants that.

A route may want the body whole before anybody works on the request (``request_buffer_bytes``), or
send another one in its place.  Until the client's is complete, the exchange then waits here, with
no endpoint picked: what is to be kept is kept, and what is not passed on is counted and discarded.
A body that outgrows the buffer goes on as it comes.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from proxy.exchange.body import NOTHING
from proxy.exchange.detour import detour_of
from proxy.exchange.dispatch import dispatch, welcome
from proxy.exchange.request_head import upstream_head

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


def proceed(exchange: Exchange) -> None:
    """Go on to dispatch with a request that is routed, now or once the body is there."""
    body = exchange.body
    if body is NOTHING:
        dispatch(exchange)
        return
    route = exchange.taken_route
    body.limit = exchange.retry.spec.replay_bytes
    body.chunked = exchange.request.chunked
    if not route.holds_body:
        dispatch(exchange)
    elif exchange.head.body is not None:
        body.sent(may_retry=route.keeps_body)
        if body.done or (exchange.detour is not None and exchange.detour.bodiless):
            dispatch(exchange)
        else:
            welcome(exchange)
    elif not _fits(exchange) or (body.done and not body.chunked):
        dispatch(exchange)
    else:
        body.chunked = False
        if body.done:
            _go_whole(exchange)
        else:
            welcome(exchange)


def more(exchange: Exchange, *, last: bool) -> None:
    """Receive more of a body that is waited for; it has been added."""
    route, body = exchange.taken_route, exchange.body
    if exchange.head.body is not None:
        body.sent(may_retry=route.keeps_body)
        if last:
            _go_now(exchange)
    elif last:
        _go_whole(exchange)
    elif body.octets > route.spec.request_buffer_bytes:
        body.chunked = exchange.request.chunked
        _go_now(exchange)


def _fits(exchange: Exchange) -> bool:
    length = exchange.request.content_length or exchange.body.octets
    return length <= exchange.taken_route.spec.request_buffer_bytes


def _go_whole(exchange: Exchange) -> None:
    """Dispatch with a body that is all there, so that its length is known."""
    request, head = exchange.request, exchange.head
    if request.chunked:
        request.differs, request.chunked = True, False
        request.content_length = exchange.body.octets
        exchange.head = upstream_head(
            request, exchange.taken_route, head.target, peer_trusted=head.peer_trusted
        )
    _go_now(exchange)


def _go_now(exchange: Exchange) -> None:
    """Dispatch later than routing: times of attempts count from here, as in nginx."""
    detour_of(exchange).began = monotonic()
    dispatch(exchange)
