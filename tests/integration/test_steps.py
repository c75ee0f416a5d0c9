"""Steps of routes, preludes and answers of our own, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.spec import (
    AnswerSpec,
    ConditionSpec,
    ErrorPageSpec,
    HeaderMapSpec,
    HeaderRulesSpec,
    ListenerLimits,
    ResponseRulesSpec,
    RewriteSpec,
    RouteSpec,
    Spec,
    StepSpec,
)
from proxy.telemetry.access_log import AccessLog
from tests.integration.test_access_log import Lines
from tests.peers import (
    Conn,
    Running,
    Stage,
    answers,
    build_spec,
    everything,
    listener,
    pool,
    reply,
    route,
    settle,
)
from tests.peers.client import request

SHOWN = HeaderRulesSpec(set=(("X-Vars", "$a|$b|$uri|$args"),))


def when(value: str, matches: str | None = None, **differs: Any) -> ConditionSpec:
    if matches is not None:
        differs |= {"test": "matches", "operand": matches}
    return ConditionSpec(value=value, **differs)


def move(match: str, to: str, **differs: Any) -> StepSpec:
    return StepSpec(rewrite=RewriteSpec(match=match, to=to, **differs))


def say(status: int, body: str | None = None, **differs: Any) -> AnswerSpec:
    return AnswerSpec(status=status, body=body, **differs)


DEFINES = StepSpec(when=when(""), set=(("a", ""), ("b", "")))
"""Never taken; the variables are there."""


async def serve(stage: Stage, *routes: RouteSpec, paths: str = "nginx", **differs: Any) -> Running:
    """Serve routes to a pool of one origin that answers with what it was asked for."""

    async def tell(conn: Conn) -> None:
        while True:
            recorded = await conn.next_request()
            shown = recorded.get(b"x-vars") or b""
            await conn.send(reply(recorded.target + b" " + shown))

    origin = stage.origin(tell)
    log = differs.pop("log", None)
    spec = build_spec(
        origin.address,
        listeners=[listener(paths=paths, **differs)],
        pools=[pool(origin.address), pool(stage.refused(), name="dead")],
        routes=[*routes, route("defines", "/defines", kind="exact", steps=(DEFINES,))],
        header_maps=[HeaderMapSpec(name="m", source="$a", exact=(("1", "one"),), default="other")],
    )
    return await stage.serve(spec, access_log=log)


async def body_of(running: Running, target: bytes, *fields: bytes) -> bytes:
    return (await (await running.connect()).get(target, *fields)).body


# -- what goes upstream ---------------------------------------------------------------------------


@pytest.mark.parametrize("paths", ["nginx", "strict"])
@pytest.mark.parametrize(
    ("step", "sent", "got"),
    [
        (move("^/old/(.*)$", "/new/$1", then="stop"), b"/old/a%20b?q=1", b"/new/a%20b?q=1"),
        (move("^/old/(.*)$", "/new?x=$1", then="stop"), b"/old/a%26b?q=1", b"/new?x=a%26b&q=1"),
        (move("^/old/(.*)$", "/new?x=$1?", then="stop"), b"/old/a?q=1", b"/new?x=a"),
        (move("^/none", "/new", then="stop"), b"/old/a%7Eb?", b"/old/a%7Eb?"),
        (StepSpec(set=(("args", "z=$arg_q"),)), b"/a%7Eb?q=1", b"/a~b?z=1"),
        (StepSpec(set=(("args", ""),)), b"/a?q=1", b"/a"),
        (StepSpec(stop=True), b"/a//b%7E?q", None),
    ],
)
async def test_step_changes_what_goes_upstream(
    stage: Stage, paths: str, step: StepSpec, sent: bytes, got: bytes | None
) -> None:
    running = await serve(stage, everything(steps=(step,)), paths=paths)
    if got is None:
        got = b"/a/b%7E?q" if paths == "strict" else sent
    assert (await body_of(running, sent)).split()[0] == got


@pytest.mark.parametrize(("paths", "got"), [("nginx", b"/x/a%2Fb"), ("strict", b"/x/a%2Fb")])
async def test_encoded_slash_stays_one(stage: Stage, paths: str, got: bytes) -> None:
    step = move("^/old/(.*)$", "/x/$1", then="stop")
    running = await serve(stage, everything(steps=(step,)), paths=paths)
    found = (await body_of(running, b"/old/a%2Fb")).split()[0]
    assert found == (b"/x/a/b" if paths == "nginx" else got)


async def test_rewrite_that_stays_is_not_rewritten_again(stage: Stage) -> None:
    # As in nginx, where ``rewrite … break`` outdoes the path of ``proxy_pass``.
    step = move("^/a/old$", "/new", then="stop")
    running = await serve(stage, route("a", "/a/", rewrite="/b/", steps=(step,)))
    assert (await body_of(running, b"/a/old")).split()[0] == b"/new"
    assert (await body_of(running, b"/a/other")).split()[0] == b"/b/other"


async def test_new_query_leaves_the_rewrite_of_the_route_alone(stage: Stage) -> None:
    step = StepSpec(set=(("args", "n=1"),))
    running = await serve(stage, route("a", "/a/", rewrite="/b/", steps=(step,)))
    assert (await body_of(running, b"/a/x?q")).split()[0] == b"/b/x?n=1"


@pytest.mark.parametrize("paths", ["nginx", "strict"])
async def test_nothing_of_a_client_ends_the_request_line(stage: Stage, paths: str) -> None:
    steps = (
        move("^/query", "/q?u=$uri", then="stop"),
        StepSpec(when=when("$uri", "^/args"), set=(("args", "u=$uri"),), stop=True),
        move("(?s)^/path(.*)$", "/p$1", then="stop"),
    )
    running = await serve(stage, everything(steps=steps), paths=paths)
    for kind in (b"/query", b"/args", b"/path"):
        found = await body_of(running, kind + b"%20HTTP/1.1%0d%0aX-Evil:%201%0d%0a%23")
        assert b"%20HTTP/1.1%0D%0AX-Evil:%201%0D%0A%23" in found


async def test_rewritten_path_cannot_lead_out_where_paths_are_strict(stage: Stage) -> None:
    step = move("^/files", "/pub/$arg_name", then="stop")
    running = await serve(
        stage, route("files", "/files", steps=(step,)), route("again", "/again", steps=(
            move("^/again", "/pub/$arg_name"),)), paths="strict",
    )  # fmt: skip
    for start in (b"/files", b"/again"):
        client = await running.connect()
        assert (await client.get(start + b"?name=../../secret")).status == 400
    client = await running.connect()
    assert (await client.get(b"/files?name=a/./b//c")).body.split()[0].startswith(b"/pub/a/b/c?")


# -- reroutes -------------------------------------------------------------------------------------


async def test_rewritten_request_has_the_rules_of_its_new_route(stage: Stage) -> None:
    running = await serve(
        stage,
        route("old", "/old/", steps=(move("^/old/(.*)$", "/new/$1"),)),
        route(
            "new", "/new/", rewrite="/there/", response_headers=ResponseRulesSpec(set=(("X", "n"),))
        ),
    )
    client = await running.connect()
    answer = await client.get(b"/old/a%20b?q")
    assert (answer.body.split()[0], answer.get(b"x")) == (b"/there/a%20b?q", b"n")
    assert running.statuses("new") == {200: 1}
    assert running.statuses("old") == {}


async def test_rewrite_to_nowhere_is_a_404(stage: Stage) -> None:
    running = await serve(stage, route("old", "/old", steps=(move("^", "/nowhere"),)))
    answer = await (await running.connect()).get(b"/old")
    assert (answer.status, answer.body) == (404, b"404 Not Found: no route\n")


async def test_rewrite_to_a_path_without_its_slash_redirects(stage: Stage) -> None:
    running = await serve(
        stage, route("old", "/old", steps=(move("^", "/d i r"),)), route("dir", "/d i r/")
    )
    answer = await (await running.connect()).get(b"/old?q")
    assert (answer.status, answer.get(b"location")) == (301, b"http://example.test/d%20i%20r/?q")


async def test_internal_path_is_for_rewrites_only(stage: Stage) -> None:
    running = await serve(
        stage,
        route("in", "/in", internal=True),
        route("old", "/old", steps=(move("^/old", "/in"),)),
        route("stay", "/stay", steps=(StepSpec(set=(("args", "x"),)),)),
    )
    client = await running.connect()
    for target in (b"/in", b"/in/x", b"/%69n"):
        assert (await client.get(target)).status == 404
    assert (await client.get(b"/old")).body.split()[0] == b"/in"


@pytest.mark.parametrize(("hops", "status"), [(10, 200), (11, 500)])
async def test_reroutes_are_bounded(stage: Stage, hops: int, status: int) -> None:
    chain = [
        route(f"r{n}", f"/{n}", kind="exact", steps=(move("^", f"/{n + 1}"),)) for n in range(hops)
    ]
    running = await serve(stage, *chain, route("last", f"/{hops}", kind="exact"))
    answer = await (await running.connect()).get(b"/0")
    assert answer.status == status


async def test_loop_ends_with_500_and_has_no_page(stage: Stage) -> None:
    lines = Lines()
    running = await serve(
        stage,
        route(
            "loop",
            "/",
            steps=(move("^(.*)$", "$1x"),),
            error_pages=(ErrorPageSpec(statuses=(500,), path="/page"),),
        ),
        log=AccessLog("all", write=lines.write),
    )
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.closes) == (500, False)
        assert answer.body == b"500 Internal Server Error: too many reroutes\n"
    assert (await lines.entry())["reason"] == "too_many_reroutes"


async def test_variables_and_captures_outlast_reroutes(stage: Stage) -> None:
    first = (StepSpec(set=(("a", "$arg_v"),)), move("^/one/(?P<b>.*)$", "/two/$b"))
    running = await serve(
        stage,
        route("one", "/one/", steps=first),
        route("two", "/two/", request_headers=SHOWN),
        route("other", "/", request_headers=SHOWN),
    )
    assert await body_of(running, b"/one/x?v=1") == b"/two/x?v=1 1|x|/two/x|v=1"
    assert await body_of(running, b"/two/y?v=1") == b"/two/y?v=1 ||/two/y|v=1"
    client = await running.connect()
    assert b" 1|x|" in (await client.get(b"/one/x?v=1")).body
    assert (await client.get(b"/two/y")).body == b"/two/y ||/two/y|", "of another request"


async def test_header_map_of_a_variable_is_evaluated_when_it_is_asked(stage: Stage) -> None:
    shown = HeaderRulesSpec(set=(("X-Vars", "$m"),))
    step = StepSpec(when=when("$arg_v"), set=(("a", "$arg_v"),))
    running = await serve(stage, everything(steps=(step,), request_headers=shown))
    assert await body_of(running, b"/?v=1") == b"/?v=1 one"
    assert await body_of(running, b"/") == b"/ other"


async def test_body_limit_of_the_new_route_counts_too(stage: Stage) -> None:
    running = await serve(
        stage,
        route("wide", "/wide", steps=(move("^", "/narrow"),), body_bytes=1000),
        route("narrow", "/narrow", body_bytes=10),
    )
    client = await running.connect()
    assert (await client.request(b"POST", b"/wide", body=b"x" * 10)).status == 200
    assert (await client.request(b"POST", b"/wide", body=b"x" * 11)).status == 413


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_goes_with_the_rewritten_request(stage: Stage, chunked: bool) -> None:
    async def echo(conn: Conn) -> None:
        while True:
            recorded = await conn.next_request()
            await conn.send(reply(recorded.target + b" " + recorded.body))

    origin = stage.origin(echo)
    running = await stage.serve(
        build_spec(
            origin.address,
            routes=[route("old", "/old", steps=(move("^", "/new"),)), route("new", "/new")],
        )
    )
    client = await running.connect()
    if chunked:
        await client.send(request(b"POST", b"/old", b"Transfer-Encoding: chunked"))
        await client.send(b"4\r\nbody\r\n0\r\n\r\n")
        answer = await client.read_response(b"POST")
    else:
        answer = await client.request(b"POST", b"/old", body=b"body")
    assert answer.body == b"/new body"


# -- answers of our own ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize(
    ("answer", "status", "body", "kind"),
    [
        (say(200, "ok $uri\n"), 200, b"ok /x\n", b"text/plain"),
        (say(200, "{}", content_type="application/json"), 200, b"{}", b"application/json"),
        (say(200), 200, b"", None),
        (say(204), 204, b"", None),
        (say(304), 304, b"", None),
        (say(404, "gone"), 404, b"gone", b"text/plain"),
        (say(403), 403, b"403 Forbidden\n", b"text/plain; charset=utf-8"),
        (say(599, ""), 599, b"", b"text/plain"),
    ],
)
async def test_route_answers_itself(
    stage: Stage, method: bytes, answer: AnswerSpec, status: int, body: bytes, kind: bytes | None
) -> None:
    running = await serve(stage, route("own", "/", answer=answer))
    client = await running.connect()
    for _ in range(2):
        got = await client.request(method, b"/x", body=b"body" if method == b"POST" else None)
        assert (got.status, got.get(b"content-type"), got.closes) == (status, kind, False)
        assert got.body == (b"" if method == b"HEAD" else body)
        if status not in (204, 304):
            assert got.get(b"content-length") == b"%d" % len(body)
        assert (got.get(b"x-request-id") is not None) is (answer.body is None and status >= 400)
    assert running.route("own").counters.requests == {("none", method, status): 2}


async def test_error_of_our_own_is_json_for_whoever_prefers_it(stage: Stage) -> None:
    running = await serve(stage, route("own", "/", answer=say(403)))
    answer = await (await running.connect()).get(b"/", b"Accept: application/json")
    assert answer.get(b"content-type") == b"application/json"
    assert b'"status": 403' in answer.body
    assert b"reason" not in answer.body


async def test_step_answers_before_the_route_does(stage: Stage) -> None:
    steps = (
        StepSpec(when=when("$http_user_agent", "(?i)bot/(.)"), answer=say(403, "no $1")),
        StepSpec(when=when("$arg_x"), answer=say(302, location="/y?$args")),
        StepSpec(when=when("$arg_y", negated=True), answer=say(200, "no y")),
    )
    running = await serve(stage, everything(steps=steps))
    client = await running.connect()
    assert (await client.get(b"/", b"User-Agent: RoBot/7")).body == b"no 7"
    found = await client.get(b"/?x=1")
    assert (found.status, found.get(b"location")) == (302, b"/y?x=1")
    assert (await client.get(b"/")).body == b"no y"
    assert (await client.get(b"/?y=1")).body.split()[0] == b"/?y=1"


async def test_location_holds_no_line_of_a_client(stage: Stage) -> None:
    own = route("own", "/", answer=say(301, location="http://h$uri"))
    running = await serve(stage, own)
    answer = await (await running.connect()).get(b"/a%0d%0aSet-Cookie:%20x")
    assert answer.get(b"location") == b"http://h/a%0D%0ASet-Cookie:%20x"
    assert answer.get(b"set-cookie") is None


async def test_response_rules_hold_for_our_own_answers(stage: Stage) -> None:
    rules = ResponseRulesSpec(
        remove=("X-Request-Id",),
        set=(("Content-Type", "text/html"), ("X-Status", "$status"), ("X-From", "$upstream_addr")),
        append=(("X-Uri", "$uri"),),
    )
    running = await serve(stage, route("own", "/", answer=say(200, "ok"), response_headers=rules))
    client = await running.connect()
    for _ in range(2):
        answer = await client.get(b"/x%0a")
        assert answer.get(b"content-type") == b"text/html"
        assert (answer.get(b"x-status"), answer.get(b"x-from")) == (b"200", None)
        assert answer.get(b"x-request-id") is answer.get(b"x-uri") is None
    assert running.route("own").counters.header_rule_failures == 2


async def test_removal_alone_holds_for_our_own_answers(stage: Stage) -> None:
    rules = ResponseRulesSpec(remove=("x-request-ID",))
    running = await serve(stage, route("own", "/", answer=say(403), response_headers=rules))
    assert (await (await running.connect()).get()).get(b"x-request-id") is None


async def test_response_rules_hold_for_errors_of_the_route(stage: Stage) -> None:
    rules = ResponseRulesSpec(set=(("X-Seen", "$status $upstream_status"),))
    running = await serve(stage, everything(to="dead", response_headers=rules))
    answer = await (await running.connect()).get()
    assert (answer.status, answer.get(b"x-seen")) == (502, b"502 502")


async def test_answer_for_an_old_client(stage: Stage) -> None:
    running = await serve(stage, route("own", "/", answer=say(200, "ok")))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = await client.read_response()
    assert (answer.body, answer.get(b"connection")) == (b"ok", b"keep-alive")
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.read_to_end()).endswith(b"\r\n\r\nok")


async def test_answer_to_a_client_that_is_still_sending(stage: Stage) -> None:
    running = await serve(stage, route("own", "/", answer=say(200, "ok")))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 1000000"), b"x" * 1000)
    answer = await client.read_response(b"PUT")
    assert (answer.body, answer.closes) == (b"ok", True)
    await client.send(b"x" * 100_000)
    await client.read_eof()


async def test_answer_comes_instead_of_a_100(stage: Stage) -> None:
    running = await serve(stage, route("own", "/", answer=say(403)))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Expect: 100-continue", b"Content-Length: 10"))
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.informational, answer.closes) == (403, (), True)


async def test_pipelined_answers_come_in_order(stage: Stage) -> None:
    running = await serve(stage, route("own", "/own/", answer=say(200, "$uri")), route("all", "/"))
    client = await running.connect()
    wanted = [b"/own/1", b"/2", b"/own/3", b"/own/4", b"/5"]
    await client.send(b"".join(request(b"GET", target) for target in wanted))
    found = await client.read_responses([b"GET"] * 5)
    assert [one.body.split()[0] for one in found] == wanted


async def test_thousands_of_pipelined_answers_are_all_there(stage: Stage) -> None:
    running = await serve(stage, route("own", "/", answer=say(200, "x" * 1000)))
    client = await running.connect()
    await client.send(request() * 2000)
    for found in await client.read_responses([b"GET"] * 2000):
        assert len(found.body) == 1000
    assert running.statuses("own") == {200: 2000}


async def test_silence_closes_the_connection(stage: Stage) -> None:
    lines = Lines()
    running = await serve(
        stage, route("own", "/", answer=say(444)), log=AccessLog("all", write=lines.write)
    )
    client = await running.connect()
    await client.send(request())
    assert await client.read_to_end() == b""
    assert running.statuses("own") == {444: 1}
    assert (await lines.entry())["status"] == 444


async def test_silence_takes_no_answer_back(stage: Stage) -> None:
    running = await serve(
        stage,
        route("own", "/own", answer=say(200, "ok")),
        route("none", "/none", answer=say(444)),
    )
    client = await running.connect()
    await client.send(request(b"GET", b"/own") * 3 + request(b"GET", b"/none"))
    assert (await client.read_to_end()).count(b"\r\n\r\nok") == 3


async def test_silence_ends_a_client_that_is_still_sending(stage: Stage) -> None:
    running = await serve(stage, route("own", "/", answer=say(444)))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 1000000"), b"x" * 1000)
    await client.gone()
    assert client.unread == b""


async def test_page_may_take_the_place_of_a_configured_error(stage: Stage) -> None:
    pages = (ErrorPageSpec(statuses=(403, 404), path="/page"),)
    steps = (StepSpec(when=when("$arg_text"), answer=say(403, "text")), StepSpec(answer=say(403)))
    running = await serve(
        stage,
        route("closed", "/closed", steps=steps, error_pages=pages),
        route("page", "/page", internal=True),
    )
    client = await running.connect()
    assert (await client.get(b"/closed?text=1")).body == b"text"
    answer = await client.get(b"/closed")
    assert (answer.status, answer.body.split()[0]) == (403, b"/page")


# -- preludes -------------------------------------------------------------------------------------


def prelude(*steps: StepSpec, name: str = "first", **differs: Any) -> RouteSpec:
    return route(name, path=None, pools=(), steps=steps, **differs)


async def test_prelude_comes_before_every_path_of_its_hosts(stage: Stage) -> None:
    running = await serve(
        stage,
        prelude(StepSpec(when=when("$arg_no"), answer=say(403, "no")), hosts=("a.test",)),
        route("a", "/", hosts=("a.test",)),
        route("b", "/", hosts=("b.test",)),
    )
    client = await running.connect()
    found = {}
    for host in (b"a.test", b"b.test"):
        for target in (b"/x", b"/x?no=1"):
            answer = await client.request(b"GET", target, host=host)
            found[host, target] = answer.status
    assert found == {
        (b"a.test", b"/x"): 200,
        (b"a.test", b"/x?no=1"): 403,
        (b"b.test", b"/x"): 200,
        (b"b.test", b"/x?no=1"): 200,
    }
    assert running.route("first").counters.requests == {("none", b"GET", 403): 1}


async def test_prelude_is_for_its_listeners(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(
        build_spec(
            origin.address,
            listeners=[listener(), listener("other")],
            routes=[everything(), prelude(StepSpec(answer=say(403)), listeners=("other",))],
        )
    )
    assert (await (await running.connect()).get()).status == 200
    assert (await (await running.connect("other")).get()).status == 403


async def test_prelude_rewrites_before_a_route_is_looked_for(stage: Stage) -> None:
    running = await serve(
        stage,
        prelude(move("^/v1/(.*)$", "/$1"), StepSpec(set=(("a", "$1"),))),
        route("api", "/api/", rewrite="/", request_headers=SHOWN),
        route("in", "/in/", internal=True),
    )
    client = await running.connect()
    assert (await client.get(b"/v1/api/x?q")).body == b"/x?q api/x||/api/x|q"
    assert (await client.get(b"/api/x")).body == b"/x ||/api/x|"
    # As in nginx, a path that a rewrite made is none that the client has asked for.
    assert (await client.get(b"/v1/in/x")).body.split()[0] == b"/in/x"
    assert (await client.get(b"/in/x")).status == 404


async def test_query_that_a_prelude_sets_does_not_open_internal_paths(stage: Stage) -> None:
    running = await serve(
        stage, prelude(StepSpec(set=(("args", "n=1"),))), route("in", "/in", internal=True),
        route("out", "/out"),
    )  # fmt: skip
    client = await running.connect()
    assert (await client.get(b"/in")).status == 404
    assert (await client.get(b"/out?q")).body.split()[0] == b"/out?n=1"


@pytest.mark.parametrize("then", ["next", "route", "stop"])
async def test_route_is_looked_for_after_a_prelude_however_it_ended(
    stage: Stage, then: Any
) -> None:
    running = await serve(
        stage,
        prelude(
            move("^/a$", "/b", then=then), StepSpec(when=when("$uri", "^/c$"), answer=say(403))
        ),
        route("a", "/a", answer=say(200, "a")),
        route("b", "/b", answer=say(200, "b")),
    )
    assert await body_of(running, b"/a") == b"b"


async def test_captures_of_the_host_are_there_for_the_prelude(stage: Stage) -> None:
    host = r"~^(?P<tenant>[a-z]+)\.test$"
    running = await serve(
        stage,
        prelude(StepSpec(set=(("a", "$tenant"),)), hosts=(host,)),
        route("plain", "/", hosts=(host,), request_headers=HeaderRulesSpec(
            set=(("X-Vars", "$a $tenant"),))),
    )  # fmt: skip
    client = await running.connect()
    for host_name in (b"acme", b"other"):
        answer = await client.request(b"GET", b"/", host=host_name + b".test")
        assert answer.body == b"/ %b %b" % (host_name, host_name)


async def test_prelude_alone_answers_or_finds_nothing(stage: Stage) -> None:
    rules = ResponseRulesSpec(set=(("X-First", "$status"),))
    running = await serve(
        stage,
        prelude(StepSpec(when=when("$arg_x"), answer=say(200, "ok")), response_headers=rules),
    )
    client = await running.connect()
    answer = await client.get(b"/?x=1")
    assert (answer.body, answer.get(b"x-first")) == (b"ok", b"200")
    answer = await client.get(b"/")
    assert (answer.status, answer.get(b"x-first")) == (404, b"404")
    assert running.statuses("first") == {200: 1}


async def test_loop_between_prelude_and_page_ends(stage: Stage) -> None:
    running = await serve(
        stage,
        prelude(
            StepSpec(answer=say(503)),
            error_pages=(ErrorPageSpec(statuses=(503,), path="/maintenance"),),
        ),
        route("page", "/maintenance"),
    )
    client = await running.connect()
    for _ in range(2):
        # As in nginx, the page is asked for through the prelude, which answers again.
        answer = await client.get(b"/x")
        assert (answer.status, answer.body) == (503, b"503 Service Unavailable\n")


async def test_change_of_steps_holds_from_the_next_request_on(stage: Stage) -> None:
    async def late(conn: Conn) -> None:
        while True:
            recorded = await conn.next_request()
            if recorded.target == b"/wait":
                await origin.head(1)
            await conn.send(reply(recorded.target))

    origin = stage.origin(late)

    def made(to: str) -> Spec:
        return build_spec(
            origin.address, routes=[everything(steps=(move("^/a$", to, then="stop"),))]
        )

    running = await stage.serve(made("/wait"))
    client, other = await running.connect(), await running.connect()
    await client.send(request(b"GET", b"/a"))
    await origin.request()
    await running.server.apply(made("/b"))
    assert (await other.get(b"/a")).body == b"/b"
    origin.heads.append(origin.requests[0].head)
    assert (await client.read_response()).body == b"/wait"
    assert (await client.get(b"/a")).body == b"/b"


async def test_client_that_vanishes_after_steps_ends_the_request(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    spec = build_spec(origin.address, routes=[everything(steps=(move("^", "/x", then="stop"),))])
    running = await stage.serve(spec)
    client = await running.connect()
    await client.send(request())
    await origin.request()
    client.reset()
    await origin.closed()
    await running.counted(499)


async def test_what_steps_may_make_is_bounded(stage: Stage) -> None:
    double = StepSpec(set=(("a", "$a$a"),))
    steps = (StepSpec(set=(("a", "x"),)), *[double] * 60)
    running = await serve(stage, everything(steps=steps))
    client = await running.connect()
    for _ in range(2):
        assert (await client.get()).status == 500
    await settle()


async def test_limits_of_a_listener_hold_for_our_own_answers(stage: Stage) -> None:
    running = await serve(
        stage,
        route("own", "/", answer=say(200, "ok")),
        limits=ListenerLimits(body_bytes=10, requests_per_connection=2),
    )
    client = await running.connect()
    assert (await client.request(b"POST", body=b"x" * 11)).status == 413
    assert (await client.get()).closes
    await client.read_eof()


async def test_answer_and_upstream_share_a_connection(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"theirs")))
    own = route("own", "/own", answer=say(200, "ours"))
    running = await stage.serve(build_spec(origin.address, routes=[everything(), own]))
    client = await running.connect()
    found = [(await client.get(target)).body for target in (b"/", b"/own", b"/", b"/own")]
    assert found == [b"theirs", b"ours"] * 2
    assert len(origin.connections) == 1
