"""What is refused at the door, and what a well-formed head becomes.

aiohttp's parser refuses bare LF and CR, obs-fold, space before a colon, two lengths, a length with
``Transfer-Encoding``, a missing or repeated ``Host``.  What it lets through and RFC 9112 or the
proxy's own rules do not is refused here, before a byte goes upstream.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion10, HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.downstream.request_parser import MalformedHeadError
from proxy.errors import (
    BAD_REQUEST,
    EXPECTATION_UNKNOWN,
    HEAD_TOO_LARGE,
    METHOD_NOT_ALLOWED,
    VERSION_UNKNOWN,
)
from proxy.field_names import (
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    TRANSFER_ENCODING,
    UPGRADE,
    kind_of,
)
from proxy.message import Fields, Peer, Request, UnusualRequest

if TYPE_CHECKING:
    from aiohttp.http_parser import RawRequestMessage

HOST_MEMO: Final = 1024
"""Spellings of ``Host`` remembered per process."""

HOST_MEMO_BYTES: Final = 128

_HOST: Final = re.compile(
    rb"(?:(\[[0-9A-Fa-f:.]+\])|((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+))(?::([0-9]{0,5}))?"
)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#@]+)((?:[/?].*)?)", re.DOTALL)
_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})


def admit(
    message: RawRequestMessage,
    head: bytes,
    peer: Peer,
    ordinal: int,
    now: float,
    max_headers: int,
    default_host: bytes = b"",
) -> Request:
    """Turn a parsed head into a request; ``default_host`` is whom it is for if it does not say.

    Raise ``MalformedHeadError``.
    """
    version = message.version
    if version is HttpVersion11:
        minor = 1
    elif version is HttpVersion10:
        minor = 0
    else:
        raise MalformedHeadError(VERSION_UNKNOWN, "version")
    name = message.method
    if name in _REFUSED_METHODS:
        raise MalformedHeadError(METHOD_NOT_ALLOWED, name)
    fields: Fields = message.raw_headers
    if len(fields) > max_headers:
        raise MalformedHeadError(HEAD_TOO_LARGE, "too many fields")
    method = name.encode()
    target = message.path.encode()  # ASCII: the parser takes nothing else
    if not head.startswith(b" HTTP/", len(method) + 1 + len(target)):
        # The parser also takes several spaces, and RTSP and ICE for HTTP.
        raise MalformedHeadError(BAD_REQUEST, "request line")
    headers = message.headers
    if target[:1] != b"/":
        target, fields = _absolute_form(target, fields)
        headers = decoded(fields)
        unusual = UnusualRequest(
            peer, method, target, minor, fields, headers, default_host, ordinal, now
        )
        unusual.line = head[: head.index(b"\r\n")]
        request: Request = unusual
    elif b"#" in target:
        raise MalformedHeadError(BAD_REQUEST, "fragment")
    else:
        request = Request(peer, method, target, minor, fields, headers, default_host, ordinal, now)
    host: bytes | None = None
    transfer_coding: bytes | None = None
    for field, value in fields:
        kind = kind_of[field]
        if not kind:
            continue
        if kind == HOST:
            host = value
        elif kind == CONNECTION:
            known = request.connection
            request.connection = known + b", " + value if known else value
        elif kind == CONTENT_LENGTH:
            request.content_length = int(value)
        elif kind == TRANSFER_ENCODING:
            transfer_coding = value if transfer_coding is None else b"repeated"
        elif kind == UPGRADE:
            if message.upgrade and minor:
                request.upgrade = value
        elif kind == EXPECT:
            if value.lower() != b"100-continue":
                raise MalformedHeadError(EXPECTATION_UNKNOWN, "expectation")
            request.expects_continue = minor == 1
    if transfer_coding is not None:
        if not minor or transfer_coding.lower() != b"chunked":
            raise MalformedHeadError(BAD_REQUEST, "transfer coding")
        request.chunked = True
    if host is not None:
        request.authority = host
        request.host = normal_host(host)
    if message.should_close:
        request.keep_alive = False
    return request


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


def drop_underscores(request: Request) -> int:
    """Drop the fields whose name has an underscore; return how many those were."""
    before = len(request.fields)
    request.fields = tuple(field for field in request.fields if b"_" not in field[0])
    dropped = before - len(request.fields)
    if dropped:
        request.headers = decoded(request.fields)  # so that no variable finds them either
    return dropped


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
