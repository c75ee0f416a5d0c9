"""Steps, answers, access rules and error pages beside nginx's rewrite, access and error_page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.spec import (
    AccessRuleSpec,
    AnswerSpec,
    ConditionSpec,
    ErrorPageSpec,
    HeaderRulesSpec,
    RewriteSpec,
    RouteSpec,
    StepSpec,
)
from tests.peers import (
    Origin,
    RawClient,
    Recorded,
    Reply,
    Running,
    Stage,
    build_spec,
    listener,
    pool,
    reply,
    route,
)
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, connect, nginx

pytestmark = beside_nginx

_SHOW = 'proxy_set_header X-Show "$a|$b|$uri|$args|$request_method";'
SHOWN = HeaderRulesSpec(set=(("X-Show", "$a|$b|$uri|$args|$request_method"),))


def rewrite(match: str, to: str, **differs: Any) -> StepSpec:
    return StepSpec(rewrite=RewriteSpec(match=match, to=to, **differs))


def put(**variables: str) -> StepSpec:
    return StepSpec(set=tuple(variables.items()))


def when(value: str, then: StepSpec, **differs: Any) -> StepSpec:
    return StepSpec(
        when=ConditionSpec(value=value, **differs),
        set=then.set,
        rewrite=then.rewrite,
        answer=then.answer,
        stop=then.stop,
    )


def say(status: int, body: str | None = None, location: str | None = None) -> StepSpec:
    return StepSpec(answer=AnswerSpec(status=status, body=body, location=location))


def pages(*specs: ErrorPageSpec) -> dict[str, Any]:
    return {"error_pages": specs}


def page(of: int, **differs: Any) -> ErrorPageSpec:
    return ErrorPageSpec(statuses=(of,), **differs)


BREAK, ROUTE = {"then": "stop"}, {"then": "route"}

LOCATIONS: dict[str, tuple[str, list[StepSpec], dict[str, Any]]] = {
    # Where the queries and captures go.
    "/brk": ("rewrite ^/brk(.*)$ /new$1 break;", [rewrite("^/brk(.*)$", "/new$1", **BREAK)], {}),
    "/query": (
        "rewrite ^/query(.*)$ /new?c=$1 break;",
        [rewrite("^/query(.*)$", "/new?c=$1", **BREAK)],
        {},
    ),
    "/cut": (
        "rewrite ^/cut(.*)$ /new?c=$1? break;",
        [rewrite("^/cut(.*)$", "/new?c=$1?", **BREAK)],
        {},
    ),
    "/named": (
        "rewrite ^/named(?<b>.*)$ /new$b?c=$b break;",
        [rewrite("^/named(?P<b>.*)$", "/new$b?c=$b", **BREAK)],
        {},
    ),
    "/args": ('set $args "x=$arg_q";', [put(args="x=$arg_q")], {}),
    "/noargs": ('set $args "";', [put(args="")], {}),
    # What is looked for again.
    "/last": ("rewrite ^/last(.*)$ /brk$1 last;", [rewrite("^/last(.*)$", "/brk$1", **ROUTE)], {}),
    "/next": (
        "rewrite ^/next(.*)$ /one$1; rewrite ^/one(.*)$ /two$1;",
        [rewrite("^/next(.*)$", "/one$1"), rewrite("^/one(.*)$", "/two$1")],
        {},
    ),
    "/loop": ("rewrite ^(.*)$ $1x last;", [rewrite("^(.*)$", "$1x", **ROUTE)], {}),
    "/lost": ("rewrite ^ /nowhere last;", [rewrite("^", "/nowhere", **ROUTE)], {}),
    "/inside": ("internal;", [], {"internal": True}),
    "/enter": ("rewrite ^ /inside last;", [rewrite("^", "/inside", **ROUTE)], {}),
    # Redirects.
    "/perm": (
        "rewrite ^/perm(.*)$ /new$1 permanent;",
        [rewrite("^/perm(.*)$", "/new$1", redirect=301)],
        {},
    ),
    "/temp": (
        "rewrite ^/temp(.*)$ http://h/new$1?c=$1 redirect;",
        [rewrite("^/temp(.*)$", "http://h/new$1?c=$1", redirect=302)],
        {},
    ),
    # Conditions and variables.
    "/if": (
        'set $a "-"; if ($arg_q) { set $a "yes"; }',
        [put(a="-"), when("$arg_q", put(a="yes"))],
        {},
    ),
    "/eq": (
        'set $a "-"; if ($arg_q = "1") { set $a "yes"; } if ($arg_q != "1") { set $b "no"; }',
        [
            put(a="-"),
            when("$arg_q", put(a="yes"), test="equals", operand="1"),
            when("$arg_q", put(b="no"), test="equals", operand="1", negated=True),
        ],
        {},
    ),
    "/re": (
        'if ($arg_q ~ "^(.)(.)") { set $a "$2$1"; } if ($arg_q !~* "A") { set $b "no a"; }',
        [
            when("$arg_q", put(a="$2$1"), test="matches", operand="^(.)(.)"),
            when(
                "$arg_q", put(b="no a"), test="matches", operand="A", ignore_case=True, negated=True
            ),
        ],
        {},
    ),
    "/forget": (
        'rewrite ^/(fo)rget /forget; if ($arg_q ~ "(x)") { break; } set $a "[$1]"; break;',
        [
            rewrite("^/(fo)rget", "/forget"),
            when("$arg_q", StepSpec(stop=True), test="matches", operand="(x)"),
            put(a="[$1]"),
            StepSpec(stop=True),
        ],
        {},
    ),
    "/quoted": (
        'if ($uri ~ "^/quoted(.*)$") { set $a "$1"; }'
        ' rewrite ^/(quo)(.*)$ /x/$2; set $b "$2"; break;',
        [
            when("$uri", put(a="$1"), test="matches", operand="^/quoted(.*)$"),
            rewrite("^/(quo)(.*)$", "/x/$2"),
            put(b="$2"),
            StepSpec(stop=True),
        ],
        {},
    ),
    "/same": (
        'if ($uri ~ "^/same/(.*)$") { set $a "-"; } if ($arg_c = "$1") { set $b "same"; }',
        [
            when("$uri", put(a="-"), test="matches", operand="^/same/(.*)$"),
            when("$arg_c", put(b="same"), test="equals", operand="$1"),
        ],
        {},
    ),
    # Answers.
    "/say": ('return 200 "said $uri";', [say(200, "said $uri")], {}),
    "/none": ("return 204;", [say(204)], {}),
    "/off": ("return 403;", [say(403)], {}),
    "/go": ("return 302 http://h$request_uri;", [say(302, location="http://h$request_uri")], {}),
    # Access.
    "/deny": ("deny all;", [], {"access": (AccessRuleSpec(allows=False, networks=("unix:",)),)}),
    "/deny/back": (
        "deny all; rewrite ^ /brk last;",
        [rewrite("^", "/brk", **ROUTE)],
        {"access": (AccessRuleSpec(allows=False, networks=("unix:",)),)},
    ),
    # Error pages.
    "/e403": ("error_page 403 /page; return 403;", [say(403)], pages(page(403, path="/page"))),
    "/e200": (
        "error_page 403 =200 /page; return 403;",
        [say(403)],
        pages(page(403, path="/page", status=200)),
    ),
    "/epage": (
        "error_page 403 = /page404; return 403;",
        [say(403)],
        pages(page(403, path="/page404", status="page")),
    ),
    "/e204": ("error_page 403 /none; return 403;", [say(403)], pages(page(403, path="/none"))),
    "/eto204": (
        "error_page 403 =204 /page; return 403;",
        [say(403)],
        pages(page(403, path="/page", status=204)),
    ),
    "/eredirect": ("error_page 403 /go; return 403;", [say(403)], pages(page(403, path="/go"))),
    "/efails": ("error_page 403 /off; return 403;", [say(403)], pages(page(403, path="/off"))),
    "/eup": (
        "error_page 403 /up?was=$request_uri; return 403;",
        [say(403)],
        pages(page(403, path="/up?was=$request_uri")),
    ),
    "/eloc": (
        "error_page 403 http://h/sorry; return 403;",
        [say(403)],
        pages(page(403, location="http://h/sorry")),
    ),
    "/eloc301": (
        "error_page 403 =301 http://h/sorry; return 403;",
        [say(403)],
        pages(page(403, location="http://h/sorry", status=301)),
    ),
    "/ename": (
        "error_page 403 = @fallback; return 403;",
        [say(403)],
        pages(page(403, route="fallback", status="page")),
    ),
    "/eloop": (
        "error_page 403 /eloop/again; return 403;",
        [say(403)],
        pages(page(403, path="/eloop/again")),
    ),
    "/up": ("", [], {}),
    "/up404": (
        "proxy_intercept_errors on; error_page 404 /page;",
        [],
        {**pages(page(404, path="/page")), "intercept_errors": True},
    ),
    "/up404not": ("error_page 404 /page;", [], pages(page(404, path="/page"))),
    "/up401": (
        "proxy_intercept_errors on; error_page 401 /page;",
        [],
        {**pages(page(401, path="/page")), "intercept_errors": True},
    ),
}
OWN = {
    "/page404": ('return 404 "page 404";', AnswerSpec(status=404, body="page 404")),
    "/page": ('return 200 "the page";', AnswerSpec(status=200, body="the page")),
}
FAILS = {b"/up404": b"404 Not Found", b"/up404not": b"404 Not Found", b"/up401": b"401 No"}


def target_of(recorded: Recorded) -> bytes:
    """Return the target, even one with a space in it, which nginx may send."""
    return recorded.head.start.partition(b" ")[2].rpartition(b" ")[0]


async def origin_script(conn: Any) -> None:
    while True:
        recorded = await conn.next_request()
        status = FAILS.get(target_of(recorded).partition(b"?")[0], b"200 OK")
        fields = (b"WWW-Authenticate: Basic",) if status.startswith(b"401") else ()
        await conn.send(reply(b"up", *fields, status=status))


@dataclass
class Pair:
    """The two of them, with an origin each."""

    ours: Running
    own: Path
    theirs: Path
    our_origin: Origin
    their_origin: Origin

    async def ask(self, raw: bytes, method: bytes) -> list[tuple[object, ...]]:
        """Return what each answered, and what its origin got for that."""
        found = []
        own = await RawClient.connect(f"unix:{self.own}")
        for client, origin in (
            (own, self.our_origin),
            (await connect(self.theirs), self.their_origin),
        ):
            before = len(origin.requests)
            await client.send(raw)
            answer = await client.read_response(method)
            client.close()
            got = [(target_of(one), one.get(b"x-show")) for one in origin.requests[before:]]
            found.append((*facts(answer), got))
        return found


def facts(answer: Reply) -> tuple[object, ...]:
    """Return what both have to say alike: error pages that are nobody's have a text of their own.

    nginx makes a relative Location absolute.
    """
    location = answer.get(b"location")
    if location is not None:
        location = location.removeprefix(b"http://example.test")
    body = answer.body
    if b"<html>" in body or answer.status in (301, 302) or b"%d " % answer.status == body[:4]:
        body = b"a page of its own"
    return answer.status, location, body, answer.get(b"www-authenticate")


@pytest.fixture
async def pair(stage: Stage) -> AsyncIterator[Pair]:
    ours, theirs = stage.origin(origin_script), stage.origin(origin_script)
    own, socket = stage.path("own.sock"), stage.path("nginx.sock")
    passing = f"{_SHOW} proxy_pass http://{theirs.address};"
    locations = [
        f"location {path} {{ {text} {passing} }}" for path, (text, *_) in LOCATIONS.items()
    ]
    locations += [f"location = {path} {{ {text} }}" for path, (text, _) in OWN.items()]
    http = f"""
        server {{
            listen unix:{socket};
            set $a ""; set $b "";
            rewrite ^/first(.*)$ /inside$1;
            location @fallback {{ {passing} }}
            {" ".join(locations)}
        }}
    """
    routes: list[RouteSpec] = [
        route(f"r{n}", path, steps=tuple(steps), request_headers=SHOWN, **differs)
        for n, (path, (_, steps, differs)) in enumerate(LOCATIONS.items())
    ]
    routes += [
        route(f"own{n}", path, kind="exact", answer=answer)
        for n, (path, (_, answer)) in enumerate(OWN.items())
    ]
    first = (put(a="", b=""), rewrite("^/first(.*)$", "/inside$1"))
    routes.append(route("first", path=None, pools=(), steps=first))
    routes.append(route("fallback", path=None, request_headers=SHOWN))
    spec = build_spec(
        listeners=[listener(bind=f"unix:{own}", paths="nginx")],
        pools=[pool(ours.address)],
        routes=routes,
    )
    running = await stage.serve(spec)
    async with nginx(socket.parent, http):
        yield Pair(running, own, socket, ours, theirs)


TAILS = (
    b"",
    b"/x",
    b"/x?q=1",
    b"?q",
    b"/a%20b%26c?q=axb&c=a%20b%26c",
    b"/a+b&c=d?q=0",
    b"/%3f%23%25?q=%41",
)


async def differences(pair: Pair, method: bytes, asked: Iterable[bytes]) -> dict[bytes, object]:
    """Return what the two do differently with each of some targets, if they do."""
    body = None if method in (b"GET", b"HEAD") else b"body"
    found: dict[bytes, object] = {}
    for target in asked:
        mine, yours = await pair.ask(request(method, target, body=body), method)
        if mine != yours:
            found[target] = (mine, yours)
    return found


async def test_steps_do_what_nginx_does(pair: Pair) -> None:
    paths = [path.encode() for path in (*LOCATIONS, "/first", "/nowhere")]
    asked = [path + tail for path in paths for tail in TAILS]
    # What is captured by name nginx puts into a query as it is; see below.
    asked = [each for each in asked if not (each.startswith(b"/named") and b"%" in each)]
    assert await differences(pair, b"GET", asked) == {}


@pytest.mark.parametrize("method", [b"HEAD", b"POST"])
async def test_methods_fare_as_with_nginx(pair: Pair, method: bytes) -> None:
    assert await differences(pair, method, [path.encode() for path in LOCATIONS]) == {}


async def test_space_in_a_query_is_escaped_though_nginx_sends_it(pair: Pair) -> None:
    """On purpose: it would end the target, and with a line end in it, begin another request."""
    mine, yours = await pair.ask(request(b"GET", b"/named/a%20b"), b"GET")
    assert yours[-1] == [(b"/new/a%20b?c=/a b", b"|/a b|/new/a b|c=/a b|GET")]
    assert mine[-1] == [(b"/new/a%20b?c=/a%20b", b"|/a b|/new/a b|c=/a%20b|GET")]
