"""Values of log lines: short, printable, and still what they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.escaping import FIELD_BYTES, cap, cap_start, decode, json_string, printable

MISCHIEF = [
    "\n", "\r", "\x00", "\x1b[2J", "\x7f", "\x85", "\x9b31m", "\u2028", "\u2029", "\u202e",
]  # fmt: skip


def size(text: str) -> int:
    return len(text.encode())


@pytest.mark.parametrize("text", MISCHIEF)
def test_characters_that_do_something_are_escaped_in_both_forms(text: str) -> None:
    assert json_string(text).isascii()
    assert json_string(text).isprintable()
    assert json.loads(json_string(text)) == text
    assert printable(text).isascii()
    assert printable(text).isprintable()


@given(st.text())
def test_json_string_is_printable_ascii_that_reads_back(text: str) -> None:
    quoted = json_string(text)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert json.loads(quoted) == text


@given(st.text(st.characters(codec="utf-8")))
def test_printable_leaves_alone_what_prints(text: str) -> None:
    escaped = printable(text)
    assert escaped.isprintable()
    assert (escaped == text) == text.isprintable()


@given(st.text(st.characters(codec="utf-8"), max_size=FIELD_BYTES // 4))
def test_short_text_is_kept_whole(text: str) -> None:
    assert cap(text) == cap_start(text) == decode(text.encode()) == text


def test_lone_surrogates_become_text() -> None:
    assert cap("a\udc80b") == cap_start("a\udc80b") == "a\\udc80b"


def test_octets_that_are_not_utf8_become_text() -> None:
    assert decode(b"caf\xe9 \xff") == "caf\\xe9 \\xff"


@pytest.mark.parametrize("letter", ["a", "é", "語", "🐍", "\udc80"])
@pytest.mark.parametrize("shift", range(4))
def test_long_text_is_cut_between_letters_and_marked(letter: str, shift: int) -> None:
    text = "-" * shift + letter * (FIELD_BYTES + 1) + "-" * shift
    head, tail = cap(text), cap_start(text)
    assert FIELD_BYTES - 4 <= size(head) <= FIELD_BYTES
    assert FIELD_BYTES - 4 <= size(tail) <= FIELD_BYTES
    assert (head[-1], tail[0]) == ("…", "…")
    if letter != "\udc80":
        assert text.startswith(head[:-1])
        assert text.endswith(tail[1:])


def test_text_of_exactly_the_limit_is_not_cut() -> None:
    text = "a" * FIELD_BYTES
    assert cap(text) == cap_start(text) == decode(text.encode()) == text
    assert cap(text + "a") != text + "a"


@given(st.binary(max_size=3) | st.binary(min_size=FIELD_BYTES // 4, max_size=3 * FIELD_BYTES))
def test_octets_of_any_length_stay_within_the_limit(octets: bytes) -> None:
    text = decode(octets)
    assert size(text) <= FIELD_BYTES
    if len(octets) > FIELD_BYTES:
        assert text.endswith("…")


@pytest.mark.parametrize("extra", range(4))
def test_long_octets_are_never_cut_within_a_letter(extra: int) -> None:
    text = "-" * extra + "語" * FIELD_BYTES
    shortened = decode(text.encode())
    assert shortened.endswith("…")
    assert text.startswith(shortened[:-1])
