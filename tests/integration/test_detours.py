"""Bodies, methods and rules of requests that end at another route than their target says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from proxy.spec import (
    AnswerSpec,
    ClientTimeouts,
    ErrorPageSpec,
    ListenerTimeouts,
    PathSpec,
    PoolTimeouts,
    RetrySpec,
    RewriteSpec,
    RouteSpec,
    StepSpec,
)
from tests.peers import (
    Conn,
    Origin,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    everything,
    listener,
    pool,
    reply,
    settle,
)
from tests.peers.client import request
from tests.peers.origin import Script, then
from tests.peers.stream import until_time

CHUNKED = b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
TO_PAGE = (ErrorPageSpec(statuses=(413, 502), path="/page?of=error"),)
TO_NAMED = (ErrorPageSpec(statuses=(413, 502), route="named"),)
NEVER = RetrySpec(when=frozenset())


async def serve(
    stage: Stage, origin: Origin, *others: Origin, before: dict[str, Any], **page: Any
) -> Running:
    """Serve by a route whose errors lead to a page of the path ``/page``, or to a named one."""
    second = pool(*(endpoint(one.address, passive_health=None) for one in others), name="others")
    path = PathSpec(kind="exact", value="/page")
    routes = [
        everything(retry=NEVER, **before),
        RouteSpec(name="page", path=path, pools=(("others", 1),), **page),
        RouteSpec(name="named", path=None, pools=(("others", 1),), **page),
    ]
    pools = [pool(endpoint(origin.address, passive_health=None)), second]
    return await stage.serve(build_spec(pools=pools, routes=routes))


def waiting_for(event: asyncio.Event) -> Script:
    async def script(conn: Conn) -> None:
        await conn.next_request()
        await event.wait()
        await conn.send(reply(b"the page"))

    return script


async def test_page_gets_the_body_of_its_route_in_place_of_the_clients(stage: Stage) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    running = await serve(stage, bad, good, body="$arg_of", before={"error_pages": TO_PAGE})
    client = await running.connect()
    await client.send(CHUNKED, HELLO)
    assert (await client.read_response()).status == 502
    (recorded,) = good.requests
    assert (recorded.method, recorded.target) == (b"GET", b"/page?of=error")
    assert (recorded.get(b"content-length"), recorded.body) == (b"5", b"error")
    assert recorded.get(b"transfer-encoding") is None
    assert (await client.get(b"/page")).status == 200  # both connections go on
    assert len(good.connections) == 1


async def test_page_without_a_body_may_be_tried_again(stage: Stage) -> None:
    bad = [stage.origin(then("fin")) for _ in range(2)]
    good = stage.origin()
    running = await serve(stage, bad[0], bad[1], good, before={"error_pages": TO_PAGE})
    client = await running.connect()
    await client.send(CHUNKED, HELLO)
    assert (await client.read_response()).status == 502
    assert [one.body for one in good.requests] == [b""]


@pytest.mark.parametrize("body", [None, "ours"])
async def test_page_is_not_held_up_by_a_body_that_nobody_wants(
    stage: Stage, body: str | None
) -> None:
    bad, good = stage.origin(), stage.origin()
    first = {"error_pages": TO_PAGE, "body_bytes": 10}
    running = await serve(stage, bad, good, body=body, body_bytes=10, before=first)
    client = await running.connect()
    await client.send(request(b"PUT", b"/x", body=b"x" * 100)[:-90])
    answer = await client.read_response()
    assert (answer.status, answer.get(b"connection")) == (413, b"close")
    assert bad.requests == []
    assert [one.body for one in good.requests] == [(body or "").encode()]


async def test_page_of_a_body_that_grows_too_long_is_not_lost_when_more_of_it_comes(
    stage: Stage,
) -> None:
    go_on = asyncio.Event()

    first = {"error_pages": TO_PAGE, "body_bytes": 10}
    origin = stage.origin(waiting_for(go_on))
    running = await serve(stage, stage.origin(), origin, body_bytes=10, before=first)
    client = await running.connect()
    await client.send(CHUNKED, b"10\r\n0123456789abcdef\r\n")
    await origin.request()
    await client.send(b"10\r\n0123456789abcdef\r\n")
    await settle()
    go_on.set()
    answer = await client.read_response()
    assert (answer.status, answer.body) == (413, b"the page")
    await client.gone()


async def test_connection_that_an_error_came_before_is_no_longer_waited_for(stage: Stage) -> None:
    go_on = asyncio.Event()
    slow = pool(stage.unreachable(), timeouts=PoolTimeouts(connect_s=0.2))
    good = stage.origin(waiting_for(go_on))
    page = RouteSpec(
        name="page", path=PathSpec(kind="exact", value="/page"), pools=(("others", 1),)
    )
    running = await stage.serve(
        build_spec(
            pools=[slow, pool(good.address, name="others")],
            routes=[everything(error_pages=TO_PAGE, body_bytes=10), page],
        )
    )
    client = await running.connect()
    await client.send(CHUNKED)
    await settle()
    await client.send(b"10\r\n0123456789abcdef\r\n")
    await good.request()
    await until_time(time.monotonic() + 0.3)
    go_on.set()
    answer = await client.read_response()
    assert (answer.status, answer.body) == (413, b"the page")
    assert len(good.requests) == 1


async def test_body_that_is_too_large_goes_to_no_other_route_either(stage: Stage) -> None:
    good = stage.origin()
    first = {"error_pages": TO_NAMED, "body_bytes": 10, "request_buffer_bytes": 100}
    running = await serve(stage, stage.origin(), good, before=first, body_bytes=None)
    client = await running.connect()
    await client.send(CHUNKED, b"10\r\n0123456789abcdef\r\n")
    await good.connection()
    await client.send(HELLO)
    assert (await client.read_response()).status == 413
    (recorded,) = good.requests
    assert (recorded.method, recorded.target, recorded.body) == (b"GET", b"/x", b"")
    assert recorded.get(b"transfer-encoding") is recorded.get(b"content-length") is None


@pytest.mark.parametrize("start", [CHUNKED + HELLO, request(b"PUT", b"/x", body=b"hello")])
@pytest.mark.parametrize(
    ("before", "behind", "body", "length"),
    [
        ({}, {}, b"hello", None),
        ({}, {"request_buffer_bytes": 100}, b"hello", b"5"),
        ({"request_buffer_bytes": 100}, {}, b"hello", b"5"),
        ({"body": "ours"}, {}, b"hello", None),
        ({"body": "ours"}, {"request_buffer_bytes": 100}, b"hello", b"5"),
        ({}, {"body": "its own"}, b"its own", b"7"),
        ({"body": "ours"}, {"body": ""}, b"", None),
    ],
)
async def test_named_route_gets_the_body_that_it_wants(
    stage: Stage,
    start: bytes,
    before: dict[str, Any],
    behind: dict[str, Any],
    body: bytes,
    length: bytes | None,
) -> None:
    bad, good = stage.origin(then("fin")), stage.origin()
    running = await serve(stage, bad, good, before={"error_pages": TO_NAMED, **before}, **behind)
    client = await running.connect()
    await client.send(start)
    assert (await client.read_response()).status == 502
    assert bad.requests[0].body == (b"ours" if "body" in before else b"hello")
    (recorded,) = good.requests
    assert (recorded.method, recorded.target, recorded.body) == (b"PUT", b"/x", body)
    if length is None and body and b"Content-Length" in start:
        length = b"5"
    assert recorded.get(b"content-length") == length
    framed = length is None and body != b""
    assert recorded.get(b"transfer-encoding") == (b"chunked" if framed else None)
    await client.send(request(b"GET", b"/page"))
    assert (await client.read_response()).status == 200


async def test_named_route_is_not_reached_without_the_body_unless_it_has_its_own(
    stage: Stage,
) -> None:
    for page, reached in ((None, False), ("its own", True)):
        bad, good = stage.origin(then("fin")), stage.origin()
        running = await serve(
            stage, bad, good, body=page, before={"error_pages": TO_NAMED, "body": "ours"},
        )  # fmt: skip
        client = await running.connect()
        await client.send(request(b"PUT", body=b"x" * 100_000))
        assert (await client.read_response()).status == 502
        assert bool(good.requests) is reached


async def test_retry_rules_and_method_are_those_of_the_route_that_was_reached(
    stage: Stage,
) -> None:
    bad = [stage.origin(then("fin")) for _ in range(3)]
    good = stage.origin()
    retry = RetrySpec(max_attempts=3)
    running = await serve(
        stage, *bad, good, method="POST", retry=retry, before={"error_pages": TO_NAMED}
    )
    client = await running.connect()
    assert (await client.get(b"/x")).status == 502
    assert [len(one.requests) for one in bad] == [1, 1, 1]
    assert [one.method for one in good.requests] == [b"POST"]


async def test_body_is_read_first_where_steps_lead_to_a_route_that_wants_it(stage: Stage) -> None:
    origin = stage.origin()
    to = RewriteSpec(match="^", to="/held/$uri", then="route")
    held = PathSpec(kind="prefix", value="/held/")
    running = await stage.serve(
        build_spec(
            origin.address,
            routes=[
                everything(steps=(StepSpec(rewrite=to),)),
                replace(
                    everything(), name="held", path=held, request_buffer_bytes=100, target="/t$uri"
                ),
            ],
        )
    )
    client = await running.connect()
    await client.send(CHUNKED, b"5\r\nhel")
    await settle()
    assert origin.connections == []
    await client.send(b"lo\r\n0\r\n\r\n")
    assert (await client.read_response()).status == 200
    (recorded,) = origin.requests
    assert (recorded.target, recorded.body) == (b"/t/held/x", b"hello")
    assert recorded.get(b"content-length") == b"5"


async def test_path_that_steps_made_is_not_rewritten_but_replaced(stage: Stage) -> None:
    origin = stage.origin()
    step = StepSpec(rewrite=RewriteSpec(match="^/a/", to="/b/c d", then="stop"))
    running = await stage.serve(
        build_spec(
            origin.address,
            routes=[
                everything(path="/a/", rewrite="/r/", steps=(step,)),
                replace(
                    everything(),
                    name="t-moved",
                    path=PathSpec(kind="prefix", value="/a/t"),
                    target="$arg_t",
                    steps=(step,),
                ),
                replace(
                    everything(),
                    name="t",
                    path=PathSpec(kind="prefix", value="/t/"),
                    target="$arg_t",
                ),
            ],
        )
    )
    client = await running.connect()
    for target in (b"/a/x?q", b"/a/t?t=/u", b"/a/t?q", b"/t/%61?q", b"/t/?", b"/t/?t=u"):
        assert (await client.get(target)).status == 200
    sent = [one.target for one in origin.requests]
    assert sent == [b"/b/c%20d?q", b"/u", b"/b/c%20d?q", b"/t/%61?q", b"/t/?", b"/u"]


async def test_time_of_a_client_that_sends_its_body_is_none_of_the_upstreams(stage: Stage) -> None:
    """As in nginx, whose times begin with the request to the upstream."""
    bad, good = stage.origin(then("fin")), stage.origin()
    retry = RetrySpec(budget_s=0.2)
    endpoints = [endpoint(one.address, passive_health=None) for one in (bad, good)]
    running = await stage.serve(
        build_spec(
            pools=[pool(*endpoints)], routes=[everything(request_buffer_bytes=100, retry=retry)]
        )
    )
    client = await running.connect()
    await client.send(CHUNKED, b"5\r\nhel")
    await until_time(time.monotonic() + 0.3)
    await client.send(b"lo\r\n0\r\n\r\n")
    assert (await client.read_response()).status == 200


async def test_client_is_waited_for_as_the_last_route_says(stage: Stage) -> None:
    spec = build_spec(
        stage.origin(answers(reply(b"no", status=b"500 No"))).address,
        listeners=[listener(timeouts=ListenerTimeouts(idle_s=0.2))],
        routes=[
            everything(
                client_timeouts=ClientTimeouts(idle_s=60.0),
                error_pages=(ErrorPageSpec(statuses=(500,), path="/page"),),
                intercept_errors=True,
            ),
            RouteSpec(
                name="page",
                path=PathSpec(kind="exact", value="/page"),
                answer=AnswerSpec(status=200, body="page"),
            ),
        ],
    )
    running = await stage.serve(spec)
    client = await running.connect()
    answer = await client.get()
    assert (answer.status, answer.body) == (500, b"page")
    await client.gone()


async def test_route_that_answers_has_a_say_in_the_clients_connection(stage: Stage) -> None:
    route = RouteSpec(
        name="r",
        path=PathSpec(kind="prefix", value="/"),
        answer=AnswerSpec(status=200, body="ok"),
        requests_per_connection=2,
    )
    running = await stage.serve(build_spec(stage.origin().address, routes=[route]))
    client = await running.connect()
    assert (await client.get()).get(b"connection") is None
    assert (await client.get()).get(b"connection") == b"close"
