"""The end of an exchange with an answer of our own, as the route's response rules have it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy import errors
from proxy.exchange import facts, respond
from proxy.exchange.detour import rules_route
from proxy.exchange.error_page import to_error_page
from proxy.spec import SILENCE
from proxy.steps.answer import Answer

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


def reply(exchange: Exchange, answer: Answer) -> None:
    """End with an answer that the configuration gives, or with the page of its error."""
    if answer.status == SILENCE:
        exchange.status = SILENCE
        exchange.request.response = None
        # Answers to requests before this one may wait to be written.
        waiting = exchange.client.transport.get_write_buffer_size()
        exchange.finish(keep_alive=False, cut=not waiting)
    elif answer.body is not None or not to_error_page(exchange, answer.status, None):
        write(exchange, answer, may_last=True)


def write(exchange: Exchange, answer: Answer, *, may_last: bool) -> None:
    """End with an answer; ``may_last`` if the connection may serve another request."""
    status, lines = answer.status, b""
    dropped = frozenset[bytes]()
    detour = exchange.detour
    whole = answer.location is None and (answer.body is not None or status < 300)
    if detour is not None and detour.paged and whole:
        # This is the page of an error.
        exchange.failure = detour.failure
        if detour.status:
            status = detour.status
            answer = replace(answer, body=answer.body or b"")
    exchange.status = status
    exchange.request.response = None  # what was known of an error ends here
    failure = exchange.failure
    if failure is not errors.INTERNAL:  # what failed may be the rules
        lines, dropped = _ruled(exchange, status)
    if detour is not None:
        lines += b"".join([b"%b: %b\r\n" % field for field in detour.challenge])
    keep_alive = may_last and exchange.may_keep_alive()
    exchange.replied = respond.whole(
        status,
        answer,
        None if failure is None else failure.reason,
        exchange.request,
        lines,
        dropped,
        keep_alive=keep_alive,
    )
    exchange.client.transport.write(exchange.replied)
    exchange.finish(keep_alive=keep_alive)


def _ruled(exchange: Exchange, status: int) -> tuple[bytes, frozenset[bytes]]:
    """Return the lines that response rules add, and the names of those whose place they take."""
    route = rules_route(exchange)
    if route is None:
        return b"", frozenset()
    request, rules = exchange.request, route.rules_for(status)
    if route.asks_response:
        request.response = facts.own(exchange, status)
    return rules.set.render(request) + rules.appended.render(request), rules.dropped
