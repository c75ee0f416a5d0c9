from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.documents.merge import merge_patch

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=12,
)
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""RFC 7396, appendix A."""


@pytest.mark.parametrize(("target", "patch", "expected"), EXAMPLES)
def test_the_examples_of_the_rfc_come_out_as_it_says(
    target: object, patch: object, expected: object
) -> None:
    assert merge_patch(target, patch) == expected


def test_the_order_of_keys_is_kept() -> None:
    merged = merge_patch({"b": 1, "a": 2}, {"c": 3, "b": 4})

    assert isinstance(merged, dict)
    assert list(merged.items()) == [("b", 4), ("a", 2), ("c", 3)]


@given(json_values, json_values)
def test_neither_argument_is_changed(target: object, patch: object) -> None:
    before = copy.deepcopy((target, patch))

    merge_patch(target, patch)

    assert (target, patch) == before


@given(json_values, json_values)
def test_patching_twice_changes_nothing_more(target: object, patch: object) -> None:
    once = merge_patch(target, patch)

    assert merge_patch(once, patch) == once


@given(json_values, st.dictionaries(st.sampled_from("abcd"), json_values, max_size=3))
def test_a_key_is_what_the_patch_says(target: object, patch: dict[str, object]) -> None:
    merged = merge_patch(target, patch)
    before = target if isinstance(target, dict) else {}

    assert isinstance(merged, dict)
    assert merged.keys() == (before.keys() | patch.keys()) - {
        k for k, v in patch.items() if v is None
    }
    for key, value in before.items():
        if key not in patch:
            assert merged[key] == value
    for key, value in patch.items():
        if value is not None:
            assert merged[key] == merge_patch(before.get(key), value)
