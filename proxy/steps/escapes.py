"""What is escaped of captures, as nginx does it, and of queries, so that they end no line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.message import Request

# The table ``args[]`` of ngx_string.c since nginx 1.21.1, and what is left of it in a redirect,
# where whatever lies between % and DEL is unescaped again (NGX_UNESCAPE_REDIRECT).
_IN_QUERY: Final = rb"[\x00-\x20\"#%&+;<>?\\^`{|}\x7f-\xff]"
_IN_REDIRECT: Final = rb"[\x00-\x20\"#%\x7f-\xff]"

_KEPT: Final = rb"(?!%2F|%25)"
"""Escapes that a path may have kept are not escaped again."""

_UNSAFE: Final = re.compile(rb"[\x00-\x20#\x7f]")


def _escaped(octet: re.Match[bytes]) -> bytes:
    return b"%%%02X" % octet[0][0]


def safe_query(text: bytes) -> bytes:
    """Escape what no query may hold: decoded paths, and whatever clients send, can have it."""
    return _UNSAFE.sub(_escaped, text)


def _escape(octets: bytes) -> Callable[[Request, bytes], bytes]:
    """Return what escapes these octets of what was captured."""
    some, every = re.compile(_KEPT + octets), re.compile(octets)

    def escape(request: Request, text: bytes) -> bytes:
        # A path that was sent without an escape in it needs none.
        if b"%" not in request.path and b"+" not in request.path:
            return text
        return (some if request.keeps_escapes else every).sub(_escaped, text)

    return escape


escape_query: Final = _escape(_IN_QUERY)
"""Escape a capture that goes into a query."""

escape_redirect: Final = _escape(_IN_REDIRECT)
"""Escape a capture that goes into a ``Location``."""


def escape_value(request: Request, text: bytes) -> bytes:
    """Escape a capture that goes into a variable, or is compared with one, where nginx does so."""
    return escape_query(request, text) if request.quotes_captures else text
