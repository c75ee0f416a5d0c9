"""Which route takes a request: first the host, then the path in that host's own table.

The rules are nginx's for ``server_name`` and ``location``.  There is no falling back from one
host's table to another's.  The cost does not grow with the number of routes: hosts, exact paths
and prefixes are hash look-ups, one per distinct length of a wildcard or prefix, and all regular
expressions of a table are tried in one pass.

A route may stand within another one: it is looked at only once that one's path has taken the
request, and takes its place if its own path does, too.  So regular expressions within a prefix are
tried before those beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    host_priority: int = 0
    redirects: bool = True
    """The path without its last slash, if it has one, is redirected to it."""


class Found(Generic[R]):
    """The route of a request.  Immutable: one that captured nothing is shared between requests."""

    __slots__ = ("captures", "final", "inner", "matched", "payload", "redirect")

    def __init__(
        self,
        payload: R,
        matched: int,
        captures: dict[str, bytes] | None = None,
        *,
        redirect: bool = False,
        final: bool = False,
        inner: _Paths[R] | None = None,
    ) -> None:
        self.payload: Final = payload
        self.captures: Final = captures
        """By name of the host's regex and the path's, by number of the one that matched last."""
        self.matched: Final = matched
        """Octets of the path that a rewrite replaces: a prefix's, else all of them."""
        self.redirect: Final = redirect
        """Answer 301 to the path with a slash behind it (nginx ``auto_redirect``)."""
        self.final: Final = final
        """Regular expressions beside this prefix are not tried after it."""
        self.inner: Final = inner
        """Routes within this one."""


class _Paths(Generic[R]):
    """The table of one host, or of the routes within one (nginx: a level of locations)."""

    __slots__ = ("_exact", "_lengths", "_patterns", "_prefixes", "_regexes", "prelude")

    def __init__(
        self, entries: Iterable[Entry[R]], within: Mapping[str, Sequence[Entry[R]]]
    ) -> None:
        """``within`` has the routes that stand within others, by the names of these."""
        self._exact: Final[dict[bytes, Found[R]]] = {}
        self._prefixes: Final[dict[bytes, Found[R]]] = {}
        self.prelude: Found[R] | None = None
        """What precedes every path."""
        regexes: list[tuple[PathSpec, str, R, _Paths[R] | None]] = []
        redirecting: list[bytes] = []
        for entry in entries:
            path = entry.path
            if path is None:
                self.prelude = self.prelude or Found(entry.payload, 0)
                continue
            if path.kind == "regex":
                regexes.append((path, entry.name, entry.payload, _inner(entry, within)))
                continue
            value = octets(path.value)
            paths = self._exact if path.kind == "exact" else self._prefixes
            inner = _inner(entry, within)
            found = Found(entry.payload, len(value), final=path.final, inner=inner)
            paths.setdefault(value, found)
            if entry.redirects:
                redirecting.append(value)
        self._redirect(redirecting)
        self._lengths: Final = tuple(sorted({len(path) for path in self._prefixes}, reverse=True))
        regexes.sort(key=lambda each: (-each[0].priority, each[1]))
        self._regexes: Final = tuple((payload, inner) for _, _, payload, inner in regexes)
        self._patterns: Final = PatternList([_pattern(path) for path, *_ in regexes])

    def _redirect(self, paths: Sequence[bytes]) -> None:
        """Answer for ``/a`` where ``paths`` have ``/a/`` and nothing equals ``/a``."""
        found = [self._exact.get(path) or self._prefixes[path] for path in paths]
        for path, each in zip(paths, found, strict=True):
            short = path[:-1]
            if path.endswith(b"/") and short and short not in self._prefixes:
                self._exact.setdefault(short, Found(each.payload, len(short), redirect=True))

    def find(self, uri: bytes) -> Found[R] | None:
        return self._find(uri)[0]

    def _find(self, uri: bytes) -> tuple[Found[R] | None, bool]:
        """Return what takes a path, and whether regexes around this table cannot take it over."""
        found = self._exact.get(uri)
        if found is not None:
            return found, True
        prefixes = self._prefixes
        for length in self._lengths:
            found = prefixes.get(uri[:length])
            if found is not None:
                break
        final = found is not None and found.final
        if found is not None and found.inner is not None:
            deeper, decided = found.inner._find(uri)
            found = deeper or found
            if decided:
                return found, True
        if not self._regexes or final:
            return found, False
        hit = self._patterns.find(uri)
        if hit is None:
            return found, False
        index, captures = hit
        payload, inner = self._regexes[index]
        deeper = None if inner is None else inner.find(uri)
        return deeper or Found(payload, len(uri), captures), True


