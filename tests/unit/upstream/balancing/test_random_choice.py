from __future__ import annotations

from collections.abc import Callable
from random import Random

from proxy.addresses import parse_address
from proxy.spec import EndpointSpec
from proxy.upstream.balancing.random_choice import TRIES, RandomChoice
from proxy.upstream.balancing.tier import Standing
from proxy.upstream.endpoint import Endpoint, Member
from tests.unit.upstream.pools import address, endpoint, member, pool_spec, serving


def tier(*specs: EndpointSpec, uniform: Callable[[], float]) -> RandomChoice:
    members = tuple(
        Member(Endpoint(parse_address(address(spec.name))), spec.name, spec) for spec in specs
    )
    return RandomChoice(members, Standing(), uniform=uniform)


def draws(*values: float) -> Callable[[], float]:
    return iter(values).__next__


ABC = (endpoint("a"), endpoint("b"), endpoint("c"))


def test_of_two_draws_the_one_with_fewer_active_serves() -> None:
    two = tier(*ABC, uniform=draws(0.0, 0.5, 0.5, 0.0))
    two.members[0].endpoint.active = 1
    assert two.pick(0.0) is two.members[1]
    assert two.pick(0.0) is two.members[1]


def test_of_two_equal_draws_the_second_serves() -> None:
    two = tier(*ABC, uniform=draws(0.9, 0.1))
    assert two.pick(0.0) is two.members[0]


def test_active_counts_by_weight() -> None:
    two = tier(endpoint("a", weight=4), endpoint("b"), uniform=draws(0.0, 0.99))
    two.members[0].endpoint.active = 3
    two.members[1].endpoint.active = 1
    assert two.pick(0.0) is two.members[0]


def test_drawing_the_same_twice_draws_again() -> None:
    two = tier(*ABC, uniform=draws(0.0, 0.1, 0.2, 0.99))
    two.members[0].endpoint.active = 1
    assert two.pick(0.0) is two.members[2]


def test_load_fills_up_in_proportion_to_the_weights() -> None:
    two = tier(endpoint("a", weight=3), endpoint("b"), endpoint("c"), uniform=Random(1).random)
    for _ in range(500):
        chosen = two.pick(0.0)
        assert chosen is not None
        chosen.endpoint.active += 1
    assert [each.endpoint.active // 10 for each in two.members] == [30, 10, 10]


def test_ineligible_ones_are_never_chosen() -> None:
    plan = serving(
        pool_spec(
            *(endpoint(name) for name in "abc"), endpoint("d", max_connections=1), kind="random"
        )
    )
    plan.failed(member(plan, "a"), 0.0)
    member(plan, "d").endpoint.active = 1
    tried = [member(plan, "b").endpoint]
    for _ in range(50):
        assert plan.pick(0.0, tried=tried) is member(plan, "c")


def test_draws_that_find_nobody_end_in_a_scan() -> None:
    two = tier(*ABC, uniform=draws(*[0.0] * (TRIES + 1)))
    assert two.pick(0.0, tried=[two.members[0].endpoint]) is two.members[1]


def test_nobody_eligible_gives_nobody() -> None:
    two = tier(*ABC, uniform=Random(1).random)
    assert two.pick(0.0, tried=[each.endpoint for each in two.members]) is None


def test_draw_just_below_one_is_within_bounds() -> None:
    two = tier(*ABC, uniform=draws(1 - 2**-53, 0.0))
    assert two.pick(0.0) is two.members[0]


def test_large_pool_spreads_over_everybody() -> None:
    plan = serving(pool_spec(*(endpoint(chr(97 + n)) for n in range(20)), kind="random"))
    assert len({plan.pick(0.0) for _ in range(600)}) == 20


def test_one_pick_after_the_timeout_checks_a_member_that_failed() -> None:
    plan = serving(pool_spec(endpoint("a"), endpoint("b"), kind="random"))
    failed = member(plan, "a")
    plan.failed(failed, 0.0)
    while plan.pick(11.0) is not failed:
        pass
    assert plan.succeeded(failed, 11.0)


def test_single_draw_goes_by_weight_and_not_by_load() -> None:
    members = tier(endpoint("a", weight=3), endpoint("b"), uniform=Random(1).random).members
    one = RandomChoice(members, Standing(), uniform=Random(1).random, choices=1)
    members[0].endpoint.active = 1_000
    chosen = [one.pick(0.0) for _ in range(1_000)]
    assert 700 < sum(each is members[0] for each in chosen) < 800  # 750 expected


def test_single_draw_of_somebody_ineligible_draws_again() -> None:
    one = tier(*ABC, uniform=draws(0.0))
    again = RandomChoice(one.members, Standing(), uniform=draws(0.0, 0.0, 0.99), choices=1)
    assert again.pick(0.0, tried=(one.members[0].endpoint,)) is one.members[2]


def test_pool_draws_once_where_it_says_so() -> None:
    plan = serving(pool_spec(*ABC, kind="random_one"))
    assert {plan.pick(0.0) for _ in range(200)} == set(plan.members)
