"""Pools over time: what a change of configuration keeps, and who serves when not all can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.spec import (
    BalanceKind,
    EndpointSpec,
    EndpointState,
    PassiveHealthSpec,
    PoolSpec,
    RetrySpec,
)
from proxy.telemetry.counters import PoolCounters
from proxy.upstream.balancing.consistent_hash import MAX_POINTS
from proxy.upstream.pool import Pool, PoolFaultError, PoolPlan, compile_pool
from tests.unit.upstream.pools import (
    address,
    endpoint,
    member,
    names,
    picked,
    pool_spec,
    serving,
)

A, B, C = endpoint("a"), endpoint("b"), endpoint("c")


def fail(plan: PoolPlan, which: str, now: float = 0.0) -> list[bool]:
    return [plan.failed(member(plan, name), now) for name in which]


class TestCompile:
    def test_same_spec_gives_the_previous_plan_itself(self) -> None:
        plan = serving(pool_spec(A, B))
        assert compile_pool(pool_spec(A, B), {}, plan, plan.pool) is plan

    def test_addresses_in_another_order_give_the_previous_plan_itself(self) -> None:
        spec = PoolSpec(name="p", endpoints=(EndpointSpec(name="n", address="app:80"),))
        one, two = "10.0.0.1:80", "10.0.0.2:80"
        plan = compile_pool(spec, {"app:80": (one, two)}, None, None)
        assert compile_pool(spec, {"app:80": (two, one)}, plan, plan.pool) is plan
        assert compile_pool(spec, {"app:80": (one,)}, plan, plan.pool) is not plan

    def test_plan_of_another_pool_is_not_reused(self) -> None:
        plan = serving(pool_spec(A))
        assert compile_pool(pool_spec(A), {}, plan, Pool("p")) is not plan

    def test_new_pool_is_made_where_none_is_given(self) -> None:
        assert compile_pool(pool_spec(A), {}, None, None).pool.name == "p"

    def test_pool_goes_on_with_given_counters(self) -> None:
        counters = PoolCounters()
        assert Pool("p", counters).counters is counters

    def test_compiling_changes_nothing_that_serves(self) -> None:
        plan = serving(pool_spec(A, B))
        picked(plan, 3)
        fail(plan, "a")
        state = repr(plan)
        compile_pool(pool_spec(B, C), {}, plan, plan.pool)
        assert repr(plan) == state
        assert set(plan.pool.endpoints) == {address("a"), address("b")}

    def test_members_keep_spec_names_and_settings(self) -> None:
        spec = EndpointSpec(
            name="blue-0", address="127.0.0.1:80", weight=7, backup=True, max_connections=5,
            labels=(("node", "n7"),), passive_health=None,
        )  # fmt: skip
        (each,) = compile_pool(pool_spec(spec), {}, None, None).members
        assert (each.name, each.weight, each.backup, each.max_connections, each.labels) == (
            "blue-0", 7, True, 5, (("node", "n7"),),
        )  # fmt: skip
        assert each.max_fails == 0
        assert each.endpoint.target.host == "127.0.0.1"


class TestNames:
    SPEC = PoolSpec(
        name="p",
        endpoints=(
            EndpointSpec(name="app", address="app.svc:80"),
            EndpointSpec(name="x", address="x:1"),
        ),
    )

    def compiled(self, addresses: dict[str, tuple[str, ...]]) -> PoolPlan:
        return compile_pool(self.SPEC, addresses, None, None)

    def test_name_with_one_address_keeps_the_name(self) -> None:
        plan = self.compiled({"app.svc:80": ("10.0.0.1:80",), "x:1": ("[::1]:1",)})
        assert [each.name for each in plan.members] == ["app", "x"]
        assert plan.unresolved == ()

    def test_name_with_several_addresses_gives_a_member_for_each(self) -> None:
        plan = self.compiled({"app.svc:80": ("10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80")})
        assert [each.name for each in plan.members] == ["app@10.0.0.1:80", "app@10.0.0.2:80"]

    @pytest.mark.parametrize("addresses", [{}, {"app.svc:80": (), "x:1": ()}])
    def test_name_without_address_is_unresolved(
        self, addresses: dict[str, tuple[str, ...]]
    ) -> None:
        plan = self.compiled(addresses)
        assert plan.members == ()
        assert plan.unresolved == self.SPEC.endpoints
        assert plan.pick(0.0) is None

    def test_literal_given_as_its_own_address_is_the_same(self) -> None:
        spec = pool_spec(EndpointSpec(name="a", address="[0::1]:80"))
        for given in ({}, {"[0::1]:80": ("[0::1]:80",)}):
            (each,) = compile_pool(spec, given, None, None).members
            assert each.endpoint.address == "[::1]:80"


class TestFaults:
    def test_every_fault_is_reported_with_its_place(self) -> None:
        spec = PoolSpec(
            name="p/q",
            endpoints=(
                EndpointSpec(name="one", address="10.0.0.1"),
                EndpointSpec(name="two", address="10.0.0.2:80"),
                EndpointSpec(name="t~o", address="10.0.0.2:080"),
            ),
        )
        with pytest.raises(PoolFaultError) as raised:
            compile_pool(spec, {}, None, None)
        first, second = raised.value.faults
        assert first.path == "/pools/p~1q/endpoints/one/address"
        assert second.path == "/pools/p~1q/endpoints/t~0o/address"
        assert "'two'" in second.message
        assert first.hint == "10.0.0.1:80"

    def test_name_that_resolves_to_the_address_of_another_endpoint_is_a_fault(self) -> None:
        spec = pool_spec(A, EndpointSpec(name="n", address="app:80"))
        with pytest.raises(PoolFaultError, match="same address"):
            compile_pool(spec, {"app:80": (address("a"),)}, None, None)

    def test_seats_of_one_address_are_endpoints_of_their_own(self) -> None:
        again = replace(A, name="again", seat=2)
        plan = serving(pool_spec(A, B, again))
        assert [each.endpoint.key for each in plan.members] == [
            address("a"), address("b"), f"{address('a')}#2",
        ]  # fmt: skip
        assert [each.endpoint.address for each in plan.members][::2] == [address("a")] * 2
        assert plan.failed(member(plan, "again"), 0.0)
        assert (member(plan, "a").endpoint.fails, member(plan, "again").endpoint.fails) == (0, 1)
        after = serving(pool_spec(again, A), plan)
        assert member(after, "again").endpoint is member(plan, "again").endpoint
        assert member(after, "a").endpoint is member(plan, "a").endpoint

    def test_name_may_resolve_to_the_address_of_another_seat(self) -> None:
        spec = pool_spec(A, EndpointSpec(name="n", address="app:80", seat=2))
        plan = compile_pool(spec, {"app:80": (address("a"),)}, None, None)
        assert len({each.endpoint for each in plan.members}) == 2

    def test_ring_that_would_be_too_large_is_a_fault_of_the_endpoints(self) -> None:
        spec = pool_spec(endpoint("a", weight=MAX_POINTS), B, kind="hash")
        with pytest.raises(PoolFaultError) as raised:
            compile_pool(spec, {}, None, None)
        assert raised.value.faults[0].path == "/pools/p/endpoints"


class TestPublish:
    def test_first_publish_removes_nobody(self) -> None:
        plan = compile_pool(pool_spec(A, B), {}, None, None)
        assert plan.publish() == []
        assert set(plan.pool.endpoints) == {address("a"), address("b")}

    def test_kept_endpoint_is_the_same_object_with_all_its_state(self) -> None:
        plan = serving(pool_spec(A, B, C))
        kept = member(plan, "b").endpoint
        kept.active = 3
        fail(plan, "b")
        after = serving(pool_spec(replace(B, weight=5), C), plan)
        assert member(after, "b").endpoint is kept
        assert (kept.active, kept.fails, kept.penalty) == (3, 1, 1)
        assert after.pool.suspects == 1

    def test_place_in_the_rotation_survives(self) -> None:
        plan = serving(pool_spec(A, B, C))
        assert picked(plan, 4) == "abca"
        after = serving(replace(plan.spec, retry=RetrySpec(max_attempts=9)), plan)
        assert picked(after, 3) == "bca"

    def test_place_in_the_rotation_survives_a_change_of_the_balancing(self) -> None:
        plan = serving(pool_spec(A, B, C))
        assert picked(plan, 5) == "abcab"
        assert picked(serving(pool_spec(A, B, C, kind="least_connections"), plan), 2) == "ca"

    def test_removed_endpoint_is_returned_and_leaves(self) -> None:
        plan = serving(pool_spec(A, B))
        gone = member(plan, "b").endpoint
        gone.active = 1
        after = compile_pool(pool_spec(A), {}, plan, plan.pool)
        assert after.publish() == [gone]
        assert after.publish() == []
        pool = after.pool
        pool.prune()
        assert pool.leaving == {address("b"): gone}
        gone.active = 0
        pool.prune()
        assert pool.leaving == {}

    def test_endpoint_that_returns_while_leaving_is_the_same_object(self) -> None:
        plan = serving(pool_spec(A, B))
        gone = member(plan, "b").endpoint
        gone.active = 1
        fail(plan, "b")
        without = serving(pool_spec(A), plan)
        assert without.pool.suspects == 0
        back = serving(pool_spec(A, B), without)
        assert member(back, "b").endpoint is gone
        assert back.pool.leaving == {}
        assert back.pool.suspects == 1

    def test_endpoint_that_returns_with_nothing_on_it_is_not_retired_any_more(self) -> None:
        plan = serving(pool_spec(A, B))
        gone = member(plan, "b").endpoint
        without = serving(pool_spec(A), plan)
        assert gone.retired
        back = serving(pool_spec(A, B), without)
        assert member(back, "b").endpoint is gone
        assert not gone.retired

    def test_plan_compiled_before_another_was_published_still_counts_right(self) -> None:
        plan = serving(pool_spec(A, B, C))
        a, b, c = (member(plan, name).endpoint for name in "abc")
        first = compile_pool(pool_spec(A), {}, plan, plan.pool)
        second = compile_pool(pool_spec(A, B), {}, plan, plan.pool)
        assert second.publish() == [c]
        assert first.publish() == [b]
        assert second.publish() == []
        assert [one.retired for one in (a, b, c)] == [False, False, True]

    def test_endpoint_that_returns_after_it_left_starts_afresh(self) -> None:
        plan = serving(pool_spec(A, B))
        gone = member(plan, "b").endpoint
        without = serving(pool_spec(A), plan)
        without.pool.prune()
        assert member(serving(pool_spec(A, B), without), "b").endpoint is not gone

    def test_failure_on_a_leaving_endpoint_makes_nobody_suspect(self) -> None:
        plan = serving(pool_spec(A, B, C))
        after = serving(pool_spec(A, B), plan)
        fail(plan, "c")
        assert after.pool.suspects == 0

    def test_retired_pool_lets_all_endpoints_leave(self) -> None:
        plan = serving(pool_spec(A, B))
        picked(plan, 1)
        pool = plan.pool
        assert {gone.address for gone in pool.retire()} == {address("a"), address("b")}
        assert pool.endpoints == {}
        assert set(pool.leaving) == {address("a"), address("b")}
        assert plan.publish() == []
        assert set(pool.endpoints) == {address("a"), address("b")}

    def test_old_plan_can_still_be_asked_and_disturbs_nothing(self) -> None:
        old = serving(pool_spec(A, B, C))
        picked(old, 3)
        new = serving(pool_spec(A, B), old)
        assert picked(new, 4) == "abab"
        assert sorted(picked(old, 3)) == ["a", "b", "c"]
        assert old.pool.standing.rotating is None
        assert sorted(picked(new, 4)) == ["a", "a", "b", "b"]


class TestEligibility:
    @pytest.mark.parametrize("state", ["drain", "down"])
    def test_members_that_are_not_active_get_nothing(self, state: EndpointState) -> None:
        assert picked(serving(pool_spec(A, replace(B, state=state), C)), 4) == "acac"

    def test_backups_serve_only_when_no_primary_can(self) -> None:
        plan = serving(pool_spec(A, B, endpoint("x", backup=True), endpoint("y", backup=True)))
        assert picked(plan, 4) == "abab"
        fail(plan, "ab")
        assert picked(plan, 3) == "xyx"
        assert "a" in picked(plan, 4, 11.0)

    def test_backups_serve_alone_where_all_primaries_are_down(self) -> None:
        plan = serving(pool_spec(replace(A, state="down"), endpoint("x", backup=True)))
        assert picked(plan, 2) == "xx"

    def test_backups_are_asked_when_the_primaries_are_full(self) -> None:
        backup = endpoint("x", backup=True, max_connections=2)
        plan = serving(pool_spec(endpoint("a", max_connections=1), backup))
        assert picked(plan, 1) == "a"
        member(plan, "a").endpoint.active = 1
        assert picked(plan, 1) == "x"
        member(plan, "x").endpoint.active = 2
        assert picked(plan, 1) == "-"

    def test_retry_goes_to_a_backup_when_all_primaries_were_tried(self) -> None:
        plan = serving(pool_spec(A, endpoint("x", backup=True)))
        assert names([plan.pick(0.0, tried=[member(plan, "a").endpoint])]) == "x"

    def test_pool_of_one_is_never_taken_out(self) -> None:
        plan = serving(pool_spec(A, max_ejected_percent=100))
        assert fail(plan, "aaaa") == [False] * 4
        assert picked(plan, 2) == "aa"
        assert plan.state_of(member(plan, "a"), 0.0)[0] == "active"

    def test_pool_that_shrinks_to_one_forgets_that_it_failed(self) -> None:
        plan = serving(pool_spec(A, B))
        fail(plan, "a")
        plan = serving(pool_spec(A), plan)
        assert picked(plan, 2) == "aa"
        assert picked(plan, 1, 11.0) == "a"
        plan.succeeded(member(plan, "a"), 11.0)
        assert plan.pool.suspects == 0


class TestTooManyOut:
    def test_more_than_the_share_out_means_that_marks_are_ignored(self) -> None:
        plan = serving(pool_spec(A, B, C, max_ejected_percent=50))
        assert fail(plan, "a") == [True]
        assert picked(plan, 4) in {"bcbc", "cbcb"}
        assert fail(plan, "b") == [False]
        assert set(picked(plan, 6)) == {"a", "b", "c"}

    def test_exactly_the_share_stays_out(self) -> None:
        plan = serving(pool_spec(A, B, max_ejected_percent=50))
        fail(plan, "a")
        assert picked(plan, 2) == "bb"

    def test_a_hundred_percent_is_nginx_way(self) -> None:
        plan = serving(pool_spec(A, B, max_ejected_percent=100))
        fail(plan, "ab")
        assert picked(plan, 1) == "-"

    def test_no_percent_never_takes_out(self) -> None:
        plan = serving(pool_spec(A, B, max_ejected_percent=0))
        assert fail(plan, "a") == [False]
        assert set(picked(plan, 4)) == {"a", "b"}

    def test_backups_serve_before_marks_of_all_primaries_are_ignored(self) -> None:
        plan = serving(pool_spec(A, B, endpoint("x", backup=True), max_ejected_percent=50))
        fail(plan, "ab")
        assert picked(plan, 2) == "xx"

    def test_ejected_primaries_serve_when_the_backups_cannot(self) -> None:
        backup = endpoint("x", backup=True, max_connections=1)
        plan = serving(pool_spec(A, B, backup, max_ejected_percent=50))
        fail(plan, "ab")
        member(plan, "x").endpoint.active = 1
        assert set(picked(plan, 4)) == {"a", "b"}


class TestKeyKind:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("round_robin", "none"), ("least_connections", "none"), ("random", "none"),
            ("ip_hash", "client_ip"), ("hash", "template"),
        ],
    )  # fmt: skip
    def test_kind_says_what_is_hashed(self, kind: BalanceKind, expected: str) -> None:
        assert serving(pool_spec(A, B, kind=kind)).key_kind == expected

    def test_one_member_needs_no_key_unless_its_backups_do(self) -> None:
        assert serving(pool_spec(A, kind="hash")).key_kind == "none"
        backups = [endpoint(name, backup=True) for name in "xy"]
        assert serving(pool_spec(A, *backups, kind="hash")).key_kind == "template"


class TestStates:
    def test_states_say_what_and_why(self) -> None:
        three = PassiveHealthSpec(max_fails=3, fail_timeout_s=10.0)
        plan = serving(
            pool_spec(
                A, endpoint("b", max_connections=2), replace(C, state="drain"),
                replace(endpoint("d"), state="down"), endpoint("e", passive_health=three),
                endpoint("f", backup=True), endpoint("g"),
            )
        )  # fmt: skip
        member(plan, "b").endpoint.active = 2
        fail(plan, "ae", 100.0)
        found = {each.name: (state, why) for each, state, why in plan.states(104.0)}
        assert found == {
            "a": ("ejected", "1 of 1 failures, out for 6.0 s more"),
            "b": ("full", "2 of 2 connections"),
            "c": ("drain", "takes no new work, keeps what it has"),
            "d": ("down", "taken out of service"),
            "e": ("active", "1 of 3 failures"),
            "f": ("active", "serves when no other can"),
            "g": ("active", "serves"),
        }
        assert all(found[each.name] == plan.state_of(each, 104.0) for each in plan.members)

    def test_ignored_marks_are_not_shown_as_ejections(self) -> None:
        plan = serving(pool_spec(A, B, max_ejected_percent=50))
        fail(plan, "ab")
        state, why = plan.state_of(member(plan, "a"), 1.0)
        assert state == "active"
        assert "too many" in why

    def test_repr_shows_what_matters(self) -> None:
        plan = serving(pool_spec(A, B))
        fail(plan, "a")
        assert repr(plan.pool) == "<Pool p endpoints=2 leaving=0 suspects=1>"
        assert repr(member(plan, "a")) == (
            "<Member a active weight=1 of "
            "<Endpoint 10.0.0.1:97 active=0 fails=1 penalty=1 current=0>>"
        )
