from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import FaultError
from proxy.upstream.balancing.split import Split
from tests.unit.upstream.pools import sticky_keys

KEYS = sticky_keys(4000)


def shares(split: Split[str]) -> dict[str, float]:
    counted = Counter(split.by_key(key) for key in KEYS)
    return {value: count / len(KEYS) for value, count in counted.items()}


def test_by_chance_gives_each_its_share() -> None:
    split = Split((("stable", 95), ("canary", 5)))
    random = Random(1)
    counted = Counter(split.by_chance(random) for _ in range(4000))
    assert 140 < counted["canary"] < 260


def test_by_key_gives_each_its_share() -> None:
    found = shares(Split((("stable", 90), ("canary", 10))))
    assert 0.085 < found["canary"] < 0.115


def test_by_key_shares_of_similar_names_are_independent() -> None:
    found = shares(Split((("a", 1), ("b", 1), ("c", 1), ("d", 1))))
    assert all(0.22 < share < 0.28 for share in found.values())


@given(st.binary())
def test_same_key_stays(key: bytes) -> None:
    weights = (("stable", 90), ("canary", 10))
    assert Split(weights).by_key(key) == Split(weights[::-1]).by_key(key)


def test_growing_share_takes_keys_and_gives_none_away() -> None:
    before = Split((("a", 60), ("b", 30), ("c", 10)))
    after = Split((("a", 60), ("b", 30), ("c", 20)))
    moved = [(before.by_key(key), after.by_key(key)) for key in KEYS]
    changed = {pair for pair in moved if pair[0] != pair[1]}
    assert changed == {("a", "c"), ("b", "c")}
    assert sum(old != new for old, new in moved) / len(KEYS) < 0.11


def test_removed_value_gives_its_keys_only() -> None:
    before = Split((("a", 1), ("b", 1), ("c", 1)))
    after = Split((("a", 1), ("c", 1)))
    for key in KEYS[:500]:
        assert before.by_key(key) in (after.by_key(key), "b")


def test_weight_zero_gets_nothing() -> None:
    split = Split((("off", 0), ("on", 1)))
    random = Random(1)
    assert {split.by_chance(random) for _ in range(50)} == {"on"}
    assert {split.by_key(key) for key in KEYS[:50]} == {"on"}


def test_values_of_any_type_are_told_apart_by_the_given_name() -> None:
    split = Split(((1, 1), (2, 1)), name=lambda value: f"pool-{value}")
    named = Split((("pool-1", 1), ("pool-2", 1)))
    assert all(f"pool-{split.by_key(key)}" == named.by_key(key) for key in KEYS[:100])


@pytest.mark.parametrize("weights", [(), (("a", 0),)])
def test_no_positive_weight_is_a_fault(weights: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(FaultError):
        Split(weights)
