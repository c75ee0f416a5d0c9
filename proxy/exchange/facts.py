"""What response rules and logs may ask about, gathered where a route asks at all.

The facts begin with the response's head, and are completed when the exchange ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.message import Attempt, Response

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.upstream.response_parser import ResponseHead

_NO_HEADERS: Final = CIMultiDictProxy(CIMultiDict[str]())


def begun(exchange: Exchange, head: ResponseHead, now: float) -> Response:
    """Return the facts as they are when the head of the upstream's response is there."""
    last = attempt(exchange, head.status, now, answered=True)
    last = last._replace(bytes_received=_octets(head))
    attempts = (*exchange.trail, last)
    return Response(exchange.status, head.fields, head.headers, attempts, exchange.body.octets)


def own(exchange: Exchange, status: int) -> Response:
    """Return the facts of an answer of our own."""
    return Response(status, (), _NO_HEADERS, exchange.trail, exchange.body.octets)


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
        bytes_sent=0 if upstream is None else len(exchange.head.data) + exchange.body.octets,
    )


def complete(exchange: Exchange, response: Response, now: float) -> None:
    """Add what is known at the end."""
    response.request_body_bytes = exchange.body.octets
    response.head_bytes = len(response.sent)
    response.body_bytes = exchange.bytes_out
    response.complete = exchange.failure is None
    if response.attempts and exchange.answering:
        *before, last = response.attempts
        last = last._replace(
            seconds=now - exchange.attempt_started,
            bytes_sent=len(exchange.head.data) + exchange.body.octets,
            bytes_received=last.bytes_received + exchange.bytes_out,
            body_bytes=exchange.bytes_out,
        )
        response.attempts = (*before, last)


def _octets(head: ResponseHead) -> int:
    """Return the octets of a head, as if written without needless blanks."""
    line = len(f"HTTP/1.1 {head.status} {head.reason}\r\n")
    return line + sum(len(name) + len(value) + 4 for name, value in head.fields) + 2
