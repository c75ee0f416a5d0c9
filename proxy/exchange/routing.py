"""The first phase: who asks, which route and pool serve the request, what goes upstream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy import errors
from proxy.exchange import respond
from proxy.exchange.request_head import upstream_head
from proxy.headers.forwarded import claimed_client
from proxy.snapshot import BadTarget, Resolution

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

_REQUEST_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


def route_request(exchange: Exchange) -> bool:
    """Make the exchange ready to be dispatched; else answer it and return False."""
    request, site = exchange.request, exchange.site
    if site.trusts_nobody:
        trusted = False
        request.request_id = exchange.client.runtime.new_request_id()
    else:
        trusted = _identify(exchange)
    path, mark, query = request.target.partition(b"?")
    if mark:
        request.query = query
    try:
        found = site.resolve(request.host, path)
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
    length = request.content_length or exchange.body.octets
    if length:
        limit = body_limit(exchange)
        if limit is not None and length > limit:
            exchange.fail(errors.BODY_TOO_LARGE)
            return False
    pool = exchange.snapshot.pools.get(route.only_pool or route.choose_pool(request))
    if pool is None:
        exchange.fail(errors.NO_ENDPOINT)
        return False
    exchange.pool = pool
    exchange.pool_name = pool.name
    exchange.read_s = route.spec.timeouts.read_s or pool.plan.spec.timeouts.read_s
    request.pool = pool.label
    target = found.forward if route.rewrite is None else _rewritten(exchange, found)
    if mark:
        target = b"%b?%b" % (target, query)
    exchange.head = upstream_head(request, route, target, peer_trusted=trusted)
    return True


def _identify(exchange: Exchange) -> bool:
    """Find out who asks through a trusted proxy; return whether the peer is one."""
    request, site = exchange.request, exchange.site
    trusted = site.trusted
    request.request_id = exchange.client.runtime.new_request_id()
    if not trusted.contains(request.peer.address):
        return False
    client = claimed_client(
        request, trusted, site.client_field, recursive=site.spec.client_address.recursive
    )
    if client is not None:
        request.client_ip, request.client_port = client
    given = request.headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        request.request_id = given.encode()
    return True


def body_limit(exchange: Exchange) -> int | None:
    """Return how many octets the request body may have; ``None``: any number."""
    route = exchange.route
    if route is None or route.inherits_body_bytes:
        return exchange.site.spec.limits.body_bytes
    return route.body_bytes


def _rewritten(exchange: Exchange, found: Resolution) -> bytes:
    mode = exchange.site.spec.paths
    return exchange.taken_route.rewritten(exchange.request, found.matched, mode)


def _redirect(exchange: Exchange) -> None:
    """Answer a path that lacks only its last slash (nginx ``auto_redirect``)."""
    request = exchange.request
    host = request.authority or request.host
    location = b"%b://%b%b/" % (request.peer.scheme, host, request.path)
    if request.query is not None:
        location = b"%b?%b" % (location, request.query)
    keep_alive = exchange.may_keep_alive()
    exchange.answer(
        301, respond.redirect(location, request, keep_alive=keep_alive), keep_alive=keep_alive
    )
