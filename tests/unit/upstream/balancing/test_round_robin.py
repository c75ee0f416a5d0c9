"""Round-robin gives nginx's sequence, whether by steps or by rotation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.spec import EndpointSpec, PassiveHealthSpec, PoolSpec, RetrySpec
from proxy.upstream.balancing.round_robin import EXACT_MEMBERS
from proxy.upstream.endpoint import Endpoint, Member
from proxy.upstream.pool import PoolPlan
from tests.unit.upstream.nginx_reference import Peer, free_peer, get_peer
from tests.unit.upstream.pools import endpoint, member, picked, pool_spec, serving


def rotates(plan: PoolPlan) -> bool:
    return plan.pool.standing.rotating is not None


class TestSequence:
    def test_equal_weights_take_turns_in_the_order_of_the_configuration(self) -> None:
        plan = serving(pool_spec(endpoint("a"), endpoint("b"), endpoint("c")))
        assert picked(plan, 7) == "abcabca"

    def test_weights_give_the_sequence_that_nginx_gave(self) -> None:
        # Recorded from nginx 1.22.1.
        plan = serving(
            pool_spec(
                endpoint("a", weight=5), endpoint("b", weight=2), endpoint("c"),
                endpoint("d", weight=3),
            )
        )  # fmt: skip
        assert picked(plan, 22) == "adbacadabdaadbacadabda"

    def test_nobody_at_all_gives_nobody(self) -> None:
        assert picked(serving(pool_spec()), 2) == "--"

    def test_equal_weights_and_nobody_suspect_rotates(self) -> None:
        plan = serving(pool_spec(endpoint("a", weight=3), endpoint("b", weight=3)))
        picked(plan, 1)
        assert rotates(plan)

    def test_unequal_weights_never_rotate(self) -> None:
        plan = serving(pool_spec(endpoint("a", weight=2), endpoint("b")))
        picked(plan, 5)
        assert not rotates(plan)

    def test_failure_ends_the_rotation_and_success_brings_it_back(self) -> None:
        spec = pool_spec(endpoint("a"), endpoint("b"), endpoint("c"))
        plan = serving(spec)
        picked(plan, 4)
        plan.failed(member(plan, "a"), 0.0)
        assert not rotates(plan)
        assert picked(plan, 4, 1.0) == "bcbc"
        assert "a" in picked(plan, 6, 11.0)
        plan.succeeded(member(plan, "a"), 11.0)
        assert Counter(picked(plan, 12, 11.0)) == {"a": 4, "b": 4, "c": 4}
        assert rotates(plan)

    def test_failure_of_a_drained_endpoint_does_not_stop_the_rotation_for_ever(self) -> None:
        spec = pool_spec(endpoint("a"), endpoint("b"), endpoint("c"))
        plan = serving(spec)
        plan.failed(member(plan, "c"), 0.0)
        drained = replace(endpoint("c"), state="drain")
        plan = serving(pool_spec(endpoint("a"), endpoint("b"), drained), plan)
        picked(plan, 3)
        assert plan.pool.suspects == 1
        assert rotates(plan)


class TestLargePool:
    def test_removal_in_the_middle_of_a_round_goes_on_rotating_and_skips_nobody(self) -> None:
        size = EXACT_MEMBERS + 30
        every = tuple(EndpointSpec(name=str(n), address=f"10.0.0.1:{n + 1}") for n in range(size))
        plan = serving(pool_spec(*every))
        seen = {plan.pick(0.0) for _ in range(37)}
        assert len(seen) == 37
        plan = serving(pool_spec(*every[:50], *every[51:]), plan)
        turns = [plan.pick(0.0) for _ in range(2 * size - 2)]
        assert rotates(plan)
        assert {each.name for each in turns[: size - 38] if each} == {
            str(n) for n in range(37, size) if n != 50
        }
        assert set(Counter(turns).values()) == {2}


class TestLimits:
    def test_full_member_loses_its_turn(self) -> None:
        plan = serving(pool_spec(endpoint("a"), endpoint("b", max_connections=1), endpoint("c")))
        picked(plan, 3)
        member(plan, "b").endpoint.active = 1
        assert picked(plan, 4) == "acac"
        member(plan, "b").endpoint.active = 0
        assert picked(plan, 3) == "abc"

    def test_all_full_gives_nobody(self) -> None:
        plan = serving(
            pool_spec(endpoint("a", max_connections=1), endpoint("b", max_connections=1))
        )
        picked(plan, 2)
        for each in plan.members:
            each.endpoint.active = 1
        assert picked(plan, 2) == "--"


class TestTried:
    def test_tried_endpoints_are_not_picked_again(self) -> None:
        plan = serving(pool_spec(endpoint("a"), endpoint("b")))
        tried: list[Endpoint] = []
        for expected in ("a", "b"):
            chosen = plan.pick(0.0, tried=tried)
            assert chosen is member(plan, expected)
            tried.append(chosen.endpoint)
        assert plan.pick(0.0, tried=tried) is None


class Pair(NamedTuple):
    """A pick of both implementations that has not ended."""

    ours: Member
    theirs: Peer
    tried: tuple[tuple[Endpoint, Peer], ...]


class Race:
    """Drives ours and nginx's through the same events and compares after each."""

    def __init__(self, spec: PoolSpec) -> None:
        self.spec = spec
        self.plan = serving(spec)
        self.peers = [
            Peer(
                each.name,
                each.weight,
                each.passive_health.max_fails if each.passive_health else 0,
                each.passive_health.fail_timeout_s if each.passive_health else 0,
                each.max_connections or 0,
            )
            for each in spec.endpoints
        ]
        self.now = 1000.0
        self.flying: list[Pair] = []
        self.rotations = 0

    def pick(self, tried: tuple[tuple[Endpoint, Peer], ...] = ()) -> None:
        ours = self.plan.pick(self.now, tried=[endpoint for endpoint, _ in tried])
        theirs = get_peer(self.peers, self.now, [peer for _, peer in tried])
        assert (ours and ours.name) == (theirs and theirs.name)
        if ours is not None and theirs is not None:
            ours.endpoint.active += 1
            theirs.conns += 1
            self.flying.append(Pair(ours, theirs, (*tried, (ours.endpoint, theirs))))

    def end(self, number: int, *, failed: bool, again: bool = False) -> None:
        if not self.flying:
            return
        pair = self.flying.pop(number % len(self.flying))
        was_out = pair.theirs.out(self.now)
        pair.ours.endpoint.active -= 1
        pair.theirs.conns -= 1
        free_peer(pair.theirs, self.now, failed=failed)
        if failed:
            flipped = self.plan.failed(pair.ours, self.now)
            assert flipped == (pair.theirs.out(self.now) and not was_out)
        else:
            self.plan.succeeded(pair.ours, self.now)
        if again:
            self.pick(pair.tried)

    def swap(self) -> None:
        attempts = (self.spec.retry.max_attempts or 0) + 1
        self.spec = replace(self.spec, retry=RetrySpec(max_attempts=attempts))
        self.plan = serving(self.spec, self.plan)

    def check(self) -> None:
        endpoints = [each.endpoint for each in self.plan.members]
        suspects = {endpoint for endpoint in endpoints if endpoint.suspect}
        assert self.plan.pool.standing.suspects == suspects
        for ours, theirs in zip(self.plan.members, self.peers, strict=True):
            assert ours.weight - ours.endpoint.penalty == theirs.effective_weight
            if ours.max_fails:
                assert ours.endpoint.fails == theirs.fails
        self.rotations += rotates(self.plan)


