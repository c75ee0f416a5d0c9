"""Routing read off the documentation: scans over all routes, no tables, Python's ``re``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from proxy.routing.table import Entry
from proxy.spec import PathSpec

Outcome = tuple[str, bool, dict[str, bytes] | None]
"""Name of the route, whether it redirects, what its regex captured."""


def route(entries: Sequence[Entry[str]], host: bytes, uri: bytes) -> Outcome | None:
    """Choose a route as nginx documents ``server_name`` and ``location``."""
    name = host.decode("latin-1")
    pattern = _host_pattern(entries, name)
    mine = [entry for entry in entries if _has(entry, pattern)]
    return _path(mine, uri.decode("latin-1"))


def _spelled(entry: Entry[str]) -> set[str]:
    """Return the host patterns of a route, ``.a`` as the two that it stands for."""
    spelled: set[str] = set()
    for host in entry.hosts or ():
        spelled |= {host[1:], "*" + host} if host.startswith(".") else {host}
    return spelled


def _has(entry: Entry[str], pattern: str | None) -> bool:
    return entry.hosts is None if pattern is None else pattern in _spelled(entry)


def _host_pattern(entries: Sequence[Entry[str]], host: str) -> str | None:
    ordered = sorted(entries, key=lambda entry: entry.name)
    patterns = [pattern for entry in ordered for pattern in sorted(_spelled(entry))]
    exact = [pattern for pattern in patterns if pattern == host]
    suffixes = [p for p in patterns if p.startswith("*.") and host.endswith(p[1:])]
    prefixes = [p for p in patterns if p.endswith(".*") and host.startswith(p[:-1])]
    regexes = [p for p in patterns if p.startswith("~") and re.search(p[1:], host)]
    longest = [*sorted(suffixes, key=len)[::-1][:1], *sorted(prefixes, key=len)[::-1][:1]]
    return next(iter([*exact, *longest, *regexes]), None)


def _of(entry: Entry[str]) -> PathSpec:
    assert entry.path is not None
    return entry.path


def _path(entries: Sequence[Entry[str]], uri: str) -> Outcome | None:
    exact = [entry for entry in entries if _of(entry).kind == "exact" and _of(entry).value == uri]
    if exact:
        return exact[0].payload, False, None
    prefixes = [entry for entry in entries if _of(entry).kind == "prefix"]
    if uri not in [_of(entry).value for entry in prefixes]:
        for entry in sorted(entries, key=lambda entry: _of(entry).kind):
            if _of(entry).kind != "regex" and _of(entry).value == uri + "/" != "/":
                return entry.payload, True, None
    matching = [entry for entry in prefixes if uri.startswith(_of(entry).value)]
    best = max(matching, key=lambda entry: len(_of(entry).value), default=None)
    if best is None or not _of(best).final:
        regexes = [entry for entry in entries if _of(entry).kind == "regex"]
        for entry in sorted(regexes, key=lambda entry: (-_of(entry).priority, entry.name)):
            found = re.search(_of(entry).value, uri)
            if found:
                groups = {str(n): g for n, g in enumerate(found.groups(), 1)} | found.groupdict()
                texts = {key: (text or "").encode("latin-1") for key, text in groups.items()}
                return entry.payload, False, texts
    return None if best is None else (best.payload, False, None)
