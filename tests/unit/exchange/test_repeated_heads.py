"""What is remembered of heads that come again is what would be made of them anew."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.request_head import upstream_head
from proxy.exchange.response_head import client_head
from proxy.field_block import FieldBlock
from proxy.message import Request
from proxy.route import Route
from proxy.spec import HeaderMapSpec, HeaderRulesSpec, ResponseRulesSpec
from proxy.upstream.response_parser import ResponseHeadParser
from tests.unit.exchange.samples import PEER, request, route, rules

TIER = HeaderMapSpec(name="tier", source="$http_x_plan", default="free", exact=(("gold", "paid"),))
PLACE = HeaderMapSpec(name="place", source="$uri", default="else", exact=(("/a", "here"),))
DEEP = HeaderMapSpec(name="deep", source="$place", default="$tier")


def by(value: str, **differs: object) -> Route:
    spec = HeaderRulesSpec(set=(("X-Ours", value),))
    return route("prefix", "/", TIER, PLACE, DEEP, request_headers=spec, **differs)


OF_FIELDS = ["a", "$http_x_plan", "$tier", "${tier}-$host", "$cookie_a", "$proxy_host"]
OF_MORE = ["$uri", "$place", "$deep", "$remote_addr", "$request_id", "$arg_a", "$request_method"]

FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"X-Plan", b"Cookie", b"Connection", b"TE", b"X-Forwarded-For", b"Accept"]
        ),
        st.sampled_from([b"gold", b"a=1", b"close, accept", b"keep-alive", b"10.0.0.9", b"a\rb"]),
    ),
    max_size=5,
)
HEADS = st.tuples(
    FIELDS, st.sampled_from(["/a", "/b"]), st.booleans(), st.sampled_from([b"p", b"q"])
)


def again(made: Request, uri: bytes, pool: bytes) -> Request:
    """Return another request with the same fields."""
    other = Request(PEER, made.method, uri, made.block)
    other.uri = other.path = uri
    other.request_id, other.pool = b"id-2", pool
    return other


@given(
    value=st.sampled_from(OF_FIELDS + OF_MORE),
    heads=st.lists(HEADS, min_size=2, max_size=4),
    forwards=st.booleans(),
)
def test_request_head_does_not_depend_on_those_before(
    value: str, heads: list[tuple[list[tuple[bytes, bytes]], str, bool, bytes]], forwards: bool
) -> None:
    routes = [by(value, forwarded_headers=forwards), by("other")]
    first = request(*heads[0][0])
    for _, uri, trusted, pool in heads:
        for one in routes:
            made = again(first, uri.encode(), pool)
            remembered = upstream_head(made, one, b"/t", peer_trusted=trusted)
            fresh = again(first, uri.encode(), pool)
            passage, fresh.block.passage = fresh.block.passage, None
            anew = upstream_head(fresh, one, b"/t", peer_trusted=trusted)
            fresh.block.passage = passage
            for name in ("data", "upgrade", "persistent", "to_head"):
                assert getattr(remembered, name) == getattr(anew, name)


@pytest.mark.parametrize("value", OF_FIELDS)
def test_what_the_fields_decide_is_made_once(value: str) -> None:
    made = request((b"X-Plan", b"gold"))
    kept = []
    for _ in range(2):
        upstream_head(made, by(value), b"/t", peer_trusted=False)
        kept.append(made.block.passage)
    one = by(value)
    upstream_head(made, one, b"/t", peer_trusted=False)
    passage = made.block.passage
    upstream_head(made, one, b"/u", peer_trusted=False)
    assert made.block.passage is passage is not None
    assert kept[0] is not kept[1]  # another compiled route, another passage


@pytest.mark.parametrize("value", OF_MORE)
def test_what_more_decides_is_not_remembered(value: str) -> None:
    made = request()
    upstream_head(made, by(value), b"/t", peer_trusted=False)
    assert made.block.passage is None


def test_nothing_is_remembered_of_changed_fields_or_a_listeners_host() -> None:
    made = request((b"X_A", b"1"))
    made.fields = made.fields[:1]
    upstream_head(made, by("$host"), b"/t", peer_trusted=False)
    assert made.block.passage is None
    bare = Request(PEER, b"GET", b"/", FieldBlock((), made.headers, 0, keep_alive=False))
    bare.host, bare.pool = b"default.test", b"p"
    upstream_head(bare, by("$host"), b"/t", peer_trusted=False)
    assert bare.block.passage is None


def test_value_that_cannot_be_sent_is_counted_each_time() -> None:
    one, made = by("$http_cookie"), request((b"Cookie", b"a\rb"))
    for times in (1, 2):
        assert b"X-Ours" not in upstream_head(made, one, b"/t", peer_trusted=False).data
        assert one.counters.header_rule_failures == times


RAW = b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"


@given(
    value=st.sampled_from(["a", "$status", "$request_id", "$sent_http_a"]),
    answers=st.lists(
        st.tuples(
            st.booleans(), st.booleans(), st.sampled_from([0, 1]), st.sampled_from([200, 404])
        ),
        min_size=2,
        max_size=5,
    ),
)
def test_response_head_does_not_depend_on_those_before(
    value: str, answers: list[tuple[bool, bool, int, int]]
) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    parser, one = ResponseHeadParser(loop), route(response_headers=rules(X_Ours=value))
    for keep_alive, rechunk, minor, status in answers:
        head = parser.parse(RAW, to_head=False)
        assert head is parser.parse(RAW, to_head=False)
        bytes_of = [
            client_head(
                request(version_minor=minor),
                of,
                one,
                status,
                keep_alive=keep_alive,
                rechunk=rechunk,
            )
            for of in (head, head.with_fields(head.fields))
        ]
        assert bytes_of[0] == bytes_of[1]


def test_constant_rules_make_a_repeated_response_head_once() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    head = ResponseHeadParser(loop).parse(RAW, to_head=False)
    one = route(response_headers=ResponseRulesSpec(set=(("X-Ours", "a"),)))
    made = [client_head(request(), head, one, 200, keep_alive=True, rechunk=True) for _ in range(2)]
    assert made[0] is made[1]
