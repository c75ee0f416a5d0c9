"""An error leads to its page: the request is routed anew, or the client sent elsewhere."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from proxy.exchange import failover, intake, routing
from proxy.exchange.body import NOTHING
from proxy.exchange.detour import detour_of, rules_route
from proxy.message import Request
from proxy.steps.answer import Answer, safe_location
from proxy.steps.error_page import REDIRECTS

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.detour import Detour
    from proxy.exchange.exchange import Exchange
    from proxy.steps.error_page import ErrorPage
    from proxy.upstream.response_parser import ResponseHead


def to_error_page(exchange: Exchange, status: int, failure: Failure | None) -> bool:
    """Lead a request that nothing was sent to the client of to the page of an error.

    Return False if there is none for it.
    """
    route = rules_route(exchange)
    page = route.error_pages.get(status) if route is not None else None
    if page is None or (exchange.detour is not None and exchange.detour.paged):
        return False
    if page.route is not None and not _has_body_for(exchange, page.route):
        return False
    detour = detour_of(exchange)
    detour.paged = True
    detour.failure = exchange.failure = failure
    detour.began = monotonic()
    if exchange.task is not None:  # a connection that nobody waits for any more
        exchange.task.cancel()
        exchange.task = None
    if exchange.member is not None:
        answered = failure is None
        failover.drop(exchange, status, detour.began, answered=answered, failure=failure)
    exchange.tried, exchange.attempts, exchange.free_try_used = (), 0, False
    exchange.sent = False
    if page.location is not None:
        shown = page.status if page.status in REDIRECTS else 302
        location = safe_location(page.location.render(exchange.request))
        exchange.reply(Answer(int(shown), location=location))
        return True
    if page.status != "page":
        detour.status = page.status or status
    if exchange.route is not None and exchange.route.governs:
        exchange.client.allow(exchange.site.spec.timeouts)
    if _lead(exchange, page, detour):
        intake.proceed(exchange)
    return True


def _has_body_for(exchange: Exchange, route: str) -> bool:
    """Tell whether a route gets the body it wants: what was sent cannot always be sent again."""
    return exchange.body.intact or exchange.snapshot.routes[route].body is not None


def intercepted(exchange: Exchange, head: ResponseHead) -> bool:
    """Have an error page stand in for a response of the upstream; return whether one does."""
    status = head.status
    if status == 401:
        # Without its challenge a 401 is none (RFC 9110, 15.5.2), and nginx keeps it as well.
        challenges = (f for f in head.fields if f[0].lower() == b"www-authenticate")
        detour_of(exchange).challenge = b"".join(b"%b: %b\r\n" % field for field in challenges)
    if exchange.detour is not None and exchange.detour.paged:
        # The page of an error fails itself.
        failover.drop(exchange, status, monotonic(), answered=True)
        exchange.reply(Answer(status))
        return True
    return to_error_page(exchange, status, None)


def _lead(exchange: Exchange, page: ErrorPage, detour: Detour) -> bool:
    """Route the request to a page; return whether it is to be dispatched."""
    if page.path is None:
        return routing.enter(exchange, str(page.route))
    request = exchange.request
    request.uri = page.path.render(request)
    request.query = page.query.render(request) if page.query is not None else None
    detour.moved = True
    _without_body(request)
    detour.bodiless = True
    if exchange.body is not NOTHING:
        exchange.body.forget()
    return routing.reroute(exchange, preceded=True)


def _without_body(request: Request) -> None:
    """Make a request ask for a page, whatever it asked for before (nginx, as a GET)."""
    if request.method != b"HEAD":
        request.method = b"GET"
    request.content_length = None
    request.chunked = request.expects_continue = False
    request.upgrade = b""
