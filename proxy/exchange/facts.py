"""What response rules and logs may ask about, gathered where a route asks at all.

The facts begin with the response's head, and are completed when the exchange ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors
from proxy.exchange.respond import CONTINUE
from proxy.message import NO_HEADERS, Attempt, Response
from proxy.spec import SILENCE

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.upstream.response_parser import ResponseHead


def begun(exchange: Exchange, head: ResponseHead, now: float) -> Response:
    """Return the facts as they are when the head of the upstream's response is there."""
    last = attempt(exchange, head.status, now, answered=True)
    last = last._replace(bytes_received=_octets(head))
    attempts = (*exchange.trail, last)
    return Response(exchange.status, head.fields, head.headers, attempts, exchange.body.octets)


def own(exchange: Exchange, status: int) -> Response:
    """Return the facts of an answer of our own."""
    return Response(status, (), NO_HEADERS, exchange.trail, exchange.body.octets)


def of_error(exchange: Exchange, status: int, head: ResponseHead | None) -> Response:
    """Return what is known where an error leads to its page; ``head`` is the upstream's, if any.

    The status is what the client is to see; 0: the page says it.
    """
    fields, headers = ((), NO_HEADERS) if head is None else (head.fields, head.headers)
    return Response(status, fields, headers, exchange.trail, exchange.body.octets)


def attempt(
    exchange: Exchange, status: int, now: float, *, answered: bool, failure: Failure | None = None
) -> Attempt:
    """Return how the present attempt went until now."""
    upstream, passed_s = exchange.upstream, now - exchange.attempt_started
    connect_s = None if upstream is None else 0.0 if exchange.reused else upstream.connect_s
    return Attempt(
        address=exchange.taken_member.endpoint.address,
        endpoint=exchange.taken_member.name,
        reason=None if failure is None else failure.reason,
        status=str(status),
        seconds=passed_s,
        connect_s=connect_s,
        header_s=passed_s if answered else None,
        bytes_sent=0 if upstream is None else len(exchange.head.data) + body_sent(exchange),
    )


def body_sent(exchange: Exchange) -> int:
    """Return the octets of a request body that went, or go, to an upstream."""
    another = exchange.head.body
    return exchange.body.octets if another is None else len(another)


def complete(exchange: Exchange, response: Response, now: float) -> None:
    """Add what is known at the end."""
    response.request_body_bytes = exchange.body.octets
    if _answered_itself(exchange):
        head, response.body_bytes = sizes(exchange.replied)
        response.sent = exchange.replied[:head]
    elif exchange.answering:
        response.body_bytes = _behind_head(exchange)
    response.head_bytes = len(response.sent)
    if exchange.continued and response.head_bytes:
        response.body_bytes += len(CONTINUE)  # as nginx counts it
    failure, detour = exchange.failure, exchange.detour
    response.complete = failure is None or (detour is not None and failure is detour.failure)
    if response.attempts and exchange.answering:
        *before, last = response.attempts
        last = last._replace(
            seconds=now - exchange.attempt_started,
            bytes_sent=len(exchange.head.data) + body_sent(exchange),
            bytes_received=last.bytes_received + exchange.bytes_out,
            body_bytes=exchange.bytes_out,
        )
        response.attempts = (*before, last)


def sizes(answer: bytes) -> tuple[int, int]:
    """Return the octets of the head and of the body of a whole answer."""
    head = answer.find(b"\r\n\r\n") + 4
    return head, len(answer) - head


def _answered_itself(exchange: Exchange) -> bool:
    silent = exchange.failure is errors.CLIENT_GONE or exchange.status == SILENCE
    return not exchange.answering and not silent


def _behind_head(exchange: Exchange) -> int:
    """Return the octets that went to the client behind a head of the upstream's."""
    sent = exchange.bytes_out + (exchange.framing if exchange.rechunk else 0)
    failure, detour = exchange.failure, exchange.detour
    if failure is None or (detour is not None and failure is detour.failure):
        return sent
    # It was cut: what the client did not take of it was not sent.
    return max(sent - exchange.client.transport.get_write_buffer_size(), 0)


def _octets(head: ResponseHead) -> int:
    """Return the octets of a head, as if written without needless blanks."""
    line = len(f"HTTP/1.1 {head.status} {head.reason}\r\n")
    return line + sum(len(name) + len(value) + 4 for name, value in head.fields) + 2
