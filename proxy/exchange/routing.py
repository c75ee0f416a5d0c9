"""The first phase: who asks, which route and pool serve the request, what goes upstream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy import errors
from proxy.exchange.detour import detour_of
from proxy.exchange.request_head import upstream_head
from proxy.headers.forwarded import claimed_client
from proxy.routing.normalise import escape_path
from proxy.snapshot import BadTarget, Resolution
from proxy.steps.answer import Answer
from proxy.steps.step import MAX_REROUTES, Course, take

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.route import Route

_REQUEST_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


def route_request(exchange: Exchange) -> bool:
    """Make the exchange ready to be dispatched; else answer it and return False."""
    request, site = exchange.request, exchange.site
    if site.trusts_nobody:
        request.request_id = exchange.client.runtime.new_request_id()
    else:
        _identify(exchange)
    path, mark, query = request.target.partition(b"?")
    if mark:
        request.query = query
    try:
        found = site.resolve(request.host, path)
    except BadTarget:
        exchange.fail(errors.BAD_REQUEST)
        return False
    request.path = found.raw
    request.uri = found.uri
    if site.has_preludes:
        preceded = _precede(exchange, found)
        if preceded is None:
            return False
        found = preceded
    return _follow(exchange, found)


def reroute(exchange: Exchange, *, preceded: bool = False) -> bool:
    """Look for a route with the present ``request.uri``; the rest is as in ``route_request``.

    With ``preceded``, the prelude comes first again.
    """
    request, site = exchange.request, exchange.site
    detour = detour_of(exchange)
    detour.moved = True
    detour.reroutes += 1
    found: Resolution | None = site.find(request.host, request.uri)
    if preceded and found is not None and site.has_preludes:
        found = _precede(exchange, found)
    return found is not None and _follow(exchange, found)


def enter(exchange: Exchange, name: str) -> bool:
    """Go to a named route with the request as it is; the rest is as in ``route_request``."""
    request, site, detour = exchange.request, exchange.site, detour_of(exchange)
    detour.reroutes += 1
    route = exchange.snapshot.routes[name]
    if detour.moved:
        target = site.target(request.uri)
    else:
        target = site.resolve(request.host, request.target.partition(b"?")[0]).target
    return _follow(exchange, Resolution(target, route, request.captures))


def _precede(exchange: Exchange, found: Resolution) -> Resolution | None:
    """Take the steps that come before a path is looked up; ``None`` if they answer."""
    request, site = exchange.request, exchange.site
    prelude = site.prelude(request.host)
    if prelude is None:
        return found
    route = prelude.payload
    detour_of(exchange).prelude = route
    request.captures = prelude.captures
    course = take(route.steps, request)
    if isinstance(course, Answer):
        exchange.route = route
        exchange.reply(course)
        return None
    if course is not Course.ON:
        detour_of(exchange).moved = True
        found = site.find(request.host, request.uri)
    if found.route is None and route.access is not None and not _let_in(exchange, route):
        return None
    return found


def _follow(exchange: Exchange, found: Resolution) -> bool:
    """Take the route that was found, or the one that its steps lead to."""
    request = exchange.request
    while True:
        route = exchange.route = found.route
        rerouted = exchange.detour is not None and exchange.detour.reroutes
        if route is None or (route.internal and not rerouted):
            exchange.route = None
            exchange.fail(errors.NO_ROUTE)
            return False
        if found.captures is not None or exchange.detour is None:
            request.captures = found.captures
        length = request.content_length or exchange.body.octets
        if length and not rerouted:
            limit = body_limit(exchange)
            if limit is not None and length > limit:
                exchange.fail(errors.BODY_TOO_LARGE)
                return False
        if found.redirect:
            _redirect(exchange, found)
            return False
        if route.direct:
            return _pass_on(exchange, route, found, Course.ON)
        course = take(route.steps, request)
        if isinstance(course, Answer):
            exchange.reply(course)
            return False
        if course is not Course.REROUTE:
            return _arrive(exchange, route, found, course)
        detour = detour_of(exchange)
        detour.moved = True
        detour.reroutes += 1
        if detour.reroutes > MAX_REROUTES:
            exchange.fail(errors.TOO_MANY_REROUTES)
            return False
        found = exchange.site.find(request.host, request.uri)


def _arrive(exchange: Exchange, route: Route, found: Resolution, course: Course) -> bool:
    """Do what comes behind the steps of a route: let the client in, answer or pass on."""
    if course is not Course.ON:
        detour_of(exchange).moved = True
    if route.access is not None and not _let_in(exchange, route):
        return False
    if route.answer is not None:
        exchange.reply(route.answer.render(exchange.request))
        return False
    return _pass_on(exchange, route, found, course)


def _let_in(exchange: Exchange, route: Route) -> bool:
    if route.access is None or route.access.allows(exchange.request.client_ip):
        return True
    exchange.fail(errors.FORBIDDEN)
    return False


def _pass_on(exchange: Exchange, route: Route, found: Resolution, course: Course) -> bool:
    """Choose the pool, and make the head that goes upstream."""
    request, site = exchange.request, exchange.site
    pool = exchange.snapshot.pools.get(route.only_pool or route.choose_pool(request))
    if pool is None:
        exchange.fail(errors.NO_ENDPOINT)
        return False
    exchange.pool = pool
    exchange.pool_name = pool.name
    exchange.read_s = route.spec.timeouts.read_s or pool.plan.spec.timeouts.read_s
    request.pool = pool.label
    mode, query = site.spec.paths, request.query
    if route.rewrite is not None and course is not Course.REWRITTEN:
        target = route.rewritten(request, found.matched, mode)
    elif course is Course.ON:
        target = found.forward
        if query == b"":
            target += b"?"  # as it was sent
    else:
        target = escape_path(request.uri, mode)
    if query:
        target = b"%b?%b" % (target, query)
    trusted = not site.trusts_nobody and site.trusted.contains(request.peer.address)
    exchange.head = upstream_head(request, route, target, peer_trusted=trusted)
    return True


def _identify(exchange: Exchange) -> None:
    """Find out who asks through a trusted proxy."""
    request, site = exchange.request, exchange.site
    trusted = site.trusted
    request.request_id = exchange.client.runtime.new_request_id()
    if not trusted.contains(request.peer.address):
        return
    client = claimed_client(
        request, trusted, site.client_field, recursive=site.spec.client_address.recursive
    )
    if client is not None:
        request.client_ip, request.client_port = client
    given = request.headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        request.request_id = given.encode()


def body_limit(exchange: Exchange) -> int | None:
    """Return how many octets the request body may have; ``None``: any number."""
    route = exchange.route
    if route is None or route.inherits_body_bytes:
        return exchange.site.spec.limits.body_bytes
    return route.body_bytes


def _redirect(exchange: Exchange, found: Resolution) -> None:
    """Answer a path that lacks only its last slash (nginx ``auto_redirect``).

    It leads to the path that was matched, at the host and port that the client named, if it did.
    """
    request = exchange.request
    location = escape_path(found.uri, exchange.site.spec.paths) + b"/"
    if request.query:
        location = b"%b?%b" % (location, request.query)
    host = request.authority or request.host
    if host:
        location = b"%b://%b%b" % (request.peer.scheme, host, location)
    exchange.reply(Answer(301, location=location))
