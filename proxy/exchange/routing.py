"""The first phase: who asks, which route and pool serve the request, what goes upstream."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy import errors
from proxy.exchange.detour import detour_of
from proxy.exchange.request_head import upstream_head
from proxy.routing.normalise import BadTarget, escape_path
from proxy.site import Resolution
from proxy.steps.answer import Answer
from proxy.steps.step import MAX_REROUTES, Course, take

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.message import Request
    from proxy.route import Route
    from proxy.routing.normalise import Target

_REQUEST_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


def route_request(exchange: Exchange) -> bool:
    """Make the exchange ready to be dispatched; else answer it and return False."""
    request, site = exchange.request, exchange.site
    request.request_id = exchange.client.runtime.new_request_id()
    if site.trust is not None and site.trust.identify(request):
        _keep_id(request)
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
    route = found.route
    if site.has_preludes:
        preceded = _precede(exchange, found)
        return preceded is not None and _follow(exchange, preceded)
    if route is None or not route.direct or route.governs or found.redirect:
        return _follow(exchange, found)
    exchange.route = route
    request.captures = found.captures
    length = request.content_length or exchange.body.octets
    if length and not _fits(exchange, length):
        return False
    return _pass_on(exchange, route, found)


def reroute(exchange: Exchange) -> bool:
    """Lead the request to its present ``uri``; the rest is as in ``route_request``."""
    _lead_inside(exchange)
    found = _find(exchange)
    if found is not None and exchange.site.has_preludes:
        found = _precede(exchange, found)
    return found is not None and _follow(exchange, found)


def enter(exchange: Exchange, name: str) -> bool:
    """Lead the request to a named route as it is; the rest is as in ``route_request``."""
    request, site = exchange.request, exchange.site
    if detour_of(exchange).moved:
        target = _target(exchange)
    else:
        target = site.resolve(request.host, request.target.partition(b"?")[0]).target
    if target is None:
        return False
    _lead_inside(exchange)
    route = exchange.snapshot.routes[name]
    return _follow(exchange, Resolution(target, route, request.captures, len(request.uri)))


def _lead_inside(exchange: Exchange) -> None:
    detour = detour_of(exchange)
    detour.inside = True
    detour.reroutes += 1


def _target(exchange: Exchange) -> Target | None:
    """Return the target that the present ``uri`` means; ``None`` if that made the answer."""
    request, detour = exchange.request, detour_of(exchange)
    try:
        target = exchange.site.target(request.uri)
    except BadTarget:
        exchange.fail(errors.BAD_REQUEST)
        return None
    detour.moved = True
    request.uri = target.path
    return target


def _find(exchange: Exchange) -> Resolution | None:
    """Find the route for the present ``uri``; ``None`` if that made the answer."""
    target = _target(exchange)
    return None if target is None else exchange.site.find(exchange.request.host, target)


def _precede(exchange: Exchange, found: Resolution) -> Resolution | None:
    """Take the steps that come before a path is looked up; ``None`` if they answer."""
    request = exchange.request
    prelude = exchange.site.prelude(request.host)
    if prelude is None:
        return found
    route, detour = prelude.payload, detour_of(exchange)
    detour.prelude = route
    request.captures = prelude.captures
    request.keeps_escapes = exchange.site.spec.paths == "strict"
    course = take(route.steps, request)
    if isinstance(course, Answer):
        exchange.route = route
        exchange.reply(course)
        return None
    if course is Course.ON:
        return found
    detour.inside = detour.inside or course is not Course.REQUERIED
    return _find(exchange)


def _follow(exchange: Exchange, found: Resolution) -> bool:
    """Take the route that was found, or the one that its steps lead to."""
    request = exchange.request
    while True:
        route, detour = found.route, exchange.detour
        if route is None or (route.internal and (detour is None or not detour.inside)):
            return _nowhere(exchange)
        exchange.route = route
        if route.governs:
            _govern(exchange, route)
        path = route.spec.path
        if detour is None or (path is not None and path.kind == "regex"):
            # What the host's expression captured has been there since the prelude.
            request.captures = found.captures
            if request.maps and found.captures:  # what is captured is assigned now, not before
                for name in found.captures:
                    request.maps.pop(name.lower(), None)
        length = request.content_length or exchange.body.octets
        if length and not _fits(exchange, length):
            return False
        if found.redirect:
            _redirect(exchange, found)
            return False
        request.keeps_escapes = exchange.site.spec.paths == "strict"
        course = take(route.steps, request)
        if isinstance(course, Answer):
            exchange.reply(course)
            return False
        if course is not Course.REROUTE:
            return _arrive(exchange, route, found, course)
        _lead_inside(exchange)
        if detour_of(exchange).reroutes > MAX_REROUTES:
            exchange.fail(errors.TOO_MANY_REROUTES)
            return False
        following = _find(exchange)
        if following is None:
            return False
        found = following


def _fits(exchange: Exchange, length: int) -> bool:
    """Tell whether a request body of so many octets is let in; an error page has none."""
    limit = body_limit(exchange)
    if limit is None or length <= limit or (exchange.detour is not None and exchange.detour.paged):
        return True
    exchange.fail(errors.BODY_TOO_LARGE)
    return False


def _nowhere(exchange: Exchange) -> bool:
    """Answer a request that no route takes, or, to whoever is not let in, that nobody is."""
    exchange.route = None
    if _let_in(exchange, None):
        exchange.fail(errors.NO_ROUTE)
    return False


def _govern(exchange: Exchange, route: Route) -> None:
    """Let what a route says of the client's connection hold."""
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


