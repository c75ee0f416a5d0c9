"""The built-in variables of a request: for each name, the function that reads it off one.

Names and values are nginx's.  A value that is not there is empty.  Field values, targets and peers
were admitted without CR, LF and NUL; ``$uri`` and captures were decoded and may hold them.
"""

from __future__ import annotations

import os
import re
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from operator import attrgetter
from typing import Final

from multidict import istr

from proxy.message import Request, UnusualRequest

Getter = Callable[[Request], bytes]

_HOSTNAME: Final = os.fsencode(os.uname().nodename.lower())
_FORWARDED_FOR: Final = istr("X-Forwarded-For")
_CONTENT_LENGTH: Final = istr("Content-Length")
_AUTHORIZATION: Final = istr("Authorization")
_BASIC: Final = re.compile(r"basic +([A-Za-z0-9+/]+)(?:=.*)?", re.IGNORECASE | re.ASCII)


def encode(value: str) -> bytes:
    """Return a field's value as it was on the wire."""
    return value.encode("utf-8", "surrogateescape")


def _port(number: int) -> bytes:
    return b"%d" % number if number else b""  # a Unix socket has none


def _remote_port(request: Request) -> bytes:
    return _port(getattr(request, "client_port", request.peer.port))


def _is_args(request: Request) -> bytes:
    return b"?" if request.query else b""


def _server_protocol(request: Request) -> bytes:
    return b"HTTP/1.1" if request.version_minor else b"HTTP/1.0"


def _request_line(request: Request) -> bytes:
    if isinstance(request, UnusualRequest):
        return request.line
    return b"%b %b HTTP/1.%d" % (request.method, request.target, request.version_minor)


def _content_length(request: Request) -> bytes:
    """Tell the length that the client named, or that is known because the body was read first."""
    named = request.headers.get(_CONTENT_LENGTH)
    if named is not None:
        return encode(named)
    return b"" if request.content_length is None else b"%d" % request.content_length


def _request_length(request: Request) -> bytes:
    """Count request line, fields and body; fields as if written without needless blanks."""
    head = len(_request_line(request)) + 4 + sum(len(n) + len(v) + 4 for n, v in request.fields)
    response = request.response
    body = request.content_length or 0 if response is None else response.request_body_bytes
    return b"%d" % (head + body)


def _since(started: float) -> bytes:
    return b"%.3f" % max(time.monotonic() - started, 0.0)


class _Second:
    """A time that is written at most once a second; logs ask for it with every line."""

    __slots__ = ("_second", "_text", "_write")

    def __init__(self, write: Callable[[float], str]) -> None:
        self._write: Final = write
        self._second = -1
        self._text = b""

    def __call__(self, _: Request) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = self._write(second).encode()
        return self._text


def _time_iso8601(second: float) -> str:
    return datetime.fromtimestamp(second).astimezone().isoformat(timespec="seconds")


def _time_local(second: float) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))


def _date_local(_: Request) -> bytes:
    return time.strftime("%A, %d-%b-%Y %H:%M:%S %Z").encode()


def _date_gmt(_: Request) -> bytes:
    return time.strftime("%A, %d-%b-%Y %H:%M:%S GMT", time.gmtime()).encode()


def _binary_remote_addr(request: Request) -> bytes:
    """Pack the client's address, 4 or 16 octets; a Unix socket's stays text, as in nginx."""
    address = request.client_ip
    return address if address.startswith(b"unix:") else ip_address(address.decode()).packed


def _remote_user(request: Request) -> bytes:
    """Read the user of Basic credentials (``ngx_http_auth_basic_user``)."""
    value = request.headers.get(_AUTHORIZATION)
    if value is None:
        return b""
    found = _BASIC.fullmatch(value)
    if found is None or len(found[1]) % 4 == 1:
        return b""
    user, colon, _ = b64decode(found[1] + "=" * (-len(found[1]) % 4)).partition(b":")
    return user if colon else b""


def _proxy_add_x_forwarded_for(request: Request) -> bytes:
    before = request.headers.getall(_FORWARDED_FOR, [])
    return b", ".join([*map(encode, before), request.client_ip])


def _field(name: str) -> Getter:
    """Read the first occurrence of a request field."""
    key, spelled = field_keys(name)

    def get(request: Request) -> bytes:
        value = request.headers.get(key)
        return b"" if value is None else value.encode("utf-8", "surrogateescape")

    def get_either(request: Request) -> bytes:
        value = request.headers.get(key)
        if value is None:
            value = request.headers.get(spelled, "")
        return value.encode("utf-8", "surrogateescape")

    return get if "_" not in name else get_either


