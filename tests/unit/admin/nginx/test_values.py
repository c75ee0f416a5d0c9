from __future__ import annotations

import pytest

from admin.nginx.values import duration, octets, size
from proxy.errors import FaultError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60", "60s"),
        ("60s", "60s"),
        ("75", "75s"),
        ("1m", "60s"),
        ("90s", "90s"),
        ("5m", "5m"),
        ("1m30s", "90s"),
        ("1h", "1h"),
        ("1d", "24h"),
        ("500ms", "500ms"),
        ("1s500ms", "1500ms"),
        ("1h 30m", "90m"),
        ("1w", "168h"),
        ("1M", "720h"),
        ("0", "0s"),
    ],
)
def test_time_is_written_as_a_document_writes_it(text: str, expected: str) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "s", "1x", "-1", "1.5s", "1s1m", " ", "ms", "１s"])
def test_text_that_is_no_time_is_a_fault(text: str) -> None:
    with pytest.raises(FaultError, match="invalid time"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "expected", "count"),
    [("512", "512B", 512), ("8k", "8KiB", 8192), ("1M", "1MiB", 1 << 20), ("2g", "2GiB", 2 << 30)],
)
def test_size_is_written_as_a_document_writes_it(text: str, expected: str, count: int) -> None:
    assert (size(text), octets(text)) == (expected, count)


@pytest.mark.parametrize("text", ["", "k", "1kb", "-1", "1.5m"])
def test_text_that_is_no_size_is_a_fault(text: str) -> None:
    with pytest.raises(FaultError, match="invalid size"):
        size(text)
