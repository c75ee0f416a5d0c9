"""``map`` becomes a header map; ``split_clients`` becomes the shares of a route's pools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.variables import Variables, pattern
from proxy.errors import FaultError, pointer

SHARES: Final = 10_000
"""What ``split_clients`` divides the requests into; nginx takes two decimals of per cent."""

_FLAGS: Final = frozenset({"hostnames", "volatile"})
_PERCENT: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?%", re.ASCII)


@dataclass(slots=True)
class Map:
    """A ``map`` as the document has it."""

    directive: Directive
    document: dict[str, Any]
    sources: dict[str, Directive] = field(default_factory=dict)
    """The directive behind each place of the document."""
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """A ``split_clients``: a key, and shares by value."""

    directive: Directive
    key: str
    shares: Mapping[str, int]


def variable(text: str) -> str:
    """Return the name of the variable that a block defines; ``FaultError`` if it names none."""
    if not re.fullmatch(r"\$\w+", text, re.ASCII):
        raise FaultError(f'invalid variable name "{text[:60]}"')
    return text[1:]


def read_map(directive: Directive, name: str, variables: Variables, report: Report) -> Map:
    """Translate a ``map``.  All maps must have been added to ``variables``."""
    made = Map(directive, {"source": ""})
    at = pointer("header_maps", name)
    made.sources[at] = directive
    entries = directive.block or ()
    hostnames = any(entry.name == "hostnames" and not entry.args for entry in entries)
    with report.judging(directive):
        made.document["source"] = variables.template(directive.args[0])
    for entry in entries:
        if entry.name in _FLAGS and not entry.args:
            report.kept(entry)
        elif len(entry.args) != 1 or entry.block is not None:
            report.fault(entry, "invalid number of the map parameters")
        else:
            report.kept(entry)
            with report.judging(entry):
                value = variables.template(entry.args[0])
                made.sources[at + _add(made, entry.name, value, hostnames=hostnames)] = entry
    return made


def _add(made: Map, key: str, value: str, *, hostnames: bool) -> str:
    """Add an entry; return its place within the map."""
    document = made.document
    if key == "default":
        if made.has_default:
            raise FaultError("duplicate default map parameter")
        made.has_default = True
        document["default"] = value
        return "/default"
    if key.startswith("~"):
        ignore_case = key.startswith("~*")
        match = pattern(key[1 + ignore_case :])
        entry: dict[str, Any] = {"match": match, "value": value}
        entries: list[dict[str, Any]] = document.setdefault("regex", [])
        entries.append(entry | ({"ignore_case": True} if ignore_case else {}))
        return f"/regex/{len(entries) - 1}"
    key = key.removeprefix("\\")
    wild = hostnames and (key.startswith(("*.", ".")) or key.endswith(".*"))
    kind = "hostnames" if wild else "exact"
    if key in document.setdefault(kind, {}):
        raise FaultError(f'conflicting parameter "{key[:60]}"')
    document[kind][key] = value
    return pointer(kind, key)


def read_split(directive: Directive, variables: Variables, report: Report) -> Split | None:
    """Translate a ``split_clients``; ``None`` if it is wrong or refused."""
    with report.judging(directive):
        shares: dict[str, int] = {}
        left = SHARES
        for entry in directive.block or ():
            if len(entry.args) != 1 or entry.block is not None:
                raise FaultError("invalid number of the split_clients parameters")
            report.kept(entry)
            share = left if entry.name == "*" else _share(entry.name)
            left -= share
            if left < 0:
                raise FaultError("percent total is greater than 100%")
            shares[entry.args[0]] = shares.get(entry.args[0], 0) + share
        if left:
            raise RefusalError(
                "what is left over gets the empty value", "give it to an upstream: *"
            )
        report.approximated(directive, "the hash is another one, so other clients meet each share")
        return Split(directive, variables.template(directive.args[0]), shares)
    return None


def _share(percent: str) -> int:
    found = _PERCENT.fullmatch(percent)
    share = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else 0
    if not share:
        raise FaultError(f'invalid percent value "{percent[:60]}"')
    return share
