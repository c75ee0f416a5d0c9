"""What is refused at the door, and what a well-formed head becomes.

aiohttp's parser refuses bare LF and CR, obs-fold, space before a colon, two lengths, a length with
``Transfer-Encoding``, a missing or repeated ``Host``.  What it lets through and RFC 9112 or the
proxy's own rules do not is refused here, before a byte goes upstream.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion10, HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.downstream.request_parser import MalformedHeadError, RequestHeadParser
from proxy.errors import (
    BAD_REQUEST,
    EXPECTATION_UNKNOWN,
    HEAD_TOO_LARGE,
    METHOD_NOT_ALLOWED,
    VERSION_UNKNOWN,
)
from proxy.field_block import BLOCK_BYTES, BLOCKS, FieldBlock, Fields
from proxy.field_names import (
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    ODD,
    TRANSFER_ENCODING,
    UPGRADE,
    kind_of,
)
from proxy.message import Peer, Request, UnusualRequest
from proxy.spec import ListenerSpec

if TYPE_CHECKING:
    import asyncio

    from aiohttp.http_parser import RawRequestMessage

HOST_MEMO: Final = 1024
"""Spellings of ``Host`` remembered per process."""

HOST_MEMO_BYTES: Final = 128

_HOST: Final = re.compile(
    rb"(?:(\[[0-9A-Fa-f:.]+\])|((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+))(?::([0-9]{0,5}))?"
)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#@]+)((?:[/?].*)?)", re.DOTALL)
_ORDINARY: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]{}|-]*)"
    rb" HTTP/1\.[01]\r\n"
)
"""Request lines that the parser takes, and that change nothing of what fields mean: behind one of
these, a known block needs no parsing."""

_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})


class Admission:
    """Turns the heads of one listener's clients into requests."""

    __slots__ = ("_blocks", "_parser")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._parser: Final = RequestHeadParser(loop)
        self._blocks: Final[dict[bytes, FieldBlock]] = {}

    def admit(
        self,
        head: bytes,
        peer: Peer,
        ordinal: int,
        now: float,
        max_headers: int,
        default_host: bytes = b"",
    ) -> Request:
        """Make a request of a head, its blank line included.

        ``default_host`` is whom it is for if it does not say.  Raise ``MalformedHeadError``.
        """
        line = _ORDINARY.match(head)
        if line is None:
            request = self._unusual(head, peer, ordinal, now)
            block = request.block
        else:
            octets = head[line.end(2) :]
            known = self._blocks.get(octets)
            block = _examine(self._parser.parse(head)) if known is None else known
            if known is None and len(octets) <= BLOCK_BYTES:
                if len(self._blocks) >= BLOCKS:
                    self._blocks.clear()
                self._blocks[octets] = block
            request = Request(peer, line[1], line[2], block, ordinal, now)
        if len(request.fields) > max_headers:
            raise MalformedHeadError(HEAD_TOO_LARGE, "too many fields")
        if block.host is None:
            request.host = default_host
        return request

    def _unusual(self, head: bytes, peer: Peer, ordinal: int, now: float) -> Request:
        """Take what no pattern promises to be well-formed at the parser's word, and no further."""
        message = self._parser.parse(head)
        _minor_version(message)
        name = message.method
        if name in _REFUSED_METHODS:
            raise MalformedHeadError(METHOD_NOT_ALLOWED, name)
        method = name.encode()
        target = message.path.encode()  # ASCII: the parser takes nothing else
        if not head.startswith(b" HTTP/", len(method) + 1 + len(target)):
            # The parser also takes several spaces, and RTSP and ICE for HTTP.
            raise MalformedHeadError(BAD_REQUEST, "request line")
        if target[:1] == b"/":
            if b"#" in target:
                raise MalformedHeadError(BAD_REQUEST, "fragment")
            return Request(peer, method, target, _examine(message), ordinal, now)
        target, fields = _absolute_form(target, message.raw_headers)
        message = message._replace(raw_headers=fields, headers=decoded(fields))
        unusual = UnusualRequest(peer, method, target, _examine(message), ordinal, now)
        unusual.line = head[: head.index(b"\r\n")]
        return unusual


