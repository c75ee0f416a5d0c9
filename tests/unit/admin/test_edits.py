from __future__ import annotations

import pytest

from admin.edits import MISSING, changed, look_up, placed, removed, same


def test_existing_place_gives_its_value() -> None:
    assert look_up({"pools": {"a": None}}, ("pools", "a")) is None


@pytest.mark.parametrize("raw", [{}, {"pools": []}, {"pools": None}, [], None])
def test_absent_place_is_missing(raw: object) -> None:
    assert look_up(raw, ("pools", "a")) is MISSING


def test_placed_value_shares_the_rest_and_leaves_the_original() -> None:
    raw = {"pools": {"a": {"x": 1}}, "routes": {"r": {}}}
    edited = placed(raw, ("pools", "b", "endpoints", "e"), {})
    assert edited == {
        "pools": {"a": {"x": 1}, "b": {"endpoints": {"e": {}}}},
        "routes": {"r": {}},
    }
    assert raw == {"pools": {"a": {"x": 1}}, "routes": {"r": {}}}
    assert look_up(edited, ("routes",)) is raw["routes"]


def test_value_placed_at_the_root_is_the_document() -> None:
    assert placed({"version": 1}, (), []) == []


def test_removed_value_is_gone_from_the_copy_only() -> None:
    raw: dict[str, object] = {"pools": {"a": {}, "b": {}}}
    assert removed(raw, ("pools", "a")) == {"pools": {"b": {}}}
    assert raw == {"pools": {"a": {}, "b": {}}}


def test_order_of_keys_makes_no_difference() -> None:
    assert same({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1})


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ([1, 2], [2, 1])])
def test_values_that_json_tells_apart_differ(one: object, other: object) -> None:
    assert not same({"a": one}, {"a": other})


def test_changes_are_named_by_object() -> None:
    old = {"version": 1, "pools": {"a": {}, "b/c": {}, "d": {}}, "x-note": "old"}
    new = {"version": 1, "pools": {"a": {}, "b/c": {"x": 1}, "e": {}}, "x-note": "new"}
    assert changed(old, new) == ("/pools/b~1c", "/pools/d", "/pools/e", "/x-note")


def test_section_that_only_became_explicit_is_named_itself() -> None:
    assert changed({"version": 1}, {"version": 1, "pools": {}}) == ("/pools",)


def test_equal_documents_have_no_changes() -> None:
    assert changed({"pools": {"a": {}}}, {"pools": {"a": {}}}) == ()
