"""Variables that only access logs have: what is known when all is over, and what only logs want."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Final

from multidict import istr

from proxy.message import Request, UnusualRequest

_AUTHORIZATION: Final = istr("Authorization")
_BASIC: Final = re.compile(r"basic +([A-Za-z0-9+/]+)(?:=.*)?", re.IGNORECASE | re.DOTALL)
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def _body_bytes_sent(request: Request) -> bytes:
    return b"0" if request.response is None else b"%d" % request.response.body_bytes


def _bytes_sent(request: Request) -> bytes:
    response = request.response
    return b"0" if response is None else b"%d" % (response.head_bytes + response.body_bytes)


def _request_time(request: Request) -> bytes:
    return b"0.000" if request.response is None else b"%.3f" % request.response.duration_s


def _request(request: Request) -> bytes:
    """Return the request line as it was sent."""
    if isinstance(request, UnusualRequest):
        return request.line
    return b"%b %b HTTP/1.%d" % (request.method, request.target, request.version_minor)


def _remote_user(request: Request) -> bytes:
    """Return the user's name of Basic credentials (``ngx_http_auth_basic_user``)."""
    value = request.headers.get(_AUTHORIZATION)
    found = None if value is None else _BASIC.fullmatch(value)
    if found is None or len(found[1]) % 4 == 1:
        return b""
    name, colon, _ = b64decode(found[1] + "=" * (-len(found[1]) % 4)).partition(b":")
    return name if colon else b""


class _Second:
    """A time that is written at most once a second."""

    __slots__ = ("_second", "_text", "_write")

    def __init__(self, write: Callable[[time.struct_time], str]) -> None:
        self._write: Final = write
        self._second = -1
        self._text = b""

    def __call__(self, _: Request) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = self._write(time.localtime(second)).encode()
        return self._text


def _time_local(now: time.struct_time) -> str:
    month = _MONTHS[now.tm_mon - 1]  # whatever the locale calls it
    return time.strftime(f"%d/{month}/%Y:%H:%M:%S ", now) + _offset(now, "")


def _time_iso8601(now: time.struct_time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", now) + _offset(now, ":")


def _offset(now: time.struct_time, colon: str) -> str:
    minutes = now.tm_gmtoff // 60
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"


LOG: Final[dict[str, Callable[[Request], bytes]]] = {
    "body_bytes_sent": _body_bytes_sent,
    "bytes_sent": _bytes_sent,
    "remote_user": _remote_user,
    "request": _request,
    "request_time": _request_time,
    "time_iso8601": _Second(_time_iso8601),
    "time_local": _Second(_time_local),
}
"""By name; where a name is known elsewhere too, in logs this is it."""