def field_keys(name: str) -> tuple[istr, istr]:
    """Return what ``_`` in a variable may stand for: a hyphen, or itself where that is let in."""
    return istr(name.replace("_", "-")), istr(name)


def _joined(name: str, separator: bytes) -> Getter:
    """Read all occurrences of a request field."""
    key = istr(name)

    def get(request: Request) -> bytes:
        values = request.headers.getall(key, None)
        return separator.join(map(encode, values)) if values else b""

    return get


def _http(name: str) -> Getter:
    # The two fields of which nginx sees every occurrence (ngx_http_variable_headers).
    if name == "cookie":
        return _joined("cookie", b"; ")
    if name == "x_forwarded_for":
        return _joined("x-forwarded-for", b", ")
    return _field(name)


def _arg(name: str) -> Getter:
    """Read an argument of the query as it was sent; its name has no case (ngx_http_arg)."""
    find = re.compile(rb"(?:^|&)%b=([^&]*)" % name.encode(), re.IGNORECASE).search

    def get(request: Request) -> bytes:
        found = find(request.query) if request.query else None
        return found[1] if found else b""

    return get


def _cookie(name: str) -> Getter:
    """Read a cookie; its name has no case (ngx_http_parse_multi_header_lines)."""
    find = re.compile(rf"(?:^|[;,]) *{name} *= *([^;]*)", re.IGNORECASE | re.ASCII).search
    key = istr("cookie")

    def get(request: Request) -> bytes:
        for line in request.headers.getall(key, ()):
            found = find(line)
            if found:
                return encode(found[1])
        return b""

    return get


BUILT_IN: Final[dict[str, Getter]] = {
    "args": lambda request: request.query or b"",
    "binary_remote_addr": _binary_remote_addr,
    "client_ip": attrgetter("client_ip"),
    "connection": lambda request: b"%d" % request.peer.serial,
    "connection_requests": lambda request: b"%d" % request.ordinal,
    "connection_time": lambda request: _since(request.peer.started),
    "content_length": _content_length,
    "content_type": _field("content_type"),
    "date_gmt": _date_gmt,
    "date_local": _date_local,
    "document_uri": attrgetter("uri"),
    "host": attrgetter("host"),
    "hostname": lambda request: _HOSTNAME,
    "https": lambda request: b"on" if request.peer.scheme == b"https" else b"",
    "is_args": _is_args,
    "msec": lambda request: b"%.3f" % time.time(),
    "pid": lambda _: b"%d" % os.getpid(),
    "proxy_add_x_forwarded_for": _proxy_add_x_forwarded_for,
    "proxy_host": attrgetter("pool"),
    "proxy_port": lambda request: b"80",
    "query_string": lambda request: request.query or b"",
    "realip_remote_addr": attrgetter("peer.address"),
    "realip_remote_port": lambda request: _port(request.peer.port),
    "remote_addr": attrgetter("client_ip"),
    "remote_port": _remote_port,
    "remote_user": _remote_user,
    "request": _request_line,
    "request_id": attrgetter("request_id"),
    "request_length": _request_length,
    "request_method": attrgetter("method"),
    "request_time": lambda request: _since(request.started),
    "request_uri": attrgetter("target"),
    "scheme": attrgetter("peer.scheme"),
    "server_addr": attrgetter("peer.server_address"),
    "server_port": lambda request: _port(request.peer.server_port),
    "server_protocol": _server_protocol,
    "time_iso8601": _Second(_time_iso8601),
    "time_local": _Second(_time_local),
    "uri": attrgetter("uri"),
}
"""Variables that are known as soon as a request is routed."""

FAMILIES: Final[dict[str, Callable[[str], Getter]]] = {
    "http_": _http,
    "arg_": _arg,
    "cookie_": _cookie,
}
"""Variables by prefix; the function takes what follows it, in lower case."""


def comes_with_fields(name: str) -> bool:
    """Tell whether a variable depends on the request's fields and its pool, and on nothing else."""
    return name in _OF_FIELDS or name.startswith(("http_", "cookie_"))


_OF_FIELDS: Final = frozenset({"content_type", "host", "proxy_host", "proxy_port", "remote_user"})
