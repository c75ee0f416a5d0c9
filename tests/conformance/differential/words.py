"""What either of the two says in an answer of its own."""

from __future__ import annotations

import re
from typing import Final

from proxy.exchange.respond import phrase
from tests.conformance.differential.observation import Message

_NGINX_PHRASES: Final = {
    302: b"Moved Temporarily",
    405: b"Not Allowed",
    413: b"Request Entity Too Large",
    414: b"Request-URI Too Large",
    418: b"",
    503: b"Service Temporarily Unavailable",
    504: b"Gateway Time-out",
}
"""Reasons that are not those of the registry (``ngx_http_status_lines``)."""

_TITLES: Final = {302: b"302 Found", 401: b"401 Authorization Required"}
"""Titles of pages that are not the status line (``ngx_http_special_response``)."""

_PAGELESS: Final = frozenset({418})
"""Errors that nginx has no page for."""


def our_start(status: int) -> bytes:
    """Return the status line of our own answers."""
    return b"HTTP/1.1 %d %b" % (status, phrase(status).encode())


def nginx_start(status: int) -> bytes:
    """Return the status line of nginx's own answers."""
    said = _NGINX_PHRASES.get(status, phrase(status).encode())
    return b"HTTP/1.1 %d %b" % (status, said)


def nginx_page(status: int, version: bytes) -> bytes:
    """Return the body of nginx's own answers; ``version`` is what its ``Server`` field says."""
    if status in _PAGELESS:
        return b""
    title = _TITLES.get(status, nginx_start(status).removeprefix(b"HTTP/1.1 "))
    return (
        b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n<center><h1>%b</h1></center>\r\n"
        b"<hr><center>%b</center>\r\n</body>\r\n</html>\r\n" % (title, title, version)
    )


def is_own_error(message: Message, reason: bytes | None = None, *, to_head: bool = False) -> bool:
    """Tell whether this is an error of ours, to the octet, for this reason if one is given.

    Only what was not understood, and ends the connection, has no number.  What rules add stands
    before the length; the answer to a HEAD has no body.
    """
    said = b"(?:: [a-z ]+)?" if reason is None else b": " + re.escape(reason)
    line = re.escape(our_start(message.status).removeprefix(b"HTTP/1.1 "))
    length, fields = _end(message), message.fields
    if message.status < 400 or message.start != our_start(message.status) or length is None:
        return False
    if fields[0] != (b"Content-Type", b"text/plain; charset=utf-8"):
        return False
    if fields[1][0] == b"X-Request-Id":
        known = re.fullmatch(rb"[0-9a-f]{32}", fields[1][1]) is not None
    else:
        known = fields[1][0] == b"Content-Length" and message.get(b"connection") == b"close"
    if not known:
        return False
    if to_head:
        return not message.body
    text = re.fullmatch(line + said + b"\n", message.body)
    return text is not None and length == len(message.body)


def is_own_redirect(message: Message) -> bool:
    """Tell whether this is a redirect of ours, to the octet."""
    if message.start != our_start(message.status) or message.body:
        return False
    return 300 < message.status < 400 and _end(message) == 0 and message.fields[0][0] == b"Location"


def _end(message: Message) -> int | None:
    """Return the length that stands last, with nothing but ``Connection`` behind it."""
    fields = message.fields
    names = [name for name, _ in fields]
    if len({name.lower() for name in names}) < len(names):
        return None
    if names[-1:] == [b"Connection"]:
        fields, names = fields[:-1], names[:-1]
    if names[-1:] != [b"Content-Length"] or b"Connection" in names or not fields[-1][1].isdigit():
        return None
    return int(fields[-1][1])
