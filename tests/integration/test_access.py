"""Who is let in, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.spec import (
    AccessRuleSpec,
    AnswerSpec,
    ClientAddressSpec,
    ErrorPageSpec,
    RewriteSpec,
    RouteSpec,
    StepSpec,
)
from proxy.telemetry.access_log import AccessLog
from tests.integration.test_access_log import Lines
from tests.peers import Running, Stage, build_spec, everything, listener, route
from tests.peers.client import RawClient, request

ALL = ("0.0.0.0/0", "::/0", "unix:")


def allow(*networks: str) -> AccessRuleSpec:
    return AccessRuleSpec(allows=True, networks=networks)


def deny(*networks: str) -> AccessRuleSpec:
    return AccessRuleSpec(allows=False, networks=networks)


INTERNAL = (allow("10.0.0.0/8"), deny(*ALL))


async def serve(stage: Stage, *routes: RouteSpec, log: Any = None, **differs: Any) -> Running:
    origin = stage.origin()
    spec = build_spec(origin.address, listeners=[listener(**differs)], routes=routes)
    return await stage.serve(spec, access_log=log)


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ((), 200),
        ((deny(*ALL),), 403),
        ((allow("127.0.0.1"), deny(*ALL)), 200),
        ((deny("127.0.0.0/8"),), 403),
        (INTERNAL, 403),
    ],
)
async def test_client_is_let_in_by_its_address(
    stage: Stage, rules: tuple[AccessRuleSpec, ...], status: int
) -> None:
    running = await serve(stage, everything(access=rules))
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.closes) == (status, False)
    assert running.statuses() == {status: 2}


async def test_who_is_not_let_in_is_told_so(stage: Stage) -> None:
    lines = Lines()
    running = await serve(
        stage, everything(access=(deny(*ALL),)), log=AccessLog("all", write=lines.write)
    )
    answer = await (await running.connect()).get(b"/", b"Accept: application/json")
    assert b'"reason": "forbidden"' in answer.body
    entry = await lines.entry()
    assert (entry["status"], entry["reason"], entry["route"]) == (403, "forbidden", "everything")


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        (b"10.0.0.1", 200),
        (b"192.0.2.1", 403),
        (b"10.0.0.1, 192.0.2.1", 403),
        (b"192.0.2.1, 10.0.0.1", 200),
        (b"10.0.0.1, 127.0.0.9", 200),
        (b"garbage", 403),
        (b"::ffff:10.0.0.1", 200),
    ],
)
@pytest.mark.parametrize("trusts", ["listener", "route", "nobody"])
async def test_address_is_that_which_trusted_proxies_say(
    stage: Stage, trusts: str, forwarded: bytes, status: int
) -> None:
    by = {trusts: ("127.0.0.0/8",)}
    route = everything(access=INTERNAL, trusted_proxies=by.get("route", ()))
    running = await serve(stage, route, trusted_proxies=by.get("listener", ()))
    answer = await (await running.connect()).get(b"/", b"X-Forwarded-For: " + forwarded)
    assert answer.status == (403 if trusts == "nobody" else status)


async def test_client_that_the_listener_has_named_is_not_looked_for_by_the_route(
    stage: Stage,
) -> None:
    other = ClientAddressSpec(header="X-Other")
    trusting = ("127.0.0.0/8",)
    route = everything(access=INTERNAL, trusted_proxies=trusting, client_address=other)
    running = await serve(stage, route, trusted_proxies=trusting)
    client = await running.connect()
    fields = (b"X-Forwarded-For: 192.0.2.1", b"X-Other: 10.0.0.1")
    assert (await client.get(b"/", *fields)).status == 403
    assert (await client.get(b"/", *fields[1:])).status == 200


async def test_route_that_believes_a_peer_passes_on_what_that_said(stage: Stage) -> None:
    origin = stage.origin()
    believes = everything(trusted_proxies=("127.0.0.0/8",))
    running = await stage.serve(build_spec(origin.address, routes=[believes, route("b", "/b")]))
    client = await running.connect()
    for path in (b"/", b"/b"):
        await client.get(path, b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https")
    names = (b"x-forwarded-for", b"x-forwarded-proto")
    seen = [tuple(each.get(name) for name in names) for each in origin.requests]
    assert seen == [(b"192.0.2.1, 127.0.0.1", b"https"), (b"127.0.0.1", b"http")]


async def test_clients_of_one_connection_are_judged_one_by_one(stage: Stage) -> None:
    running = await serve(stage, everything(access=INTERNAL), trusted_proxies=("127.0.0.0/8",))
    client = await running.connect()
    found = [
        (await client.get(b"/", b"X-Forwarded-For: " + address)).status
        for address in (b"10.0.0.1", b"192.0.2.1", b"10.0.0.2", b"192.0.2.1")
    ]
    assert found == [200, 403, 200, 403]


@pytest.mark.parametrize(
    ("rules", "status"), [((allow("unix:"), deny(*ALL)), 200), (INTERNAL, 403)]
)
async def test_client_of_a_unix_socket_is_let_in_as_such(
    stage: Stage, rules: tuple[AccessRuleSpec, ...], status: int
) -> None:
    path = stage.path("own.sock")
    await serve(stage, everything(access=rules), bind=f"unix:{path}")
    client = await RawClient.connect(f"unix:{path}")
    assert (await client.get()).status == status
    client.close()


async def test_steps_come_before_access_and_answers_of_theirs_need_none(stage: Stage) -> None:
    steps = (
        StepSpec(rewrite=RewriteSpec(match="^/moved", to="/open")),
        StepSpec(rewrite=RewriteSpec(match="^/gone", to="/elsewhere", redirect=301)),
    )
    running = await serve(
        stage,
        route("closed", "/", steps=steps, access=(deny(*ALL),)),
        route("open", "/open", answer=AnswerSpec(status=200, body="open")),
    )
    client = await running.connect()
    assert [(await client.get(path)).status for path in (b"/x", b"/moved", b"/gone")] == [
        403,
        200,
        301,
    ]


async def test_access_is_asked_before_an_answer_of_our_own(stage: Stage) -> None:
    own = route("own", "/", answer=AnswerSpec(status=200), access=(deny(*ALL),))
    assert (await (await (await serve(stage, own)).connect()).get()).status == 403


async def test_nothing_goes_upstream_for_who_is_not_let_in(stage: Stage) -> None:
    origin = stage.origin()
    spec = build_spec(origin.address, routes=[everything(access=(deny(*ALL),))])
    running = await stage.serve(spec)
    client = await running.connect()
    await client.send(request(b"PUT", b"/", b"Expect: 100-continue", b"Content-Length: 4"))
    answer = await client.read_response(b"PUT")
    assert (answer.status, answer.informational, answer.closes) == (403, (), True)
    assert origin.connections == []


async def test_page_takes_the_place_of_the_refusal(stage: Stage) -> None:
    running = await serve(
        stage,
        route(
            "closed",
            "/",
            access=(deny(*ALL),),
            error_pages=(ErrorPageSpec(statuses=(403,), path="/sorry"),),
        ),
        route("sorry", "/sorry", internal=True),
    )
    answer = await (await running.connect()).get(b"/x")
    assert (answer.status, answer.body) == (403, b"ok")


async def test_page_lets_nobody_in_who_is_not(stage: Stage) -> None:
    # As in nginx: the page of a 403 is asked for by the same client.
    pages = (ErrorPageSpec(statuses=(403,), path="/sorry"),)
    running = await serve(stage, route("closed", "/", access=(deny(*ALL),), error_pages=pages))
    answer = await (await running.connect()).get(b"/x")
    assert (answer.status, answer.body) == (403, b"403 Forbidden: forbidden\n")


# -- preludes -------------------------------------------------------------------------------------


def prelude(*rules: AccessRuleSpec, **differs: Any) -> RouteSpec:
    return route("first", path=None, pools=(), access=rules, **differs)


async def test_rules_of_a_prelude_hold_where_a_route_has_none(stage: Stage) -> None:
    running = await serve(
        stage,
        prelude(deny(*ALL)),
        route("plain", "/plain"),
        route("own", "/own", answer=AnswerSpec(status=200)),
        route("open", "/open", access=(allow(*ALL),)),
        route("steps", "/steps", steps=(StepSpec(stop=True),)),
    )
    client = await running.connect()
    paths = (b"/plain", b"/own", b"/open", b"/steps", b"/nowhere")
    assert [(await client.get(path)).status for path in paths] == [403, 403, 200, 403, 403]
    assert running.statuses("plain") == {403: 1}


async def test_rules_of_a_prelude_let_in_who_may(stage: Stage) -> None:
    running = await serve(stage, prelude(allow("127.0.0.1"), deny(*ALL)), route("plain", "/plain"))
    client = await running.connect()
    assert [(await client.get(path)).status for path in (b"/plain", b"/nowhere")] == [200, 404]


async def test_rules_of_a_prelude_hold_for_its_hosts(stage: Stage) -> None:
    running = await serve(
        stage,
        prelude(deny(*ALL), hosts=("a.test",)),
        route("a", "/", hosts=("a.test",)),
        route("any", "/"),
    )
    client = await running.connect()
    for host, status in ((b"a.test", 403), (b"b.test", 200), (b"A.test:80", 403)):
        assert (await client.request(host=host)).status == status


async def test_refusal_of_a_prelude_has_its_page(stage: Stage) -> None:
    pages = (ErrorPageSpec(statuses=(403,), path="/sorry"),)
    running = await serve(
        stage,
        prelude(deny(*ALL), error_pages=pages),
        route("sorry", "/sorry", internal=True, access=(allow(*ALL),)),
    )
    answer = await (await running.connect()).get(b"/nowhere")
    assert (answer.status, answer.body) == (403, b"ok")
