from __future__ import annotations

from dataclasses import replace

from proxy.upstream.pool import PoolPlan
from tests.unit.upstream.pools import endpoint, member, names, picked, pool_spec, serving


def take(plan: PoolPlan, count: int) -> str:
    """Pick so many times, each pick staying active."""
    taken = [plan.pick(0.0) for _ in range(count)]
    for each in taken:
        if each is not None:
            each.endpoint.active += 1
        assert plan.pool.standing.rotating is None
    return names(taken)


def occupied(plan: PoolPlan, **active: int) -> None:
    for name, count in active.items():
        member(plan, name).endpoint.active = count


def test_fewest_active_wins() -> None:
    plan = serving(pool_spec(endpoint("a"), endpoint("b"), endpoint("c"), kind="least_connections"))
    occupied(plan, a=2, b=1, c=3)
    assert picked(plan, 3) == "bbb"


def test_ties_take_turns_among_themselves() -> None:
    plan = serving(pool_spec(endpoint("a"), endpoint("b"), endpoint("c"), kind="least_connections"))
    occupied(plan, b=1)
    assert picked(plan, 4) == "acac"


def test_active_counts_by_weight() -> None:
    plan = serving(pool_spec(endpoint("a", weight=3), endpoint("b"), kind="least_connections"))
    occupied(plan, a=2, b=1)
    assert picked(plan, 1) == "a"
    occupied(plan, a=4, b=1)
    assert picked(plan, 1) == "b"


def test_weighted_ties_are_won_by_weight() -> None:
    plan = serving(pool_spec(endpoint("a", weight=3), endpoint("b"), kind="least_connections"))
    assert picked(plan, 8) == "aabaaaba"


def test_load_fills_up_in_proportion_to_the_weights() -> None:
    plan = serving(pool_spec(endpoint("a", weight=3), endpoint("b"), kind="least_connections"))
    filled = take(plan, 40)
    assert filled.count("a") == 30


def test_full_tried_and_ejected_members_are_passed_over() -> None:
    limited = endpoint("a", max_connections=1)
    plan = serving(
        pool_spec(limited, endpoint("b"), endpoint("c"), endpoint("d"), kind="least_connections")
    )
    occupied(plan, a=1, b=2, c=3, d=9)
    plan.failed(member(plan, "b"), 0.0)
    assert picked(plan, 2) == "cc"
    assert plan.pick(0.0, tried=[member(plan, "c").endpoint]) is member(plan, "d")


def test_backups_are_balanced_the_same_way() -> None:
    backups = [endpoint(name, backup=True) for name in "bc"]
    plan = serving(pool_spec(endpoint("a"), *backups, kind="least_connections"))
    plan.failed(member(plan, "a"), 0.0)
    occupied(plan, b=1)
    assert picked(plan, 2) == "cc"


def test_nobody_eligible_gives_nobody() -> None:
    down = [replace(endpoint(name, max_connections=1)) for name in "ab"]
    plan = serving(pool_spec(*down, kind="least_connections"))
    occupied(plan, a=1, b=1)
    assert plan.pick(0.0) is None


def test_one_pick_after_the_timeout_checks_a_member_that_failed() -> None:
    plan = serving(pool_spec(endpoint("a"), endpoint("b"), kind="least_connections"))
    plan.failed(member(plan, "a"), 0.0)
    occupied(plan, b=1)
    assert picked(plan, 1, 5.0) == "b"
    assert picked(plan, 1, 11.0) == "a"
    assert picked(plan, 1, 11.0) == "b"
    assert plan.succeeded(member(plan, "a"), 11.0)
    assert picked(plan, 1, 11.0) == "a"
