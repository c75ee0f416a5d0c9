from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.documents.faults import DocumentError
from admin.documents.loading import MAX_DEPTH, MAX_JSON_BYTES, MAX_YAML_BYTES, load
from proxy.errors import Fault

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def faults_of(text: str | bytes) -> tuple[Fault, ...]:
    with pytest.raises(DocumentError) as raised:
        load(text.encode() if isinstance(text, str) else text, yaml=False)
    return raised.value.faults


@given(json_values, st.booleans())
def test_json_comes_back_as_it_went(value: object, ascii_only: bool) -> None:
    assert load(json.dumps(value, ensure_ascii=ascii_only).encode(), yaml=False) == value


@given(st.binary(), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_faults(data: bytes, yaml: bool) -> None:
    try:
        load(data, yaml=yaml)
    except DocumentError as error:
        assert error.faults


@pytest.mark.parametrize("text", ["", "{", "[1,]", "{'a': 1}", "{} {}", "nul", '"\x00"', "01"])
def test_what_is_not_json_is_refused_with_line_and_column(text: str) -> None:
    (fault,) = faults_of(text)

    assert fault.path == ""
    assert fault.message.startswith("not JSON at line 1, column ")


def test_duplicate_keys_are_all_found() -> None:
    text = '{"a": {"b/c": 1, "b/c": 2, "d": [{"e": 1, "f": 2, "e": 3, "e": 4}]}, "x": {"e": 1}}'

    assert faults_of(text) == (
        Fault("/a/b~1c", "this key is there twice"),
        Fault("/a/d/0/e", "this key is there twice"),
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    (fault,) = faults_of('{"a": [1.5, ' + number + "]}")

    assert fault.path == "/a/1"
    assert "is not a finite number" in fault.message


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    (fault,) = faults_of("1" * 5000)

    assert "too many digits" in fault.message


@pytest.mark.parametrize(
    ("text", "path"), [(r'{"a": "\ud800"}', "/a"), (r'{"\uDFFF": 1}', r"/\udfff")]
)
def test_half_a_surrogate_pair_is_refused(text: str, path: str) -> None:
    (fault,) = faults_of(text)

    assert fault.path == path
    assert "surrogate" in fault.message


def test_a_whole_surrogate_pair_is_read() -> None:
    assert load(rb'"\ud83d\ude00"', yaml=False) == "😀"


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_too_much_depth_is_refused(depth: int) -> None:
    (fault,) = faults_of("[" * depth + "]" * depth)

    assert "levels deep" in fault.message


def test_the_greatest_depth_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert json.dumps(load(text.encode(), yaml=False)) == text
    assert json.dumps(load(text.encode(), yaml=True)) == text


@pytest.mark.parametrize(("yaml", "most"), [(False, MAX_JSON_BYTES), (True, MAX_YAML_BYTES)])
def test_too_large_a_document_is_refused_unread(yaml: bool, most: int) -> None:
    with pytest.raises(DocumentError, match="larger than"):
        load(b" " * (most + 1), yaml=yaml)


@pytest.mark.parametrize("yaml", [False, True])
def test_what_is_not_utf_8_is_refused(yaml: bool) -> None:
    with pytest.raises(DocumentError, match="not UTF-8: byte 1"):
        load(b'"\xff"', yaml=yaml)


@pytest.mark.parametrize("yaml", [False, True])
def test_a_byte_order_mark_is_skipped(yaml: bool) -> None:
    assert load(b'\xef\xbb\xbf{"a": 1}', yaml=yaml) == {"a": 1}
