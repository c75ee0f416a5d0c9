"""An error leads to its page: the request is routed anew, or the client sent elsewhere."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from proxy import errors
from proxy.exchange import facts, failover, intake, routing
from proxy.exchange.body import NOTHING
from proxy.exchange.detour import Detour, detour_of, rules_route
from proxy.exchange.respond import BODILESS, phrase
from proxy.message import Fields
from proxy.steps.answer import Answer, safe_location
from proxy.steps.error_page import REDIRECTS
from proxy.steps.escapes import safe_query
from proxy.upstream.response_parser import ResponseHead

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.steps.error_page import ErrorPage


def to_error_page(
    exchange: Exchange, status: int, failure: Failure | None, head: ResponseHead | None = None
) -> bool:
    """Lead a request that nothing was sent to the client of to the page of an error.

    Return False if there is none for it.  ``failure`` is ``None`` where the status is an answer,
    of an upstream (with this ``head``) or of the configuration.
    """
    route = rules_route(exchange)
    page = route.error_pages.get(status) if route is not None else None
    if page is None or (exchange.detour is not None and exchange.detour.paged):
        return False
    # A body that is too large goes nowhere, not even to a route that takes requests as they are.
    bodiless = page.path is not None or failure is errors.BODY_TOO_LARGE
    if page.route is not None and not bodiless and not _has_body_for(exchange, page.route):
        return False
    detour = detour_of(exchange)
    detour.paged = True
    detour.failure = failure
    detour.challenge = () if head is None else _challenge(head)
    _begin_anew(exchange, detour, status, failure)
    led = 0 if page.status == "page" else page.status or status
    exchange.request.response = facts.of_error(exchange, led, head)
    if page.location is not None:
        exchange.failure = failure
        shown = page.status if page.status in REDIRECTS else 302
        location = safe_location(page.location.render(exchange.request))
        exchange.reply(Answer(int(shown), location=location))
        return True
    detour.status = led or None
    if exchange.route is not None and exchange.route.governs:
        exchange.client.allow(exchange.site.spec.timeouts)
    if _lead(exchange, page, detour, bodiless=bodiless):
        exchange.request.response = None  # another one begins
        intake.proceed(exchange)
    return True


def _has_body_for(exchange: Exchange, route: str) -> bool:
    """Tell whether a route gets the body it wants: what was sent cannot always be sent again."""
    return exchange.body.intact or exchange.snapshot.routes[route].body is not None


def intercepted(exchange: Exchange, head: ResponseHead) -> bool:
    """Have an error page stand in for a response of the upstream; return whether one does."""
    status, detour = head.status, exchange.detour
    if detour is None or not detour.paged:
        return to_error_page(exchange, status, None, head)
    if status < 400:
        return False
    # The page of an error fails itself.
    detour.challenge = _challenge(head)
    failover.drop(exchange, status, monotonic(), answered=True, reuse=True)
    exchange.reply(Answer(status))
    return True


def _challenge(head: ResponseHead) -> Fields:
    if head.status != 401:
        return ()
    return tuple(field for field in head.fields if field[0].lower() == b"www-authenticate")


def dressed(exchange: Exchange, detour: Detour, head: ResponseHead) -> ResponseHead:
    """Return the head of an error page as the client is to see it, under the error's status."""
    exchange.failure = detour.failure
    detour.answered = head.status
    status = detour.status or head.status
    fields, body = head.fields, head.body
    if status in BODILESS or head.status in BODILESS:
        fields = tuple(field for field in fields if field[0].lower() != b"content-length")
        body = 0
        if status not in BODILESS:
            fields = (*fields, (b"Content-Length", b"0"))
    reason = head.reason if status == head.status else phrase(status)
    return head.with_fields((*fields, *detour.challenge), body=body, status=status, reason=reason)


def _begin_anew(exchange: Exchange, detour: Detour, status: int, failure: Failure | None) -> None:
    """Put an end to the present attempt, and make as if there had been none."""
    now = detour.began = monotonic()
    if exchange.task is not None:
        exchange.task.cancel()
        exchange.task = None
    if exchange.member is not None:
        answered = failure is None
        failover.drop(exchange, status, now, answered=answered, failure=failure, reuse=True)
    exchange.failure = None
    exchange.tried, exchange.attempts, exchange.free_try_used = (), 0, False
    exchange.sent = False


def _lead(exchange: Exchange, page: ErrorPage, detour: Detour, *, bodiless: bool) -> bool:
    """Route the request to a page; return whether it is to be dispatched."""
    request = exchange.request
    exchange.pool_name = "none"
    path = None if page.path is None else page.path.render(request)
    query = b"" if page.query is None else safe_query(page.query.render(request))
    if bodiless:
        _without_body(exchange, detour)
    if path is None:
        return routing.enter(exchange, str(page.route))
    request.uri = path if path.startswith(b"/") else b"/" + path
    request.query = query or None
    return routing.reroute(exchange)


def _without_body(exchange: Exchange, detour: Detour) -> None:
    """Make a request ask for a page, whatever it asked for before (nginx, as a GET).

    What the client still sends of the body is read and dropped.
    """
    request = exchange.request
    if request.method not in (b"GET", b"HEAD"):
        detour.method = request.method
        request.method = b"GET"
    if exchange.body is not NOTHING:
        detour.bodiless = True
        exchange.body.forget()
        exchange.client.unhold()
    request.differs, request.content_length = True, None
    request.chunked = request.expects_continue = False
    if request.upgrade:
        request.keep_alive = False  # what may come behind it is another protocol's
        request.upgrade = b""