def _examine(message: RawRequestMessage) -> FieldBlock:
    """Take from version and fields what they say; raise ``MalformedHeadError``."""
    minor = _minor_version(message)
    fields: Fields = message.raw_headers
    block = FieldBlock(fields, message.headers, minor, keep_alive=not message.should_close)
    transfer_coding: bytes | None = None
    for field, value in fields:
        if b"_" in field:
            block.has_underscores = True
        kind = kind_of[field]
        if not kind:
            continue
        if kind == HOST:
            block.authority = value
            block.host = normal_host(value)
        elif kind == CONNECTION:
            known = block.connection
            block.connection = known + b", " + value if known else value
        elif kind == CONTENT_LENGTH:
            block.content_length = int(value)
        elif kind == TRANSFER_ENCODING:
            transfer_coding = value if transfer_coding is None else b"repeated"
        elif kind == UPGRADE:
            if message.upgrade and minor:
                block.upgrade = value
        elif kind == EXPECT:
            if value.lower() != b"100-continue":
                raise MalformedHeadError(EXPECTATION_UNKNOWN, "expectation")
            block.expects_continue = minor == 1
        elif kind == ODD:
            block.has_odd_names = True
    if transfer_coding is not None:
        if not minor or transfer_coding.lower() != b"chunked":
            raise MalformedHeadError(BAD_REQUEST, "transfer coding")
        block.chunked = True
    return block


def _minor_version(message: RawRequestMessage) -> int:
    if message.version is HttpVersion11:
        return 1
    if message.version is HttpVersion10:
        return 0
    raise MalformedHeadError(VERSION_UNKNOWN, "version")


def _absolute_form(target: bytes, fields: Fields) -> tuple[bytes, Fields]:
    """Make an absolute-form target origin-form (RFC 9112, 3.2.2): its authority is the Host."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or b"#" in target:
        raise MalformedHeadError(BAD_REQUEST, "target")
    authority, rest = found[1], found[2]
    if not rest.startswith(b"/"):
        rest = b"/" + rest
    others = tuple(field for field in fields if kind_of[field[0]] != HOST)
    return rest, ((b"Host", authority), *others)


def decoded(fields: Fields) -> CIMultiDictProxy[str]:
    """Return fields for look-ups by name."""
    return CIMultiDictProxy(
        CIMultiDict(
            (name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
            for name, value in fields
        )
    )


_hosts: Final[dict[bytes, bytes]] = {}


def normal_host(value: bytes) -> bytes:
    """Return a ``Host`` value in lower case without port (RFC 9110, 7.2; RFC 3986, 3.2.2).

    Raise ``MalformedHeadError``, for the empty value too, as nginx does.
    """
    known = _hosts.get(value)
    if known is not None:
        return known
    found = _HOST.fullmatch(value)
    if found is None or (found[3] and int(found[3]) > 65535):
        raise MalformedHeadError(BAD_REQUEST, "Host")
    name: bytes = (found[1] or found[2]).lower()
    if found[1] is not None:
        try:
            IPv6Address(name[1:-1].decode())
        except AddressValueError as error:
            raise MalformedHeadError(BAD_REQUEST, "Host") from error
    if b".." in name or name == b".":
        raise MalformedHeadError(BAD_REQUEST, "Host")
    name = name.removesuffix(b".")
    if len(_hosts) < HOST_MEMO and len(value) <= HOST_MEMO_BYTES:
        _hosts[value] = name
    return name


def drop_names(request: Request, spec: ListenerSpec) -> Iterator[tuple[str, int]]:
    """Drop the fields whose names the listener does not let in; give why, and how many those were.

    Variables do not see them either.
    """
    before = fields = request.fields
    block = request.block
    if block.has_underscores and not spec.underscores_in_headers:
        kept = tuple(field for field in fields if b"_" not in field[0])
        if len(kept) != len(fields):
            yield "underscore_field", len(fields) - len(kept)
            fields = request.fields = kept
    if block.has_odd_names and not spec.odd_header_names:
        request.fields = tuple(field for field in fields if kind_of[field[0]] != ODD)
        yield "odd_field", len(fields) - len(request.fields)
    if request.fields is not before:
        request.headers = decoded(request.fields)
        request.differs = True


def without_empty_lines(data: bytes) -> bytes:
    """Return what is behind the empty lines before a request (RFC 9112, 2.2).

    Lone CR and LF are left for the parser to refuse, a CR at the end for what comes next.
    """
    rest = data.lstrip(b"\r\n")
    lines, odd = divmod(len(data) - len(rest), 2)
    if odd and not rest and data.endswith(b"\r"):
        rest = b"\r"
    elif odd:
        return data
    return rest if data.startswith(b"\r\n" * lines) else data
