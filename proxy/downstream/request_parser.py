"""aiohttp's C request parser, used for heads alone.

With ``response_with_body=False`` the parser takes every message to end with its head, so it is
ready for the next head at once and one instance serves all connections: each complete head is fed
in one call, and its body never passes through here.  This is the one module of this side that
touches aiohttp's internals; ``tests/unit/downstream/test_request_parser.py`` is the contract that
it relies on.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from proxy.errors import BAD_REQUEST, METHOD_UNKNOWN, VERSION_UNKNOWN, Failure

MAX_HEAD_BYTES: Final = 1024 * 1024
"""Upper bound of any listener's ``header_bytes``; the parser's own limits are put above it."""

_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) [^\x00- ]+ HTTP/(\d\.\d)\r\n")


class MalformedHeadError(Exception):
    """A head that is refused; ``failure`` says how it is answered."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure: Final = failure


class RequestHeadParser:
    """Parses complete request heads, one per call."""

    __slots__ = ("_feed", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._renew()

    def _renew(self) -> None:
        parser = HttpRequestParser(
            None,  # no body, no flow control to ask for
            self._loop,
            2**16,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_HEAD_BYTES // 4,
            auto_decompress=False,
            response_with_body=False,
        )
        self._feed = parser.feed_data

    def parse(self, head: bytes) -> RawRequestMessage:
        """Parse one head, its blank line included.  Raise ``MalformedHeadError``."""
        try:
            messages, upgraded, _ = self._feed(head)
        except HttpProcessingError as error:
            self._renew()
            raise MalformedHeadError(_verdict(head), type(error).__name__) from error
        if len(messages) != 1:
            self._renew()
            raise MalformedHeadError(BAD_REQUEST, "not one head")
        message: RawRequestMessage = messages[0][0]
        # After these the parser waits for another protocol, or for nothing at all.
        if upgraded or message.upgrade or message.should_close:
            self._renew()
        return message


def _verdict(head: bytes) -> Failure:
    """Tell an unknown method and version from a malformed head, by the request line alone."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        return BAD_REQUEST
    if line[2] not in (b"1.0", b"1.1"):
        return VERSION_UNKNOWN
    if line[1].decode() not in _KNOWN_METHODS:
        return METHOD_UNKNOWN
    return BAD_REQUEST


_KNOWN_METHODS: Final = frozenset(
    {"ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK"}
    | {"M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS"}
    | {"PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT"}
    | {"SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE"}
)
"""What the parser takes; everything else is a method unknown to us."""
