"""Why routes lose, held against the routing table itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.errors import SpecError
from proxy.explain.explanation import Explanation, Lookup
from proxy.explain.inquiry import Live, explain
from proxy.explain.question import question
from proxy.explain.rivals import RIVALS
from proxy.routing.table import Entry, Table
from proxy.spec import AnswerSpec, PathKind, PathSpec, RouteSpec, Spec
from tests.peers import build_spec
from tests.peers.specs import listener, pool

OK = AnswerSpec(status=200, body="")
POOLS = (("backend", 1),)


def route(name: str, kind: PathKind, value: str, *hosts: str, **path: object) -> RouteSpec:
    spec = PathSpec(kind=kind, value=value, **path)  # type: ignore[arg-type]
    return RouteSpec(name=name, path=spec, hosts=hosts or None, pools=POOLS)


def serving(*routes: RouteSpec) -> Spec:
    listeners = [listener("public"), listener("other")]
    return build_spec(listeners=listeners, pools=[pool("192.0.2.1:80")], routes=routes)


async def ask(spec: Spec, path: str, host: str = "h") -> Explanation:
    asked = question("GET", path, [("Host", host)], listener="public")
    return await explain(asked, Live(), spec)


async def losers(spec: Spec, path: str, host: str = "h") -> dict[str, tuple[str, str]]:
    (lookup,) = (await ask(spec, path, host)).lookups
    return {one.route: (one.lost, one.why) for one in lookup.rivals}


@pytest.mark.parametrize(
    ("winner", "loser", "said"),
    [
        (route("w", "exact", "/a"), route("l", "prefix", "/a"), "an exact path beats"),
        (route("w", "exact", "/a"), route("l", "regex", "a", priority=9), "an exact path beats"),
        (route("w", "prefix", "/a"), route("l", "prefix", "/"), "shorter than /a"),
        (route("w", "prefix", "/a", final=True), route("l", "regex", "a"), "prefix is final"),
        (route("w", "regex", "^/a"), route("l", "prefix", "/a"), "a regex beats"),
        (route("w", "regex", "a", priority=2), route("l", "regex", "/", priority=1), "below 2"),
        (route("k", "regex", "a"), route("l", "regex", "/"), "name comes later"),
        (route("w", "exact", "/a"), route("l", "prefix", "/a/"), "only redirect to /a/"),
        (route("w", "prefix", "/a/"), route("l", "prefix", "/"), "but for the slash"),
    ],
)
async def test_route_that_matches_too_is_told_what_beat_it(
    winner: RouteSpec, loser: RouteSpec, said: str
) -> None:
    lost, why = (await losers(serving(winner, loser), "/a"))[loser.name]
    assert (lost, said in why) == ("beaten", True), why


@pytest.mark.parametrize(
    ("loser", "lost", "said"),
    [
        (route("l", "prefix", "/b"), "path", "prefix /b does not match"),
        (route("l", "prefix", "/", "*.org"), "host", "it is for *.org"),
        (replace(route("l", "prefix", "/a"), listeners=("other",)), "listener", "other only"),
        (RouteSpec(name="l", path=None, answer=OK), "named", "no path"),
        (RouteSpec(name="l", path=None), "prelude", "come first"),
    ],
)
async def test_route_that_never_had_a_chance_is_told_so(
    loser: RouteSpec, lost: str, said: str
) -> None:
    found = await losers(serving(route("w", "prefix", "/"), loser), "/a")
    assert found["l"][0] == lost
    assert said in found["l"][1]


async def test_final_prefix_that_is_not_the_longest_does_not_keep_a_regex_away() -> None:
    spec = serving(
        route("w", "regex", "b"), route("short", "prefix", "/", final=True),
        route("long", "prefix", "/a"),
    )  # fmt: skip
    found = await losers(spec, "/ab")
    assert found["short"] == (
        "beaten",
        "a regex beats its prefix, for it is final, but not the longest",
    )


@pytest.mark.parametrize(
    ("host", "table"),
    [("a.org", "a.org"), ("b.org", "*.org"), ("www.net", "www.*"), ("r1", "~^R."), ("zz", "*")],
)
async def test_table_of_a_host_is_named(host: str, table: str) -> None:
    hosts = ("A.org", "*.org", "www.*", "~^R.")
    routes = [route(f"r{at}", "prefix", "/", each) for at, each in enumerate(hosts)]
    explanation = await ask(serving(*routes, route("any", "prefix", "/")), "/", host)
    assert explanation.lookups[0].table == table


async def test_host_without_a_table_is_said_to_have_none() -> None:
    explanation = await ask(serving(route("w", "prefix", "/", "a.org")), "/", "b.org")
    (lookup,) = explanation.lookups
    assert (lookup.table, lookup.route) == (None, None)
    assert "none for any host" in lookup.why
    assert explanation.answer is not None
    assert explanation.answer.reason == "no_route"


async def test_internal_route_is_found_and_not_entered() -> None:
    explanation = await ask(serving(route("w", "prefix", "/", internal=True)), "/a")
    (lookup,) = explanation.lookups
    assert (lookup.route, lookup.internal, explanation.route) == ("w", True, None)


async def test_more_routes_than_are_told_of_are_counted_those_that_match_first() -> None:
    many = [route(f"r{number}", "exact", f"/{number}") for number in range(RIVALS + 20)]
    spec = serving(route("w", "prefix", "/a"), *many, route("all", "prefix", "/"))
    (lookup,) = (await ask(spec, "/a")).lookups
    assert (len(lookup.rivals), lookup.rivals_left_out) == (RIVALS, 21)
    assert lookup.rivals[0].route == "all"


paths = st.builds(
    PathSpec,
    kind=st.sampled_from(["exact", "prefix"]),
    value=st.sampled_from(["/", "/a", "/a/", "/a/b"]),
    final=st.booleans(),
) | st.builds(
    PathSpec,
    kind=st.just("regex"),
    value=st.sampled_from(["a", "b$", "^/"]),
    priority=st.integers(0, 1),
)


@given(
    wanted=st.lists(paths, min_size=2, max_size=5), uri=st.sampled_from(["/", "/a", "/a/b", "/a/"])
)
async def test_those_said_to_be_beaten_would_win_alone_and_no_others(
    wanted: list[PathSpec], uri: str
) -> None:
    routes = [RouteSpec(name=f"r{at}", path=path, pools=POOLS) for at, path in enumerate(wanted)]
    try:
        explanation = await ask(serving(*routes), uri)
    except SpecError:
        assume(False)
    lookup: Lookup = explanation.lookups[0]
    beaten = {one.route for one in lookup.rivals if one.lost == "beaten"}
    alone = {
        one.name
        for one in routes
        if Table([Entry(one.name, None, one.path, one)]).lookup(b"", uri.encode()) is not None
    }
    assert beaten == alone - {lookup.route}
