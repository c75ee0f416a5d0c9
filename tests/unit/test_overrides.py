from __future__ import annotations

import pytest

from proxy.overrides import overridden
from proxy.spec import OverrideSpec
from tests.peers.specs import endpoint, pool

POOL = pool(endpoint("192.0.2.1:80", "a", weight=3), endpoint("192.0.2.2:80", "b", state="down"))


def test_override_beats_state_and_weight_of_its_endpoint_alone() -> None:
    made = overridden(POOL, {"a": OverrideSpec(state="drain", weight=7)})
    assert [(one.state, one.weight) for one in made.endpoints] == [("drain", 7), ("down", 1)]
    assert made.endpoints[1] is POOL.endpoints[1]


def test_override_without_a_weight_leaves_that_of_the_configuration() -> None:
    made = overridden(POOL, {"a": OverrideSpec(state="down")})
    assert (made.endpoints[0].state, made.endpoints[0].weight) == ("down", 3)


def test_override_may_put_back_what_the_configuration_takes_out() -> None:
    assert overridden(POOL, {"b": OverrideSpec(state="active")}).endpoints[1].state == "active"


def test_override_of_an_endpoint_that_is_not_there_waits() -> None:
    assert overridden(POOL, {"c": OverrideSpec(state="down")}) == POOL


@pytest.mark.parametrize("none", [None, {}])
def test_pool_without_overrides_is_itself(none: dict[str, OverrideSpec] | None) -> None:
    assert overridden(POOL, none) is POOL
