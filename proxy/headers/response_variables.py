"""The built-in variables of a response: for its rules, for logs, and for whatever a route says.

Names and values are nginx's.  Before there is a response there is what led to the present route, if
that is the page of an error: its status, and the attempts until then.  Otherwise, and for what an
upstream never said, they are empty, and numbers 0.  What only the end of the exchange can tell
(octets sent, times) is what it is so far: a log gets the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from multidict import istr

from proxy.headers.variables import Getter, encode, field_keys
from proxy.message import Attempt, Request, Response

_SET_COOKIE: Final = istr("set-cookie")


def _fact(read: Callable[[Response], bytes], otherwise: bytes = b"") -> Getter:
    return lambda request: otherwise if request.response is None else read(request.response)


def _number(read: Callable[[Response], int]) -> Getter:
    return _fact(lambda response: b"%d" % read(response), b"0")


def _attempts(show: Callable[[Attempt], str]) -> Getter:
    """Show each attempt at an upstream, in order (``ngx_http_upstream_addr_variable`` and kin)."""
    return _fact(lambda response: ", ".join(map(show, response.attempts)).encode())


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3f}"


def _upstream_http(name: str) -> Getter:
    """Read the first occurrence of a field as the upstream sent it."""
    key, spelled = field_keys(name)

    def read(response: Response) -> bytes:
        headers = response.headers
        return encode(headers.get(key, headers.get(spelled, "")) or "")

    return _fact(read)


def _upstream_cookie(name: str) -> Getter:
    """Read a cookie that the upstream sets (``ngx_http_parse_set_cookie_lines``)."""
    find = re.compile(rf"{name} *= *([^;]*)", re.IGNORECASE | re.ASCII).match

    def read(response: Response) -> bytes:
        for line in response.headers.getall(_SET_COOKIE, ()):
            found = find(line)
            if found:
                return encode(found[1])
        return b""

    return _fact(read)


def _sent_http(name: str) -> Getter:
    """Read a field as it went to the client: the first occurrence, or all of a list."""
    spelled = name.replace("_", "[-_]").encode()
    find = re.compile(rb"\r\n%b:[ \t]*([^\r]*)" % spelled, re.IGNORECASE).findall
    joined = name in {"cache_control", "link"}  # ngx_http_variable_headers

    def read(response: Response) -> bytes:
        found: list[bytes] = find(response.sent)
        if joined:
            return b", ".join(found)
        return found[0] if found else b""

    return _sent_connection(read) if name == "connection" else _fact(read)


def _sent_connection(read: Callable[[Response], bytes]) -> Getter:
    """Read what a response says of its connection, or would say (RFC 9112, 9.3)."""

    def get(request: Request) -> bytes:
        response = request.response
        if response is None or not response.sent:
            return b"keep-alive" if request.keep_alive else b"close"
        return read(response) or b"keep-alive"

    return get


RESPONSE: Final[dict[str, Getter]] = {
    "body_bytes_sent": _number(lambda response: response.body_bytes),
    "bytes_sent": _number(lambda response: response.head_bytes + response.body_bytes),
    "request_completion": _fact(lambda response: b"OK" if response.complete else b""),
    "status": _fact(lambda response: b"%03d" % response.status, b"000"),
    "upstream_addr": _attempts(lambda attempt: attempt.address),
    "upstream_bytes_received": _attempts(lambda attempt: str(attempt.bytes_received)),
    "upstream_bytes_sent": _attempts(lambda attempt: str(attempt.bytes_sent)),
    "upstream_connect_time": _attempts(lambda attempt: _seconds(attempt.connect_s)),
    "upstream_header_time": _attempts(lambda attempt: _seconds(attempt.header_s)),
    "upstream_response_length": _attempts(lambda attempt: str(attempt.body_bytes)),
    "upstream_response_time": _attempts(lambda attempt: _seconds(attempt.seconds)),
    "upstream_status": _attempts(lambda attempt: attempt.status),
}
"""Variables that are known once there is a response, or an error."""

RESPONSE_FAMILIES: Final[dict[str, Callable[[str], Getter]]] = {
    "upstream_http_": _upstream_http,
    "upstream_cookie_": _upstream_cookie,
    "sent_http_": _sent_http,
}


def is_of_response(name: str) -> bool:
    """Tell whether a built-in variable is known only once there is a response, or an error."""
    return name in RESPONSE or name.startswith(tuple(RESPONSE_FAMILIES))
