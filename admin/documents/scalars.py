"""Durations, sizes, numbers and names: how they are written, checked and understood.

Documents keep these values as their author wrote them; ``seconds``, ``octets`` and ``limit`` turn
them into numbers when a document becomes a ``proxy.spec.Spec``.  No number means "no limit": for
that there are the words ``unlimited`` and ``off``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from admin.documents.faults import IS_NOT, QUOTED_OFF, shown
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
_DURATION_HINT: Final = "such as 500ms, 60s, 5m, 1h or 1m30s"

_SIZE: Final = re.compile(r"([0-9]{1,15})(B|KB|MB|GB|KiB|MiB|GiB)")
_SIZE_UNITS: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": KIB,
    "MiB": MIB,
    "GiB": 1024 * MIB,
}
_SIZE_HINT: Final = "such as 512B, 64KiB or 1MiB"


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
    return int(match[1]) * _SIZE_UNITS[match[2]]


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
        return f"this one always has a limit, {_DURATION_HINT}"
    return _DURATION_HINT


def _size_hint(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,15}", text):
        return f"write {int(text)}B, or the number without quotes"
    if loose := re.fullmatch(r"([0-9]{1,12}) ?([kmg])i?b?", text, re.IGNORECASE):
        return f"write {int(loose[1])}{loose[2].upper()}iB"
    if text in {"off", "unlimited"}:
        return f"this one always has a limit, {_SIZE_HINT}"
    return _SIZE_HINT


@dataclass(frozen=True, slots=True)
class DurationRule:
    """Annotates a duration above zero; ``word`` is what may stand for "no limit"."""

    word: str | None = None

    def check(self, value: object) -> str:
        """Return the text; ``FaultError`` if it is no such duration."""
        if not isinstance(value, str):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            hint = f'write "{shown(value)}s"' if number and value else self._no_limit()
            if value is False and self.word == "off":
                hint = QUOTED_OFF
            raise FaultError(f"{shown(value)} is not a duration", hint)
        if value == self.word:
            return value
        if self.word and value in {"off", "unlimited"}:
            raise FaultError(f"{shown(value)} is not a duration", self._no_limit())
        span_s = seconds(value)
        if not span_s:
            raise FaultError(f"{shown(value)} is not a duration above zero", self._no_limit())
        if span_s > MAX_DURATION_S:
            raise FaultError(f"{shown(value)} is longer than a year", self._no_limit())
        return value

    def _no_limit(self) -> str:
        return f"for no limit write `{self.word}`" if self.word else _DURATION_HINT

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        pattern = "(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"
        return {"type": "string", "pattern": f"^({pattern}{f'|{self.word}' * bool(self.word)})$"}


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Annotates a size in octets: a number, or text with a unit; ``word`` stands for no limit."""

    least: int = 1
    most: int = MAX_SIZE_BYTES
    word: str | None = None

    def check(self, value: object) -> int | str:
        """Return the size as it was written; ``FaultError`` if it is out of bounds."""
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise FaultError(f"{shown(value)} is not a size", _SIZE_HINT)
        if value == self.word:
            return value
        if self.word and value in {"off", "unlimited"}:
            raise FaultError(f"{shown(value)} is not a size", f"for no limit write `{self.word}`")
        if not self.least <= octets(value) <= self.most:
            bounds = f"from {_size_text(self.least)} to {_size_text(self.most)}"
            no_limit = f"; for no limit write `{self.word}`" if self.word else ""
            raise FaultError(f"{shown(value)} is out of bounds", bounds + no_limit)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        text = f"[0-9]+({'|'.join(_SIZE_UNITS)}){f'|{self.word}' * bool(self.word)}"
        return {
            "anyOf": [
                {"type": "string", "pattern": f"^({text})$"},
                {"type": "integer", "minimum": self.least, "maximum": self.most},
            ]
        }


def _size_text(count: int) -> str:
    for unit, size in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", KIB)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count}B"


@dataclass(frozen=True, slots=True)
class Whole:
    """Annotates a whole number within bounds; ``word`` is what may stand for "no limit"."""

    least: int
    most: int
    word: str | None = None
    hint: str | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema: CoreSchema = core_schema.int_schema(ge=self.least, le=self.most, strict=True)
        hint = self.hint
        if self.word:
            schema = core_schema.union_schema([core_schema.literal_schema([self.word]), schema])
            hint = hint or f"for no limit write `{self.word}`"
        return core_schema.custom_error_schema(
            schema,
            custom_error_type=IS_NOT,
            custom_error_message="not such a number",
            custom_error_context={
                "expected": f"a whole number from {self.least:,} to {self.most:,}",
                "hint": hint,
            },
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """Annotates text of a certain form; ``expected`` says in words which."""

    pattern: str
    expected: str
    hint: str | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.str_schema(pattern=self.pattern, strict=True),
            custom_error_type=IS_NOT,
            custom_error_message="not of this form",
            custom_error_context={"expected": self.expected, "hint": self.hint},
        )


Duration: TypeAlias = Annotated[str, DurationRule()]
DurationOrOff: TypeAlias = Annotated[str, DurationRule("off")]
DurationOrUnlimited: TypeAlias = Annotated[str, DurationRule("unlimited")]
SizeOrUnlimited: TypeAlias = Annotated[int | str, SizeRule(word="unlimited")]
HeadSize: TypeAlias = Annotated[int | str, SizeRule(KIB, MIB)]
"""Of a message head, request or response."""

Count: TypeAlias = Annotated[int | Literal["unlimited"], Whole(1, 1_000_000_000, word="unlimited")]

_NAME: Final = "[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_VARIABLE: Final = "[a-z][a-z0-9_]{0,62}"

Name: TypeAlias = Annotated[
    str,
    Pattern(
        f"^{_NAME}$",
        "a name",
        "up to 63 letters, digits, `_`, `.` and `-`, a letter or digit first",
    ),
]
EndpointName: TypeAlias = Annotated[
    str,
    Pattern(
        r"^[A-Za-z0-9\[][A-Za-z0-9_.:\[\]/-]{0,127}$",
        "a name or an address",
        "up to 128 letters, digits and `_.:[]/-`",
    ),
]
VariableName: TypeAlias = Annotated[
    str,
    Pattern(
        f"^{_VARIABLE}$",
        "the name of a variable",
        "up to 63 lower-case letters, digits and `_`, a letter first",
    ),
]
PoolReference: TypeAlias = Annotated[
    str,
    Pattern(
        rf"^({_NAME}|\${_VARIABLE}|\$\{{{_VARIABLE}\}})$",
        "the name of a pool or a header map's variable",
        "such as backend or $tier_pool",
    ),
]
Template: TypeAlias = Annotated[str, Field(max_length=8192)]
"""Text with variables."""
