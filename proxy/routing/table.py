"""Which route takes a request: first the host, then the path in that host's own table.

The rules are nginx's for ``server_name`` and ``location``.  There is no falling back from one
host's table to another's.  The cost does not grow with the number of routes: hosts, exact paths
and prefixes are hash look-ups, one per distinct length of a wildcard or prefix, and all regular
expressions of a table are tried in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from proxy.patterns import HostNames, Pattern, PatternList, host_keys, octets
from proxy.spec import PathSpec

R = TypeVar("R")

_ANY: Final = b"*"
"""Key of the table for every host that has none; ``host_keys`` never gives it."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """One route as the table needs it."""

    name: str
    hosts: tuple[str, ...] | None
    path: PathSpec | None
    """``None``: what precedes every path of the hosts."""
    payload: R


class Found(Generic[R]):
    """The route of a request.  Immutable: one that captured nothing is shared between requests."""

    __slots__ = ("captures", "final", "matched", "payload", "redirect")

    def __init__(
        self,
        payload: R,
        matched: int,
        captures: dict[str, bytes] | None = None,
        *,
        redirect: bool = False,
        final: bool = False,
    ) -> None:
        self.payload: Final = payload
        self.captures: Final = captures
        """Of the path's regex by number and name, and those of the host's regex by name."""
        self.matched: Final = matched
        """Octets of the path that a rewrite replaces: a prefix's, else all of them."""
        self.redirect: Final = redirect
        """Answer 301 to the path with a slash behind it (nginx ``auto_redirect``)."""
        self.final: Final = final
        """Regular expressions are not tried after this prefix."""


class _Paths(Generic[R]):
    """The table of one host."""

    __slots__ = ("_exact", "_lengths", "_patterns", "_prefixes", "_regexes", "prelude")

    def __init__(self, entries: Iterable[Entry[R]]) -> None:
        self._exact: Final[dict[bytes, Found[R]]] = {}
        self._prefixes: Final[dict[bytes, Found[R]]] = {}
        self.prelude: Found[R] | None = None
        """What precedes every path."""
        regexes: list[tuple[PathSpec, str, R]] = []
        for entry in entries:
            path = entry.path
            if path is None:
                self.prelude = self.prelude or Found(entry.payload, 0)
                continue
            if path.kind == "regex":
                regexes.append((path, entry.name, entry.payload))
                continue
            value = octets(path.value)
            paths = self._exact if path.kind == "exact" else self._prefixes
            paths.setdefault(value, Found(entry.payload, len(value), final=path.final))
        self._redirect()
        self._lengths: Final = tuple(sorted({len(path) for path in self._prefixes}, reverse=True))
        regexes.sort(key=lambda each: (-each[0].priority, each[1]))
        self._regexes: Final = tuple(payload for _, _, payload in regexes)
        self._patterns: Final = PatternList([_pattern(path) for path, _, _ in regexes])

    def _redirect(self) -> None:
        """Answer for ``/a`` where there is a prefix ``/a/`` and nothing that equals ``/a``."""
        for path, found in self._prefixes.items():
            short = path[:-1]
            if path.endswith(b"/") and short and short not in self._prefixes:
                self._exact.setdefault(short, Found(found.payload, len(short), redirect=True))

    def find(self, uri: bytes) -> Found[R] | None:
        found = self._exact.get(uri)
        if found is not None:
            return found
        prefixes = self._prefixes
        for length in self._lengths:
            found = prefixes.get(uri[:length])
            if found is not None:
                break
        if not self._regexes or (found is not None and found.final):
            return found
        hit = self._patterns.find(uri)
        if hit is None:
            return found
        index, captures = hit
        return Found(self._regexes[index], len(uri), captures or None)


