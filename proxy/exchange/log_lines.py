"""What an exchange, a tunnel or a refused head has to tell to access logs.

Where a document says where requests are logged, it is as it says; where it does not, the log of the
process (``--access-log``) takes those that it wants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from proxy import errors
from proxy.exchange import facts
from proxy.exchange.detour import rules_route
from proxy.logs.access import Logs
from proxy.message import NO_HEADERS, Request, Response
from proxy.telemetry.request_lines import Entry, Facts

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.exchange.runtime import Runtime
    from proxy.splice.relay import Splice


def log_as_documented(exchange: Exchange, now: float) -> None:
    """Log an exchange that is over as a document says, should one say it after all."""
    logs = _logs(exchange)
    if logs is None:
        access_log = exchange.client.runtime.access_log
        if access_log is not None and access_log.wants(exchange.status):
            access_log.add_entry(entry_of(exchange, now))
    elif logs:
        _completed(exchange, now)
        _write(logs, exchange.request, partial(entry_of, exchange, now))


def entry_of(exchange: Exchange, now: float) -> Entry:
    """Return what the JSON line of an exchange that is over says."""
    return b"access", now, exchange.body.octets, exchange.bytes_out, _facts(exchange)


def _facts(exchange: Exchange) -> Facts:
    request, route, member = exchange.request, exchange.route, exchange.member
    failure, detour = exchange.failure, exchange.detour
    return (
        request.started,
        exchange.first_byte_at,
        request.request_id,
        request.client_ip,
        (detour and detour.method) or request.method,
        request.target,
        (
            exchange.status,
            None if failure is None else failure.reason,
            "none" if route is None else route.name,
            exchange.pool_name,
            _endpoint(exchange) if member is None else member.name,
            len(exchange.trail) + (member is not None),
        ),
        exchange.snapshot.number,
    )


def tunnel_log(exchange: Exchange) -> Callable[[Splice, float], None] | None:
    """Log that a tunnel opens; return what logs its end, or nothing if it is not to be logged.

    Whether, is asked once for both ends.  The lines of formats are written at the end, as by nginx.
    """
    logs = _logs(exchange)
    if logs is None:
        return _process_tunnel_log(exchange)
    if not logs:
        return None
    request = exchange.request
    response = _completed(exchange, monotonic())
    formatted = tuple(log for log in logs if log.render is not None)
    plain = tuple(log for log in logs if log.render is None and log.wants(request))
    said = _facts(exchange)
    for log in plain:
        log.sink.add_entry((b"tunnel_open", monotonic(), 0, 0, said))

    def log_close(splice: Splice, now: float) -> None:
        _tunnelled(response, splice, now)
        _write(formatted, request, partial(_closed, said, splice, now))
        for log in plain:
            log.sink.add_entry(_closed(said, splice, now))

    return log_close


def log_refused(
    runtime: Runtime, logs: Logs, request: Request, failure: Failure, answer: bytes
) -> None:
    """Log a head that no exchange was made of; ``request`` is what could be read of it."""
    # Of a head that never ended nginx says that it was a bad one.
    status = errors.BAD_REQUEST.status if failure is errors.CLIENT_GONE else failure.status
    request.response = response = Response(status, (), NO_HEADERS)
    if answer:
        head, response.body_bytes = facts.sizes(answer)
        response.head_bytes, response.sent = head, answer[:head]
    now = monotonic()
    entry: Entry = (
        b"access", now, 0, response.body_bytes,
        (
            now, 0.0, request.request_id, request.client_ip, request.method, request.target,
            (status, failure.reason, "none", "none", None, 0), runtime.snapshot.number,
        ),
    )  # fmt: skip
    _write(logs, request, lambda: entry)


def _logs(exchange: Exchange) -> Logs | None:
    """Return where a document has the exchange logged; ``None`` if none says it."""
    route = rules_route(exchange)
    if route is not None:
        if not route.logged:
            return None
        if route.logs is not None:
            return route.logs
    return exchange.site.logs


def _write(logs: Logs, request: Request, entry: Callable[[], Entry]) -> None:
    for log in logs:
        if not log.wants(request):
            continue
        if log.render is None:
            log.sink.add_entry(entry())
        else:
            log.sink.add_line(log.render(request))


def _completed(exchange: Exchange, now: float) -> Response:
    """Return what is known at the end."""
    request = exchange.request
    response = request.response
    if response is None:  # nothing of it was taken down when it began
        response = request.response = facts.own(exchange, _status(exchange))
        facts.complete(exchange, response, now)
    return response


def _tunnelled(response: Response, splice: Splice, now: float) -> None:
    """Add what a tunnel is to its opening."""
    response.body_bytes = splice.to_client
    if response.attempts:
        *before, last = response.attempts
        last = last._replace(
            seconds=last.seconds + now - splice.started,
            bytes_sent=last.bytes_sent + splice.to_upstream,
            bytes_received=last.bytes_received + splice.to_client,
            body_bytes=splice.to_client,
        )
        response.attempts = (*before, last)


def _status(exchange: Exchange) -> int:
    """Return what the client was told, if it was told something before it went (nginx)."""
    gone = exchange.failure is errors.CLIENT_GONE
    return exchange.told if gone and exchange.answering else exchange.status


def _endpoint(exchange: Exchange) -> str | None:
    """Return which one was tried last, if none answered."""
    return exchange.trail[-1].endpoint if exchange.trail else None


def _process_tunnel_log(exchange: Exchange) -> Callable[[Splice, float], None] | None:
    access_log = exchange.client.runtime.access_log
    if access_log is None or not access_log.wants(101):
        return None
    said = _facts(exchange)
    access_log.add_entry((b"tunnel_open", monotonic(), 0, 0, said))
    return lambda splice, now: access_log.add_entry(_closed(said, splice, now))


def _closed(said: Facts, splice: Splice, now: float) -> Entry:
    return b"tunnel_close", now, splice.to_upstream, splice.to_client, said
