"""Why the other routes do not take a request.

Each is tried by itself, in a routing table of its own: if it matches there, what beat it can only
be the winner.  Pure, and O(routes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from proxy.explain.explanation import Explanation, Lookup, Rival
from proxy.patterns import host_keys
from proxy.routing.table import Entry, Found, Table
from proxy.site import is_prelude
from proxy.spec import PathSpec, RouteSpec, Spec

RIVALS: Final = 100
"""Routes that did not win, told of at most."""

ANY: Final = "*"
"""Stands for the table of all hosts that have none of their own."""

_ROOT: Final = PathSpec(kind="prefix", value="/")


def tell(
    explanation: Explanation, searched: Iterable[tuple[bytes, bytes]], spec: Spec
) -> Explanation:
    """Complete an explanation; ``searched`` are host and path of each of its look-ups."""
    name = explanation.listener.name
    for lookup, (host, uri) in zip(explanation.lookups, searched, strict=True):
        _tell(lookup, host, uri, spec.routes, name)
    return explanation


def _tell(
    lookup: Lookup, host: bytes, uri: bytes, routes: Mapping[str, RouteSpec], listener: str
) -> None:
    """Fill in which table was searched, why the winner won, and why each other lost."""
    here = [spec for spec in routes.values() if _listens(spec, listener)]
    lookup.table = _table(here, host)
    winner = None if lookup.route is None else routes[lookup.route]
    lookup.why = _why(winner, lookup)
    rivals = [
        _rival(spec, winner, lookup, uri, listener)
        for spec in routes.values()
        if spec is not winner
    ]
    rivals.sort(key=lambda rival: rival.lost != "beaten")
    lookup.rivals, lookup.rivals_left_out = rivals[:RIVALS], max(0, len(rivals) - RIVALS)


def _listens(spec: RouteSpec, listener: str) -> bool:
    return spec.listeners is None or listener in spec.listeners


def _hosts(spec: RouteSpec) -> tuple[str, ...]:
    """Return the keys of the tables that a route is in."""
    keys: list[str] = []
    for host in spec.hosts or ():
        keys += [host] if host.startswith("~") else [key.decode() for key in host_keys(host)]
    return tuple(keys) if spec.hosts is not None else (ANY,)


def _table(specs: Iterable[RouteSpec], host: bytes) -> str | None:
    """Return the key of the table for a host: what a routing table of hosts alone gives for it."""
    entries = [
        Entry(
            spec.name,
            None if key == ANY else (key,),
            _ROOT,
            key,
            host_priority=spec.host_priority,
        )
        for spec in specs
        if spec.path is not None or is_prelude(spec)
        for key in _hosts(spec)
    ]
    found = Table(entries).lookup(host, b"/")
    return None if found is None else found.payload


def _alone(spec: RouteSpec, uri: bytes) -> Found[RouteSpec] | None:
    """Match a route by itself, outside of whatever it holds within."""
    path = None if spec.path is None else replace(spec.path, within=None)
    entry = Entry(spec.name, None, path, spec, redirects=spec.answer is None)
    return Table([entry]).lookup(b"", uri)


def _why(winner: RouteSpec | None, lookup: Lookup) -> str:
    if winner is None or winner.path is None:
        if lookup.table is None:
            return "no route is for this host, and none for any host"
        return "no path of this host's routes matches"
    path = winner.path
    if lookup.redirect:
        return f"the path lacks only the last slash of the prefix {path.value}"
    if path.kind == "exact":
        return f"its exact path {path.value} ends the search"
    if path.kind == "prefix":
        final = ", and is final: no regex is tried" if path.final else ", and no regex matches"
        return f"its prefix {path.value} is the longest that matches{final}"
    order = "the first that matches, by priority and then by name"
    return f"its regex {path.value} (priority {path.priority}) is {order}"


def _rival(
    spec: RouteSpec, winner: RouteSpec | None, lookup: Lookup, uri: bytes, listener: str
) -> Rival:
    if not _listens(spec, listener):
        return Rival(spec.name, "listener", f"it is for {', '.join(spec.listeners or ())} only")
    if is_prelude(spec):
        return Rival(spec.name, "prelude", "it has steps that come first, and no path")
    if spec.path is None:
        return Rival(spec.name, "named", "it has no path: only error pages lead to it")
    if lookup.table not in _hosts(spec):
        where = (
            "any host that no other route names" if spec.hosts is None else ", ".join(spec.hosts)
        )
        chosen = "those for any other host" if lookup.table == ANY else f"those of {lookup.table}"
        chosen = "none" if lookup.table is None else chosen
        return Rival(spec.name, "host", f"it is for {where}; of routes {lookup.host} has {chosen}")
    found = _alone(spec, uri)
    if found is None or winner is None or winner.path is None:
        kind = spec.path.kind
        return Rival(spec.name, "path", f"its {kind} {spec.path.value} does not match")
    if spec.path.within is not None and spec.path.within != winner.path.within:
        where = f"it holds only where route {spec.path.within} is the longest prefix"
        return Rival(spec.name, "within", where)
    return Rival(spec.name, "beaten", _beaten(spec.path, winner.path, lookup, found))


def _beaten(path: PathSpec, by: PathSpec, lookup: Lookup, found: Found[RouteSpec]) -> str:
    if found.redirect:
        return f"it would only redirect to {path.value}, and another route takes the path"
    if by.kind == "exact":
        return f"an exact path beats its {path.kind}"
    if lookup.redirect:
        return f"the path is that of {by.value} but for the slash, which counts as exact"
    if path.kind == "regex" and by.kind == "prefix":
        return "the longest prefix is final, so no regex is tried"
    if path.kind == "prefix" and by.kind == "prefix":
        return f"its prefix {path.value} is shorter than {by.value}"
    if path.kind == "prefix":
        final = ", for it is final, but not the longest" if path.final else ""
        return f"a regex beats its prefix{final}"
    if path.priority < by.priority:
        return f"its regex has priority {path.priority}, below {by.priority}"
    return f"its regex has the same priority ({path.priority}), and its name comes later"
