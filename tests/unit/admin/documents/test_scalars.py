from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.documents.units import limit, octets, octets_or_none, seconds, seconds_or_none
from proxy.errors import FaultError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 0.5),
        ("60s", 60.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1m30s", 90.0),
        ("1h2m3s4ms", 3723.004),
        ("1h1ms", 3600.001),
        ("90m", 5400.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "s", "60", "1.5s", "-1s", "1s1m", "1s1s", " 1s", "1s ", "1 s", "1S", "1d", "٣s", "1e3s",
     "off", "unlimited", "1" * 13 + "s"],
)  # fmt: skip
def test_what_is_not_a_duration_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(FaultError) as raised:
        seconds(text)

    assert raised.value.hint


@given(
    st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 9999)
)  # fmt: skip
def test_units_add_up(hours: int, minutes: int, whole: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{whole}s{milliseconds}ms"

    assert (
        seconds(text) == (hours * 3600_000 + minutes * 60_000 + whole * 1000 + milliseconds) / 1000
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("0B", 0),
        ("512B", 512),
        ("10KB", 10_000),
        ("64KiB", 65_536),
        ("1MB", 1_000_000),
        ("1MiB", 1_048_576),
        ("2GB", 2_000_000_000),
        ("1GiB", 1_073_741_824),
    ],
)
def test_a_size_is_read_in_octets(value: int | str, expected: int) -> None:
    assert octets(value) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "5b", "1k", "1m", "1.5MiB", "-1B", "1 KiB", "1kib", "٣B"]
)
def test_what_is_not_a_size_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(FaultError) as raised:
        octets(text)

    assert raised.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [("1k", "1KiB"), ("8K", "8KiB"), ("1m", "1MiB"), ("2 mb", "2MiB"), ("7", "7B")],
)
def test_a_size_as_nginx_writes_it_is_translated_in_the_hint(text: str, hint: str) -> None:
    with pytest.raises(FaultError) as raised:
        octets(text)

    assert f"write {hint}" in (raised.value.hint or "")


def test_words_are_no_limit() -> None:
    assert seconds_or_none("off") is None
    assert seconds_or_none("unlimited") is None
    assert octets_or_none("unlimited") is None
    assert limit("unlimited") is None


def test_numbers_are_limits() -> None:
    assert seconds_or_none("1s") == 1.0
    assert octets_or_none("1KiB") == 1024
    assert limit(7) == 7
