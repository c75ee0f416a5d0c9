"""What is remembered of heads that come again is what would be made of them anew."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.request_head import upstream_head
from proxy.exchange.response_head import client_head
from proxy.field_block import PASSAGES, FieldBlock, Passage
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
    usual, other = by(value, forwarded_headers=forwards), by("other")
    first = request(*heads[0][0])
    block = first.block
    for _, uri, trusted, pool in heads:
        for one in (usual, usual, usual, other):
            made = again(first, uri.encode(), pool)
            remembered = upstream_head(made, one, b"/t", peer_trusted=trusted)
            passages = dict(block.passages)
            block.passages.clear()
            fresh = again(first, uri.encode(), pool)
            anew = upstream_head(fresh, one, b"/t", peer_trusted=trusted)
            block.passages.update(passages)
            for name in ("data", "upgrade", "persistent", "to_head"):
                assert getattr(remembered, name) == getattr(anew, name)


def passages(made: Request, *routes: Route) -> list[Passage | None]:
    """Return what is remembered after each of some requests."""
    found = []
    for one in routes:
        upstream_head(made, one, b"/t", peer_trusted=False)
        found.append(made.block.passages.get((one.number, made.pool, False)))
    return found


@pytest.mark.parametrize("value", OF_FIELDS + OF_MORE)
def test_what_comes_a_second_time_is_settled(value: str) -> None:
    one, other = by(value), by(value)
    made = request((b"X-Plan", b"gold"))
    first, second, apart, third = passages(made, one, one, other, one)
    assert first is None
    assert apart is None
    assert second is not None
    assert second is third
    assert (second.set is None) == (value in OF_FIELDS)


def test_other_compiled_route_of_the_same_name_settles_anew() -> None:
    one, other = by("a"), by("b")
    _, kept, _, last = passages(request(), one, one, other, other)
    assert kept is not None
    assert last is not None
    assert b"X-Ours: a" in kept.before
    assert b"X-Ours: b" in last.before


@pytest.mark.parametrize("value", ["$http_upgrade", "$uri"])
def test_connection_that_is_decided_by_more_than_fields_is_not_settled(value: str) -> None:
    rules_ = HeaderRulesSpec(set=(("Connection", value),))
    one = route(request_headers=rules_)
    assert (passages(request(), one, one)[-1] is None) == (value == "$uri")


def test_number_of_ways_is_bounded() -> None:
    made = request()
    for _ in range(3 * PASSAGES):
        passages(made, by("a"))
        assert 0 < len(made.block.passages) <= PASSAGES


def test_nothing_is_remembered_of_changed_fields_or_a_listeners_host() -> None:
    made = request((b"X_A", b"1"))
    made.differs = True
    bare = Request(PEER, b"GET", b"/", FieldBlock((), made.headers, 0, keep_alive=False))
    bare.host, bare.pool = b"default.test", b"p"
    one = by("$host")
    for each in (made, bare):
        assert passages(each, one, one, one) == [None, None, None]


def test_value_that_cannot_be_sent_is_counted_each_time() -> None:
    one, made = by("$http_cookie"), request((b"Cookie", b"a\rb"))
    for times in (1, 2, 3, 4):
        before = one.counters.header_rule_failures
        assert b"X-Ours" not in upstream_head(made, one, b"/t", peer_trusted=False).data
        assert one.counters.header_rule_failures == before + 1, times


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
