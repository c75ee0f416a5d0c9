"""Several requests in one write, and what keeps a connection open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, passing, row, server
from tests.peers import echo
from tests.peers.client import request
from tests.peers.wire import chunked

_CONF: Final = server(passing(), passing("client_max_body_size 3;", path="/small/"))
_KEPT: Final = f"upstream backend {{ server {ORIGINS[0]}; keepalive 4; }}\n" + server(
    passing(to="http://backend")
)
_FEW: Final = server("keepalive_requests 2;", passing())
_NEVER: Final = server("keepalive_timeout 0;", passing())

_GET: Final = request(b"GET", b"/g")
_HEAD: Final = request(b"HEAD", b"/h")
_POST: Final = request(b"POST", b"/p", body=b"hello")
_CHUNKED: Final = request(b"POST", b"/c", b"Transfer-Encoding: chunked") + chunked(b"hello", b"you")
_LAST: Final = request(b"GET", b"/l", b"Connection: close")
_NOWHERE: Final = request(b"GET", b"/..")
_OLD: Final = b"GET /o HTTP/1.0\r\nHost: a\r\n\r\n"
_OLD_KEPT: Final = b"GET /o HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
_TOO_LARGE: Final = request(b"POST", b"/small/", body=b"hello")

_MIXES: Final[dict[str, tuple[bytes, ...]]] = {
    "two": (_GET, _GET),
    "five": (_GET,) * 5,
    "twenty": (_GET,) * 20,
    "bodies": (_POST, _GET, _POST, _CHUNKED, _GET),
    "heads": (_HEAD, _GET, _HEAD),
    "chunked-first": (_CHUNKED, _CHUNKED, _GET),
    "close-in-the-middle": (_GET, _LAST, _GET),
    "close-at-the-end": (_GET, _GET, _LAST),
    "old-in-the-middle": (_GET, _OLD, _GET),
    "old-kept": (_OLD_KEPT, _OLD_KEPT, _GET),
    "old-kept-then-not": (_OLD_KEPT, _OLD, _GET),
    "bad-in-the-middle": (_GET, _NOWHERE, _GET),
    "too-large-in-the-middle": (_GET, _TOO_LARGE, _GET),
    "garbage-behind": (_GET, b"garbage\r\n\r\n"),
    "empty-lines-between": (_GET, b"\r\n\r\n", _GET),
    "empty-line-first": (b"\r\n", _GET),
    "empty-lines-first": (b"\r\n\r\n\r\n", _GET, b"\r\n", _GET),
}
_CONNECTIONS: Final[dict[str, bytes]] = {
    "close": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "close-upper": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n",
    "close-among-others": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n",
    "keep-alive": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "both": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
    "two-fields": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
    "empty": b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n",
    "names-a-field": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A\r\nX-A: 1\r\n\r\n",
    "proxy-connection": b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "old-kept": b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "old-kept-upper": b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
    "old-closed": b"GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n",
    "old-post-kept": b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n"
    b"Content-Length: 5\r\n\r\nhello",
}


def _methods(mix: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(one.split(b" ", 1)[0] for one in mix if one.strip())


def pipelines() -> Iterator[Row]:
    """Each mix in one write and in several, and each way to say what happens after."""
    for name, mix in _MIXES.items():
        methods = _methods(mix)
        yield row(f"pipeline-{name}", _CONF, b"".join(mix), methods=methods, origin=echo)
    for name in ("two", "bodies", "chunked-first", "old-kept"):
        mix = _MIXES[name]
        methods = _methods(mix)
        yield row(f"pipeline-apart-{name}", _CONF, *mix, methods=methods, origin=echo)
        octets = b"".join(mix)
        cuts = [octets[at : at + 17] for at in range(0, len(octets), 17)]
        yield row(f"pipeline-cut-{name}", _CONF, *cuts, methods=methods, origin=echo)
        yield row(f"pipeline-reused-{name}", _KEPT, octets, methods=methods, origin=echo)
    for name, octets in _CONNECTIONS.items():
        yield row(f"connection-{name}", _CONF, octets, origin=echo)
        yield row(f"connection-reused-{name}", _KEPT, octets, origin=echo)
    yield row("pipeline-few-requests", _FEW, _GET * 3, methods=(b"GET",) * 3, origin=echo)
    yield row("pipeline-no-keepalive", _NEVER, _GET * 2, methods=(b"GET",) * 2, origin=echo)
