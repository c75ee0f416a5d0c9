"""``set``, ``if``, ``rewrite``, ``break`` and ``return``, in servers and in locations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, numbered, passing, server, table
from tests.peers.client import request

_SEEN: Final = """
    proxy_set_header X-Uri $uri; proxy_set_header X-Args $args;
    proxy_set_header X-Request-Uri $request_uri; proxy_set_header X-Seen "$seen|$kind|$1|$2";
"""
_UPSTREAM: Final = f"upstream backend {{ server {ORIGINS[0]}; }}\n"


def _at(path: str, *parts: str, uri: str = "") -> str:
    return passing(_SEEN, *parts, path=path, to=f"http://backend{uri}")


_LOCATIONS: Final = _UPSTREAM + server(
    "set $seen '';",
    _at("/plain/"),
    _at("/last/", "rewrite ^/last/(.*)$ /plain/$1 last;"),
    _at("/break/", "rewrite ^/break/(.*)$ /elsewhere/$1 break;", uri="/ignored/"),
    _at("/break-plain/", "rewrite ^/break-plain/(.*)$ /else/$1 break;"),
    _at("/none/", "rewrite ^/none/(.*)/x$ /plain/$1;"),
    _at("/two/", "rewrite ^/two/(.*)$ /three/$1; rewrite ^/three/(.)(.*)$ /plain/$2/$1;"),
    _at("/query/", "rewrite ^/query/([^/]*)/?(.*)$ /plain/x?a=$1&b=$2 last;"),
    _at("/noquery/", "rewrite ^/noquery/(.*)$ /plain/$1? last;"),
    _at("/newquery/", "rewrite ^/newquery/(.*)$ /plain/?q=$1? last;"),
    _at("/replace/", "rewrite ^/replace/(.*)$ /to/$1 last;"),
    _at("/to/", uri="/new/"),
    _at("/loop/", "rewrite ^/loop/(.*)$ /loop/$1x last;"),
    _at("/case/", "rewrite (?i)^/case/ABC$ /plain/folded last;"),
    _at("/away/", "rewrite ^/away/(.*)$ http://other.test/$1;"),
    _at("/away2/", "rewrite ^/away2/(.*)$ $scheme://other.test/$1?z=1;"),
    _at("/moved/", "rewrite ^/moved/(.*)$ /plain/$1 permanent;"),
    _at("/found/", "rewrite ^/found/(.*)$ /plain/$1?r=$1 redirect;"),
    _at("/gone/", "rewrite ^/gone/(.*)$ /plain/$1? redirect;"),
    _at("/stop/", "set $seen a; break; set $seen b; rewrite ^ /plain/ last;"),
    _at("/args/", "set $args x=$arg_y; set $seen $args;"),
    _at("/noargs/", "set $args '';"),
    _at("/args-to/", "set $args 'n=1';", uri="/new/"),
    _at("= /exact", "rewrite ^ /plain/from-exact last;"),
    _at("/hidden/", "internal;"),
    _at("/reveal/", "rewrite ^/reveal/(.*)$ /hidden/$1 last;"),
    _at("/dir/", uri="/d/"),
    _at("/slashless/", "rewrite ^ /dir last;"),
    _at("~ ^/re/(?<kind>[a-z]+)/([0-9]*)", "set $seen $kind-$2;"),
    _at(
        "/keep/",
        "if ($arg_a ~ (x)(y)?) { set $seen first-$1-$2; }"
        "if ($arg_b ~ ^(?<kind>.)) { set $seen $seen-second-$1; }",
    ),
)
_TAILS: Final = [
    b"", b"a", b"a/b", b"a?x=1", b"a?", b"?x", b"a%20b", b"a%2Fb", b"a%3Fb", b"a%26b?c=d&e",
    b"a+b", b"a%25b", b"%C3%A4", b"a/x", b"a//b", b"a%22b", b"a;b=c",
]  # fmt: skip
_PLACES: Final = [
    b"/last/", b"/break/", b"/break-plain/", b"/none/", b"/two/", b"/query/", b"/noquery/",
    b"/newquery/", b"/replace/", b"/away/", b"/away2/", b"/moved/", b"/found/", b"/gone/",
]  # fmt: skip
_ODD: Final = [
    b"/loop/a", b"/case/abc", b"/case/abcd", b"/stop/x", b"/args/a?y=1&z=2", b"/args/a",
    b"/args/a%2Fb?y=1", b"/noargs/a?x", b"/noargs/a%20b", b"/args-to/a%2Fb?x", b"/args-to/",
    b"/exact", b"/exact?x", b"/hidden/a", b"/reveal/a", b"/slashless/x?q=1", b"/re/abc/12",
    b"/re/abc/", b"/re/ABC/", b"/keep/", b"/keep/?a=x", b"/keep/?a=xy", b"/keep/?a=xy&b=z",
    b"/keep/?b=z", b"/plain/x",
]  # fmt: skip

_CONDITIONS: Final = _UPSTREAM + server(
    "set $kind plain; set $seen none;",
    "if ($http_user_agent ~* (bot|crawler)) { set $kind $1; }",
    "if ($request_method !~ ^(GET|HEAD|POST)$) { return 405; }",
    "if ($http_x_block) { return 403 'blocked $http_x_block'; }",
    "if ($host = www.h.test) { return 301 $scheme://h.test$request_uri; }",
    "if ($arg_only != '') { set $seen only-$arg_only; }",
    "if ($http_x_two = 'a b') { set $seen two; set $kind words; }",
    "if ($cookie_beta = yes) { rewrite ^/(.*)$ /beta/$1; set $seen beta; }",
    "if ($http_x_sure) { set $seen sure; rewrite ^/x/(.*)$ /y/$1; rewrite ^/y/(.*)$ /z/$1 last; }",
    "rewrite ^/old/(.*)$ /new/$1;",
    "rewrite ^/ancient/(.*)$ /new/$1 permanent;",
    _at("/"),
    _at("/new/", "if ($seen = none) { set $seen new; }"),
    _at("/beta/", "if ($uri !~* ^/beta/[a-z]) { return 404; }"),
    _at("/inner/", "if ($arg_a = $arg_b) { return 204; } if ($arg_c !~ x) { return 410 gone; }"),
    name="h.test www.h.test",
)
_ASKED: Final[list[tuple[bytes, list[bytes]]]] = [
    (b"/a", []),
    (b"/a", [b"User-Agent: GoodBot/1"]),
    (b"/a", [b"User-Agent: a crawler"]),
    (b"/a", [b"X-Block: 1"]),
    (b"/a", [b"X-Block: 0"]),
    (b"/a", [b"X-Block: 00"]),
    (b"/a?only=1", []),
    (b"/a?only=", []),
    (b"/a", [b"X-Two: a b"]),
    (b"/a", [b"X-Two: A B"]),
    (b"/a?x=1", [b"Cookie: beta=yes"]),
    (b"/1", [b"Cookie: beta=yes"]),
    (b"/a", [b"Cookie: beta=YES"]),
    (b"/x/1", [b"X-Sure: 1"]),
    (b"/y/1", [b"X-Sure: yes"]),
    (b"/w/1", [b"X-Sure: yes"]),
    (b"/x/1", []),
    (b"/old/a?b", []),
    (b"/old/a?only=z", []),
    (b"/ancient/a%20b?c", []),
    (b"/inner/?a=1&b=1", []),
    (b"/inner/?a=1&b=2", []),
    (b"/inner/?a=1&b=2&c=x", []),
    (b"/inner/", []),
]

_FORKED: Final = server("return 301 https://secure.test$request_uri;", passing())


def rewriting() -> Iterator[Row]:
    """Paths, queries, fields."""
    targets = [place + tail for place in _PLACES for tail in _TAILS]
    octets = [request(b"GET", target, host=b"h.test") for target in (*targets, *_ODD)]
    yield from table("rewrite", _LOCATIONS, numbered(octets))
    asked = [
        request(b"GET", target, *fields, host=host)
        for target, fields in _ASKED
        for host in (b"h.test",)
    ]
    asked += [request(b"GET", b"/a?x=%20y", host=b"www.h.test")]
    asked += [request(method, b"/a", host=b"h.test") for method in (b"PUT", b"HEAD", b"OPTIONS")]
    asked += [request(b"DELETE", b"/a", b"X-Block: 1", host=b"h.test")]
    asked += [request(b"POST", b"/x/1", b"X-Sure: 1", host=b"h.test", body=b"hello")]
    named = numbered(asked)
    yield from table("condition", _CONDITIONS, named)
    forked = [request(b"GET", target, host=b"h.test") for target in (b"/", b"/a%20b?c", b"/../..")]
    yield from table("whole-server", _FORKED, numbered(forked))
