"""Responses of every kind, right and wrong, to GET, HEAD and HTTP/1.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import Row, passing, row, server
from tests.peers import Script, answers, reply
from tests.peers.client import request
from tests.peers.origin import then
from tests.peers.wire import chunked

_CONF: Final = server(passing("proxy_redirect off;"))
_CHUNKED: Final = b"Transfer-Encoding: chunked"


def _head(*fields: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([version + b" " + status, *fields]) + b"\r\n\r\n"


_GOOD: Final[dict[str, bytes]] = {
    "length": reply(b"hello", b"Content-Type: text/plain"),
    "length-0": reply(b""),
    "fields": reply(
        b"hello",
        b"X-First: 1",
        b"Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT",
        b"Content-Type: text/html; charset=utf-8",
        b'ETag: "a"',
        b"Server: origin/1",
        b"Date: Sat, 01 Jan 2000 00:00:00 GMT",
        b"Cache-Control: no-store",
        b"Vary: Accept",
        b"x-lower: 2",
        b"Set-Cookie: a=b; Path=/",
        b"Set-Cookie: c=d",
        b"Content-Encoding: identity",
        b"Accept-Ranges: bytes",
        b"Expires: 0",
        b"Location: /elsewhere",
        b"Refresh: 5; url=/x",
        b"WWW-Authenticate: Basic",
        b"Link: </a>",
        b"X-Last: 3",
    ),
    "repeated": reply(
        b"ok", b"X-A: 1", b"x-a: 2", b"Vary: A", b"Vary: B", b"Link: <a>", b"Link: b"
    ),
    "odd-values": reply(b"ok", b"X-A:", b"X-B:   spaces  ", b"X-C:\ttab", b"X-D: \xc3\xa4\xff"),
    "no-space": reply(b"ok", b"X-A:1", b"Content-Type:a/b"),
    "underscore": reply(b"ok", b"X_A: 1"),
    "hop-by-hop": reply(b"ok", b"Keep-Alive: timeout=5", b"Connection: keep-alive"),
    "names-a-field": reply(b"ok", b"Connection: X-A", b"X-A: 1"),
    "proxy-fields": reply(b"ok", b"Proxy-Authenticate: Basic", b"Upgrade: h2c", b"Trailer: X"),
    "no-reason": reply(b"ok", status=b"200 "),
    "own-reason": reply(b"ok", status=b"200 Fine by me"),
    "odd-reason": reply(b"ok", status=b"200 \xc3\xa4!"),
    "chunked": _head(_CHUNKED) + chunked(b"hello", b" world"),
    "chunked-empty": _head(_CHUNKED) + chunked(),
    "chunked-typed": _head(_CHUNKED, b"Content-Type: text/plain", b"X-A: 1") + chunked(b"hello"),
    "chunked-trailer": _head(_CHUNKED, b"Trailer: X-T") + b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    "chunked-extension": _head(_CHUNKED) + b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "not-modified": _head(b'ETag: "a"', status=b"304 Not Modified"),
    "not-modified-length": _head(b"Content-Length: 5", status=b"304 Not Modified"),
    "no-content": _head(b"X-A: 1", status=b"204 No Content"),
    "no-content-length": _head(b"Content-Length: 0", status=b"204 No Content"),
    "reset-content": reply(b"", status=b"205 Reset Content"),
    "partial": reply(b"hel", b"Content-Range: bytes 0-2/5", status=b"206 Partial Content"),
    "created": reply(b"ok", b"Location: /new", status=b"201 Created"),
    "moved": reply(b"", b"Location: http://elsewhere.test/", status=b"302 Found"),
    "bad-request": reply(b"no", status=b"400 Bad Request"),
    "unauthorized": reply(b"no", b"WWW-Authenticate: Basic", status=b"401 Unauthorized"),
    "not-found": reply(b"no", b"Content-Type: text/html", status=b"404 Not Found"),
    "internal-error": reply(b"no", status=b"500 Internal Server Error"),
    "unavailable": reply(b"no", b"Retry-After: 1", status=b"503 Service Unavailable"),
    "unknown-status": reply(b"ok", status=b"299 Whatever"),
    "high-status": reply(b"ok", status=b"599 Whatever"),
    "very-high-status": reply(b"ok", status=b"799 Whatever"),
    "says-close": reply(b"ok", b"Connection: close"),
    "large": reply(b"0123456789abcdef" * 20_000),
    "long-field": reply(b"ok", b"X-A: " + b"a" * 2000),
}
_INFORMATIONAL: Final[dict[str, bytes]] = {
    "early-hints": _head(b"Link: </a>", status=b"103 Early Hints") + reply(b"ok"),
    "processing": _head(status=b"102 Processing") + reply(b"ok"),
    "continue-unasked": _head(status=b"100 Continue") + reply(b"ok"),
}
_ENDED: Final[dict[str, tuple[bytes, ...]]] = {
    "until-close": (_head(b"Content-Type: a/b"), b"hello"),
    "until-close-empty": (_head(),),
    "old-version": (_head(version=b"HTTP/1.0"), b"hello"),
    "old-version-length": (_head(b"Content-Length: 5", version=b"HTTP/1.0"), b"hello"),
    "old-version-no-content": (_head(status=b"204 No Content", version=b"HTTP/1.0"),),
    "old-version-kept": (
        _head(b"Content-Length: 2", b"Connection: keep-alive", version=b"HTTP/1.0"),
        b"ok",
    ),
}
_BAD: Final[dict[str, tuple[bytes, ...]]] = {
    "nothing": (),
    "half-a-head": (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n",),
    "not-http": (b"SSH-2.0-OpenSSH_9\r\n\r\n",),
    "garbage": (b"\x00\x01\x02\x03\r\n\r\n",),
    "bad-status": (_head(status=b"2x0 OK"),),
    "short-status": (_head(status=b"20 OK"),),
    "version-2": (_head(version=b"HTTP/2.0"),),
    "no-colon": (_head(b"Nonsense"),),
    "space-in-name": (_head(b"X A: 1", b"Content-Length: 0"),),
    "space-before-colon": (_head(b"X-A : 1", b"Content-Length: 0"),),
    "bare-lf": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",),
    "obs-fold": (_head(b"X-A: 1\r\n b", b"Content-Length: 0"),),
    "nul": (_head(b"X-A: a\x00b", b"Content-Length: 0"),),
    "bare-cr": (_head(b"X-A: a\rb", b"Content-Length: 0"),),
    "two-lengths": (_head(b"Content-Length: 2", b"Content-Length: 3"), b"ok"),
    "same-lengths": (_head(b"Content-Length: 2", b"Content-Length: 2"), b"ok"),
    "bad-length": (_head(b"Content-Length: 2x"), b"ok"),
    "negative-length": (_head(b"Content-Length: -2"), b"ok"),
    "length-and-chunked": (_head(b"Content-Length: 2", _CHUNKED), chunked(b"ok")),
    "unknown-coding": (_head(b"Transfer-Encoding: gzip"), b"ok"),
    "chunked-old-version": (_head(_CHUNKED, version=b"HTTP/1.0"), chunked(b"ok")),
    "bad-chunk": (_head(_CHUNKED), b"zz\r\nhello\r\n"),
    "short-body": (_head(b"Content-Length: 10"), b"hello"),
    "short-chunked": (_head(_CHUNKED), b"5\r\nhello\r\n"),
    "long-body": (_head(b"Content-Length: 2"), b"okay"),
    "unasked-switch": (_head(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching"),),
    "huge-head": (_head(b"X-A: " + b"a" * 100_000, b"Content-Length: 0"),),
}


def responses() -> Iterator[Row]:
    """Each response to a GET, those that have an end of their own to HEAD and HTTP/1.0 as well."""
    scripts: dict[str, Script] = {name: answers(octets) for name, octets in _GOOD.items()}
    scripts |= {name: then("fin", b"".join(octets)) for name, octets in _ENDED.items()}
    bad: dict[str, Script] = {name: then("fin", b"".join(octets)) for name, octets in _BAD.items()}
    get, head = request(b"GET", b"/x"), request(b"HEAD", b"/x")
    old = b"GET /x HTTP/1.0\r\nHost: h.test\r\n\r\n"
    kept = b"GET /x HTTP/1.0\r\nHost: h.test\r\nConnection: keep-alive\r\n\r\n"
    for name, script in scripts.items():
        yield row(f"response-{name}", _CONF, get, origin=script)
    for name, script in bad.items():
        yield row(f"bad-response-{name}", _CONF, get, origin=script)
    for name, octets in _INFORMATIONAL.items():
        yield row(f"informational-{name}", _CONF, get, methods=(), origin=then("fin", octets))
        yield row(f"informational-old-{name}", _CONF, old, methods=(), origin=then("fin", octets))
    for name in ("length", "chunked", "until-close", "not-modified", "no-content", "fields",
                 "not-found", "old-version"):  # fmt: skip
        yield row(f"response-old-{name}", _CONF, old, origin=scripts[name])
        yield row(f"response-kept-{name}", _CONF, kept, origin=scripts[name])
    for name in ("length-0", "fields", "not-modified", "no-content"):
        yield row(f"response-head-{name}", _CONF, head, origin=scripts[name])
    for name, octets in {
        "length": _head(b"Content-Length: 5"),
        "chunked": _head(_CHUNKED),
        "neither": _head(b"X-A: 1"),
        "not-found": _head(b"Content-Length: 2", status=b"404 Not Found"),
    }.items():
        yield row(f"response-head-{name}-only", _CONF, head, origin=then("fin", octets))
