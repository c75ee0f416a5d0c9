"""A compiled route: which pool it chooses, and what it makes of a path."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.spec import ClientTimeouts, HeaderMapSpec, RetrySpec
from tests.unit.exchange.samples import request, route

SPLIT = (("stable", 95), ("canary", 5))


def test_one_pool_is_chosen_always() -> None:
    assert route(pools=(("only", 7),)).choose_pool(request()) == "only"


def test_split_by_chance_keeps_its_weights() -> None:
    by = route(pools=SPLIT)
    counted = Counter(by.choose_pool(request()) for _ in range(20_000))
    assert set(counted) == {"stable", "canary"}
    assert 700 < counted["canary"] < 1_300  # 1000 expected; ten standard deviations


def test_split_by_a_key_keeps_its_weights_and_its_users() -> None:
    by = route(pools=SPLIT, split_by="$cookie_user")
    asking = [request((b"Cookie", b"user=u%d" % number)) for number in range(4_000)]
    chosen = [by.choose_pool(one) for one in asking]
    assert chosen == [by.choose_pool(one) for one in asking]
    assert 100 < Counter(chosen)["canary"] < 300  # 200 expected


@pytest.mark.parametrize(("tier", "pool"), [(b"gold", "fast"), (b"none", "slow"), (b"", "slow")])
def test_pool_may_be_the_value_of_a_map(tier: bytes, pool: str) -> None:
    tiers = HeaderMapSpec(
        name="tier_pool", source="$http_x_tier", default="slow", exact=(("gold", "fast"),)
    )
    by = route("prefix", "/", tiers, pools=(("fast", 1), ("slow", 1)), pool_variable="$tier_pool")
    assert by.choose_pool(request((b"X-Tier", tier))) == pool


@pytest.mark.parametrize(
    ("kind", "path", "rewrite", "uri", "matched", "expected"),
    [
        ("prefix", "/a/", "/", b"/a/b c", 3, b"/b%20c"),
        ("prefix", "/a/", "/x/", b"/a/", 3, b"/x/"),
        ("prefix", "/a", "/", b"/ab", 2, b"/b"),
        ("prefix", "/a", "/", b"/a", 2, b"/"),
        ("exact", "/a", "/x", b"/a", 2, b"/x"),
        ("prefix", "/", "/x/", b"/a?b", 1, b"/x/a%3Fb"),
        ("prefix", "/", "/", b"/a\r\nb", 1, b"/a%0D%0Ab"),
        ("prefix", "/", "/", b"/caf\xc3\xa9#", 1, b"/caf%C3%A9%23"),
        ("prefix", "/", "/", b"/a%2Fb", 1, b"/a%2Fb"),
    ],
)
def test_rewrite_replaces_what_matched_and_is_escaped(
    kind: str, path: str, rewrite: str, uri: bytes, matched: int, expected: bytes
) -> None:
    by = route(kind, path, rewrite=rewrite)
    assert by.rewritten(request(uri=uri), matched, "strict") == expected


def test_rewrite_of_a_regex_uses_captures_and_stands_for_the_whole_path() -> None:
    by = route("regex", "^/user/([^/]*)/(?P<rest>.*)$", rewrite="/u/$rest/$1")
    made = request(uri=b"/user/me you/files")
    made.captures = {"1": b"me you", "2": b"files", "rest": b"files"}
    assert by.rewritten(made, 0, "strict") == b"/u/files/me%20you"


def test_rewrite_that_comes_out_without_a_slash_gets_one() -> None:
    by = route("regex", "^/(.*)$", rewrite="$1")
    made = request(uri=b"/x")
    made.captures = {"1": b"x"}
    assert by.rewritten(made, 0, "nginx") == b"/x"


@given(st.binary(max_size=30))
def test_rewritten_path_is_fit_for_a_request_line(rest: bytes) -> None:
    target = route("prefix", "/a/", rewrite="/").rewritten(request(uri=b"/a/" + rest), 3, "strict")
    assert target.startswith(b"/")
    assert all(0x21 <= octet <= 0x7E for octet in target)
    assert not set(target) & set(b"?#")


@pytest.mark.parametrize(
    ("rewrite", "query", "expected"),
    [
        ("/b%20c/", None, b"/b%20c/x%20y"),
        ("/b?c=", None, b"/b?c=x%20y"),
        ("/b?c=", b"d=e", b"/b?c=x%20y?d=e"),
        ("/b c/", b"", b"/b%20c/x%20y"),
        ("/\u00e4#/", b"q", b"/%C3%A4%23/x%20y?q"),
    ],
)
def test_constant_rewrite_is_written_as_it_goes_on_the_wire(
    rewrite: str, query: bytes | None, expected: bytes
) -> None:
    asking = request(uri=b"/a/x y")
    asking.query = query
    assert route("prefix", "/a/", rewrite=rewrite).rewritten(asking, 3, "nginx") == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/x", b"/x"),
        ("/x/$1?$args", b"/x/a%20b%0D%0A%23?c%2F=d"),
        ("$1", b"/a%20b%0D%0A%23"),
        ("$arg_none", b""),
    ],
)
def test_target_stands_in_place_of_all(target: str, expected: bytes) -> None:
    by = route("regex", "(?s)^/r/(.*)$", target=target)
    asking = request(uri=b"/r/a b")
    asking.captures = {"1": b"a b\r\n#"}
    asking.query = b"c%2F=d"
    assert by.rewritten(asking, 0, "nginx") == expected


def test_route_that_asks_for_nothing_more_holds_and_governs_nothing() -> None:
    for plain in (route(), route(rewrite="/", retry=RetrySpec(), method="GET")):
        assert not plain.holds_body
        assert not plain.governs
    assert route(body="").holds_body
    assert route(request_buffer_bytes=1).holds_body
    assert route(client_timeouts=ClientTimeouts(body_s=1.0)).governs
    assert route(requests_per_connection=1).governs
