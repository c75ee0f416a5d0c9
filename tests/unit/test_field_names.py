"""Field names: recognised in any case, and remembered within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import field_names
from proxy.field_names import MEMO_NAMES, Memo, kind_of, passing

KINDS = {
    b"Host": field_names.HOST,
    b"Content-Length": field_names.CONTENT_LENGTH,
    b"Transfer-Encoding": field_names.TRANSFER_ENCODING,
    b"Connection": field_names.CONNECTION,
    b"Upgrade": field_names.UPGRADE,
    b"Expect": field_names.EXPECT,
    b"Keep-Alive": field_names.KEEP_ALIVE,
    b"X-Request-Id": field_names.REQUEST_ID,
    b"Location": field_names.LOCATION,
    b"Refresh": field_names.REFRESH,
    b"Set-Cookie": field_names.SET_COOKIE,
}


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 2**20))
def test_kind_does_not_depend_on_the_case(name: bytes, mask: int) -> None:
    spelled = b"".join(
        (letter.swapcase() if mask >> at & 1 else letter)
        for at, letter in enumerate(bytes((code,)) for code in name)
    )
    assert kind_of[spelled] == KINDS[name]


@pytest.mark.parametrize("name", [b"Hosts", b"Hos", b"content_length", b"Accept", b""])
def test_any_other_name_is_ordinary(name: bytes) -> None:
    assert kind_of[name] == field_names.ORDINARY


def test_kinds_are_all_different_and_only_ordinary_is_false() -> None:
    assert len({*KINDS.values()}) == len(KINDS)
    assert all(KINDS.values())
    assert not field_names.ORDINARY


def test_memo_computes_a_spelling_once() -> None:
    asked: list[bytes] = []

    def length(name: bytes) -> int:
        asked.append(name)
        return len(name)

    memo = Memo(length)
    assert [memo[b"Abc"], memo[b"Abc"], memo[b"abc"]] == [3, 3, 3]
    assert len(asked) == 2


def test_memo_stops_remembering_at_its_bound_and_still_answers() -> None:
    memo = Memo(len)
    for number in range(MEMO_NAMES * 2):
        assert memo[b"n%d" % number] == len(b"n%d" % number)
    assert len(memo) == MEMO_NAMES


def test_long_names_are_not_remembered() -> None:
    """A client chooses the names it sends: remembering 30 KiB of each would be its to spend."""
    memo = Memo(len)
    for number in range(64):
        assert memo[b"%d" % number + b"y" * 30_000] > 30_000
    assert sum(len(name) for name in memo) < 64 * 1024


def test_passing_drops_what_is_named_in_any_case() -> None:
    passes = passing(frozenset({b"connection", b"te"}))
    assert not any([passes[b"Connection"], passes[b"TE"], passes[b"te"], passes[b"CONNECTION"]])
    assert all([passes[b"Accept"], passes[b"T"], passes[b"Connection2"]])


def test_passing_drops_what_begins_with_the_prefix() -> None:
    passes = passing(frozenset({b"te"}), b"x-forwarded-")
    assert not any([passes[b"X-Forwarded-For"], passes[b"x-FORWARDED-anything"], passes[b"Te"]])
    assert all([passes[b"X-Forwarded"], passes[b"Forwarded"]])
