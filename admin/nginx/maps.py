"""``map`` and ``split_clients`` become header maps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.variables import Variables, constant, pattern
from proxy.errors import FaultError, pointer
from proxy.headers.shares import WHOLE
from proxy.patterns import Pattern, host_keys

_FLAGS: Final = frozenset({"hostnames", "volatile"})
_PERCENT: Final = re.compile(r"(?=\.?\d)(\d{0,15})(?:\.(\d{0,2}))?%", re.ASCII)


@dataclass(slots=True)
class Map:
    """A ``map`` or ``split_clients`` as the document has it."""

    directive: Directive
    document: dict[str, Any]
    sources: dict[str, Directive] = field(default_factory=dict)
    """The directive behind each place of the document."""
    has_default: bool = False


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
    with report.judging(directive):
        made.document["source"] = variables.template(directive.args[0])
    hosts = False
    for entry in directive.block or ():
        report.kept(entry)
        with report.judging(entry):
            if entry.name in _FLAGS and not entry.args:
                hosts |= entry.name == "hostnames"
                made.document |= {"volatile": True} if entry.name == "volatile" else {}
            elif len(entry.args) != 1 or entry.block is not None:
                raise FaultError("invalid number of the map parameters")
            else:
                made.sources[at + _add(made, entry, variables, hosts=hosts)] = entry
    if hosts:
        _ignore_dots(made, at)
    return made


def _add(made: Map, entry: Directive, variables: Variables, *, hosts: bool) -> str:
    """Add an entry; return its place within the map.  With ``hosts`` it may be a wildcard."""
    document, key, value = made.document, entry.name, entry.args[0]
    if key == "default":
        if made.has_default:
            raise FaultError("duplicate default map parameter")
        made.has_default = True
        document["default"] = variables.template(value)
        return "/default"
    if key.startswith("~"):
        return _add_regex(document, key[1:], value, variables)
    key = key.removeprefix("\\")
    kind = "hostnames" if hosts and _is_wildcard(key) else "exact"
    if key in document.setdefault(kind, {}):
        raise FaultError(f'conflicting parameter "{key[:60]}"')
    document[kind][key] = variables.template(value)
    return pointer(kind, key)


def _add_regex(document: dict[str, Any], text: str, value: str, variables: Variables) -> str:
    ignore_case = text.startswith("*")
    match = pattern(text.removeprefix("*"))
    # To nginx names of captures have no case either.
    captured = {name.lower(): f"${name}" for name in Pattern(match).names}
    entry: dict[str, Any] = {"match": match, "value": variables.template(value, captured)}
    entries: list[dict[str, Any]] = document.setdefault("regex", [])
    entries.append(entry | ({"ignore_case": True} if ignore_case else {}))
    return f"/regex/{len(entries) - 1}"


def _is_wildcard(key: str) -> bool:
    """Tell a wildcard from plain text as ``ngx_hash_add_key`` does."""
    wild = (key.startswith(".") and len(key) > 1) or (
        len(key) > 2 and (key.startswith("*.") or key.endswith(".*"))
    )
    if key.count("*") > 1 or ".." in key or ("*" in key and not wild):
        raise FaultError(f'invalid hostname or wildcard "{key[:60]}"')
    return wild


def _ignore_dots(made: Map, at: str) -> None:
    """Let host names in the place of exact texts, because a dot behind the source is ignored.

    Beside wildcards it is anyway.
    """
    exact = made.document.get("exact", {})
    names = [key for key in exact if re.fullmatch(r"[^.*][^*]*", key) and _is_host(key)]
    if "hostnames" in made.document or not names:
        return
    made.document["hostnames"] = {key: exact.pop(key) for key in names}
    if not exact:
        del made.document["exact"]
    for key in names:
        made.sources[at + pointer("hostnames", key)] = made.sources.pop(at + pointer("exact", key))


def _is_host(key: str) -> bool:
    try:
        host_keys(key)
    except FaultError:
        return False
    return True


def read_split(directive: Directive, name: str, variables: Variables, report: Report) -> Map:
    """Translate a ``split_clients``."""
    made = Map(directive, {"source": ""})
    at = pointer("header_maps", name)
    made.sources[at] = directive
    with report.judging(directive):
        made.document["source"] = variables.template(directive.args[0])
    total = 0
    for entry in directive.block or ():
        report.kept(entry)
        with report.judging(entry):
            if len(entry.args) != 1 or entry.block is not None:
                raise FaultError("invalid number of the split_clients parameters")
            value = constant(entry.args[0])
            total = WHOLE if entry.name == "*" else total + hundredths(entry.name)
            if total > WHOLE:
                raise FaultError("percent total is greater than 100%")
            if entry.name == "*":
                made.document.setdefault("default", value)
            else:
                made.sources[at + _add_share(made, entry, value, report)] = entry
    return made


def _add_share(made: Map, entry: Directive, value: str, report: Report) -> str:
    """Add a share; return its place within the map."""
    shares: dict[str, str] = made.document.setdefault("shares", {})
    share = hundredths(entry.name)
    if value in shares:
        if value != list(shares)[-1]:
            hint = "put the shares of a value one behind the other"
            raise RefusalError(f'"{entry.args[0][:60]}" has a share already', hint)
        report.approximated(entry, "added to the share before; one key in 4 billion may differ")
        share += hundredths(shares[value])
    whole, part = divmod(share, 100)
    shares[value] = (f"{whole}.{part:02}".rstrip("0").rstrip(".") if part else str(whole)) + "%"
    return pointer("shares", value)


def hundredths(percent: str) -> int:
    """Return a share in hundredths of a per cent (``ngx_atofp``); ``FaultError`` if it is none."""
    found = _PERCENT.fullmatch(percent)
    share = int(found[1] or 0) * 100 + int((found[2] or "").ljust(2, "0")) if found else 0
    if not share:
        raise FaultError(f'invalid percent value "{percent[:60]}"')
    return share
