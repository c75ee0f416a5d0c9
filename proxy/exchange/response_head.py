"""The head that goes back to the client."""

from __future__ import annotations

from typing import Final

from proxy.exchange.respond import phrase
from proxy.headers.hop_by_hop import HOP_BY_HOP, named_by_connection
from proxy.message import Request
from proxy.route import Route
from proxy.upstream.response_parser import ResponseHead

STATUS_LINES: Final = 256
"""Status lines remembered."""

REASON_BYTES: Final = 64
"""Lines with a longer reason are not remembered."""

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
    blocks = [status_line(head.status, head.reason)]
    starts = route.passes_response
    fields = head.fields
    if head.connection and head.connection.lower() not in _PLAIN_CONNECTION:
        named = named_by_connection(fields)
        fields = tuple(field for field in fields if field[0].lower() not in named)
    passed = b"\r\n".join([starts[name] + value for name, value in fields if starts[name]])
    if passed:
        blocks.append(passed)
        blocks.append(b"\r\n")
    if route.writes_response:
        rules = route.response_rules
        blocks += (rules.set.render(request), rules.appended.render(request))
    if rechunk:
        blocks.append(b"Transfer-Encoding: chunked\r\n")
    if upgrade:
        blocks.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade)
    elif not keep_alive:
        blocks.append(b"Connection: close\r\n")
    elif not request.version_minor:
        blocks.append(b"Connection: keep-alive\r\n")
    blocks.append(b"\r\n")
    return b"".join(blocks)


def informational_head(head: ResponseHead) -> bytes:
    """Build a 1xx for a client that knows them."""
    lines = [status_line(head.status, head.reason)]
    named = named_by_connection(head.fields) | HOP_BY_HOP | {b"transfer-encoding"}
    lines += [b"%b: %b\r\n" % f for f in head.fields if f[0].lower() not in named]
    lines.append(b"\r\n")
    return b"".join(lines)


def status_line(status: int, reason: str) -> bytes:
    """Return the status line; a reason with anything but text in it gives way to the usual one."""
    key = (status, reason)
    line = _status_lines.get(key)
    if line is None:
        said = reason if reason.isprintable() else phrase(status)
        line = b"HTTP/1.1 %d %b\r\n" % (status, said.encode("utf-8", "surrogateescape"))
        if len(_status_lines) < STATUS_LINES and len(reason) <= REASON_BYTES:
            _status_lines[key] = line
    return line