Event = tuple[str, int]

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.tuples(st.just("pick"), st.integers(1, 8)),
    st.tuples(st.sampled_from(["succeed", "fail", "retry"]), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.integers(1, 15)),
    st.tuples(st.just("swap"), st.just(0)),
)


def run(race: Race, events: list[Event]) -> None:
    for what, number in events:
        if what == "pick":
            for _ in range(number):
                race.pick()
                race.check()
        elif what == "wait":
            race.now += number
        elif what == "swap":
            race.swap()
        else:
            race.end(number, failed=what != "succeed", again=what == "retry")
        race.check()


HEALTH = st.one_of(
    st.none(), st.builds(PassiveHealthSpec, max_fails=st.integers(1, 4), fail_timeout_s=st.just(10))
)


class TestAgainstNginx:
    @settings(max_examples=200, deadline=None)
    @given(st.integers(2, 5), st.integers(1, 9), HEALTH, st.lists(EVENTS, min_size=15, max_size=60))
    def test_equal_weights_give_nginx_sequence_through_any_events(
        self, size: int, weight: int, health: PassiveHealthSpec | None, events: list[Event]
    ) -> None:
        every = [endpoint(name, weight=weight, passive_health=health) for name in "abcde"[:size]]
        run(Race(pool_spec(*every)), events)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(1, 9), HEALTH), min_size=2, max_size=5).filter(
            lambda shapes: len({weight for weight, _ in shapes}) > 1
        ),
        st.one_of(st.none(), st.integers(1, 3)),
        st.lists(EVENTS, min_size=15, max_size=60),
    )
    def test_unequal_weights_give_nginx_sequence_through_any_events(
        self,
        shapes: list[tuple[int, PassiveHealthSpec | None]],
        limit: int | None,
        events: list[Event],
    ) -> None:
        every = [
            endpoint(name, weight=weight, passive_health=health, max_connections=limit)
            for name, (weight, health) in zip("abcde", shapes, strict=False)
        ]
        run(Race(pool_spec(*every)), events)

    def test_rotation_is_resumed_with_nginx_sequence_after_failures_of_unequal_age(self) -> None:
        health = PassiveHealthSpec(max_fails=2, fail_timeout_s=10)
        race = Race(
            pool_spec(*(endpoint(name, weight=4, passive_health=health) for name in "abcd"))
        )
        script: list[Event] = [
            ("pick", 6), ("fail", 0), ("fail", 0), ("fail", 2), ("fail", 2), ("pick", 7),
            *[("succeed", 0)] * 8, ("wait", 11), ("pick", 8), *[("succeed", 0)] * 8, ("pick", 8),
            *[("succeed", 0)] * 8, ("wait", 11), ("pick", 8), *[("succeed", 0)] * 8, ("pick", 40),
        ]  # fmt: skip
        run(race, script)
        assert rotates(race.plan)


class TestFairness:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(2, 6), st.lists(st.integers(0, 5), max_size=20))
    def test_after_limits_were_reached_shares_are_equal_again(
        self, size: int, full: list[int]
    ) -> None:
        plan = serving(pool_spec(*(endpoint(name, max_connections=1) for name in "abcdef"[:size])))
        for number in full:
            blocked = plan.members[number % size].endpoint
            blocked.active = 1
            chosen = plan.pick(0.0)
            assert chosen is not None
            assert chosen.endpoint is not blocked
            blocked.active = 0
        assert set(Counter(picked(plan, 5 * size)).values()) == {5}


@pytest.mark.parametrize("current", [(0, 2), (7, -7), (-9, 9), (1, 0)])
def test_any_state_of_the_currents_leads_back_to_a_rotation(current: tuple[int, int]) -> None:
    plan = serving(pool_spec(endpoint("a"), endpoint("b")))
    peers = [Peer("a"), Peer("b")]
    for ours, theirs, value in zip(plan.members, peers, current, strict=True):
        ours.endpoint.current = theirs.current_weight = value
    expected = [get_peer(peers, 0.0) for _ in range(40)]
    assert picked(plan, 40) == "".join(peer.name for peer in expected if peer)
    assert rotates(plan)
