from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.spec import EndpointSpec, EndpointState, PassiveHealthSpec, PoolSpec
from proxy.upstream import transitions
from proxy.upstream.pool import PoolPlan, compile_pool
from proxy.upstream.transitions import Transition, Transitions

SPEC = PoolSpec(
    name="backend",
    endpoints=tuple(
        EndpointSpec(
            name=f"e{number}",
            address=f"127.0.0.1:{number}",
            passive_health=PassiveHealthSpec(max_fails=1, fail_timeout_s=10.0),
        )
        for number in (1, 2, 3, 4)
    ),
)


def compiled(spec: PoolSpec, previous: PoolPlan | None = None) -> PoolPlan:
    plan = compile_pool(spec, {}, previous, None if previous is None else previous.pool)
    plan.publish()
    return plan


def with_state(spec: PoolSpec, name: str, state: EndpointState) -> PoolSpec:
    endpoints = tuple(
        replace(one, state=state) if one.name == name else one for one in spec.endpoints
    )
    return replace(spec, endpoints=endpoints)


def moves(found: list[Transition]) -> list[tuple[str, str, str]]:
    return [(one.endpoint, one.was, one.state) for one in found]


def test_endpoint_that_is_ejected_before_the_first_look_is_told() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    plan.failed(plan.members[0], 1.0)
    assert moves(seen.look([plan], 2.0)) == [("e1", "active", "ejected")]


def test_first_look_tells_nothing_and_so_does_a_second() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    assert [seen.look([plan], 1.0), seen.look([plan], 2.0)] == [[], []]


def test_ejection_and_return_are_told_once_each() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    seen.look([plan], 1.0)
    plan.failed(plan.members[1], 2.0)
    (out,) = seen.look([plan], 3.0)
    assert out == Transition(
        "backend", "e2", "127.0.0.1:2", "active", "ejected",
        "1 of 1 failures, out for 9.0 s more",
    )  # fmt: skip
    assert seen.look([plan], 4.0) == []
    assert moves(seen.look([plan], 13.0)) == [("e2", "ejected", "active")]
    assert seen.look([plan], 14.0) == []


def test_marks_that_are_ignored_are_no_change() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    seen.look([plan], 1.0)
    for member in plan.members[:3]:
        plan.failed(member, 2.0)
    assert seen.look([plan], 3.0) == []


def test_state_that_a_configuration_or_override_changes_is_told() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    seen.look([plan], 1.0)
    other = compiled(with_state(SPEC, "e3", "drain"), plan)
    assert moves(seen.look([other], 2.0)) == [("e3", "active", "drain")]
    back = compiled(SPEC, other)
    assert moves(seen.look([back], 3.0)) == [("e3", "drain", "active")]


def test_endpoint_that_is_ejected_and_then_taken_out_is_told_as_such() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    plan.failed(plan.members[0], 1.0)
    seen.look([plan], 1.0)
    other = compiled(with_state(SPEC, "e1", "down"), plan)
    assert moves(seen.look([other], 2.0)) == [("e1", "ejected", "down")]


def test_endpoints_that_come_and_go_are_no_change() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    seen.look([plan], 1.0)
    fewer = compiled(replace(SPEC, endpoints=SPEC.endpoints[:2]), plan)
    assert seen.look([fewer], 2.0) == []
    assert seen.look([compiled(SPEC, fewer)], 3.0) == []
    assert seen.look([], 4.0) == []


def test_pool_that_comes_back_is_told_nothing_old_of() -> None:
    seen, plan = Transitions(), compiled(SPEC)
    seen.look([plan], 1.0)
    plan.failed(plan.members[0], 2.0)
    seen.look([plan], 2.0)
    seen.look([], 3.0)
    assert moves(seen.look([plan], 20.0)) == []


def test_more_than_can_be_told_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "MOST", 2)
    seen, plan = Transitions(), compiled(SPEC)
    seen.look([plan], 1.0)
    down = replace(SPEC, endpoints=tuple(replace(one, state="down") for one in SPEC.endpoints))
    assert len(seen.look([compiled(down, plan)], 2.0)) == 2
