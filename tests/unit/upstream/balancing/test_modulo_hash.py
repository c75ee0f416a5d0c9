from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import pytest

from proxy.spec import BalanceSpec, EndpointSpec, PoolSpec
from proxy.upstream.balancing.modulo_hash import TRIES
from proxy.upstream.pool import PoolPlan
from tests.unit.upstream.pools import distinct, endpoint, names, pool_spec, serving, sticky_keys

EMPTY_KEY = b""


def spec_of(*endpoints: EndpointSpec) -> PoolSpec:
    balance = BalanceSpec(kind="hash", key="$arg_k", consistent=False)
    return replace(pool_spec(*endpoints), balance=balance)


def pool(*endpoints: EndpointSpec) -> PoolPlan:
    return serving(spec_of(*endpoints))


def reference(key: bytes, seats: str, barred: str = "") -> str:
    """Choose as Cache::Memcached does: ``seats`` has each name as often as it weighs."""
    value = 0
    for number in range(TRIES + 1):
        value += crc32((str(number).encode() if number else b"") + key) >> 16 & 0x7FFF
        name = seats[value % len(seats)]
        if name not in barred:
            return name
    return "?"


@pytest.mark.parametrize("weights", [(1, 1, 1), (3, 1, 5)])
def test_key_goes_where_its_remainder_says(weights: tuple[int, ...]) -> None:
    ends = [endpoint(name, weight=weight) for name, weight in zip("abc", weights, strict=True)]
    seats = "".join(name * weight for name, weight in zip("abc", weights, strict=True))
    chosen = distinct(pool(*ends), sticky_keys(200))
    assert chosen == {key: reference(key, seats) for key in sticky_keys(200)}


def test_key_of_who_is_out_is_hashed_again_and_others_stay() -> None:
    down = replace(endpoint("b", weight=2), state="down")
    chosen = distinct(pool(endpoint("a"), down, endpoint("c")), sticky_keys(200))
    assert chosen == {key: reference(key, "abbc", "b") for key in sticky_keys(200)}


def test_who_was_tried_is_not_asked_again() -> None:
    plan = pool(*(endpoint(name) for name in "abc"))
    for key in sticky_keys(50):
        first = plan.pick(0.0, key)
        assert first is not None
        second = plan.pick(0.0, key, (first.endpoint,))
        assert names([second]) == reference(key, "abc", first.name)


def test_after_too_many_hits_on_who_is_out_round_robin_chooses() -> None:
    light = pool(endpoint("a"), replace(endpoint("b", weight=1_000_000), state="down"))
    assert distinct(light, sticky_keys(20)) == dict.fromkeys(sticky_keys(20), "a")


def test_nobody_is_chosen_where_all_were_tried() -> None:
    plan = pool(endpoint("a"), endpoint("b"))
    assert plan.pick(0.0, b"k", [each.endpoint for each in plan.members]) is None


def test_without_a_key_round_robin_chooses() -> None:
    plan = pool(*(endpoint(name) for name in "abc"))
    assert names(plan.pick(0.0, EMPTY_KEY) for _ in range(6)) == "abcabc"


def test_one_alone_is_chosen_whatever_the_key() -> None:
    assert names([pool(endpoint("a")).pick(0.0, b"k")]) == "a"


def test_consistent_and_not_are_two_plans() -> None:
    spec = spec_of(endpoint("a"), endpoint("b"))
    plan = serving(spec)
    ring = serving(replace(spec, balance=replace(spec.balance, consistent=True)), plan)
    assert distinct(ring, sticky_keys(50)) != distinct(plan, sticky_keys(50))
    assert plan.members[0].endpoint is ring.members[0].endpoint
