from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from admin.documents.faults import DocumentError
from admin.documents.loading import dump_yaml, load
from proxy.errors import Fault

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["on", "Yes", "1", "1.5", "~", "*.a", "a: b", "- a", "#", "a #b", "0x1", "1:30"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def read(text: str) -> object:
    return load(text.encode(), yaml=True)


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(DocumentError) as raised:
        read(text)
    return raised.value.faults


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # YAML 1.1 words are text.
        ("[on, off, yes, no, y, n, On, OFF]", ["on", "off", "yes", "no", "y", "n", "On", "OFF"]),
        ("[true, True, FALSE]", [True, True, False]),
        ("[null, ~, Null, '']", [None, None, None, ""]),
        ("a:", {"a": None}),
        ("[1, -1, +1, 007, 0o17, 0x1F, 0b1, 1_000]", [1, -1, 1, 7, 15, 31, "0b1", "1_000"]),
        ("[1.5, -.5, 1e3, 1., 1.e2]", [1.5, -0.5, 1000.0, 1.0, 100.0]),
        ("[1:30, 2001-01-01, 60s, 127.0.0.1:80]", ["1:30", "2001-01-01", "60s", "127.0.0.1:80"]),
        ("['1', \"true\", !!str 1, ! 1]", ["1", "true", "1", "1"]),
        ("!!map {a: !!seq [1]}", {"a": [1]}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        # Keys are text.
        ("{1: a, true: b, ~: c, on: d}", {"1": "a", "true": "b", "~": "c", "on": "d"}),
        # Anchors and merges.
        ("x-a: &a {b: 1}\nc: *a\n", {"x-a": {"b": 1}, "c": {"b": 1}}),
        ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\n", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n",
         {"a": {"x": 1}, "b": {"x": 2, "y": 2}, "c": {"x": 1, "y": 2}}),
        ("'<<': 1", {"<<": 1}),
        ("# nothing\n---\na: 1\n...\n", {"a": 1}),
    ],
)  # fmt: skip
def test_yaml_1_2_is_read_as_its_core_schema_says(text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", "", "the document is empty"),
        ("# only a comment\n", "", "the document is empty"),
        ("a: [1", "", "not YAML at line 1, column 6"),
        ("a: 1\nb: c: d", "", "not YAML at line 2, column 5: mapping values are not allowed"),
        ("\x01", "", "not YAML"),
        ("a: 1\n---\nb: 1\n", "", "a second document begins at line 2, column 1"),
        ("a: *b", "/a", "no anchor &b comes before this at line 1, column 4"),
        ("a: &a [*a]", "/a/0", "no anchor &a comes before this"),
        ("a: {b: .inf}", "/a/b", ".inf is not a finite number"),
        ("a: [.NaN]", "/a/0", ".NaN is not a finite number"),
        ("a: 1e999", "/a", "'1e999' is not a finite number"),
        ("a: !!binary aGk=", "/a", "tag tag:yaml.org,2002:binary"),
        ("a: !!int 5", "/a", "tag tag:yaml.org,2002:int"),
        ("a: !secret [1]", "/a", "tag !secret"),
        ("? [a]\n: b", "", "a key that is not text at line 1, column 3"),
        ("<<: 5", "", "`<<` merges objects only"),
    ],
)
def test_what_is_not_the_yaml_of_a_json_value_is_refused(
    text: str, path: str, message: str
) -> None:
    (fault,) = faults_of(text)

    assert fault.path == path
    assert message in fault.message


def test_duplicate_keys_are_all_found_with_line_and_column() -> None:
    faults = faults_of("a:\n  b: 1\n  c: 2\n  b: 3\nd: [{e: 1, 'e': 2}]\na: 4\n")

    assert faults == (
        Fault("/a", "this key is there twice at line 6, column 1"),
        Fault("/a/b", "this key is there twice at line 4, column 3"),
        Fault("/d/0/e", "this key is there twice at line 5, column 12"),
    )


def test_an_unquoted_wildcard_is_explained() -> None:
    (fault,) = faults_of("hosts: [*.example.org]")

    assert fault.path == "/hosts/0"
    assert fault.hint == 'in quotes it is text: "*.example.org"'


def test_aliases_that_expand_without_bound_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    (fault,) = faults_of("\n".join(lines))

    assert "more than 1,000,000 values, aliases expanded" in fault.message


@pytest.mark.parametrize("text", ["[" * 100, "- " * 100 + "a", "{a: " * 100])
def test_too_much_depth_is_refused(text: str) -> None:
    (fault,) = faults_of(text)

    assert "levels deep" in fault.message


def test_depth_made_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 80))]

    (fault,) = faults_of("\n".join(lines))

    assert "levels deep" in fault.message


@given(json_values)
def test_what_is_written_is_read_again(value: object) -> None:
    assert read(dump_yaml(value)) == value


@given(json_values)
def test_other_readers_understand_what_is_written(value: Any) -> None:
    read_by_ruamel: Any = YAML(typ="safe", pure=True)

    assert read_by_ruamel.load(dump_yaml(value)) == value


def test_a_document_is_written_for_people() -> None:
    raw = {
        "version": 1,
        "pools": {"a": {"endpoints": {"127.0.0.1:80": {}}, "retry": {"when": ["error"]}}},
        "tunnel": {
            "ping_interval": "off",
            "idle_timeout": "1h",
            "hosts": ["*.a", ["x"], {"b": [], "c": "d"}],
        },
    }

    assert dump_yaml(raw) == (
        "version: 1\n"
        "pools:\n"
        "  a:\n"
        "    endpoints:\n"
        '      "127.0.0.1:80": {}\n'
        "    retry:\n"
        "      when:\n"
        "        - error\n"
        "tunnel:\n"
        '  ping_interval: "off"\n'
        "  idle_timeout: 1h\n"
        "  hosts:\n"
        '    - "*.a"\n'
        "    - - x\n"
        "    - b: []\n"
        "      c: d\n"
    )


def test_a_key_too_long_for_one_line_is_written_on_its_own() -> None:
    raw = {"k" * 2000: {"a": 1}, "l" * 2000: [2], "m" * 2000: [{"n" * 2000: 3, "o": [[{"p": 4}]]}]}

    assert re.match(r"\? k+\n:\n  a: 1\n", dump_yaml(raw))
    assert read(dump_yaml(raw)) == raw
