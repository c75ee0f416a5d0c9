"""Requests and responses as admission makes them, with everything else left out."""

from __future__ import annotations

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.field_block import FieldBlock
from proxy.message import Attempt, Fields, Peer, Request, Response

Lines = tuple[tuple[str, str], ...]


def headers(lines: Lines) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(lines))


def fields(lines: Lines) -> Fields:
    return tuple((name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in lines)


def peer(address: bytes = b"192.0.2.1", port: int = 40000) -> Peer:
    return Peer(address, port, b"198.51.100.7", 8080, 17)


def request(
    *lines: tuple[str, str],
    target: bytes = b"/",
    captures: dict[str, bytes] | None = None,
    address: bytes = b"192.0.2.1",
    version_minor: int = 1,
) -> Request:
    block = FieldBlock(fields(lines), headers(lines), version_minor, keep_alive=True)
    block.host = b"app.example.org"
    made = Request(peer(address), b"GET", target, block, ordinal=3)
    made.path, mark, query = target.partition(b"?")
    made.uri = made.path
    made.query = query if mark else None
    made.captures = captures
    made.request_id = b"id-1"
    made.authority = made.headers.get("Host", "").encode("utf-8", "surrogateescape")
    made.pool = b"backend"
    made.keeps_escapes = made.quotes_captures = False
    return made


def response(*lines: tuple[str, str], status: int = 200) -> Response:
    attempts = (
        Attempt("10.0.0.1:80", "502", 0.0014, bytes_sent=7),
        Attempt("10.0.0.2:80", str(status), 0.25, 0.0, 0.125, 30, 40, 12),
    )
    return Response(status, fields(lines), headers(lines), attempts)
