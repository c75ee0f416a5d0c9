from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.errors import FaultError
from proxy.spec import EndpointSpec
from proxy.upstream.balancing.consistent_hash import (
    MAX_POINTS,
    POINTS_PER_WEIGHT,
    ConsistentHash,
    Ring,
)
from proxy.upstream.pool import PoolPlan
from tests.unit.upstream.pools import (
    distinct,
    endpoint,
    member,
    names,
    picked,
    pool_spec,
    serving,
    sticky_keys,
)


def ring_of(plan: PoolPlan) -> Ring:
    first = plan.pool.standing.first
    assert isinstance(first, ConsistentHash)
    return first.ring


KEYS = sticky_keys(1000)


def test_keys_go_where_nginx_sent_them() -> None:
    # Recorded from nginx 1.22.1: hash $arg_k consistent.
    recorded = (
        "dbacdcdeaebeeedcbbccececbaaecabcbaeeabbcddaeeccc"
        "cecdedbdbabbbabaedaebededcadccbbecdeaeebceccdebe"
    )
    addresses = {
        "a": "127.0.0.1:18101", "b": "127.0.0.1:18102", "c": "127.0.0.1:18103",
        "d": "unix:/dev/shm/hotsplice.sock", "e": "[::1]:18104",
    }  # fmt: skip
    plan = serving(
        pool_spec(
            *(
                EndpointSpec(name=name, address=address, weight=2 if name == "b" else 1)
                for name, address in addresses.items()
            ),
            kind="hash",
        )
    )
    assert names(plan.pick(0.0, key) for key in sticky_keys(96)) == recorded


def test_removing_one_of_many_moves_only_its_keys() -> None:
    size = 10
    every = [endpoint(chr(97 + n)) for n in range(size)]
    plan = serving(pool_spec(*every, kind="hash"))
    before = distinct(plan, KEYS)
    after = distinct(serving(pool_spec(*every[:3], *every[4:], kind="hash"), plan), KEYS)
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == "d"}
    assert 0.5 / size < len(moved) / len(KEYS) < 2 / size


def test_adding_one_takes_keys_for_itself_only() -> None:
    plan = serving(pool_spec(*(endpoint(name) for name in "abcd"), kind="hash"))
    before = distinct(plan, KEYS)
    after = distinct(
        serving(pool_spec(*(endpoint(name) for name in "eabcd"), kind="hash"), plan), KEYS
    )
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"e"}
    assert 0.1 < len(moved) / len(KEYS) < 0.3


def test_draining_one_moves_only_its_keys_and_keeps_the_ring() -> None:
    every = [endpoint(name) for name in "abcd"]
    plan = serving(pool_spec(*every, kind="hash"))
    before = distinct(plan, KEYS)
    ring = ring_of(plan)
    plan = serving(pool_spec(*every[:3], replace(every[3], state="drain"), kind="hash"), plan)
    after = distinct(plan, KEYS)
    assert ring_of(plan) is ring
    assert {key for key in KEYS if before[key] != after[key]} == {
        key for key in KEYS if before[key] == "d"
    }


def test_weight_is_the_share_of_keys() -> None:
    plan = serving(pool_spec(endpoint("a", weight=3), endpoint("b"), kind="hash"))
    share = sum(name == "a" for name in distinct(plan, KEYS).values()) / len(KEYS)
    assert 0.6 < share < 0.9


def test_changed_weight_makes_a_new_ring() -> None:
    plan = serving(pool_spec(endpoint("a"), endpoint("b"), kind="hash"))
    ring = ring_of(plan)
    plan = serving(pool_spec(endpoint("a", weight=2), endpoint("b"), kind="hash"), plan)
    assert ring_of(plan) is not ring


def test_ejected_full_and_tried_are_skipped_clockwise() -> None:
    plan = serving(
        pool_spec(
            *(endpoint(name) for name in "abc"), endpoint("d", max_connections=1), kind="hash"
        )
    )
    before = distinct(plan, KEYS)
    plan.failed(member(plan, "a"), 0.0)
    member(plan, "d").endpoint.active = 1
    tried = [member(plan, "b").endpoint]
    for key in KEYS[:100]:
        assert plan.pick(0.0, key, tried) is member(plan, "c")
        if before[key] == "b":
            assert plan.pick(0.0, key) is member(plan, "b")


def test_one_eligible_of_many_is_found_by_every_key() -> None:
    plan = serving(pool_spec(*(endpoint(chr(97 + n)) for n in range(26)), kind="hash"))
    tried = {each.endpoint for each in plan.members if each.name != "k"}
    assert {plan.pick(0.0, key, tried) for key in KEYS[:50]} == {member(plan, "k")}


def test_nobody_eligible_gives_nobody() -> None:
    plan = serving(pool_spec(*(endpoint(name) for name in "abc"), kind="hash"))
    assert plan.pick(0.0, b"x", [each.endpoint for each in plan.members]) is None


def test_empty_key_is_balanced_by_turns() -> None:
    plan = serving(pool_spec(*(endpoint(name) for name in "abc"), kind="hash"))
    assert picked(plan, 4) == "abca"


def test_pick_gives_lost_weight_back() -> None:
    plan = serving(pool_spec(endpoint("a", weight=2), endpoint("b", weight=2), kind="hash"))
    key = next(key for key in KEYS if names([plan.pick(0.0, key)]) == "a")
    plan.failed(member(plan, "a"), 0.0)
    assert member(plan, "a").endpoint.penalty == 2
    assert names([plan.pick(11.0, key)]) == "a"
    assert plan.succeeded(member(plan, "a"), 11.0)
    assert member(plan, "a").endpoint.penalty == 1
    assert names([plan.pick(11.0, key)]) == "a"
    assert plan.pool.suspects == 0


def test_backups_have_a_ring_of_their_own() -> None:
    backups = [endpoint(name, backup=True) for name in "bcd"]
    plan = serving(pool_spec(endpoint("a"), *backups, kind="hash"))
    assert plan.key_kind == "template"
    plan.failed(member(plan, "a"), 0.0)
    first = distinct(plan, KEYS)
    assert set(first.values()) == {"b", "c", "d"}
    assert distinct(plan, KEYS) == first


class TestRing:
    def test_points_are_sorted_and_complete(self) -> None:
        seats = tuple((f"10.0.0.{n}:80", 1 + n % 3) for n in range(100))
        points = list(Ring(seats).points)
        assert points == sorted(points)
        counts = [sum(point & 0xFFFFFFFF == seat for point in points) for seat in range(100)]
        assert counts == [POINTS_PER_WEIGHT * weight for _, weight in seats]

    def test_clockwise_visits_every_point_once(self) -> None:
        ring = Ring((("10.0.0.1:80", 1), ("10.0.0.2:80", 1)))
        assert sorted(ring.clockwise(b"x")) == [0] * POINTS_PER_WEIGHT + [1] * POINTS_PER_WEIGHT

    def test_too_many_points_are_refused_before_any_is_computed(self) -> None:
        with pytest.raises(FaultError, match="too large") as fault:
            Ring((("10.0.0.1:80", MAX_POINTS),))
        assert fault.value.hint is not None
