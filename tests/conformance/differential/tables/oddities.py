"""Requests as some clients write them, and as nobody should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import Row, passing, server, table

_CONF: Final = server(passing())
_ALLOWING: Final = server("underscores_in_headers on;", passing())


def _with(*fields: bytes, line: bytes = b"GET /x HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: h.test", *fields]) + b"\r\n\r\n"


_METHODS: Final = (
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"MKCOL",
    b"LOCK", b"COPY", b"REPORT", b"PURGE", b"SEARCH", b"TRACE", b"CONNECT", b"FOO", b"get",
    b"G_T", b"X-Y",
)  # fmt: skip
_LINES: Final[dict[str, bytes]] = {
    "options-asterisk": b"OPTIONS * HTTP/1.1",
    "asterisk": b"GET * HTTP/1.1",
    "no-slash": b"GET x HTTP/1.1",
    "version-1.2": b"GET /x HTTP/1.2",
    "version-2.0": b"GET /x HTTP/2.0",
    "version-0.9": b"GET /x HTTP/0.9",
    "version-1": b"GET /x HTTP/1",
    "version-1.10": b"GET /x HTTP/1.10",
    "version-lower": b"GET /x http/1.1",
    "version-other": b"GET /x ICY/1.0",
    "no-version": b"GET /x",
    "two-spaces": b"GET  /x HTTP/1.1",
    "two-spaces-behind": b"GET /x  HTTP/1.1",
    "space-at-the-end": b"GET /x HTTP/1.1 ",
    "space-first": b" GET /x HTTP/1.1",
    "tab": b"GET\t/x HTTP/1.1",
    "space-in-target": b"GET /x y HTTP/1.1",
    "control-in-target": b"GET /x\x01y HTTP/1.1",
    "delete-in-target": b"GET /x\x7fy HTTP/1.1",
    "non-ascii-target": b"GET /\xc3\xa4 HTTP/1.1",
    "fragment": b"GET /x#y HTTP/1.1",
    "authority": b"GET h.test:80 HTTP/1.1",
    "absolute": b"GET http://h.test/x HTTP/1.1",
    "absolute-userinfo": b"GET http://u@h.test/x HTTP/1.1",
    "absolute-options": b"OPTIONS http://h.test HTTP/1.1",
    "long-target": b"GET /" + b"a" * 7000 + b" HTTP/1.1",
    "too-long-target": b"GET /" + b"a" * 40_000 + b" HTTP/1.1",
    "long-query": b"GET /x?" + b"a=b&" * 1500 + b" HTTP/1.1",
}
_FIELDS: Final[dict[str, tuple[bytes, ...]]] = {
    "underscore": (b"X_A: 1", b"X-B: 2"),
    "underscore-first": (b"_A: 1",),
    "digit-first": (b"1A: 1",),
    "dot-in-name": (b"X.A: 1",),
    "odd-name": (b"X!#$%&'*+.^`|~A: 1",),
    "repeated": (b"X-A: 1", b"X-A: 2", b"x-a: 3"),
    "repeated-accept": (b"Accept: a/b", b"Accept: c/d"),
    "repeated-cookie": (b"Cookie: a=b", b"Cookie: c=d"),
    "repeated-user-agent": (b"User-Agent: a", b"User-Agent: b"),
    "repeated-content-type": (b"Content-Type: a/b", b"Content-Type: c/d"),
    "repeated-authorization": (b"Authorization: a", b"Authorization: b"),
    "repeated-referer": (b"Referer: a", b"Referer: b"),
    "repeated-if-modified": (b"If-Modified-Since: a", b"If-Modified-Since: b"),
    "empty": (b"X-A:", b"X-B: "),
    "spaces-around": (b"X-A:    a  b   ",),
    "tabs-around": (b"X-A:\ta\t",),
    "no-space": (b"X-A:a",),
    "non-ascii": (b"X-A: \xc3\xa4\xff",),
    "space-before-colon": (b"X-A : a",),
    "space-in-name": (b"X A: a",),
    "obs-fold": (b"X-A: a\r\n b",),
    "no-colon": (b"X-A",),
    "no-name": (b": a",),
    "nul-in-value": (b"X-A: a\x00b",),
    "control-in-value": (b"X-A: a\x01b",),
    "cr-in-value": (b"X-A: a\rb",),
    "non-ascii-name": (b"X-\xc3\xa4: a",),
    "long-value": (b"X-A: " + b"a" * 7000,),
    "too-long-value": (b"X-A: " + b"a" * 40_000,),
    "many": tuple(b"X-%d: %d" % (number, number) for number in range(90)),
    "very-many": tuple(b"X-%d: %d" % (number, number) for number in range(600)),
    "range": (b"Range: bytes=0-1", b"If-Range: x"),
    "conditional": (b'If-None-Match: "a"', b"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"),
    "te": (b"TE: trailers", b"Connection: TE"),
    "proxy-authorization": (b"Proxy-Authorization: Basic eA==",),
    "accel": (b"X-Accel-Redirect: /x", b"X-Accel-Buffering: no"),
    "forwarded": (b"Forwarded: for=1.2.3.4", b"X-Forwarded-Proto: https", b"X-Real-IP: 1.2.3.4"),
    "request-id": (b"X-Request-Id: mine",),
    "usual-browser": (
        b"User-Agent: Mozilla/5.0",
        b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        b"Accept-Language: de,en;q=0.5",
        b"Accept-Encoding: gzip, deflate, br",
        b"Connection: keep-alive",
        b"Upgrade-Insecure-Requests: 1",
        b"Sec-Fetch-Dest: document",
        b"Cache-Control: max-age=0",
        b"DNT: 1",
    ),
}
_RAW: Final[dict[str, bytes]] = {
    "bare-lf": b"GET /x HTTP/1.1\nHost: h.test\n\n",
    "bare-lf-in-fields": b"GET /x HTTP/1.1\r\nHost: h.test\nX-A: 1\r\n\r\n",
    "bare-lf-at-the-end": b"GET /x HTTP/1.1\r\nHost: h.test\r\n\n",
    "simple": b"GET /x\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


def oddities() -> Iterator[Row]:
    """Methods, request lines, fields, and what is hardly a request."""
    methods = {m.decode(): _with(line=m + b" /x HTTP/1.1") for m in _METHODS}
    yield from table("method", _CONF, methods)
    yield from table("line", _CONF, {name: _with(line=line) for name, line in _LINES.items()})
    fields = {name: _with(*some) for name, some in _FIELDS.items()}
    yield from table("field", _CONF, fields)
    yield from table("allowed", _ALLOWING, {"underscore": fields["underscore"]})
    yield from table("raw", _CONF, _RAW)