class Table(Generic[R]):
    """All routes of a listener."""

    __slots__ = ("_any", "_exact", "_names", "_patterned", "_patterns", "_wild")

    def __init__(self, entries: Sequence[Entry[R]]) -> None:
        """Build the table; ``FaultError`` for a bad host or regular expression.

        Of two routes that conflict (``conflicts``) the first is kept.
        """
        tables: dict[bytes, list[Entry[R]]] = {}
        regexes: dict[str, list[Entry[R]]] = {}
        for entry in sorted(entries, key=lambda entry: entry.name):
            for host in entry.hosts or ():
                if host.startswith("~"):
                    regexes.setdefault(host, []).append(entry)
        for entry in entries:
            for key in _keys(entry):
                tables.setdefault(key, []).append(entry)
        by_key = {key: _Paths(some) for key, some in tables.items()}
        self._any: Final = by_key.pop(_ANY, None)
        self._names: Final = HostNames(by_key)
        self._exact: Final = self._names.exact
        self._patterns: Final = PatternList([_host_pattern(host) for host in regexes])
        self._patterned: Final = tuple(_Paths(some) for some in regexes.values())
        self._wild: Final = self._names.wildcards or bool(self._patterned)

    def lookup(self, host: bytes, uri: bytes) -> Found[R] | None:
        """Return the route for a lower-case host without port and a normalised path, if any."""
        paths = self._exact.get(host)
        if paths is None:
            if self._wild:
                return self._search(host, uri)
            paths = self._any
            if paths is None:
                return None
        return paths.find(uri)

    def prelude(self, host: bytes) -> Found[R] | None:
        """Return what precedes every path of a host, if anything does."""
        paths, captures = self._select(host)
        found = paths.prelude if paths is not None else None
        return found and (Found(found.payload, 0, captures) if captures else found)

    def _search(self, host: bytes, uri: bytes) -> Found[R] | None:
        paths, captures = self._select(host)
        found = paths.find(uri) if paths is not None else None
        if found is None or not captures:
            return found
        both = captures | (found.captures or {})
        return Found(found.payload, found.matched, both, redirect=found.redirect, final=found.final)

    def _select(self, host: bytes) -> tuple[_Paths[R] | None, dict[str, bytes]]:
        """Return the table of a host, and what a regular expression of hosts captured by name."""
        paths = self._names.find(host)
        if paths is not None:
            return paths, {}
        hit = self._patterns.find(host)
        if hit is None:
            return self._any, {}
        captures = {name: text for name, text in hit[1].items() if not name.isdecimal()}
        return self._patterned[hit[0]], captures


def _keys(entry: Entry[R]) -> tuple[bytes, ...]:
    """Return the host keys of a route, each once."""
    if entry.hosts is None:
        return (_ANY,)
    named = [key for host in entry.hosts if not host.startswith("~") for key in host_keys(host)]
    return tuple(dict.fromkeys(named))


def _pattern(path: PathSpec) -> Pattern:
    return Pattern(path.value, ignore_case=path.ignore_case)


def _host_pattern(host: str) -> Pattern:
    return Pattern(host[1:], ignore_case=True)  # host names have no case (RFC 9110, 4.2.3)


def check_host(host: str) -> None:
    """Raise ``FaultError`` unless ``host`` is a name, a wildcard or ``~`` and a good regex."""
    if host.startswith("~"):
        _host_pattern(host)
    else:
        host_keys(host)


def capture_names(path: PathSpec | None, hosts: Iterable[str] | None = None) -> frozenset[str]:
    """Return what templates of a route may name: ``"1"``… and names of the path's regex.

    Names captured by regexes among ``hosts`` count too (nginx ``server_name``); their numbers do
    not.  Raise ``FaultError`` if a pattern, or the text of the path, is bad.
    """
    names = frozenset[str]()
    if path is not None:
        octets(path.value)
        names = _pattern(path).names if path.kind == "regex" else names
    for host in hosts or ():
        if host.startswith("~"):
            names |= {name for name in _host_pattern(host).names if not name.isdecimal()}
    return names


def conflicts(entries: Iterable[Entry[R]]) -> list[tuple[str, str]]:
    """Return pairs of routes with one host pattern and one exact path, one prefix, or no path.

    The first of each pair is the one that comes first in ``entries``; the second never serves.
    """
    taken: dict[tuple[bytes, str, str], str] = {}
    pairs: dict[tuple[str, str], None] = {}
    for entry in entries:
        path = entry.path
        if path is not None and path.kind == "regex":
            continue
        kind, value = (path.kind, path.value) if path is not None else ("prelude", "")
        keys = (*_keys(entry), *(octets(h) for h in entry.hosts or () if h.startswith("~")))
        for key in dict.fromkeys(keys):
            first = taken.setdefault((key, kind, value), entry.name)
            if first != entry.name:
                pairs[first, entry.name] = None
    return list(pairs)
