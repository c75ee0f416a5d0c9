from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.delta import UNCHANGED, Difference, delta, differences, patched
from admin.edits import MISSING
from admin.json_text import octets_of

KEYS = st.sampled_from(["a", "b", "c", "set", "gone", "order", ""])
LEAVES = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, "1", "ü"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def exact(value: object) -> str:
    """Write a value so that the order of keys, and 1 beside 1.0 and True, tell."""
    return json.dumps(value)


@given(VALUES, VALUES)
def test_patched_old_is_new_to_the_order_of_keys(old: object, new: object) -> None:
    before = exact(old)
    step = json.loads(octets_of(delta(old, new)))
    assert exact(patched(old, step)) == exact(new)
    assert exact(old) == before


@given(VALUES)
def test_equal_values_have_no_delta(value: object) -> None:
    assert delta(value, json.loads(exact(value))) == UNCHANGED
    assert list(differences(value, json.loads(exact(value)))) == []


@given(VALUES)
def test_value_written_piece_by_piece_is_the_value(value: object) -> None:
    assert exact(json.loads(octets_of(value))) == exact(value)


def test_patched_shares_what_is_the_same() -> None:
    old = {"pools": {"a": {"x": [1]}, "b": {}}}
    new = patched(old, delta(old, {"pools": {"a": {"x": [1]}, "b": {"y": 1}}}))
    assert isinstance(new, dict)
    assert new["pools"]["a"] is old["pools"]["a"]


def test_delta_of_a_small_change_is_small() -> None:
    old = {"pools": {"p": {"endpoints": {f"10.0.0.{n}:80": {"weight": n} for n in range(250)}}}}
    new = json.loads(exact(old))
    new["pools"]["p"]["endpoints"]["10.0.0.7:80"]["weight"] = 99
    assert len(octets_of(delta(old, new))) < 150


@pytest.mark.parametrize(
    "step", [5, [], [1, 2], {"set": 5}, {"gone": 5}, {"order": ["b"]}, {"set": {"a": 5}}]
)
def test_what_is_no_delta_of_a_value_is_refused(step: object) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        patched({"a": 1}, step)


def test_differences_are_told_value_by_value() -> None:
    old = {"a": {"kept": 1, "gone": 2, "list": [1]}, "whole": {"x": 1}}
    new = {"a": {"kept": 1, "list": [1, 2], "new": None}, "b/c": {"y": 1}}
    assert list(differences(old, new)) == [
        Difference("/a/gone", 2, MISSING),
        Difference("/a/list", [1], [1, 2]),
        Difference("/a/new", MISSING, None),
        Difference("/whole", {"x": 1}, MISSING),
        Difference("/b~1c", MISSING, {"y": 1}),
    ]


def test_another_order_of_keys_is_no_difference_to_people() -> None:
    assert list(differences({"a": 1, "b": 2}, {"b": 2, "a": 1})) == []
    assert delta({"a": 1, "b": 2}, {"b": 2, "a": 1}) == {"order": ["b", "a"]}
