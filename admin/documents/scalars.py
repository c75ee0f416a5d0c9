"""Durations, sizes, numbers and names: how they are written and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from admin.documents.faults import IS_NOT, QUOTED_OFF, shown
from admin.documents.names import ENDPOINT, NAME, NAME_HINT, VARIABLE
from admin.documents.units import (
    DURATION_HINT,
    KIB,
    MAX_DURATION_S,
    MAX_SIZE_BYTES,
    MIB,
    SIZE_HINT,
    SIZE_UNITS,
    octets,
    seconds,
    size_text,
)
from proxy.errors import FaultError


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
        return f"for no limit write `{self.word}`" if self.word else DURATION_HINT

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
            raise FaultError(f"{shown(value)} is not a size", SIZE_HINT)
        if value == self.word:
            return value
        if self.word and value in {"off", "unlimited"}:
            raise FaultError(f"{shown(value)} is not a size", f"for no limit write `{self.word}`")
        if not self.least <= octets(value) <= self.most:
            bounds = f"from {size_text(self.least)} to {size_text(self.most)}"
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
        text = f"[0-9]+({'|'.join(SIZE_UNITS)}){f'|{self.word}' * bool(self.word)}"
        return {
            "anyOf": [
                {"type": "string", "pattern": f"^({text})$"},
                {"type": "integer", "minimum": self.least, "maximum": self.most},
            ]
        }


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

Name: TypeAlias = Annotated[
    str,
    Pattern(
        f"^{NAME}$",
        "a name",
        NAME_HINT,
    ),
]
EndpointName: TypeAlias = Annotated[
    str,
    Pattern(
        f"^{ENDPOINT}$",
        "a name or an address",
        "up to 128 letters, digits and `_.:[]/-`",
    ),
]
VariableName: TypeAlias = Annotated[
    str,
    Pattern(
        f"^{VARIABLE}$",
        "the name of a variable",
        "up to 63 lower-case letters, digits and `_`, a letter first",
    ),
]
PoolReference: TypeAlias = Annotated[
    str,
    Pattern(
        rf"^({NAME}|\${VARIABLE}|\$\{{{VARIABLE}\}})$",
        "the name of a pool or a header map's variable",
        "such as backend or $tier_pool",
    ),
]
Template: TypeAlias = Annotated[str, Field(max_length=8192)]
"""Text with variables."""
