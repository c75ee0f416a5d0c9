"""What a ``Connection`` field takes with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers.hop_by_hop import HOP_BY_HOP, connection_options, named_by_connection


def test_every_name_is_in_lower_case() -> None:
    assert all(name == name.lower() for name in HOP_BY_HOP)


def test_message_without_connection_names_nothing() -> None:
    assert named_by_connection(((b"Host", b"x"), (b"Connected0", b"a"))) == frozenset()


def test_every_connection_field_is_read() -> None:
    fields = ((b"Connection", b"close, X-A"), (b"X-B", b"1"), (b"CONNECTION", b"\tx-c ,,"))
    assert named_by_connection(fields) == {b"close", b"x-a", b"x-c"}


@pytest.mark.parametrize("name", [b"Host", b"content-length"])
def test_field_that_a_message_needs_cannot_be_named(name: bytes) -> None:
    assert connection_options(b"close, " + name) == {b"close"}


@given(st.lists(st.text("abcXYZ-", min_size=1), max_size=40))
def test_options_of_any_length_are_lower_case_and_complete(names: list[str]) -> None:
    value = ", ".join(names).encode()
    assert connection_options(value) == {name.lower().encode() for name in names}
