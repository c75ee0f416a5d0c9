"""Same request in, same bytes out: hotsplice and nginx side by side, in ``paths: nginx``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from proxy.spec import (
    BalanceSpec,
    HeaderMapSpec,
    HeaderRulesSpec,
    PathSpec,
    RegexEntry,
    RouteSpec,
    Spec,
)
from tests.peers import (
    Origin,
    RawClient,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    listener,
    pool,
    reply,
    route,
)
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, connect, nginx

pytestmark = beside_nginx

SEEN = HeaderRulesSpec(
    set=(("X-Uri", "$uri"), ("X-Args", "$args"), ("X-Is-Args", "$is_args"), ("Host", "$http_host"))
)
_SET = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Uri $uri;
    proxy_set_header X-Args $args;
    proxy_set_header X-Is-Args $is_args;
"""


@dataclass
class Pair:
    """The two of them, with an origin each."""

    ours: Running
    theirs: Path
    our_origin: Origin
    their_origin: Origin

    async def clients(self) -> tuple[RawClient, RawClient]:
        return await self.ours.connect(), await connect(self.theirs)


LOCATIONS = {
    "prefix": ("/plain/", None),
    "deeper": ("/plain/deeper/", None),
    "replaced": ("/replaced/", "/new/"),
    "shortened": ("/shortened/", "/"),
    "unslashed": ("/unslashed", "/other"),
}


def location(name: str, path: str, target: str | None) -> str:
    url = f"http://backend{target or ''}"
    return f"location {path} {{ {_SET} proxy_set_header X-Route {name}; proxy_pass {url}; }}"


def seen(name: str) -> HeaderRulesSpec:
    return HeaderRulesSpec(set=(*SEEN.set, ("X-Route", name)))


@pytest.fixture
async def pair(stage: Stage) -> AsyncIterator[Pair]:
    ours, theirs = stage.origin(), stage.origin()
    socket = stage.path("nginx.sock")
    locations = [location(name, *where) for name, where in LOCATIONS.items()]
    locations += [
        location("exact", "= /exact", None),
        location("final", "^~ /final/", None),
        location("regex", "~ ^/re/([a-z]+)$", None),
        location("regex-folded", "~* [.]PNG$", None),
    ]
    http = f"""
        upstream backend {{ server {theirs.address}; keepalive 4; }}
        server {{
            listen unix:{socket};
            {" ".join(locations)}
        }}
    """
    routes = [
        route(name, path, rewrite=rewrite, request_headers=seen(name))
        for name, (path, rewrite) in LOCATIONS.items()
    ]
    routes += [
        route("exact", "/exact", kind="exact", request_headers=seen("exact")),
        _final(),
        route("regex", "^/re/([a-z]+)$", kind="regex", request_headers=seen("regex")),
        _folded(),
    ]
    spec = build_spec(ours.address, listeners=[listener(paths="nginx")], routes=routes)
    running = await stage.serve(spec)
    async with nginx(socket.parent, http):
        yield Pair(running, socket, ours, theirs)


def _final() -> RouteSpec:
    path = PathSpec(kind="prefix", value="/final/", final=True)
    return replace(route("final", request_headers=seen("final")), path=path)


def _folded() -> RouteSpec:
    # nginx tries regexes in the order of the file.
    path = PathSpec(kind="regex", value=r"[.]PNG$", ignore_case=True, priority=-1)
    return replace(route("regex-folded", request_headers=seen("regex-folded")), path=path)


