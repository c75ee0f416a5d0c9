"""Request bodies: none, of a length, chunked, large, expected, answered early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, passing, row, server, table
from tests.peers import Conn, echo, reply
from tests.peers.client import request
from tests.peers.wire import chunked

_CONF: Final = server(
    "client_max_body_size 1m; lingering_close off;",
    passing(),
    passing("client_max_body_size 3;", path="/small/"),
    passing("client_max_body_size 0;", path="/any/"),
    passing("proxy_request_buffering off;", path="/streamed/"),
    f"location /old/ {{ proxy_pass http://{ORIGINS[0]}; }}",
)
_CHUNKED: Final = b"Transfer-Encoding: chunked"


def _chunky(path: bytes, body: bytes, *fields: bytes) -> bytes:
    return request(b"POST", path, _CHUNKED, *fields) + body


_PLAIN: Final = {
    "none": request(b"POST", b"/"),
    "length-0": request(b"POST", b"/", body=b""),
    "length": request(b"POST", b"/", b"Content-Type: a/b", body=b"hello"),
    "length-with-zeros": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
    "binary": request(b"PUT", b"/", body=bytes(range(256))),
    "of-get": request(b"GET", b"/", body=b"hello"),
    "of-head": request(b"HEAD", b"/", body=b"hello"),
    "of-delete": request(b"DELETE", b"/x", body=b"hello"),
    "of-options": request(b"OPTIONS", b"/x", body=b"hello"),
    "of-patch": request(b"PATCH", b"/x", body=b"hello"),
    "of-old-version": b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
    "of-old-version-none": b"POST / HTTP/1.0\r\n\r\n",
    "at-limit": request(b"POST", b"/small/", body=b"abc"),
    "over-limit": request(b"POST", b"/small/", body=b"abcd"),
    "over-limit-chunked": _chunky(b"/small/", chunked(b"abcd")),
    "far-over-limit": request(b"POST", b"/small/", body=b"x" * 100_000),
    "large": request(b"POST", b"/any/", body=b"0123456789abcdef" * 40_000),
    "large-chunked": _chunky(b"/any/", chunked(*[b"0123456789abcdef" * 100] * 100)),
    "chunked": _chunky(b"/", chunked(b"hello", b" ", b"world")),
    "chunked-empty": _chunky(b"/", chunked()),
    "chunked-extension": _chunky(b"/", b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "chunked-trailer": _chunky(b"/", b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", b"Trailer: X-T"),
    "chunked-leading-zeros": _chunky(b"/", b"0005\r\nhello\r\n0\r\n\r\n"),
    "chunked-upper": _chunky(b"/", b"A\r\n0123456789\r\n0\r\n\r\n"),
    "chunked-spaces": _chunky(b"/", b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunked-bad-size": _chunky(b"/", b"x\r\nhello\r\n0\r\n\r\n"),
    "chunked-bad-end": _chunky(b"/", b"5\r\nhelloX\r\n0\r\n\r\n"),
    "chunked-streamed": _chunky(b"/streamed/", chunked(b"hello")),
    "chunked-old-upstream": _chunky(b"/old/", chunked(b"hello")),
    "length-old-upstream": request(b"POST", b"/old/", body=b"hello"),
    "streamed": request(b"POST", b"/streamed/", body=b"hello"),
    "chunked-mixed-case": request(b"POST", b"/", b"Transfer-Encoding: Chunked") + chunked(b"hello"),
    "length-and-chunked": _chunky(b"/", chunked(b"hello"), b"Content-Length: 5"),
    "two-lengths": request(b"POST", b"/", b"Content-Length: 5", body=b"hello"),
    "bad-length": request(b"POST", b"/", b"Content-Length: 5x") + b"hello",
    "negative-length": request(b"POST", b"/", b"Content-Length: -5") + b"hello",
    "empty-length": request(b"POST", b"/", b"Content-Length:") + b"hello",
    "gzip-coding": request(b"POST", b"/", b"Transfer-Encoding: gzip") + b"hello",
    "two-codings": request(b"POST", b"/", b"Transfer-Encoding: gzip, chunked") + chunked(b"hello"),
    "identity-coding": request(b"POST", b"/", b"Transfer-Encoding: identity", body=b"hello"),
    "chunked-in-old-version": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(b"hello"),
}

_EXPECTING: Final = b"Expect: 100-continue"


def bodies() -> Iterator[Row]:
    """All of them, echoed; then what takes more than one write, or an origin that does not wait."""
    yield from table("body", _CONF, _PLAIN, origin=echo)
    head, body = request(b"POST", b"/", _EXPECTING, b"Content-Length: 5"), b"hello"
    yield row("body-expected", _CONF, head, body, origin=echo, waits=True)
    yield row(
        "body-expected-chunked",
        _CONF,
        request(b"POST", b"/", _EXPECTING, _CHUNKED),
        chunked(b"hello"),
        origin=echo,
        waits=True,
    )
    yield row("body-expected-upper", _CONF, head.replace(b"100-c", b"100-C"), body, waits=True)
    yield row("body-expected-at-once", _CONF, head + body, origin=echo)
    yield row("body-expected-none", _CONF, request(b"GET", b"/", _EXPECTING))
    old = b"POST / HTTP/1.0\r\n" + _EXPECTING + b"\r\nContent-Length: 5\r\n\r\nhello"
    yield row("body-expected-old", _CONF, old, origin=echo)
    large = request(b"POST", b"/small/", _EXPECTING, b"Content-Length: 9")
    yield row("body-expected-too-large", _CONF, large, b"", waits=True)
    yield row("body-expected-elsewhere", _CONF, request(b"POST", b"/", b"Expect: tea"))
    pieces = (request(b"POST", b"/", b"Content-Length: 5"), b"he", b"llo")
    yield row("body-in-pieces", _CONF, *pieces, origin=echo)
    pieces = (request(b"POST", b"/", _CHUNKED) + b"5\r\nhe", b"llo\r", b"\n0\r\n\r\n")
    yield row("body-chunked-in-pieces", _CONF, *pieces, origin=echo)
    early = request(b"POST", b"/streamed/", b"Content-Length: 10") + b"hello"
    yield row("body-answered-early", _CONF, early, origin=_early, unread=True)


async def _early(conn: Conn) -> None:
    await conn.next_head()
    await conn.send(reply(b"no", status=b"403 Forbidden"))