class Table(Generic[R]):
    """All routes of a listener."""

    __slots__ = ("_any", "_exact", "_names", "_patterned", "_patterns", "_wild")

    def __init__(self, entries: Sequence[Entry[R]]) -> None:
        """Build the table; ``FaultError`` for a bad host or regular expression.

        Of two routes that conflict (``conflicts``) the first is kept.
        """
        tables: dict[bytes, list[Entry[R]]] = {}
        regexes: dict[str, list[Entry[R]]] = {}
        within: dict[str, list[Entry[R]]] = {}
        for entry in entries:
            if entry.path is not None and entry.path.within is not None:
                within.setdefault(entry.path.within, []).append(entry)
        outermost = [each for each in entries if each.path is None or each.path.within is None]
        for entry in sorted(outermost, key=lambda entry: (-entry.host_priority, entry.name)):
            for host in entry.hosts or ():
                if host.startswith("~"):
                    regexes.setdefault(host, []).append(entry)
        for entry in outermost:
            for key in _keys(entry):
                tables.setdefault(key, []).append(entry)
        by_key = {key: _Paths(some, within) for key, some in tables.items()}
        self._any: Final = by_key.pop(_ANY, None)
        self._names: Final = HostNames(by_key)
        self._exact: Final = self._names.exact
        self._patterns: Final = PatternList([_host_pattern(host) for host in regexes])
        self._patterned: Final = tuple(_Paths(some, within) for some in regexes.values())
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
        if found.captures is not None:
            # The path's expression has matched since, with whatever it has of numbers.
            named = {name: text for name, text in captures.items() if not name.isdecimal()}
            captures = named | found.captures
        return Found(found.payload, found.matched, captures, redirect=found.redirect)

    def _select(self, host: bytes) -> tuple[_Paths[R] | None, dict[str, bytes]]:
        """Return the table of a host, and what a regular expression of hosts captured."""
        paths = self._names.find(host)
        if paths is not None:
            return paths, {}
        hit = self._patterns.find(host)
        if hit is None:
            return self._any, {}
        return self._patterned[hit[0]], hit[1]


def _inner(entry: Entry[R], within: Mapping[str, Sequence[Entry[R]]]) -> _Paths[R] | None:
    inside = within.get(entry.name)
    return None if inside is None else _Paths(inside, within)


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

    What regexes among ``hosts`` capture counts too (nginx ``server_name``); but for numbers, if the
    path's regex matches after them.  Raise ``FaultError`` if a pattern, or the text of the path, is
    bad.
    """
    names = frozenset[str]()
    for host in hosts or ():
        if host.startswith("~"):
            names |= _host_pattern(host).names
    if path is not None:
        octets(path.value)
        if path.kind == "regex":
            names = _pattern(path).names | {name for name in names if not name.isdecimal()}
    return names


def conflicts(entries: Iterable[Entry[R]]) -> list[tuple[str, str]]:
    """Return pairs of routes with one host pattern and one exact path, one prefix, or no path.

    The first of each pair is the one that comes first in ``entries``; the second never serves.
    """
    taken: dict[tuple[bytes, str | None, str, str], str] = {}
    pairs: dict[tuple[str, str], None] = {}
    for entry in entries:
        path = entry.path
        if path is not None and path.kind == "regex":
            continue
        kind, value = (path.kind, path.value) if path is not None else ("prelude", "")
        within = path.within if path is not None else None
        keys = (*_keys(entry), *(octets(h) for h in entry.hosts or () if h.startswith("~")))
        for key in dict.fromkeys(keys):
            first = taken.setdefault((key, within, kind, value), entry.name)
            if first != entry.name:
                pairs[first, entry.name] = None
    return list(pairs)