TARGETS = [
    b"/plain/",
    b"/plain/a",
    b"/plain/a?b=c",
    b"/plain/?",
    b"/plain/a%20b",
    b"/plain/a%2Fb",
    b"/plain/a%2fb",
    b"/plain//a///b",
    b"/plain/./a",
    b"/plain/x/../a",
    b"/plain/x/%2e%2e/a",
    b"/plain/%2e/a",
    b"/plain/a%00b",
    b"/plain/a%zz",
    b"/plain/a%",
    b"/plain/a%3Fb",
    b"/plain/a%23b",
    b"/plain/a\\b",
    b"/plain/a+b",
    b"/plain/a;b=c",
    b"/plain/%C3%A4",
    b"/plain/a?x=%zz",
    b"/plain/a?x=/../y",
    b"/plain/a?x?y",
    b"/plain/deeper/a",
    b"/plain/deeper/../a",
    b"/plain/deeperer",
    b"/plain",
    b"/plain?x=y",
    b"/Plain/",
    b"/%70lain/a",
    b"/plain%2Fa",
    b"/exact",
    b"/exact?x",
    b"/exact/",
    b"/exac%74",
    b"/x/../exact",
    b"/final/a.png",
    b"/plain/a.png",
    b"/plain/a.PnG",
    b"/plain/a.png/",
    b"/re/abc",
    b"/re/ABC",
    b"/re/abc/d",
    b"/re/a%62c",
    b"/replaced/",
    b"/replaced/a",
    b"/replaced/a?b=c",
    b"/replaced/a%20b",
    b"/replaced/a%2Fb",
    b"/replaced/a%25b",
    b"/replaced/a%3Fb",
    b"/replaced/a%23b",
    b"/replaced/a%7Fb",
    b"/replaced/a%22b",
    b"/replaced/a%5Cb",
    b"/replaced/a%5Eb",
    b"/replaced/a%7Bb",
    b"/replaced/a+b;c,d:e@f&g=h$i!j~k*l'm(n)",
    b"/replaced/%C3%A4",
    b"/replaced//a//b",
    b"/replaced/x/../a",
    b"/replaced/../plain/a",
    b"/replaced/a/",
    b"/replaced",
    b"/shortened/",
    b"/shortened/a/b",
    b"/shortened/a%20b?x",
    b"/unslashed",
    b"/unslashed/",
    b"/unslashed/a",
    b"/unslashedmore",
    b"/..",
    b"/../plain/a",
    b"/plain/../..",
    b"/nothing",
]


@pytest.mark.parametrize("target", TARGETS, ids=repr)
async def test_target_is_matched_and_forwarded_as_nginx_does(pair: Pair, target: bytes) -> None:
    ours, theirs = await pair.clients()
    try:
        raw = request(b"GET", target, host=b"h.test")
        await ours.send(raw)
        await theirs.send(raw)
        mine, yours = await ours.read_response(), await theirs.read_response()
        assert mine.status == yours.status
        assert mine.get(b"location") == yours.get(b"location")
        mine_seen = [_facts(one.head.raw) for one in pair.our_origin.requests]
        yours_seen = [_facts(one.head.raw) for one in pair.their_origin.requests]
        assert mine_seen == yours_seen
    finally:
        theirs.close()


@pytest.mark.parametrize("target", [b"/plain/\xc3\xa4", b"/replaced/\xff"], ids=repr)
async def test_octets_that_no_target_may_have_are_refused_where_nginx_passes_them(
    pair: Pair, target: bytes
) -> None:
    ours, theirs = await pair.clients()
    for one in (ours, theirs):
        await one.send(request(b"GET", target))
    # RFC 3986, 2.5: anything beyond ASCII is percent-encoded.
    statuses = (await ours.read_response()).status, (await theirs.read_response()).status
    theirs.close()
    assert statuses == (400, 200)


async def test_line_break_in_a_variable_makes_no_field_where_nginx_lets_it(pair: Pair) -> None:
    ours = await pair.ours.connect()
    assert (await ours.get(b"/replaced/a%0AX-Evil:%201")).status == 200
    recorded = pair.our_origin.requests[0]
    assert recorded.target == b"/new/a%0AX-Evil:%201"
    assert recorded.all(b"x-evil") == recorded.all(b"x-uri") == []


def _facts(raw: bytes) -> list[bytes]:
    """Return the request line and the fields that the two should agree on, sorted."""
    lines = raw.rstrip(b"\r\n").split(b"\r\n")
    wanted = re.compile(rb"(?i)(x-uri|x-args|x-is-args|x-route|host):")
    return [lines[0], *sorted(line.lower() for line in lines[1:] if wanted.match(line))]


# -- header maps ----------------------------------------------------------------------------------

MAP_SOURCE = r"""
    map $http_x_in $out {
        hostnames;
        default        other;
        ""             nothing;
        one            first;
        TWO            second;
        *.example.org  suffix;
        *.b.example.org longer;
        www.example.*  prefix;
        ~^svc-(.+)$    <$1>;
        ~*^MIXED       folded;
        ~(?<tail>..)$  tail-$tail;
    }
    map $http_x_in $twice { default "$out/$http_host"; one $http_host; }
"""
MAPS = [
    HeaderMapSpec(
        name="out",
        source="$http_x_in",
        default="other",
        exact=(("", "nothing"), ("one", "first"), ("TWO", "second")),
        hostnames=(
            ("*.example.org", "suffix"),
            ("*.b.example.org", "longer"),
            ("www.example.*", "prefix"),
        ),
        regex=(
            RegexEntry(match="^svc-(.+)$", value="<$1>"),
            RegexEntry(match="^MIXED", value="folded", ignore_case=True),
            RegexEntry(match="(?P<tail>..)$", value="tail-$tail"),
        ),
    ),
    HeaderMapSpec(
        name="twice",
        source="$http_x_in",
        default="$out/$http_host",
        exact=(("one", "$http_host"),),
    ),
]
INPUTS = [
    b"", b"one", b"One", b"ONE", b"two", b"three", b"a.example.org", b"example.org",
    b"a.b.example.org", b"b.example.org", b"www.example.com", b"www.example.", b"A.EXAMPLE.ORG",
    b"svc-x", b"svc-", b"SVC-x", b"mixed up", b"mIxEd", b"z", b"one ", b"1234567",
]  # fmt: skip


