"""The built-in variables: for each name, the function that reads it off a request.

Names and values are nginx's.  A value that is not there is empty.  Field values, targets and peers
were admitted without CR, LF and NUL; ``$uri`` and captures were decoded and may hold them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Final

from multidict import CIMultiDictProxy, istr

from proxy.headers.log_variables import LOG
from proxy.message import Request

Getter = Callable[[Request], bytes]

_HOSTNAME: Final = os.fsencode(os.uname().nodename.lower())
_FORWARDED_FOR: Final = istr("X-Forwarded-For")


def _encode(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _port(number: int) -> bytes:
    return b"%d" % number if number else b""  # a Unix socket has none


def _is_args(request: Request) -> bytes:
    return b"?" if request.query else b""


def _server_protocol(request: Request) -> bytes:
    return b"HTTP/1.1" if request.version_minor else b"HTTP/1.0"


def _time_iso8601(_: Request) -> bytes:
    return datetime.now().astimezone().isoformat(timespec="seconds").encode()


def _proxy_add_x_forwarded_for(request: Request) -> bytes:
    before = request.headers.getall(_FORWARDED_FOR, [])
    return b", ".join([*map(_encode, before), request.client_ip])


def _field(name: str) -> Getter:
    """Read the first occurrence of a request field."""
    key, spelled = _field_keys(name)

    def get(request: Request) -> bytes:
        value = request.headers.get(key)
        return b"" if value is None else value.encode("utf-8", "surrogateescape")

    def get_either(request: Request) -> bytes:
        value = request.headers.get(key)
        if value is None:
            value = request.headers.get(spelled, "")
        return value.encode("utf-8", "surrogateescape")

    return get if "_" not in name else get_either


def _field_keys(name: str) -> tuple[istr, istr]:
    """Return what ``_`` in a variable may stand for: a hyphen, or itself where that is let in."""
    return istr(name.replace("_", "-")), istr(name)


def _joined(name: str, separator: bytes) -> Getter:
    """Read all occurrences of a request field."""
    key = istr(name)

    def get(request: Request) -> bytes:
        values = request.headers.getall(key, None)
        return separator.join(map(_encode, values)) if values else b""

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
                return _encode(found[1])
        return b""

    return get


def _answered(read: Callable[[CIMultiDictProxy[str]], str | None]) -> Getter:
    def get(request: Request) -> bytes:
        response = request.response
        value = read(response.headers) if response is not None else None
        return b"" if value is None else _encode(value)

    return get


def _response_field(name: str) -> Getter:
    """Read the first occurrence of a response field."""
    key, spelled = _field_keys(name)
    return _answered(lambda headers: headers.get(key, headers.get(spelled)))


def _response_fact(name: str) -> Getter:
    read: Callable[[object], bytes] = attrgetter(name)
    return lambda request: b"" if request.response is None else read(request.response)


def _status(request: Request) -> bytes:
    return b"" if request.response is None else b"%03d" % request.response.status


BUILT_IN: Final[dict[str, Getter]] = {
    "args": lambda request: request.query or b"",
    "client_ip": attrgetter("client_ip"),
    "connection": lambda request: b"%d" % request.peer.serial,
    "connection_requests": lambda request: b"%d" % request.ordinal,
    "content_length": _field("content_length"),
    "content_type": _field("content_type"),
    "host": attrgetter("host"),
    "hostname": lambda request: _HOSTNAME,
    "is_args": _is_args,
    "msec": lambda request: b"%.3f" % time.time(),
    "proxy_add_x_forwarded_for": _proxy_add_x_forwarded_for,
    "proxy_host": attrgetter("pool"),
    "proxy_port": lambda request: b"80",
    "query_string": lambda request: request.query or b"",
    "realip_remote_addr": attrgetter("peer.address"),
    "remote_addr": attrgetter("client_ip"),
    "remote_port": lambda request: _port(request.peer.port),
    "request_id": attrgetter("request_id"),
    "request_method": attrgetter("method"),
    "request_uri": attrgetter("target"),
    "scheme": attrgetter("peer.scheme"),
    "server_addr": attrgetter("peer.server_address"),
    "server_port": lambda request: _port(request.peer.server_port),
    "server_protocol": _server_protocol,
    "time_iso8601": _time_iso8601,
    "uri": attrgetter("uri"),
}
"""Variables that are known as soon as a request is routed."""

FAMILIES: Final[dict[str, Callable[[str], Getter]]] = {
    "http_": _http,
    "arg_": _arg,
    "cookie_": _cookie,
}
"""Variables by prefix; the function takes what follows it, in lower case."""

RESPONSE: Final[dict[str, Getter]] = {
    "status": _status,
    "upstream_addr": _response_fact("upstream_addr"),
    "upstream_status": _response_fact("upstream_status"),
    "upstream_response_time": _response_fact("upstream_time"),
}
"""Variables that are known once there is a response."""

RESPONSE_FAMILIES: Final[dict[str, Callable[[str], Getter]]] = {
    "upstream_http_": _response_field,
    "sent_http_": _response_field,
}

_RESERVED_PREFIXES: Final = (*FAMILIES, *RESPONSE_FAMILIES, "secret_")


def is_reserved(name: str) -> bool:
    """Tell whether a header map of this name would shadow a built-in, of now or of later."""
    known = name in BUILT_IN or name in RESPONSE or name in LOG
    return known or name.startswith(_RESERVED_PREFIXES)
