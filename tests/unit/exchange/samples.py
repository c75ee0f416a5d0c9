"""Routes, requests and response heads for the tests of this folder."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.field_block import FieldBlock
from proxy.headers.map import compile_maps
from proxy.headers.template import Scope
from proxy.message import Fields, Peer, Request
from proxy.route import Route, compile_route
from proxy.spec import HeaderMapSpec, Pairs, PathSpec, ResponseRulesSpec, RouteSpec
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.response_parser import ResponseHead, ResponseHeadParser

PEER = Peer(b"192.0.2.1", 4711, b"198.51.100.1", 8080, 1)
CONNECTION_UPGRADE = HeaderMapSpec(
    name="connection_upgrade", source="$http_upgrade", default="upgrade", exact=(("", "close"),)
)


def rules(*, remove: tuple[str, ...] = (), append: Pairs = (), **set_: str) -> ResponseRulesSpec:
    """Write rules, for either direction; the names of ``set_`` have underscores for hyphens."""
    written = tuple((name.replace("_", "-"), value) for name, value in set_.items())
    return ResponseRulesSpec(remove=remove, set=written, append=append)


def route(kind: Any = "prefix", path: str = "/", *maps: HeaderMapSpec, **differs: Any) -> Route:
    """Compile a route without forwarding headers, unless ``differs`` says otherwise."""
    spec = RouteSpec(
        name="r", path=PathSpec(kind=kind, value=path), pools=(("backend", 1),),
        forwarded_headers=False,
    )  # fmt: skip
    faults: list[Any] = []
    compiled = compile_maps({one.name: one for one in maps}, faults)
    made = compile_route(replace(spec, **differs), Scope(maps=compiled), RouteCounters(), faults)
    assert not faults
    return made


def request(
    *fields: tuple[bytes, bytes],
    method: bytes = b"GET",
    upgrade: bytes = b"",
    version_minor: int = 1,
    uri: bytes = b"/",
) -> Request:
    """Make a request as admission would, with a Host before ``fields``."""
    every: Fields = ((b"Host", b"example.test"), *fields)
    headers = CIMultiDictProxy(
        CIMultiDict((n.decode(), v.decode("utf-8", "surrogateescape")) for n, v in every)
    )
    block = FieldBlock(every, headers, version_minor, keep_alive=True)
    block.authority = block.host = b"example.test"
    block.connection = b", ".join(v for n, v in fields if n.lower() == b"connection")
    block.upgrade = upgrade
    made = Request(PEER, method, uri, block)
    made.uri = made.path = uri
    made.request_id = b"id-1"
    return made


_LOOP = asyncio.new_event_loop()
_PARSER = ResponseHeadParser(_LOOP)  # it only keeps the loop
_LOOP.close()


def response(*lines: bytes, status: bytes = b"200 OK", to_head: bool = False) -> ResponseHead:
    """Parse a response head."""
    raw = b"\r\n".join([b"HTTP/1.1 " + status, *lines]) + b"\r\n\r\n"
    return _PARSER.parse(raw, to_head=to_head)


def lines(head: bytes) -> list[bytes]:
    """Take a head apart, and check that it is one."""
    assert head.endswith(b"\r\n\r\n")
    assert head.find(b"\r\n\r\n") == len(head) - 4
    return head[:-4].split(b"\r\n")
