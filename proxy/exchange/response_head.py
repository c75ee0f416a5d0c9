"""The head that goes back to the client."""

from __future__ import annotations

from typing import Final

from proxy.exchange.respond import phrase
from proxy.headers.hop_by_hop import HOP_BY_HOP, named_by_connection
from proxy.message import Request
from proxy.route import Route
from proxy.upstream.response_parser import CHUNKED, UNTIL_EOF, ResponseHead

STATUS_LINES: Final = 256
"""Status lines remembered."""

_status_lines: Final[dict[tuple[int, str], bytes]] = {}
_PLAIN_CONNECTION: Final = frozenset({b"keep-alive", b"close", b"upgrade"})


def client_head(
    request: Request,
    head: ResponseHead,
    route: Route,
    *,
    keep_alive: bool,
    rechunk: bool,
    upgrade: bytes = b"",
) -> bytes:
    """Build the head of a final response, or of a 101 when ``upgrade`` names the protocol."""
    lines = [status_line(head.status, head.reason)]
    passes = route.passes_response
    fields = head.fields
    if head.connection and head.connection.lower() not in _PLAIN_CONNECTION:
        named = named_by_connection(fields)
        lines += [b"%b: %b\r\n" % f for f in fields if passes[f[0]] and f[0].lower() not in named]
    else:
        lines += [b"%b: %b\r\n" % f for f in fields if passes[f[0]]]
    if route.writes_response:
        rules = route.response_rules
        lines += (rules.set.render(request), rules.appended.render(request))
    if rechunk:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    if upgrade:
        lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade)
    elif not keep_alive:
        lines.append(b"Connection: close\r\n")
    elif not request.version_minor:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def informational_head(head: ResponseHead) -> bytes:
    """Build a 1xx for a client that knows them."""
    lines = [status_line(head.status, head.reason)]
    named = named_by_connection(head.fields) | HOP_BY_HOP
    lines += [b"%b: %b\r\n" % f for f in head.fields if f[0].lower() not in named]
    lines.append(b"\r\n")
    return b"".join(lines)


def needs_chunking(head: ResponseHead) -> bool:
    """Tell whether the response's end must be marked by chunks or by closing."""
    return head.body in (CHUNKED, UNTIL_EOF)


def status_line(status: int, reason: str) -> bytes:
    """Return the status line; a reason with anything but text in it gives way to the usual one."""
    key = (status, reason)
    line = _status_lines.get(key)
    if line is None:
        said = reason if reason.isprintable() else phrase(status)
        line = b"HTTP/1.1 %d %b\r\n" % (status, said.encode("utf-8", "surrogateescape"))
        if len(_status_lines) < STATUS_LINES:
            _status_lines[key] = line
    return line
