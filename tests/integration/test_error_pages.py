"""What takes the place of an error, whatever the peers do meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.spec import (
    AnswerSpec,
    ErrorPageSpec,
    HeaderRulesSpec,
    ListenerLimits,
    ListenerTimeouts,
    PoolTimeouts,
    ResponseRulesSpec,
    RetrySpec,
    RouteSpec,
    RouteTimeouts,
    Spec,
)
from proxy.telemetry.access_log import AccessLog
from tests.integration.test_access_log import Lines
from tests.peers import (
    Conn,
    Origin,
    Running,
    Script,
    Stage,
    answers,
    build_spec,
    endpoint,
    eventually,
    everything,
    listener,
    pool,
    reply,
    route,
    settle,
    websocket,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.wire import chunked

SORRY = reply(b"sorry", b"Content-Type: text/html")
MISSING = reply(b"missing", status=b"404 Gone Astray")


def page(*statuses: int, **differs: Any) -> ErrorPageSpec:
    """Write a page for some errors, at ``/errors/page.html`` unless that differs."""
    if not differs.keys() & {"path", "route", "location"}:
        differs["path"] = "/errors/page.html"
    return ErrorPageSpec(statuses=statuses, **differs)


def spec(
    bad: str | None,
    good: str | None,
    *pages: ErrorPageSpec,
    sorry: RouteSpec | None = None,
    pools: tuple[Any, ...] = (),
    **differs: Any,
) -> Spec:
    """Write a route to ``bad`` with error pages, which are at ``good`` below ``/errors/``."""
    limits = differs.pop("limits", ListenerLimits())
    timeouts = differs.pop("timeouts", ListenerTimeouts())
    backend = differs.pop("backend", {})
    first = [endpoint(bad, passive_health=None)] if bad else []
    last = [endpoint(good, passive_health=None)] if good else []
    return build_spec(
        listeners=[listener(limits=limits, timeouts=timeouts)],
        pools=[pool(*first, **backend), pool(*last, name="pages"), *pools],
        routes=[
            everything(error_pages=pages, **differs),
            sorry or route("errors", "/errors/", to="pages", internal=True),
        ],
    )


async def serve(stage: Stage, *parts: Any, log: AccessLog | None = None, **differs: Any) -> Running:
    return await stage.serve(spec(*parts, **differs), access_log=log)


async def stall(conn: Conn) -> None:
    await conn.next_request()


async def read_head(conn: Conn) -> None:
    await conn.next_head()


async def read_no_body(conn: Conn) -> None:
    await conn.next_head()
    await conn.hold()


# -- from an error to its page --------------------------------------------------------------------


async def test_refused_connection_leads_to_the_page(stage: Stage) -> None:
    bad, good = stage.refused(), stage.origin(answers(SORRY))
    running = await serve(stage, bad, good.address, page(502))
    client = await running.connect()
    for _ in range(2):
        answer = await client.get(b"/x?q")
        assert (answer.status, answer.head.reason) == (502, b"Bad Gateway")
        assert (answer.body, answer.get(b"content-type")) == (b"sorry", b"text/html")
        assert not answer.closes
    assert [(one.method, one.target) for one in good.requests] == [
        (b"GET", b"/errors/page.html")
    ] * 2
    assert len(good.connections) == 1
    assert running.route("errors").counters.requests == {("pages", b"GET", 502): 2}
    assert running.statuses() == {}
    assert running.endpoint(bad).counters.by_class[0] == 2
    assert running.endpoint(good.address, "pages").counters.by_class[2] == 2


async def test_timeout_leads_to_the_page_and_ends_the_attempt(stage: Stage) -> None:
    bad, good = stage.origin(stall), stage.origin(answers(SORRY))
    running = await serve(
        stage, bad.address, good.address, page(504), backend={"timeouts": PoolTimeouts(read_s=0.2)}
    )
    client = await running.connect()
    answer = await client.get()
    assert (answer.status, answer.body) == (504, b"sorry")
    await bad.closed()
    assert running.pool().counters.errors == {"read_timeout": 1}


async def test_error_that_has_no_page_is_answered_as_ever(stage: Stage) -> None:
    good = stage.origin()
    running = await serve(stage, stage.refused(), good.address, page(504))
    answer = await (await running.connect()).get()
    assert (answer.status, good.raw) == (502, b"")


@pytest.mark.parametrize(
    ("status", "shown"), [(None, 502), (200, 200), (503, 503), (404, 404), ("page", 207)]
)
async def test_client_sees_the_status_that_the_page_is_given(
    stage: Stage, status: Any, shown: int
) -> None:
    good = stage.origin(answers(reply(b"sorry", status=b"207 Special")))
    running = await serve(stage, stage.refused(), good.address, page(502, status=status))
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body) == (shown, b"sorry")
    assert (answer.head.reason == b"Special") is (status == "page")
    assert running.statuses("errors") == {shown: 1}
    assert running.endpoint(good.address, "pages").counters.by_class[2] == 1


async def test_page_may_be_chosen_by_what_was_asked_for(stage: Stage) -> None:
    good = stage.origin()
    chosen = page(502, path="/errors$uri?was=$request_method&at=$request_uri")
    running = await serve(stage, stage.refused(), good.address, chosen)
    client = await running.connect()
    await client.request(b"PUT", b"/a%20b%0D%0AX?q", body=b"x")
    assert good.requests[0].target == b"/errors/a%20b%0D%0AX?was=PUT&at=/a%20b%0D%0AX?q"


async def test_page_may_be_an_answer_of_our_own(stage: Stage) -> None:
    sorry = route(
        "errors", "/errors/", answer=AnswerSpec(status=200, body="sorry for $request_uri")
    )
    running = await serve(stage, stage.refused(), None, page(502), sorry=sorry)
    client = await running.connect()
    answer = await client.get(b"/x")
    assert (answer.status, answer.body) == (502, b"sorry for /x")
    assert (await client.get(b"/errors/")).status == 200
    assert running.route("errors").counters.requests == {
        ("none", b"GET", 502): 1,
        ("none", b"GET", 200): 1,
    }


async def test_page_that_answers_nothing_of_ours_is_empty(stage: Stage) -> None:
    sorry = route("errors", "/errors/", answer=AnswerSpec(status=204))
    running = await serve(stage, stage.refused(), None, page(502), sorry=sorry)
    answer = await (await running.connect()).get(b"/x")
    assert (answer.status, answer.body, answer.framing) == (502, b"", "length")


async def test_page_that_redirects_does_so(stage: Stage) -> None:
    sorry = route("errors", "/errors/", answer=AnswerSpec(status=307, location="/elsewhere"))
    running = await serve(stage, stage.refused(), None, page(502), sorry=sorry)
    answer = await (await running.connect()).get(b"/x")
    assert (answer.status, answer.get(b"location")) == (307, b"/elsewhere")


@pytest.mark.parametrize(
    ("status", "shown"), [(None, 302), (301, 301), (308, 308), (200, 302), ("page", 302)]
)
async def test_client_may_be_sent_elsewhere(stage: Stage, status: Any, shown: int) -> None:
    elsewhere = page(502, location="https://status.test/?at=$request_uri", status=status)
    lines = Lines()
    running = await serve(
        stage, stage.refused(), None, elsewhere, log=AccessLog("all", write=lines.write)
    )
    client = await running.connect()
    answer = await client.request(b"POST", b"/x%20y", body=b"body")
    assert (answer.status, answer.body) == (shown, b"")
    assert answer.get(b"location") == b"https://status.test/?at=/x%20y"
    assert not answer.closes
    entry = await lines.entry()
    assert (entry["status"], entry["reason"], entry["pool"]) == (shown, "connect_failed", "backend")


async def test_page_of_a_request_that_no_route_takes_is_the_preludes(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    first = route("first", path=None, pools=(), error_pages=(page(404),))
    errors = route("errors", "/errors/", internal=True)
    running = await stage.serve(build_spec(good.address, routes=[first, errors]))
    client = await running.connect()
    answer = await client.get(b"/nowhere")
    assert (answer.status, answer.body) == (404, b"sorry")
    assert (await client.get(b"/errors/x")).body == b"sorry"
    assert [one.target for one in good.requests] == [b"/errors/page.html"] * 2


# -- what goes to the page ------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_page_is_asked_for_without_the_body(stage: Stage, framing: str) -> None:
    good = stage.origin(answers(SORRY))
    lines = Lines()
    running = await serve(
        stage, stage.refused(), good.address, page(502), log=AccessLog("all", write=lines.write)
    )
    client = await running.connect()
    for _ in range(2):
        if framing == "length":
            await client.send(request(b"POST", body=b"body"))
        else:
            head = request(b"POST", b"/", b"Transfer-Encoding: chunked")
            await client.send(head + chunked(b"body"))
        answer = await client.read_response(b"POST")
        assert (answer.status, answer.body, answer.closes) == (502, b"sorry", False)
    for asked in good.requests:
        assert (asked.method, asked.body) == (b"GET", b"")
        assert asked.all(b"content-length") == asked.all(b"transfer-encoding") == []
    assert len(good.connections) == 1
    assert running.route("errors").counters.requests == {("pages", b"POST", 502): 2}
    entry = await lines.entry()
    assert (entry["method"], entry["bytes_in"], entry["bytes_out"]) == ("POST", 4, 5)
    assert running.endpoint(good.address, "pages").counters.bytes_out == 0


async def test_head_request_gets_the_head_of_the_page(stage: Stage) -> None:
    async def head_only(conn: Conn) -> None:
        while True:
            await conn.next_request()
            await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")

    good = stage.origin(head_only)
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    for _ in range(2):
        answer = await client.request(b"HEAD")
        assert (answer.status, answer.get(b"content-length")) == (502, b"5")
    assert {one.method for one in good.requests} == {b"HEAD"}


async def test_old_client_gets_the_page_it_can_read(stage: Stage) -> None:
    good = stage.origin(
        answers(reply(chunked(b"so", b"rry"), b"Transfer-Encoding: chunked", length=False))
    )
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = (await client.read_to_end()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 ")
    assert body == b"sorry"


async def test_expectation_is_not_met_for_a_page(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Expect: 100-continue", b"Content-Length: 4"))
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.body, answer.informational) == (502, b"sorry", ())
    assert answer.closes
    assert good.requests[0].get(b"expect") is None


async def test_page_is_retried_like_any_request(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    several = pool(
        *(endpoint(one, passive_health=None) for one in (stage.refused(), good.address)),
        name="pages",
    )
    made = spec(stage.refused(), None, page(502))
    running = await stage.serve(replace(made, pools={**made.pools, "pages": several}))
    client = await running.connect()
    for body in (None, b"body", None, None):
        answer = await client.request(b"POST" if body else b"GET", body=body)
        assert (answer.status, answer.body) == (502, b"sorry")
    assert running.pool("pages").counters.retries >= 2


async def test_request_after_a_page_is_retried_as_ever(stage: Stage) -> None:
    good = stage.origin()
    made = spec(stage.refused(), good.address, page(502))
    pair = pool(
        *(endpoint(one, passive_health=None) for one in (stage.refused(), good.address)),
        name="pair",
    )
    again = route("again", "/again", to="pair")
    running = await stage.serve(
        replace(
            made,
            pools={**made.pools, "pair": pair},
            routes={**made.routes, "again": again},
        )
    )
    client = await running.connect()
    assert (await client.get()).status == 502
    assert [(await client.get(b"/again")).status for _ in range(4)] == [200] * 4


# -- the page fails itself ------------------------------------------------------------------------


async def test_page_that_fails_too_is_a_plain_error_of_its_own(stage: Stage) -> None:
    lines = Lines()
    running = await serve(
        stage,
        stage.origin(stall).address,
        stage.refused(),
        page(504, 502),
        backend={"timeouts": PoolTimeouts(read_s=0.2)},
        log=AccessLog("all", write=lines.write),
    )
    client = await running.connect()
    answer = await client.get(b"/x", b"Accept: application/json")
    assert (answer.status, answer.closes) == (502, False)
    assert b'"reason": "connect_failed"' in answer.body
    entry = await lines.entry()
    assert (entry["status"], entry["reason"], entry["route"]) == (502, "connect_failed", "errors")
    assert (entry["attempts"], entry["pool"]) == (2, "pages")


async def test_page_without_an_endpoint_is_a_plain_error(stage: Stage) -> None:
    running = await serve(stage, stage.refused(), None, page(502, 504))
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body) == (502, b"502 Bad Gateway: no endpoint\n")
    assert running.pool("pages").counters.errors == {"no_endpoint": 1}


async def test_page_that_is_nowhere_is_a_plain_404(stage: Stage) -> None:
    first = everything(path=None, error_pages=(page(502),))
    only = route("only", "/x", error_pages=first.error_pages)
    running = await stage.serve(build_spec(stage.refused(), routes=[only]))
    answer = await (await running.connect()).get(b"/x")
    assert (answer.status, answer.body) == (404, b"404 Not Found: no route\n")


async def test_page_that_times_out_is_a_plain_504(stage: Stage) -> None:
    slow = stage.origin(stall)
    sorry = route("errors", "/errors/", to="pages", timeouts=RouteTimeouts(read_s=0.2))
    running = await serve(stage, stage.refused(), slow.address, page(502, 504), sorry=sorry)
    answer = await (await running.connect()).get()
    assert answer.status == 504
    await slow.closed()


async def test_page_has_no_page_even_if_its_route_names_one(stage: Stage) -> None:
    good = stage.origin(answers(MISSING))
    sorry = route("errors", "/errors/", to="pages", error_pages=(page(404),), intercept_errors=True)
    running = await serve(stage, stage.refused(), good.address, page(502), sorry=sorry)
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body) == (404, b"404 Not Found\n")
    assert len(good.requests) == 1


async def test_redirect_of_a_page_is_not_intercepted(stage: Stage) -> None:
    good = stage.origin(answers(reply(b"", b"Location: /x", status=b"303 See Other")))
    sorry = route("errors", "/errors/", to="pages", error_pages=(page(303),), intercept_errors=True)
    running = await serve(
        stage, stage.refused(), good.address, page(502, status="page"), sorry=sorry
    )
    answer = await (await running.connect()).get()
    assert (answer.status, answer.get(b"location")) == (303, b"/x")


async def test_half_a_page_is_cut(stage: Stage) -> None:
    async def half(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await settle()
        conn.vanish("fin")

    running = await serve(stage, stage.refused(), stage.origin(half).address, page(502))
    client = await running.connect()
    await client.send(request())
    assert (await client.read_to_end()).endswith(b"half")
    assert running.pool("pages").counters.errors == {"response_truncated": 1}


# -- responses of upstreams -----------------------------------------------------------------------


async def test_error_of_an_upstream_passes_unless_it_is_intercepted(stage: Stage) -> None:
    good = stage.origin()
    running = await serve(stage, stage.origin(answers(MISSING)).address, good.address, page(404))
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body, answer.head.reason) == (404, b"missing", b"Gone Astray")
    assert good.raw == b""


async def test_intercepted_error_has_the_page_and_keeps_its_connection(stage: Stage) -> None:
    bad, good = stage.origin(answers(MISSING)), stage.origin(answers(SORRY))
    running = await serve(stage, bad.address, good.address, page(404), intercept_errors=True)
    client = await running.connect()
    for _ in range(3):
        answer = await client.get()
        assert (answer.status, answer.head.reason) == (404, b"Not Found")
        assert answer.body == b"sorry"
    assert (len(bad.connections), len(good.connections)) == (1, 1)
    assert running.endpoint(bad.address).counters.by_class[4] == 3
    assert running.endpoint(good.address, "pages").counters.by_class[2] == 3


async def test_page_may_come_over_the_connection_of_the_error(stage: Stage) -> None:
    both = stage.origin(answers(MISSING, SORRY, MISSING, SORRY))
    running = await stage.serve(
        build_spec(
            both.address,
            routes=[
                everything(error_pages=(page(404),), intercept_errors=True),
                route("errors", "/errors/"),
            ],
        )
    )
    client = await running.connect()
    for _ in range(2):
        answer = await client.get(b"/x")
        assert (answer.status, answer.body) == (404, b"sorry")
    assert [one.target for one in both.requests] == [b"/x", b"/errors/page.html"] * 2
    assert len(both.connections) == 1


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
        b"HTTP/1.1 404 Not Found\r\n\r\nhalf",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nhalf and more",
    ],
)
async def test_intercepted_error_that_is_half_sent_is_cut_short(stage: Stage, half: bytes) -> None:
    async def send_half(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(half)

    bad, good = stage.origin(send_half), stage.origin(answers(SORRY))
    running = await serve(stage, bad.address, good.address, page(404), intercept_errors=True)
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.body) == (404, b"sorry")
    await bad.closed(1)
    await bad.closed(2)


async def test_intercepted_error_while_the_body_is_still_sent(stage: Stage) -> None:
    async def early(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(MISSING)

    bad, good = stage.origin(early), stage.origin(answers(SORRY))
    running = await serve(stage, bad.address, good.address, page(404), intercept_errors=True)
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 10"), b"12345")
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.body, answer.closes) == (404, b"sorry", True)
    await client.send(b"67890")
    await client.read_eof()
    await bad.closed()


async def test_body_that_ends_before_the_page_leaves_the_connection_usable(stage: Stage) -> None:
    async def early(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(MISSING)

    async def late(conn: Conn) -> None:
        await conn.next_request()
        await good.head(1)
        await conn.send(SORRY)

    bad, good = stage.origin(early), stage.origin(late)
    running = await serve(stage, bad.address, good.address, page(404), intercept_errors=True)
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 10"), b"12345")
    await good.request(1)
    await client.send(b"67890")
    await settle()
    good.heads.append(good.requests[0].head)
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.body, answer.closes) == (404, b"sorry", False)


async def test_retry_comes_before_a_page(stage: Stage) -> None:
    failing, fine = stage.origin(answers(reply(b"", status=b"503 Busy"))), stage.origin()
    good = stage.origin()
    pair = [endpoint(one.address, passive_health=None) for one in (failing, fine)]
    made = spec(None, good.address, page(503), intercept_errors=True)
    backend = pool(*pair, retry=RetrySpec(when=frozenset({"http_503"})))
    running = await stage.serve(replace(made, pools={**made.pools, "backend": backend}))
    client = await running.connect()
    assert [(await client.get()).status for _ in range(2)] == [200, 200]
    assert good.raw == b""
    assert len(failing.requests) == 1


async def test_challenge_of_an_intercepted_401_reaches_the_client(stage: Stage) -> None:
    challenges = (b"WWW-Authenticate: Basic realm=a", b"www-authenticate: Bearer")
    bad = stage.origin(answers(reply(b"", *challenges, b"X-Secret: 1", status=b"401 No")))
    good = stage.origin(answers(SORRY))
    running = await serve(stage, bad.address, good.address, page(401), intercept_errors=True)
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body, answer.get(b"x-secret")) == (401, b"sorry", None)
    assert answer.head.all(b"www-authenticate") == [b"Basic realm=a", b"Bearer"]


async def test_challenge_reaches_the_client_with_a_page_of_our_own(stage: Stage) -> None:
    bad = stage.origin(answers(reply(b"", b"WWW-Authenticate: Basic", status=b"401 No")))
    sorry = route("errors", "/errors/", answer=AnswerSpec(status=200, body="log in"))
    running = await serve(stage, bad.address, None, page(401), intercept_errors=True, sorry=sorry)
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body) == (401, b"log in")
    assert answer.get(b"www-authenticate") == b"Basic"


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.1 204 No Content\r\nX-Page: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nX-Page: 1\r\nContent-Length: 99\r\n\r\n",
    ],
)
async def test_page_without_a_body_is_an_empty_one_under_an_error(
    stage: Stage, answered: bytes
) -> None:
    good = stage.origin(answers(answered))
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.body, answer.framing) == (502, b"", "length")
        assert answer.get(b"x-page") == b"1"
    assert len(good.connections) == 1


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "answered",
    [
        SORRY,
        reply(chunked(b"sorry"), b"Transfer-Encoding: chunked", length=False),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_page_under_a_status_without_a_body_has_none(
    stage: Stage, status: int, answered: bytes
) -> None:
    good = stage.origin(answers(answered))
    running = await serve(stage, stage.refused(), good.address, page(502, status=status))
    client = await running.connect()
    for _ in range(2):
        await client.send(request())
        head = await client.read_head()
        assert head.status == status
        assert head.all(b"content-length") == head.all(b"transfer-encoding") == []
    assert (await client.get()).status == status


# -- a body that is too large ---------------------------------------------------------------------

SMALL = ListenerLimits(body_bytes=10)


@pytest.mark.parametrize("where", ["path", "named"])
async def test_body_announced_too_large_has_its_page(stage: Stage, where: str) -> None:
    good = stage.origin(answers(SORRY))
    chosen = page(413) if where == "path" else page(413, route="errors")
    running = await serve(stage, stage.refused(), good.address, chosen, limits=SMALL)
    client = await running.connect()
    await client.send(request(b"POST", b"/up", b"Content-Length: 100000"), b"x" * 5000)
    answer = await client.read_response(b"POST")
    assert (answer.status, answer.body, answer.closes) == (413, b"sorry", True)
    await client.send(b"x" * 5000)
    await client.read_eof()
    (asked,) = good.requests
    assert (asked.method, asked.body) == (b"GET", b"")
    assert asked.target == (b"/errors/page.html" if where == "path" else b"/up")
    assert running.endpoint(good.address, "pages").counters.bytes_out == 0


async def test_body_that_grows_too_large_has_its_page_while_more_comes(stage: Stage) -> None:
    async def late(conn: Conn) -> None:
        await conn.next_request()
        await good.head(1)
        await conn.send(SORRY)

    bad, good = stage.origin(read_head), stage.origin(late)
    running = await serve(stage, bad.address, good.address, page(413), limits=SMALL)
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Transfer-Encoding: chunked"), b"5\r\n12345\r\n")
    await bad.head()
    await client.send(b"6\r\n123456\r\n")
    await good.request()
    for _ in range(20):  # no longer counted, nor kept
        await client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    await settle()
    good.heads.append(good.requests[0].head)
    answer = await client.read_response(b"POST")
    assert (answer.status, answer.body, answer.closes) == (413, b"sorry", True)
    await bad.closed()
    assert running.endpoint(bad.address).counters.by_class[0] == 1


async def test_body_that_grows_too_large_while_connecting_has_its_page(stage: Stage) -> None:
    async def late(conn: Conn) -> None:
        await conn.next_request()
        await good.head(1)
        await conn.send(SORRY)

    good = stage.origin(late)
    running = await serve(
        stage,
        stage.unreachable(),
        good.address,
        page(413),
        limits=SMALL,
        backend={"timeouts": PoolTimeouts(connect_s=0.3)},
    )
    client, other = await running.connect(), await running.connect()
    await client.send(request(b"POST", b"/", b"Transfer-Encoding: chunked"), b"5\r\n12345\r\n")
    await settle()
    await client.send(b"6\r\n123456\r\n")
    await good.request()
    # The attempt to connect is off: its time passes, as this one's does, and nothing comes of it.
    assert (await other.get()).status == 504
    assert running.pool().counters.errors == {"connect_timeout": 1}
    good.heads.append(good.requests[0].head)
    answer = await client.read_response(b"POST")
    assert (answer.status, answer.body) == (413, b"sorry")


async def test_whole_body_that_is_too_large_leaves_the_connection_usable(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(stage, stage.refused(), good.address, page(413), limits=SMALL)
    client = await running.connect()
    for _ in range(2):
        answer = await client.request(b"POST", body=b"x" * 100)
        assert (answer.status, answer.body, answer.closes) == (413, b"sorry", False)


async def test_client_that_was_held_back_gets_its_page(stage: Stage) -> None:
    bad, good = stage.origin(read_no_body, receive_buffer=4096), stage.origin(answers(SORRY))
    running = await serve(
        stage,
        bad.address,
        good.address,
        page(504),
        backend={"timeouts": PoolTimeouts(send_s=0.3)},
    )
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 80000000"))
    await bad.head()
    await client.pour(80_000_000)
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.body, answer.closes) == (504, b"sorry", True)


# -- named routes ---------------------------------------------------------------------------------


def named(**differs: Any) -> RouteSpec:
    return route("errors", path=None, to="pages", **differs)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_named_route_takes_the_request_as_it_is(stage: Stage, framing: str) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(
        stage, stage.refused(), good.address, page(502, route="errors"), sorry=named()
    )
    client = await running.connect()
    for _ in range(2):
        if framing == "length":
            await client.send(request(b"POST", b"/a%20b?q", b"X-A: 1", body=b"body"))
        else:
            head = request(b"POST", b"/a%20b?q", b"X-A: 1", b"Transfer-Encoding: chunked")
            await client.send(head + chunked(b"bo", b"dy"))
        answer = await client.read_response(b"POST")
        assert (answer.status, answer.body, answer.closes) == (502, b"sorry", False)
    for taken in good.requests:
        assert (taken.method, taken.target, taken.body) == (b"POST", b"/a%20b?q", b"body")
        assert taken.get(b"x-a") == b"1"
    assert running.route("errors").counters.requests == {("pages", b"POST", 502): 2}


async def test_named_route_gets_a_body_that_was_already_sent(stage: Stage) -> None:
    bad, good = stage.origin(answers(MISSING)), stage.origin(answers(SORRY))
    running = await serve(
        stage,
        bad.address,
        good.address,
        page(404, route="errors", status="page"),
        sorry=named(),
        intercept_errors=True,
    )
    client = await running.connect()
    answer = await client.request(b"POST", body=b"body")
    assert (answer.status, answer.body) == (200, b"sorry")
    assert bad.requests[0].body == good.requests[0].body == b"body"


async def test_named_route_gets_the_rest_of_a_body_as_it_comes(stage: Stage) -> None:
    async def early(conn: Conn) -> None:
        await conn.next_head()
        await conn.read_exactly(4)
        await conn.send(MISSING)

    bad, good = stage.origin(early), stage.origin(answers(SORRY))
    running = await serve(
        stage,
        bad.address,
        good.address,
        page(404, route="errors"),
        sorry=named(),
        intercept_errors=True,
    )
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Content-Length: 8"), b"1234")
    await good.connection()
    await settle()
    await client.send(b"5678")
    answer = await client.read_response(b"POST")
    assert (answer.status, answer.closes) == (404, False)
    assert good.requests[0].body == b"12345678"


async def test_body_too_large_to_be_sent_again_gets_a_plain_error(stage: Stage) -> None:
    bad, good = stage.origin(answers(MISSING)), stage.origin(answers(SORRY))
    running = await serve(
        stage,
        bad.address,
        good.address,
        page(404, route="errors"),
        sorry=named(),
        intercept_errors=True,
        backend={"retry": RetrySpec(replay_bytes=10)},
    )
    client = await running.connect()
    answer = await client.request(b"POST", body=b"x" * 5000)
    assert (answer.status, answer.body) == (404, b"missing")
    assert (await client.request(b"POST", body=b"x" * 10)).body == b"sorry"
    assert len(good.requests) == 1


async def test_named_route_may_rewrite_the_whole_path(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(
        stage,
        stage.refused(),
        good.address,
        page(502, route="errors"),
        sorry=named(rewrite="/fallback"),
    )
    await (await running.connect()).get(b"/x/y?q")
    assert good.requests[0].target == b"/fallback?q"


async def test_named_route_takes_an_upgrade(stage: Stage) -> None:
    good = stage.origin(websocket())
    running = await serve(
        stage, stage.refused(), good.address, page(502, route="errors"), sorry=named()
    )
    client = await running.connect()
    assert (await client.request(b"GET", b"/ws", *HANDSHAKE_FIELDS)).status == 101
    await client.send(b"12345")
    assert await client.read_exactly(5) == b"12345"
    assert running.statuses("errors") == {101: 1}


async def test_what_stands_behind_a_failed_upgrade_is_no_request(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request(b"GET", b"/ws", *HANDSHAKE_FIELDS), request(b"GET", b"/smuggled"))
    answer = await client.read_response()
    assert (answer.status, answer.body, answer.closes) == (502, b"sorry", True)
    await client.read_eof()
    assert [one.target for one in good.requests] == [b"/errors/page.html"]
    assert good.requests[0].all(b"upgrade") == []


# -- peers that vanish, and changes meanwhile -----------------------------------------------------


async def test_client_that_vanishes_ends_the_page(stage: Stage) -> None:
    good = stage.origin(stall)
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request())
    await good.request()
    client.reset()
    await good.closed()
    await running.counted(499, "errors")


async def test_client_that_vanishes_while_it_sends_ends_the_page(stage: Stage) -> None:
    good = stage.origin(stall)
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 10000000"), b"x" * 200_000)
    await good.request()
    client.reset()
    await good.closed()
    await running.counted(499, "errors")


async def test_client_that_vanishes_while_the_page_is_connected_to(stage: Stage) -> None:
    running = await serve(stage, stage.refused(), stage.unreachable(), page(502))
    client = await running.connect()
    await client.send(request())
    await eventually(lambda: running.pool().counters.errors, "the first attempt to fail")
    client.reset()
    await running.counted(499, "errors")


async def test_slow_body_is_no_matter_for_a_page(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(
        stage, stage.origin(read_head).address, good.address, page(408),
        timeouts=ListenerTimeouts(body_s=0.2),
    )  # fmt: skip
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 10"), b"123")
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.closes) == (408, True)
    assert good.raw == b""


async def test_pipelined_requests_each_have_their_page(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request() + request(b"POST", body=b"body") + request(b"GET", b"/errors/"))
    replies = await client.read_responses([b"GET", b"POST", b"GET"])
    assert [one.body for one in replies] == [b"sorry", b"sorry", b"404 Not Found: no route\n"]


async def test_change_meanwhile_does_not_touch_the_detour(stage: Stage) -> None:
    slow, good = stage.origin(stall), stage.origin(answers(SORRY))
    made = spec(
        slow.address, good.address, page(504), backend={"timeouts": PoolTimeouts(read_s=0.3)}
    )
    running = await stage.serve(made)
    client = await running.connect()
    await client.send(request())
    await slow.request()
    other = build_spec(good.address, listeners=[listener()])
    await running.server.apply(other)
    answer = await client.read_response()
    assert (answer.status, answer.body) == (504, b"sorry")
    assert (await client.get(b"/new")).status == 200
    assert [one.target for one in good.requests] == [b"/errors/page.html", b"/new"]


async def test_change_while_the_page_is_fetched_does_not_touch_it(stage: Stage) -> None:
    async def late(conn: Conn) -> None:
        await conn.next_request()
        await good.head(1)
        await conn.send(SORRY)

    good = stage.origin(late)
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request())
    await good.request()
    await running.server.apply(build_spec(stage.refused(), listeners=[listener()]))
    good.heads.append(good.requests[0].head)
    answer = await client.read_response()
    assert (answer.status, answer.body) == (502, b"sorry")


async def test_close_while_the_page_is_fetched_leaves_nothing(stage: Stage) -> None:
    good = stage.origin(stall)
    running = await serve(stage, stage.refused(), good.address, page(502))
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Content-Length: 10"), b"123")
    await good.request()
    await running.server.close()
    await client.gone()


# -- rules and logs -------------------------------------------------------------------------------


async def test_response_rules_are_those_of_the_pages_route(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    rules = ResponseRulesSpec(
        set=(("X-Seen", "$status $upstream_status"),), remove=("Content-Type",)
    )
    running = await serve(
        stage,
        stage.refused(),
        good.address,
        page(502),
        sorry=route("errors", "/errors/", to="pages", response_headers=rules),
        response_headers=ResponseRulesSpec(set=(("X-Mine", "1"),)),
    )
    answer = await (await running.connect()).get()
    assert answer.get(b"x-seen") == b"502 502, 200"
    assert answer.get(b"x-mine") is answer.get(b"content-type") is None


async def test_line_of_the_log_tells_of_both(stage: Stage) -> None:
    good = stage.origin(answers(SORRY))
    lines = Lines()
    running = await serve(
        stage, stage.refused(), good.address, page(502), log=AccessLog("all", write=lines.write)
    )
    await (await running.connect()).get(b"/x?secret")
    entry = await lines.entry()
    expected = {
        "path": "/x",
        "status": 502,
        "reason": "connect_failed",
        "route": "errors",
        "pool": "pages",
        "endpoint": good.address,
        "attempts": 2,
        "bytes_out": 5,
    }
    assert {name: entry.get(name) for name in expected} == expected


async def test_informational_responses_before_the_error_have_passed(stage: Stage) -> None:
    async def hint_and_fail(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        await settle()
        conn.vanish("fin")

    good = stage.origin(answers(SORRY))
    running = await serve(stage, stage.origin(hint_and_fail).address, good.address, page(502))
    answer = await (await running.connect()).get()
    assert (answer.status, answer.body) == (502, b"sorry")
    assert [head.status for head in answer.informational] == [103]


SCRIPTS: dict[str, Script] = {
    "malformed": answers(b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n"),
    "unasked upgrade": answers(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_broken_response_leads_to_the_page(stage: Stage, name: str) -> None:
    bad, good = stage.origin(SCRIPTS[name]), stage.origin(answers(SORRY))
    running = await serve(stage, bad.address, good.address, page(502))
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.body) == (502, b"sorry")


async def test_many_origins_are_not_mixed_up(stage: Stage) -> None:
    good: Origin = stage.origin(answers(SORRY))
    running = await serve(stage, stage.refused(), good.address, page(502))
    clients = [await running.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        await client.send(request(b"GET", b"/%d" % number))
    for client in clients:
        answer = await client.read_response()
        assert (answer.status, answer.body) == (502, b"sorry")
    assert len(good.requests) == 20


async def test_page_may_tell_of_the_error_that_led_to_it(stage: Stage) -> None:
    origin, refused = stage.origin(), stage.refused()
    told = AnswerSpec(status=200, body="$status $upstream_addr $upstream_status")
    plain = replace(route("plain", "/plain"), pools=(), answer=told)
    made = spec(refused, None, page(502), sorry=route("x", "/x"))
    answering = replace(route("sorry", "/errors/"), pools=(), answer=told)
    asking = route("asking", "/asking", request_headers=HeaderRulesSpec(set=(("X", "$status"),)))
    routes = {one.name: one for one in (plain, answering, replace(asking, pools=(("up", 1),)))}
    made = replace(
        made,
        routes={"everything": made.routes["everything"], **routes},
        pools={**made.pools, "up": pool(origin.address, name="up")},
    )
    running = await stage.serve(made)
    client = await running.connect()
    assert (await client.get(b"/")).body == f"502 {refused} 502".encode()
    assert (await client.get(b"/plain")).body == b"200  "
    await client.get(b"/asking")
    assert origin.requests[-1].get(b"x") == b"000"
