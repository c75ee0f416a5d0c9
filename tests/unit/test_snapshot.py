"""Compiling a configuration: what is unchanged is the same object, every fault is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from proxy.errors import SpecError
from proxy.route import Route
from proxy.routing.normalise import BadTarget
from proxy.site import PATH_MEMO, Site
from proxy.snapshot import NOTHING, Snapshot, compile_overrides, compile_snapshot
from proxy.spec import (
    EMPTY,
    AccessRuleSpec,
    AnswerSpec,
    BalanceSpec,
    ConditionSpec,
    ErrorPageSpec,
    HeaderMapSpec,
    HeaderRulesSpec,
    OverrideSpec,
    PathSpec,
    RegexEntry,
    ResponseRulesSpec,
    RetrySpec,
    RewriteSpec,
    Spec,
    StepSpec,
)
from proxy.telemetry.counters import Ledger, RouteCounters
from tests.peers.specs import build_spec, endpoint, listener, pool, route

MAP = HeaderMapSpec(name="tier", source="$http_x_tier", default="a")


def two() -> Spec:
    """Two of everything."""
    return build_spec(
        listeners=[listener("one"), listener("two", "127.0.0.1:8081")],
        pools=[pool("192.0.2.1:80", name="a"), pool("192.0.2.2:80", name="b")],
        routes=[route("ra", "/a/", to="a"), route("rb", "/b/", to="b", listeners=("two",))],
        header_maps=[MAP],
    )


def compiled(
    spec: Spec,
    previous: Snapshot = NOTHING,
    addresses: Mapping[str, tuple[str, ...]] | None = None,
) -> Snapshot:
    """Compile as a server does, with the pools of ``previous`` live."""
    live = {name: upstream.plan.pool for name, upstream in previous.pools.items()}
    ledger: Ledger[RouteCounters] = Ledger()
    ledger.publish({name: one.counters for name, one in previous.routes.items()}, 0.0)
    return compile_snapshot(spec, previous, addresses or {}, live, ledger)


def differing(spec: Spec, kind: str, name: str, **differs: Any) -> Spec:
    objects = {**getattr(spec, kind)}
    objects[name] = replace(objects[name], **differs)
    return replace(spec, **{kind: objects})


def kept(before: Snapshot, after: Snapshot) -> set[str]:
    """Name the objects that are the same in both."""
    return {
        name
        for kind in ("sites", "pools", "routes")
        for name, one in getattr(before, kind).items()
        if getattr(after, kind).get(name) is one
    }


ALL = {"one", "two", "a", "b", "ra", "rb"}


def test_nothing_serves_nothing() -> None:
    assert compiled(EMPTY) == NOTHING or not compiled(EMPTY).sites
    assert (NOTHING.spec, NOTHING.number) == (EMPTY, 0)


def test_the_same_configuration_compiles_to_the_same_objects() -> None:
    before = compiled(two())
    assert kept(before, compiled(two(), before)) == ALL


@pytest.mark.parametrize(
    ("kind", "name", "differs", "changed"),
    [
        ("pools", "a", {"balance": BalanceSpec(kind="random")}, {"a"}),
        ("pools", "a", {"endpoints": (endpoint("192.0.2.9:80"),)}, {"a"}),
        ("pools", "a", {"retry": RetrySpec(max_attempts=1)}, {"a"}),
        ("listeners", "one", {"paths": "nginx"}, {"one"}),
        ("listeners", "one", {"bind": "127.0.0.1:9"}, {"one"}),
        ("routes", "rb", {"rewrite": "/"}, {"rb", "two"}),
        ("routes", "ra", {"rewrite": "/"}, {"ra", "one", "two"}),
        ("routes", "rb", {"listeners": None}, {"rb", "one", "two"}),
    ],
)
def test_change_renews_what_depends_on_it_and_nothing_else(
    kind: str, name: str, differs: dict[str, Any], changed: set[str]
) -> None:
    before = compiled(two())
    after = compiled(differing(two(), kind, name, **differs), before)
    assert kept(before, after) == ALL - changed


def test_change_of_a_pool_keeps_the_pool_itself_and_its_endpoints() -> None:
    before = compiled(two())
    before.pools["a"].plan.publish()
    spec = differing(two(), "pools", "a", endpoints=(endpoint("192.0.2.1:80", "x", weight=3),))
    after = compiled(spec, before)
    assert after.pools["a"].plan is not before.pools["a"].plan
    assert after.pools["a"].plan.pool is before.pools["a"].plan.pool
    old, new = before.pools["a"].plan.members[0], after.pools["a"].plan.members[0]
    assert new.endpoint is old.endpoint
    assert (old.weight, new.weight) == (1, 3)


DOWN = {"a": {"192.0.2.1:80": OverrideSpec(state="down")}}


def states(snapshot: Snapshot, name: str = "a") -> list[str]:
    return [member.state for member in snapshot.pools[name].plan.members]


def test_override_renews_its_pool_alone_and_keeps_its_endpoints() -> None:
    before = compiled(two())
    pools = {name: one.plan.pool for name, one in before.pools.items()}
    for one in before.pools.values():
        one.plan.publish()
    after = compile_overrides(before, DOWN, pools)
    assert kept(before, after) == ALL - {"a"}
    assert (states(before), states(after), after.number) == (["active"], ["down"], before.number)
    old, new = before.pools["a"].plan, after.pools["a"].plan
    assert (new.pool, new.members[0].endpoint) == (old.pool, old.members[0].endpoint)
    assert after.spec is before.spec
    assert states(compile_overrides(after, {}, pools)) == ["active"]


def test_override_holds_for_what_is_compiled_after_it() -> None:
    overridden = compile_overrides(compiled(two()), DOWN, {})
    same = compiled(two(), overridden)
    assert kept(overridden, same) == ALL
    spec = differing(two(), "pools", "a", endpoints=(endpoint("192.0.2.9:80"),))
    gone = compiled(spec, same)
    assert states(gone) == ["active"]
    assert states(compiled(two(), gone)) == ["down"]


def test_override_that_its_pool_cannot_be_is_refused_where_it_stands() -> None:
    spec = differing(two(), "pools", "a", balance=BalanceSpec(kind="hash", key="$client_ip"))
    spec = replace(
        spec,
        pools={
            **spec.pools,
            "a": replace(
                spec.pools["a"],
                endpoints=tuple(endpoint(f"192.0.2.{number}:80") for number in range(1, 9)),
            ),
        },
    )
    heavy = {"a": {"192.0.2.1:80": OverrideSpec(state="active", weight=1_000_000)}}
    with pytest.raises(SpecError) as refused:
        compile_overrides(compiled(spec), heavy, {})
    assert refused.value.faults[0].path == "/pools/a/endpoints"


def test_change_of_a_map_renews_routes_but_keeps_their_counters() -> None:
    before = compiled(two())
    after = compiled(differing(two(), "header_maps", "tier", default="b"), before)
    assert after.routes["ra"] is not before.routes["ra"]
    assert after.routes["ra"].counters is before.routes["ra"].counters
    assert after.pools["a"].plan is before.pools["a"].plan


def test_name_that_moved_renews_its_pool_alone() -> None:
    spec = differing(two(), "pools", "a", endpoints=(endpoint("app.test:80"),))
    before = compiled(spec, addresses={"app.test:80": ("192.0.2.1:80",)})
    same = compiled(spec, before, {"app.test:80": ("192.0.2.1:80",)})
    moved = compiled(spec, before, {"app.test:80": ("192.0.2.2:80",)})
    assert kept(before, same) == ALL
    assert kept(before, moved) == ALL - {"a"}
    members = moved.pools["a"].plan.members
    assert [member.endpoint.address for member in members] == ["192.0.2.2:80"]


def test_compiling_touches_nothing_that_serves() -> None:
    before = compiled(two())
    for upstream in before.pools.values():
        upstream.plan.publish()
    live = before.pools["a"].plan.pool
    endpoints = dict(live.endpoints)
    compiled(differing(two(), "pools", "a", endpoints=(endpoint("192.0.2.9:80"),)), before)
    assert dict(live.endpoints) == endpoints
    assert live.leaving == {}


# -- variables ------------------------------------------------------------------------------------

KIND = StepSpec(set=(("kind", "$arg_kind"),))


def test_variable_of_one_route_is_known_everywhere() -> None:
    spec = differing(two(), "routes", "ra", steps=(KIND,))
    spec = differing(spec, "routes", "rb", split_by="$kind")
    spec = differing(spec, "pools", "b", balance=BalanceSpec(kind="hash", key="$kind"))
    spec = differing(spec, "header_maps", "tier", source="$kind")
    assert compiled(spec).names.variables == {"kind"}
    assert sorted(faults(differing(spec, "routes", "ra", steps=()))) == [
        "/header_maps/tier/source",
        "/pools/b/balance/hash",
        "/routes/rb/split_by",
    ]


def test_new_variable_renews_every_route_and_no_other_does() -> None:
    before = compiled(two())
    defined = differing(two(), "routes", "ra", steps=(KIND,))
    after = compiled(defined, before)
    assert kept(before, after).isdisjoint({"ra", "rb"})
    moved = differing(defined, "routes", "rb", steps=(KIND, StepSpec(stop=True)))
    assert kept(after, compiled(moved, after)) == ALL - {"rb", "two"}


def test_variable_that_nothing_defines_any_more_is_unknown() -> None:
    defined = differing(two(), "routes", "ra", steps=(KIND,))
    spec = differing(defined, "routes", "rb", rewrite="/$kind")
    before = compiled(spec)
    gone = differing(spec, "routes", "ra", steps=())
    assert faults(gone, before) == ["/routes/rb/rewrite"]


# -- faults ---------------------------------------------------------------------------------------


def faults(spec: Spec, previous: Snapshot = NOTHING) -> list[str]:
    with pytest.raises(SpecError) as caught:
        compiled(spec, previous)
    assert all(fault.message for fault in caught.value.faults)
    return [fault.path for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("kind", "name", "differs", "path"),
    [
        ("routes", "ra", {"pools": (("nope", 1),)}, "/routes/ra/pool"),
        ("routes", "ra", {"pools": ()}, "/routes/ra/pool"),
        ("routes", "ra", {"listeners": ("nope",)}, "/routes/ra/listeners"),
        ("routes", "ra", {"hosts": ("ok.test", "a b")}, "/routes/ra/hosts/1"),
        ("routes", "ra", {"path": PathSpec(kind="regex", value="(")}, "/routes/ra/path/regex"),
        ("routes", "ra", {"rewrite": "$nope"}, "/routes/ra/rewrite"),
        ("routes", "ra", {"rewrite": "x"}, "/routes/ra/rewrite"),
        ("routes", "ra", {"split_by": "$nope"}, "/routes/ra/split_by"),
        ("routes", "ra", {"pool_variable": "$nope"}, "/routes/ra/pool"),
        (
            "routes",
            "ra",
            {"request_headers": HeaderRulesSpec(set=(("Content-Length", "1"),))},
            "/routes/ra/request_headers/set/Content-Length",
        ),
        (
            "routes",
            "ra",
            {"response_headers": ResponseRulesSpec(append=(("A", "$nope"),))},
            "/routes/ra/response_headers/append/A",
        ),
        (
            "routes",
            "ra",
            {"steps": (StepSpec(stop=True), StepSpec(set=(("a", "$nope"),)))},
            "/routes/ra/steps/1/set/a",
        ),
        (
            "routes",
            "ra",
            {"steps": (StepSpec(when=ConditionSpec(value="$nope"), stop=True),)},
            "/routes/ra/steps/0/when/value",
        ),
        (
            "routes",
            "ra",
            {"steps": (StepSpec(rewrite=RewriteSpec(match="(", to="/")),)},
            "/routes/ra/steps/0/rewrite/match",
        ),
        (
            "routes",
            "ra",
            {"steps": (StepSpec(answer=AnswerSpec(status=1)),)},
            "/routes/ra/steps/0/respond/status",
        ),
        (
            "routes",
            "ra",
            {"access": (AccessRuleSpec(allows=False, networks=("x",)),)},
            "/routes/ra/access/0/deny",
        ),
        (
            "routes",
            "ra",
            {"pools": (), "answer": AnswerSpec(status=200, body="$nope")},
            "/routes/ra/respond/body",
        ),
        (
            "routes",
            "ra",
            {"error_pages": (ErrorPageSpec(statuses=(502,), path="$nope"),)},
            "/routes/ra/error_pages/0/path",
        ),
        (
            "routes",
            "ra",
            {"error_pages": (ErrorPageSpec(statuses=(502,), route="nope"),)},
            "/routes/ra/error_pages/0/route",
        ),
        (
            "routes",
            "ra",
            {"error_pages": (ErrorPageSpec(statuses=(502,)),)},
            "/routes/ra/error_pages/0",
        ),
        (
            "routes",
            "ra",
            {"error_pages": (ErrorPageSpec(statuses=(502,), path="/", route="rb"),)},
            "/routes/ra/error_pages/0",
        ),
        ("listeners", "one", {"bind": "nonsense"}, "/listeners/one/bind"),
        ("listeners", "one", {"trusted_proxies": ("x",)}, "/listeners/one/trusted_proxies"),
        (
            "pools",
            "a",
            {"balance": BalanceSpec(kind="hash", key="$nope")},
            "/pools/a/balance/hash",
        ),
        (
            "pools",
            "a",
            {"endpoints": (endpoint("192.0.2.1:80"), endpoint("nonsense", "bad"))},
            "/pools/a/endpoints/bad/address",
        ),
        (
            "header_maps",
            "tier",
            {"regex": (RegexEntry(match="(", value="x"),)},
            "/header_maps/tier/regex/0/match",
        ),
    ],
)
def test_fault_is_found_where_it_stands(
    kind: str, name: str, differs: dict[str, Any], path: str
) -> None:
    before = compiled(two())
    spec = differing(two(), kind, name, **differs)
    assert faults(spec) == [path]
    assert faults(spec, before) == [path], "reuse hides no fault"


def test_route_that_another_one_hides_is_a_fault() -> None:
    spec = two()
    twin = route("rc", "/a/", to="b")
    assert faults(replace(spec, routes={**spec.routes, "rc": twin})) == ["/routes/rc/path"] * 2


def test_page_cannot_be_a_route_that_answers_nothing() -> None:
    pages = (ErrorPageSpec(statuses=(502,), route="first"),)
    spec = differing(two(), "routes", "ra", error_pages=pages)
    first = route("first", path=None, pools=(), steps=(StepSpec(stop=True),))
    spec = replace(spec, routes={**spec.routes, "first": first})
    assert faults(spec) == ["/routes/ra/error_pages/0/route"]


def test_all_faults_are_found_at_once() -> None:
    spec = two()
    for kind, name, differs in (
        ("routes", "ra", {"rewrite": "$nope"}),
        ("routes", "rb", {"pools": (("nope", 1),), "listeners": ("nope",)}),
        ("listeners", "one", {"bind": "nonsense", "trusted_proxies": ("x",)}),
        ("pools", "a", {"endpoints": (endpoint("nonsense"),)}),
        ("header_maps", "tier", {"source": "$nope"}),
    ):
        spec = differing(spec, kind, name, **differs)
    assert sorted(faults(spec)) == [
        "/header_maps/tier/source",
        "/listeners/one/bind",
        "/listeners/one/trusted_proxies",
        "/pools/a/endpoints/nonsense/address",
        "/routes/ra/rewrite",
        "/routes/rb/listeners",
        "/routes/rb/pool",
    ]


def test_names_are_escaped_in_pointers() -> None:
    spec = build_spec(routes=[route("a/b~c", to="nope")], pools=[])
    assert faults(spec) == ["/routes/a~1b~0c/pool"]


# -- sites ----------------------------------------------------------------------------------------


def site(**paths: str) -> Site:
    routes = [route(name, path, to="a") for name, path in paths.items()]
    return compiled(build_spec(pools=[pool(name="a")], routes=routes)).sites["public"]


def test_listener_sees_its_own_routes_only() -> None:
    snapshot = compiled(two())
    assert [one.name for one in snapshot.sites["one"].routes] == ["ra"]
    assert [one.name for one in snapshot.sites["two"].routes] == ["ra", "rb"]
    assert snapshot.sites["one"].resolve(b"h", b"/b/x").route is None


def test_resolution_says_all_that_depends_on_the_path() -> None:
    found = site(a="/a/").resolve(b"h", b"/x/../a//b%20c")
    assert isinstance(found.route, Route)
    assert (found.uri, found.raw, found.forward) == (b"/a/b c", b"/x/../a//b%20c", b"/a/b%20c")
    assert (found.matched, found.redirect, found.captures) == (3, False, None)


def test_named_routes_and_preludes_take_no_path() -> None:
    named = route("named", path=None, to="a")
    first = route("first", path=None, pools=())
    here = compiled(build_spec(pools=[pool(name="a")], routes=[named, first])).sites["public"]
    found = here.prelude(b"h")
    assert found is not None
    assert found.payload.name == "first"
    assert here.has_preludes
    assert here.resolve(b"h", b"/").route is None
    assert not site(a="/a/").has_preludes


def test_target_that_no_client_sent_is_found_like_one_that_was() -> None:
    here = site(a="/a/")
    found = here.find(b"h", here.target(b"/a/b c%2F"))
    assert isinstance(found.route, Route)
    assert (found.uri, found.forward, found.matched) == (b"/a/b c%2F", b"/a/b%20c%2F", 3)
    with pytest.raises(BadTarget):
        here.target(b"/a/../..")


def test_path_that_lacks_its_last_slash_is_redirected() -> None:
    assert site(a="/a/").resolve(b"h", b"/a").redirect


def test_resolution_is_remembered_per_host_and_path() -> None:
    here = site(a="/a/")
    assert here.resolve(b"h", b"/a/") is here.resolve(b"h", b"/a/")
    assert here.resolve(b"h", b"/a/") is not here.resolve(b"i", b"/a/")
    with pytest.raises(BadTarget):
        here.resolve(b"h", b"/%00")


def test_memory_of_paths_is_bounded_in_number_and_in_octets() -> None:
    """A client chooses its paths: thousands of long ones must not fill the memory."""
    here = site(a="/a/")
    for number in range(PATH_MEMO * 2):
        here.resolve(b"h", b"/a/%d" % number)
    assert len(here._memo) <= PATH_MEMO
    for number in range(64):
        assert here.resolve(b"h", b"/a/%d" % number + b"y" * 30_000).route is not None
    assert sum(len(path) for _, path in here._memo) < 512 * 1024