async def test_header_maps_agree_with_nginx(stage: Stage) -> None:
    ours, theirs = stage.origin(), stage.origin()
    socket = stage.path("nginx.sock")
    http = f"""
        {MAP_SOURCE}
        server {{
            listen unix:{socket};
            location / {{
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header X-Out $out;
                proxy_set_header X-Twice $twice;
                proxy_pass http://{theirs.address};
            }}
        }}
    """
    rules = HeaderRulesSpec(set=(("X-Out", "$out"), ("X-Twice", "$twice")))
    spec = build_spec(
        ours.address, routes=[route("all", "/", request_headers=rules)], header_maps=MAPS
    )
    running = await stage.serve(spec)
    async with nginx(socket.parent, http):
        client, other = await running.connect(), await connect(socket)
        for value in INPUTS:
            for one in (client, other):
                await one.get(b"/", b"X-In: " + value)
        other.close()
    for value, mine, yours in zip(INPUTS, ours.requests, theirs.requests, strict=True):
        for name in (b"x-out", b"x-twice"):
            assert mine.get(name) == yours.get(name), value


# -- balancing ------------------------------------------------------------------------------------


@dataclass
class Balanced:
    """Both of them in front of the same three origins."""

    ours: Running
    theirs: Path

    async def choices(self, fields: list[list[bytes]]) -> tuple[bytes, bytes]:
        """Return which origin each of the two chose for requests with such fields."""
        client, other = await self.ours.connect("unix"), await connect(self.theirs)
        mine = [(await client.get(b"/", *one)).body for one in fields]
        yours = [(await other.get(b"/", *one)).body for one in fields]
        other.close()
        client.close()
        return b"".join(mine), b"".join(yours)


BALANCE = {
    "weights-5-1-1": ("", BalanceSpec(), (5, 1, 1)),
    "weights-3-2-1": ("", BalanceSpec(), (3, 2, 1)),
    "weights-equal": ("", BalanceSpec(), (1, 1, 1)),
    "weights-1-10-3": ("", BalanceSpec(), (1, 10, 3)),
    "hash": (
        "hash $http_x_user consistent;",
        BalanceSpec(kind="hash", key="$http_x_user"),
        (1, 1, 1),
    ),
    "hash-weighted": (
        "hash $http_x_user consistent;",
        BalanceSpec(kind="hash", key="$http_x_user"),
        (1, 4, 2),
    ),
    "ip-hash": ("ip_hash;", BalanceSpec(kind="ip_hash"), (1, 1, 1)),
    "ip-hash-weighted": ("ip_hash;", BalanceSpec(kind="ip_hash"), (1, 4, 2)),
}


@pytest.mark.parametrize("name", BALANCE)
async def test_endpoints_are_chosen_as_nginx_does(stage: Stage, name: str) -> None:
    directive, balance, weights = BALANCE[name]
    origins = [stage.origin(answers(reply(letter))) for letter in (b"a", b"b", b"c")]
    socket, own = stage.path("nginx.sock"), stage.path("own.sock")
    servers = " ".join(
        f"server {origin.address} weight={weight};"
        for origin, weight in zip(origins, weights, strict=True)
    )
    http = f"""
        upstream backend {{ {directive} {servers} }}
        set_real_ip_from unix:;
        real_ip_header X-Forwarded-For;
        server {{ listen unix:{socket}; location / {{ proxy_pass http://backend; }} }}
    """
    running = await stage.serve(_balanced(own, balance, origins, weights))
    users = [
        [b"X-User: user-%d" % number, b"X-Forwarded-For: 10.%d.%d.9" % (number * 3, number)]
        for number in range(40)
    ]
    async with nginx(socket.parent, http):
        mine, yours = await Balanced(running, socket).choices(users)
    assert mine == yours


def _balanced(
    own: Path, balance: BalanceSpec, origins: list[Origin], weights: tuple[int, ...]
) -> Spec:
    ends = [
        endpoint(origin.address, weight=weight)
        for origin, weight in zip(origins, weights, strict=True)
    ]
    return build_spec(
        listeners=[listener("unix", bind=f"unix:{own}", trusted_proxies=("unix:",))],
        pools=[pool(*ends, balance=balance)],
    )
