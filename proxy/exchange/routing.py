"""The first phase: who asks, which route and pool serve the request, what goes upstream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy import errors
from proxy.exchange import respond
from proxy.exchange.request_head import upstream_head
from proxy.headers.forwarded import client_ip
from proxy.snapshot import BadTarget, Resolution

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange

_REQUEST_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


def route_request(exchange: Exchange) -> bool:
    """Make the exchange ready to be dispatched; else answer it and return False."""
    request = exchange.request
    trusted = _identify(exchange)
    path, mark, query = request.target.partition(b"?")
    if mark:
        request.query = query
    try:
        found = exchange.site.resolve(request.host, path)
    except BadTarget:
        exchange.fail(errors.BAD_REQUEST)
        return False
    route = exchange.route = found.route
    if route is None:
        exchange.fail(errors.NO_ROUTE)
        return False
    request.path = found.raw
    request.uri = found.uri
    request.captures = found.captures
    if found.redirect:
        _redirect(exchange)
        return False
    refused = _too_large(exchange)
    if refused is None:
        refused = _choose_pool(exchange, found, trusted=trusted)
    if refused is not None:
        exchange.fail(refused)
        return False
    return True


def _identify(exchange: Exchange) -> bool:
    """Find out who asks; return whether the peer is a trusted proxy."""
    request = exchange.request
    trusted = exchange.site.trusted
    if trusted and trusted.trusts(request.peer.address):
        request.client_ip = client_ip(request, trusted)
        given = request.headers.get("X-Request-Id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            request.request_id = given.encode()
        else:
            request.request_id = exchange.client.runtime.new_request_id()
        return True
    request.request_id = exchange.client.runtime.new_request_id()
    return False


def body_limit(exchange: Exchange) -> int | None:
    """Return how many octets the request body may have; ``None``: any number."""
    route = exchange.route
    if route is None or route.inherits_body_bytes:
        return exchange.site.spec.limits.body_bytes
    return route.body_bytes


def _too_large(exchange: Exchange) -> Failure | None:
    length = exchange.request.content_length or exchange.body.octets
    if not length:
        return None
    limit = body_limit(exchange)
    return errors.BODY_TOO_LARGE if limit is not None and length > limit else None


def _choose_pool(exchange: Exchange, found: Resolution, *, trusted: bool) -> Failure | None:
    """Choose the pool, and build the head that any of its endpoints would get."""
    request, route = exchange.request, found.route
    if route is None:
        raise AssertionError
    pool = exchange.snapshot.pools.get(route.choose_pool(request))
    if pool is None:
        return errors.NO_ENDPOINT
    exchange.pool = pool
    request.pool = pool.label
    if route.rewrite is not None:
        target = route.rewritten(request, found.matched, exchange.site.spec.paths)
    else:
        target = found.forward
    if request.query is not None:
        target = b"%b?%b" % (target, request.query)
    exchange.head = upstream_head(request, route, target, peer_trusted=trusted)
    return None


def _redirect(exchange: Exchange) -> None:
    """Answer a path that lacks only its last slash (nginx ``auto_redirect``)."""
    request = exchange.request
    host = request.headers.get("Host", "").encode("utf-8", "surrogateescape")
    location = b"%b://%b%b/" % (request.peer.scheme, host, request.path)
    if request.query is not None:
        location = b"%b?%b" % (location, request.query)
    keep_alive = exchange.may_keep_alive()
    exchange.answer(
        301, respond.redirect(location, request, keep_alive=keep_alive), keep_alive=keep_alive
    )
