"""The end of an exchange with an answer of our own, as the route's response rules have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        exchange.finish(keep_alive=False, cut=True)
    elif answer.body is not None or not to_error_page(exchange, answer.status, None):
        write(exchange, answer, may_last=True)


def write(exchange: Exchange, answer: Answer, *, may_last: bool) -> None:
    """End with an answer; ``may_last`` if the connection may serve another request."""
    detour = exchange.detour
    status = answer.status
    if detour is not None and detour.status and (answer.body is not None or status < 400):
        status = detour.status  # this is the page of an error
    keep_alive = may_last and exchange.may_keep_alive()
    exchange.status = status
    failure = exchange.failure
    lines, dropped = _ruled(exchange, status)
    if detour is not None:
        lines += detour.challenge
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
    if route is None or not route.writes_response:
        return b"", frozenset()
    request, rules = exchange.request, route.rules_for(status)
    if route.asks_response:
        request.response = facts.own(exchange, status)
    return rules.set.render(request) + rules.appended.render(request), rules.dropped
