"""The head that goes back to the client."""

from __future__ import annotations

from typing import Final

from proxy.exchange.respond import phrase
from proxy.headers.hop_by_hop import HOP_BY_HOP, named_by_connection
from proxy.headers.rules import SUCCESSES
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
    status: int,
    *,
    keep_alive: bool,
    rechunk: bool,
    upgrade: bytes = b"",
) -> bytes:
    """Build the head of a final response, or of a 101 when ``upgrade`` names the protocol.

    ``status`` is what the client is to see.
    """
    repeats = status == head.status and keep_alive and request.version_minor and not upgrade
    number = -route.number if rechunk else route.number
    if repeats and head.shown_by == number:
        return head.shown
    blocks = [status_line(status, head.reason if status == head.status else phrase(status))]
    starts = route.passes_response
    fields = head.fields
    if head.connection and head.connection.lower() not in _PLAIN_CONNECTION:
        named = named_by_connection(fields)
        fields = tuple(field for field in fields if field[0].lower() not in named)
    if route.alters_response:
        if status in SUCCESSES:
            starts = route.passes_success
        if route.rewriting is not None and head.rewritable:
            fields = route.rewriting.apply(request, fields)
    passed = [start + value for name, value in fields if (start := starts[name])]
    if passed:
        passed.append(b"")
        blocks.append(b"\r\n".join(passed))
    if route.writes_response:
        rules = route.rules_for(status)
        response = request.response
        if response is None:
            blocks += (rules.set.render(request), rules.appended.render(request))
        else:  # so that $sent_http_NAME tells what is sent
            ours = _connection_lines(request, upgrade, keep_alive=keep_alive)
            for block in (rules.set, rules.appended):
                response.sent = b"".join((*blocks, ours))
                blocks.append(block.render(request))
    if rechunk:
        blocks.append(b"Transfer-Encoding: chunked\r\n")
    if upgrade or not keep_alive or not request.version_minor:
        blocks.append(_connection_lines(request, upgrade, keep_alive=keep_alive))
    blocks.append(b"\r\n")
    made = b"".join(blocks)
    rewritten = head.rewritable and route.rewriting is not None
    if repeats and head.remembered and route.response_decides and not rewritten:
        head.shown, head.shown_by = made, number
    return made


def for_method(
    request: Request, head: ResponseHead, body: bytes, *, last: bool, to_head: bool
) -> tuple[ResponseHead, bytes, bool]:
    """Make the answer to the method that went upstream one to the client's.

    A client's HEAD has no body in its answer, whatever the upstream sends; and where the upstream
    was asked ``to_head`` only, nothing follows the length that it names.
    """
    if request.method == b"HEAD":
        return (head.with_fields(head.fields), b"", True) if head.body else (head, body, last)
    if not to_head or head.status in (204, 304):
        return head, body, last
    fields = tuple(field for field in head.fields if field[0].lower() != b"content-length")
    return head.with_fields((*fields, (b"Content-Length", b"0"))), body, last


def _connection_lines(request: Request, upgrade: bytes, *, keep_alive: bool) -> bytes:
    """Return what the client is told of its connection."""
    if upgrade:
        return b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"" if request.version_minor else b"Connection: keep-alive\r\n"


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