def _arrive(exchange: Exchange, route: Route, found: Resolution, course: Course) -> bool:
    """Do what comes behind the steps of a route: let the client in, answer or pass on."""
    if course is not Course.ON:
        target = _target(exchange)
        if target is None:
            return False
        found = Resolution(target, route, found.captures, found.matched)
    request = exchange.request
    trusted = False
    if route.trust is not None and request.client_ip is request.peer.address:
        trusted = route.trust.identify(request)  # nobody has said it before
    if not _let_in(exchange, route):
        return False
    if route.answer is not None:
        exchange.reply(route.answer.render(request))
        return False
    rewritten = course is Course.REWRITTEN
    return _pass_on(exchange, route, found, rewritten=rewritten, trusted=trusted)


def _let_in(exchange: Exchange, route: Route | None) -> bool:
    """Go by the route's access rules, or by its prelude's if it has none (nginx)."""
    access = None if route is None else route.access
    if access is None and exchange.detour is not None and exchange.detour.prelude is not None:
        access = exchange.detour.prelude.access
    if access is None or access.allows(exchange.request.client_ip):
        return True
    exchange.fail(errors.FORBIDDEN)
    return False


def _pass_on(
    exchange: Exchange,
    route: Route,
    found: Resolution,
    *,
    rewritten: bool = False,
    trusted: bool = False,
) -> bool:
    """Choose the pool, and make the head that goes upstream.

    With ``rewritten``, steps did to the path what the route's ``rewrite`` would have done.  The
    peer is ``trusted`` by the route, or else by the listener.
    """
    request, site = exchange.request, exchange.site
    pool = exchange.snapshot.pools.get(route.only_pool or route.choose_pool(request))
    if pool is None:
        exchange.fail(errors.NO_ENDPOINT)
        return False
    exchange.pool = pool
    exchange.pool_name = pool.name
    exchange.read_s = route.spec.timeouts.read_s or pool.plan.spec.timeouts.read_s
    exchange.retry = route.retry or pool.retry
    request.pool = pool.label
    query, target = request.query, b""
    if route.rewrites:
        target = route.rewritten(request, found.matched, site.spec.paths, moved=rewritten)
    if not target:
        target = found.forward
        if query == b"":
            target += b"?"  # as it was sent
        elif query:
            target = b"%b?%b" % (target, query)
    if site.trust is not None and not trusted:
        trusted = site.trust.holds_for(request.peer.address)
    exchange.head = upstream_head(request, route, target, peer_trusted=trusted)
    if exchange.detour is not None and exchange.detour.bodiless and exchange.head.body is None:
        exchange.head.body = b""
    return True


def _keep_id(request: Request) -> None:
    """Let the request have the id that a trusted proxy gave it, if it did."""
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
