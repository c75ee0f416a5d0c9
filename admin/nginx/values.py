"""Values: times, sizes and numbers of nginx, as documents write them."""

from __future__ import annotations

import re
from typing import Final

from proxy.errors import FaultError

_TIME: Final = re.compile(
    r" *(?:(\d{1,9})y)? *(?:(\d{1,9})M)? *(?:(\d{1,9})w)? *(?:(\d{1,9})d)? *(?:(\d{1,9})h)?"
    r" *(?:(\d{1,9})m(?!s))? *(?:(\d{1,9})(?:s|$| ))? *(?:(\d{1,9})ms)? *",
    re.ASCII,
)
_DAY_MS: Final = 86_400_000
_TIME_UNITS_MS: Final = (
    365 * _DAY_MS, 30 * _DAY_MS, 7 * _DAY_MS, _DAY_MS, 3_600_000, 60_000, 1_000, 1,
)  # fmt: skip
_SIZE: Final = re.compile(r"(\d{1,15})([kKmMgG]?)", re.ASCII)
_SIZE_UNITS: Final = {"": "B", "k": "KiB", "m": "MiB", "g": "GiB"}
_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def words(text: str) -> frozenset[str]:
    """Return the words of a table."""
    return frozenset(text.split())


def milliseconds(text: str) -> int:
    """Return a time in milliseconds (``ngx_parse_time``); ``FaultError`` if it is none."""
    found = _TIME.fullmatch(text)
    if found is None or not any(found.groups()):
        raise FaultError(f'invalid time "{text[:60]}"', "such as 60s, 1m30s or 500ms")
    parts = zip(found.groups(), _TIME_UNITS_MS, strict=True)
    return sum(int(count) * unit for count, unit in parts if count)


def duration(text: str) -> str:
    """Return a time as a document writes it."""
    total = milliseconds(text)
    if total % 1000:
        return f"{total}ms"
    seconds = total // 1000
    if seconds and seconds % 3600 == 0:
        return f"{seconds // 3600}h"
    if seconds > 60 and seconds % 60 == 0:
        return f"{seconds // 60}m"
    return f"{seconds}s"


def octets(text: str) -> int:
    """Return a size in octets (``ngx_parse_size``); ``FaultError`` if it is none."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise FaultError(f'invalid size "{text[:60]}"', "such as 512, 8k, 1m or 1g")
    return int(found[1]) * _FACTORS[found[2].lower()]


def size(text: str) -> str:
    """Return a size as a document writes it."""
    octets(text)
    unit = text[-1:].lower()
    number = text[:-1] if unit in "kmg" else text
    return f"{int(number)}{_SIZE_UNITS[unit if unit in 'kmg' else '']}"


def whole(text: str) -> int:
    """Return a whole number; ``FaultError`` if it is none."""
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise FaultError(f'invalid number "{text[:60]}"')
    return int(text)
