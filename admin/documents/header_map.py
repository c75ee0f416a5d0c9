"""``header_maps``: variables computed from others (nginx ``map`` and ``split_clients``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from admin.documents.model import Model
from admin.documents.scalars import Pattern, Template
from proxy import spec

MAX_ENTRIES: Final = 20_000
MAX_REGEXES: Final = 1_000
MAX_SHARES: Final = 1_000

_LONE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)

Place: TypeAlias = tuple[str | int, ...]
Key = Annotated[str, Field(max_length=8192)]
Share: TypeAlias = Annotated[
    str, Pattern(r"^[0-9]{1,3}(\.[0-9]{1,2})?%$", "a share", "a percentage, such as 20% or 0.5%")
]


class RegexEntry(Model):
    """An entry that a regular expression selects."""

    match: Annotated[str, Field(max_length=8192)] = Field(
        description="RE2, found anywhere in the source unless anchored; at most 1,024 characters.",
        examples=["^svc-(.*)"],
    )
    value: Template = Field(
        description="With variables, and `$1` or `$name` for what was captured.", examples=["$1"]
    )
    ignore_case: bool = Field(default=False, description="Match in any case.", examples=[False])


class HeaderMap(Model):
    """A variable named like the map: the source selects a value.

    An exact entry wins over the longest `*.suffix`, that over the longest `prefix.*`, that over
    the first regular expression in order, that over the default. With `shares` nothing is looked
    up: a hash of the source chooses.
    """

    source: Template = Field(description="What is looked up.", examples=["$http_upgrade", "$host"])
    default: Template = Field(
        default="", description="The value if nothing matches.", examples=["upgrade"]
    )
    exact: dict[Key, Template] = Field(
        default_factory=dict,
        max_length=MAX_ENTRIES,
        description="Values by the source's whole text, in any case.",
        examples=[{"": "close"}],
    )
    hostnames: dict[Key, Template] = Field(
        default_factory=dict,
        max_length=MAX_ENTRIES,
        description="Values by host name: `*.example.org`, `www.*` or `.example.org`.",
        examples=[{"*.example.org": "example"}],
    )
    regex: list[RegexEntry] = Field(
        default_factory=list,
        max_length=MAX_REGEXES,
        description="Tried in order; the first that matches wins.",
        examples=[[{"match": "^svc-(.*)", "value": "$1"}]],
    )
    shares: dict[Template, Share] = Field(
        default_factory=dict,
        max_length=MAX_SHARES,
        description="Values, each with its share of the sources (nginx `split_clients`, equal "
        "sources get the values they get there); what is left over gets the default. Instead of "
        "`exact`, `hostnames` and `regex`.",
        examples=[{"canary": "0.5%", "beta": "20%"}],
    )
    volatile: bool = Field(
        default=False,
        description="Compute it each time it is asked for, not once per request.",
        examples=[False],
    )

    def to_spec(self, name: str) -> spec.HeaderMapSpec:
        """Translate; the header map is valid."""
        return spec.HeaderMapSpec(
            name=name,
            source=self.source,
            default=self.default,
            exact=tuple(self.exact.items()),
            hostnames=tuple(self.hostnames.items()),
            regex=tuple(
                spec.RegexEntry(match=entry.match, value=entry.value, ignore_case=entry.ignore_case)
                for entry in self.regex
            ),
            shares=tuple((value, _hundredths(share)) for value, share in self.shares.items()),
            volatile=self.volatile,
        )

    def values(self) -> tuple[tuple[Place, str], ...]:
        """Return every value the map may give, each with its place within the map."""
        return (
            (("default",), self.default),
            *((("exact", key), value) for key, value in self.exact.items()),
            *((("hostnames", key), value) for key, value in self.hostnames.items()),
            *((("regex", index, "value"), entry.value) for index, entry in enumerate(self.regex)),
            *((("shares", value), value) for value in self.shares),
        )


def maps_behind(name: str, header_maps: Mapping[str, HeaderMap]) -> tuple[str, ...]:
    """Return a map, and those whose values its values are."""
    found = [name]
    for each in found:
        for _, value in header_maps[each].values() if each in header_maps else ():
            other = _map_named(value)
            if other in header_maps and other not in found:
                found.append(other)
    return tuple(found)


def outcomes(name: str, header_maps: Mapping[str, HeaderMap]) -> Iterator[tuple[str, Place, str]]:
    """Give all that a map may come to: the map that says so, the place within it, and the value."""
    for each in maps_behind(name, header_maps):
        for place, value in header_maps[each].values() if each in header_maps else ():
            if _map_named(value) not in header_maps:
                yield each, place, value


def _map_named(value: str) -> str:
    """Return what a value is if it is one variable and nothing else, or an empty string."""
    found = _LONE.fullmatch(value) if value.startswith("$") else None
    return (found[1] or found[2]).lower() if found else ""


def _hundredths(share: str) -> int:
    """Return a percentage in hundredths of a per cent."""
    whole, _, decimals = share.removesuffix("%").partition(".")
    return int(whole) * 100 + int(decimals.ljust(2, "0"))
