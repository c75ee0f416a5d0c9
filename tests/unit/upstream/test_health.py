from __future__ import annotations

from proxy.addresses import parse_address
from proxy.spec import PassiveHealthSpec
from proxy.upstream import health
from proxy.upstream.endpoint import Endpoint, Member
from tests.unit.upstream.pools import address, endpoint


def member(max_fails: int | None = 3, weight: int = 1) -> Member:
    passive = None if max_fails is None else PassiveHealthSpec(max_fails=max_fails)
    spec = endpoint("a", weight=weight, passive_health=passive)
    return Member(Endpoint(parse_address(address("a"))), "a", spec)


def test_failures_below_the_threshold_do_not_eject() -> None:
    each = member()
    assert not health.failed(each, 0.0)
    assert not health.failed(each, 0.0)
    assert not health.ejected(each, 0.0)


def test_threshold_ejects_and_reports_the_flip_once() -> None:
    each = member()
    assert [health.failed(each, now) for now in (0.0, 1.0, 2.0, 3.0)] == [False, False, True, False]
    assert health.ejected(each, 3.0)


def test_ejection_lasts_for_the_timeout_after_the_last_failure() -> None:
    each = member(max_fails=1)
    health.failed(each, 100.0)
    assert health.ejected(each, 110.0)
    assert not health.ejected(each, 110.1)


def test_success_of_a_check_clears_the_failures_and_reports_the_flip() -> None:
    each = member(max_fails=1)
    health.failed(each, 0.0)
    health.picked(each, 10.5)
    assert health.succeeded(each)
    assert not health.ejected(each, 10.5)
    assert not health.succeeded(each)


def test_success_clears_failures_below_the_threshold_without_a_flip() -> None:
    each = member()
    health.failed(each, 0.0)
    health.picked(each, 10.5)
    assert not health.succeeded(each)
    assert each.endpoint.fails == 0


def test_success_within_the_timeout_clears_nothing() -> None:
    each = member()
    health.failed(each, 100.0)
    health.picked(each, 109.0)
    assert not health.succeeded(each)
    assert each.endpoint.fails == 1


def test_nobody_else_is_let_in_during_a_check() -> None:
    each = member(max_fails=1)
    health.failed(each, 0.0)
    assert not health.ejected(each, 10.5)
    health.picked(each, 10.5)
    assert health.ejected(each, 10.5)


def test_failed_check_prolongs_the_ejection_without_a_flip() -> None:
    each = member(max_fails=1)
    health.failed(each, 0.0)
    health.picked(each, 10.5)
    assert not health.failed(each, 12.0)
    assert health.ejected(each, 22.0)
    assert not health.ejected(each, 22.1)


def test_without_passive_health_failures_do_not_count() -> None:
    each = member(max_fails=None)
    assert not any(health.failed(each, 0.0) for _ in range(9))
    assert not each.endpoint.suspect
    assert not health.ejected(each, 0.0)


def test_failures_take_weight_down_to_nothing_but_not_below() -> None:
    each = member(max_fails=3, weight=7)
    lost = []
    for _ in range(5):
        health.failed(each, 0.0)
        lost.append(each.endpoint.penalty)
    assert lost == [2, 4, 6, 7, 7]
