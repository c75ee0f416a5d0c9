"""aiohttp's C response parser, used for heads alone; the mirror of the client side's.

aiohttp is lax about responses.  What is ambiguous about a response's end, or is not HTTP/1.x, is
refused here, so that not a byte of it reaches a client.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from multidict import CIMultiDictProxy

from proxy.field_names import (
    CONNECTION,
    CONTENT_LENGTH,
    HEAD_BYTES,
    HEADS,
    KEEP_ALIVE,
    LOCATION,
    REFRESH,
    SET_COOKIE,
    TRANSFER_ENCODING,
    kind_of,
)
from proxy.message import Fields

MAX_HEAD_BYTES: Final = 1024 * 1024
"""Upper bound of any pool's ``header_bytes``."""

UNTIL_EOF: Final = -1
CHUNKED: Final = -2

_KEEP_ALIVE_TIMEOUT: Final = re.compile(rb"(?i)(?:^|[\s,;])timeout\s*=\s*(\d{1,6})")
_REWRITABLE: Final = frozenset({LOCATION, REFRESH, SET_COOKIE})


class MalformedResponseError(Exception):
    """A response head that is not forwarded."""


class ResponseHead:
    """A response head and what it says about the body and the connection."""

    __slots__ = ("body", "connection", "fields", "headers", "keep_alive_s", "persistent", "reason",
                 "remembered", "rewritable", "shown", "shown_by", "status", "upgraded")  # fmt: skip

    def __init__(
        self, status: int, reason: str, fields: Fields, headers: CIMultiDictProxy[str]
    ) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.headers = headers
        self.body = 0
        """Octets to come, or ``UNTIL_EOF`` or ``CHUNKED``."""
        self.persistent = True
        """The connection may serve another request once the body is complete."""
        self.keep_alive_s: float | None = None
        """The ``timeout`` of a ``Keep-Alive`` field, in seconds."""
        self.connection = b""
        """The ``Connection`` field's value, or empty."""
        self.upgraded = False
        """A 101 that names a protocol and ``Connection: upgrade``."""
        self.rewritable = False
        """There is a field whose value a route's rules may replace."""
        self.remembered = False
        """It may come again, octet for octet, as this object."""
        self.shown = b""
        """What was made of it for clients who may ask for more, by"""
        self.shown_by = 0
        """the compiled route of this number; below zero, in chunks."""

    def with_fields(
        self, fields: Fields, *, body: int = 0, status: int = 0, reason: str | None = None
    ) -> ResponseHead:
        """Return a copy that differs, since nobody changes what is shared; without a body."""
        said = self.reason if reason is None else reason
        copy = ResponseHead(status or self.status, said, fields, self.headers)
        copy.body = body
        copy.persistent = self.persistent
        copy.connection = self.connection
        copy.rewritable = self.rewritable
        return copy


class ResponseHeadParser:
    """Parses complete response heads, one per call."""

    __slots__ = ("_feed", "_known", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: Final[dict[bytes, ResponseHead]] = {}
        self._renew()

    def _renew(self) -> None:
        parser = HttpResponseParser(
            None,  # no body, no flow control to ask for
            self._loop,
            2**16,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_HEAD_BYTES // 4,
            auto_decompress=False,
            response_with_body=False,
            read_until_eof=True,
        )
        self._feed = parser.feed_data

    def parse(self, head: bytes, *, to_head: bool) -> ResponseHead:
        """Parse one head, its blank line included; ``to_head``: it answers a HEAD request.

        Raise ``MalformedResponseError``.  Answers to the same question within one second often have
        the same head to the last octet: the last few are remembered, and shared, so nobody changes
        one.
        """
        if not to_head:
            known = self._known.get(head)
            if known is not None:
                return known
        if head.count(b"\n") != head.count(b"\r\n"):
            raise MalformedResponseError("bare LF")
        try:
            messages, upgraded, _ = self._feed(head)
        except HttpProcessingError as error:
            self._renew()
            raise MalformedResponseError(type(error).__name__) from error
        if len(messages) != 1:
            self._renew()
            raise MalformedResponseError("not one head")
        message: RawResponseMessage = messages[0][0]
        if upgraded or message.upgrade or message.should_close:
            self._renew()
        examined = _examine(message, to_head=to_head)
        if not to_head and len(head) <= HEAD_BYTES:
            if len(self._known) >= HEADS:
                self._known.clear()
            self._known[head] = examined
            examined.remembered = True
        return examined


def _examine(message: RawResponseMessage, *, to_head: bool) -> ResponseHead:
    version = message.version
    status = message.code
    if version is HttpVersion11:
        persistent = True
    elif version is HttpVersion10:
        persistent = False
    else:
        raise MalformedResponseError("version")
    if status < 100:
        raise MalformedResponseError("status")
    fields: Fields = message.raw_headers
    length: int | None = None
    coding: bytes | None = None
    connection = b""
    keep_alive_s = None
    rewritable = False
    for field, value in fields:
        kind = kind_of[field]
        if not kind:
            continue
        if kind == CONTENT_LENGTH:
            if length is not None or not value.isdigit():
                raise MalformedResponseError("length")
            length = int(value)
        elif kind == CONNECTION:
            connection = connection + b", " + value if connection else value
        elif kind == TRANSFER_ENCODING:
            coding = value if coding is None else b"repeated"
        elif kind == KEEP_ALIVE:
            found = _KEEP_ALIVE_TIMEOUT.search(value)
            if found is not None:
                keep_alive_s = float(found[1])
        elif kind in _REWRITABLE:
            rewritable = True
    if coding is not None and (
        version is HttpVersion10 or coding.lower() != b"chunked" or length is not None
    ):
        raise MalformedResponseError("transfer coding")
    if connection:
        tokens = connection.lower()
        persistent = b"close" not in tokens and (persistent or b"keep-alive" in tokens)
    # Where the body ends: RFC 9112, 6.3.
    body = 0
    upgraded = False
    if status < 200 or status == 204:
        if length is not None:  # RFC 9110, 8.6: it has none
            fields = tuple(field for field in fields if kind_of[field[0]] != CONTENT_LENGTH)
        upgraded = status == 101 and message.upgrade and "Upgrade" in message.headers
    elif to_head or status == 304:
        pass
    elif length is not None:
        body = length
    elif coding is not None:
        body = CHUNKED
    else:
        body = UNTIL_EOF
        persistent = False
    head = ResponseHead(status, message.reason, fields, message.headers)
    head.body = body
    head.persistent = persistent
    head.keep_alive_s = keep_alive_s
    head.connection = connection
    head.upgraded = upgraded
    head.rewritable = rewritable
    return head
