"""``split_clients``: who gets which share, beside nginx."""

from __future__ import annotations

from typing import Final

from tests.conformance.values_beside_nginx import beside_nginx_with
from tests.peers import Stage
from tests.peers.client import request
from tests.peers.nginx import beside_nginx

pytestmark = beside_nginx

SPLITS: Final = """
    split_clients "$http_k" $thirds { 33.33% a; 33.33% b; 33.34% c; }
    split_clients "${http_k}AAA" $rest { 0.5% first; 20% second; 10.25% ''; * third; }
    split_clients $http_k$uri $left { 1% a; 50% b; }
    split_clients $http_k $tiny {
        0.01% a; 0.01% b; 0.01% c; 0.01% d; 0.01% e; 30% f; 12.5% g; 12.5% g; * h; }
    split_clients $http_k $everything { 100% all; }
    map $rest $mapped { default $thirds; third "$tiny/$left"; }
"""
KEYS: Final = (
    [b"", b"a", b"ab", b"abc", b"abcd", b"\xff\xfe\x80", b"x" * 300, b"y" * 4000]
    + [b"192.0.2.%d" % number for number in range(256)]
    + [b"user-%d@example.org" % (number * 7919) for number in range(200)]
)


async def test_every_key_gets_the_share_that_nginx_gives_it(stage: Stage) -> None:
    names = ("thirds", "rest", "left", "tiny", "everything", "mapped")
    values = {name: f"${name}" for name in names}
    seen = set()
    async with beside_nginx_with(stage, request=values, http=SPLITS) as both:
        for key in KEYS:
            mine, yours = await both.ask(request(b"GET", b"/p", b"K: " + key))
            assert len(yours.request) == len(names)
            assert mine.request == yours.request, key
            seen |= set(yours.request.items())
    assert {value for name, value in seen if name == "rest"} == {
        b"[first]", b"[second]", b"[]", b"[third]"
    }  # fmt: skip


async def test_share_chooses_the_upstream_that_nginx_chooses(stage: Stage) -> None:
    http = """
        split_clients $http_k $variant { 30% one; 20% two; * backend; }
        upstream one { server ORIGIN; } upstream two { server ORIGIN; }
    """
    values = {"to": "$proxy_host"}
    seen = set()
    async with beside_nginx_with(stage, request=values, http=http, to="http://$variant") as both:
        for number in range(60):
            mine, yours = await both.ask(request(b"GET", b"/", b"K: user-%d" % number))
            assert mine.request == yours.request
            seen.add(yours.request["to"])
    assert seen == {b"[one]", b"[two]", b"[backend]"}
