"""Durations and sizes: what their texts mean.

Documents keep these values as their author wrote them; ``seconds``, ``octets`` and ``limit`` turn
them into numbers when a document becomes a ``proxy.spec.Spec``.  No number means "no limit": for
that there are the words ``unlimited`` and ``off``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from admin.documents.faults import shown
from proxy.errors import FaultError

MAX_DURATION_S: Final = 366 * 24 * 3600
"""A year: longer timers mean ``off`` or a mistake."""

KIB: Final = 1024
MIB: Final = 1024 * KIB
MAX_SIZE_BYTES: Final = 1024 * 1024 * MIB

_DURATION: Final = re.compile(
    r"(?:([0-9]{1,12})h)?(?:([0-9]{1,12})m(?!s))?(?:([0-9]{1,12})s)?(?:([0-9]{1,12})ms)?"
)
_DURATION_UNITS_MS: Final = (3_600_000, 60_000, 1_000, 1)
DURATION_HINT: Final = "such as 500ms, 60s, 5m, 1h or 1m30s"

_SIZE: Final = re.compile(r"([0-9]{1,15})(B|KB|MB|GB|KiB|MiB|GiB)")
SIZE_UNITS: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": KIB,
    "MiB": MIB,
    "GiB": 1024 * MIB,
}
SIZE_HINT: Final = "such as 512B, 64KiB or 1MiB"


@lru_cache(maxsize=1024)
def seconds(text: str) -> float:
    """Return a duration in seconds.

    Raises:
        FaultError: it is not written as a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise FaultError(f"{shown(text)} is not a duration", _duration_hint(text))
    parts = zip(match.groups(), _DURATION_UNITS_MS, strict=True)
    return sum(int(count) * unit for count, unit in parts if count) / 1000


def seconds_or_none(text: str) -> float | None:
    """Return a duration in seconds, or ``None`` for ``off`` and ``unlimited``."""
    return None if text in {"off", "unlimited"} else seconds(text)


@lru_cache(maxsize=1024)
def octets(value: int | str) -> int:
    """Return a size in octets.

    Raises:
        FaultError: it is not written as a size.
    """
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise FaultError(f"{shown(value)} is not a size", _size_hint(value))
    return int(match[1]) * SIZE_UNITS[match[2]]


def octets_or_none(value: int | str) -> int | None:
    """Return a size in octets, or ``None`` for ``unlimited``."""
    return None if value == "unlimited" else octets(value)


def limit(value: int | Literal["unlimited"]) -> int | None:
    """Return a number, or ``None`` for ``unlimited``."""
    return None if value == "unlimited" else value


def _duration_hint(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,9}", text):
        return f"write {int(text)}s"
    if days := re.fullmatch(r"([0-9]{1,4})d", text):
        return f"write {int(days[1]) * 24}h"
    if re.fullmatch(r"[0-9]*\.[0-9]+(h|m|s|ms)", text):
        return "write whole numbers: 1s500ms, not 1.5s"
    if text in {"off", "unlimited"}:
        return f"this one always has a limit, {DURATION_HINT}"
    return DURATION_HINT


def _size_hint(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,15}", text):
        return f"write {int(text)}B, or the number without quotes"
    if loose := re.fullmatch(r"([0-9]{1,12}) ?([kmg])i?b?", text, re.IGNORECASE):
        return f"write {int(loose[1])}{loose[2].upper()}iB"
    if text in {"off", "unlimited"}:
        return f"this one always has a limit, {SIZE_HINT}"
    return SIZE_HINT


def size_text(count: int) -> str:
    """Write a size in the largest unit that it is a multiple of."""
    for unit, size in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", KIB)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count}B"
