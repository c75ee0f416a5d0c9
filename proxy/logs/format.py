"""Log formats: text with variables, compiled into the function that writes a line.

What a format says is nginx's ``log_format`` to the octet, and so is what it makes of a value that
is not there: a dash with the default escape, as opposed to nothing for one that is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from multidict import CIMultiDictProxy, istr

from proxy.errors import FaultError
from proxy.headers.response_variables import RESPONSE, RESPONSE_FAMILIES
from proxy.headers.template import Scope, take_apart
from proxy.headers.variables import Getter
from proxy.logs.escape import Escape
from proxy.message import Request

COMBINED: Final = (
    "$remote_addr - $remote_user [$time_local] "
    '"$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
"""nginx's predefined format."""

LINE_BYTES: Final = 64 * 1024
"""The most that a line takes, its end included; what is longer is cut off."""

_WORD: Final = re.compile(r"[A-Za-z_]*")
_ABSENT_IF_EMPTY: Final = frozenset({
    "args", "content_length", "content_type", "query_string", "remote_user", "request",
    "request_completion", "request_method", "request_uri", "status", "uri",
    *(name for name in RESPONSE if name.startswith("upstream_")),
})  # fmt: skip
"""Variables that are not there, for nginx, where they are empty here."""
_ASKING: Final = RESPONSE.keys() - {"body_bytes_sent", "request_completion", "status"}


class Format:
    """A compiled format."""

    __slots__ = ("asks_response", "render")

    def __init__(self, render: Getter, *, asks_response: bool) -> None:
        self.render: Final = render
        """Return the line for a request, its end included."""
        self.asks_response: Final = asks_response
        """It says something that has to be taken down when the response begins."""


def compile_format(text: str, scope: Scope, escape: Escape) -> Format:
    """Compile a format; raise ``FaultError``."""
    if _WORD.fullmatch(text):
        raise FaultError(f"{text!r} is not a log format", "json, combined, or text with $variables")
    if re.search(r"[\r\n\0]", text):
        raise FaultError("a log format cannot hold CR, LF or NUL", "a line ends by itself")
    constants, variables = take_apart(text, scope)
    form = b"%b".join(constant.replace(b"%", b"%%") for constant in constants) + b"\n"
    getters = [_getter(name, get, escape) for name, get in variables]
    asks = any(asks_response(name, scope) for name, _ in variables)
    return Format(_renderer(form, getters, escape), asks_response=asks)


def asks_response(name: str, scope: Scope) -> bool:
    """Tell whether a variable has to do with the response beyond its status and size."""
    if name in scope.maps:
        return scope.maps[name].response
    return name in _ASKING or name.startswith(tuple(RESPONSE_FAMILIES))


def _renderer(form: bytes, getters: list[Getter], escape: Escape) -> Getter:
    safe = escape.safe

    def render(request: Request) -> bytes:
        values = [get(request) for get in getters]
        # Mostly nothing has to be escaped: one look at all of them tells.
        if b"".join(values).translate(None, safe):
            values = [escape(value) for value in values]
        line = form % tuple(values)
        return line if len(line) <= LINE_BYTES else line[: LINE_BYTES - 1] + b"\n"

    return render


def _getter(name: str, get: Getter, escape: Escape) -> Getter:
    """Have a variable say if its value is not there, where a format can tell."""
    absent = escape.absent
    if not absent:
        return get
    if name in _ABSENT_IF_EMPTY:
        return lambda request: get(request) or absent
    is_there = _presence(name)
    if is_there is None:
        return get
    return lambda request: get(request) or (b"" if is_there(request) else absent)


def _presence(name: str) -> Callable[[Request], bool] | None:
    """Return what tells whether an empty value of a variable was sent; ``None``: it always is."""
    for prefix, find in _FAMILIES.items():
        if name.startswith(prefix):
            return find(name.removeprefix(prefix))
    return None


def _field(name: str) -> Callable[[Request], bool]:
    found = _named(name)
    return lambda request: found(request.headers)


def _upstream_field(name: str) -> Callable[[Request], bool]:
    found = _named(name)
    return lambda request: request.response is not None and found(request.response.headers)


def _sent_field(name: str) -> Callable[[Request], bool]:
    spelled = name.replace("_", "[-_]").encode()
    find = re.compile(rb"\r\n%b:" % spelled, re.IGNORECASE).search
    return lambda request: request.response is not None and find(request.response.sent) is not None


def _nothing(name: str) -> Callable[[Request], bool]:
    return lambda request: False


def _named(name: str) -> Callable[[CIMultiDictProxy[str]], bool]:
    key, spelled = istr(name.replace("_", "-")), istr(name)
    return lambda headers: key in headers or spelled in headers


def _argument(name: str) -> Callable[[Request], bool]:
    find = re.compile(rb"(?:^|&)%b=" % name.encode(), re.IGNORECASE).search
    return lambda request: request.query is not None and find(request.query) is not None


def _cookie(name: str) -> Callable[[Request], bool]:
    find = re.compile(rf"(?:^|[;,]) *{name} *=", re.IGNORECASE | re.ASCII).search
    key = istr("cookie")
    return lambda request: any(map(find, request.headers.getall(key, ())))


_FAMILIES: Final[dict[str, Callable[[str], Callable[[Request], bool]]]] = {
    "http_": _field,
    "arg_": _argument,
    "cookie_": _cookie,
    "upstream_http_": _upstream_field,
    "upstream_cookie_": _nothing,
    "sent_http_": _sent_field,
}
