"""What the routes of a document mean: choices, references, templates, conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from admin.documents.access_log import check_fit
from admin.documents.faults import MAX_FAULTS, nearest, shown
from admin.documents.header_map import outcomes
from admin.documents.header_rules import REWRITES
from admin.documents.matching import PATH_KINDS, Path
from admin.documents.route import DESTINATION_KEYS, Route
from admin.documents.step_checks import (
    check_named,
    check_one_of,
    check_prelude,
    check_steps,
    check_use,
    is_written_prelude,
)
from admin.documents.within import check_within, outer_name
from proxy.errors import Fault, pointer
from proxy.headers.template import Scope
from proxy.route import compile_route
from proxy.routing.table import Entry, conflicts
from proxy.site import is_prelude
from proxy.spec import RouteSpec
from proxy.telemetry.counters import RouteCounters

if TYPE_CHECKING:
    from admin.documents.document import Document

T = TypeVar("T")

Names: TypeAlias = frozenset[str] | None
"""The names a section of the document has; ``None`` if nobody can tell."""

_ONLY_WITH: Final = {"final": "prefix", "priority": "regex", "ignore_case": "regex"}


def check_routes(
    document: Document,
    raw: object,
    broken: Set[tuple[str, ...]],
    names: Mapping[str, Names],
    scope: Scope | None,
    faults: list[Fault],
) -> None:
    """Add what is wrong with the routes; the arguments are those of ``checks.check``."""
    written = raw.get("routes") if isinstance(raw, Mapping) else None
    written = written if isinstance(written, Mapping) else {}
    _check_choices(written, faults)
    check_named(written, faults)
    counters = RouteCounters()
    intact: list[RouteSpec] = []
    for name, route in document.routes.items():
        if len(faults) > MAX_FAULTS:
            return
        at = pointer("routes", name)
        _check_fit(route, written[name], at, faults)
        _check_slashes(route, at, document, faults)
        _check_references(route, at, names, faults)
        check_within(name, document.routes, faults)
        spec = _without_pools(name, route, raw)
        if spec is not None and scope is not None:
            compile_route(spec, scope, counters, faults)
        if spec is not None and _has_one_path(route) and ("routes", name) not in broken:
            intact.append(spec)
    if (pools := names["pools"]) is not None:
        _check_pool_maps(document, pools, faults)
    _check_conflicts(intact, faults)


def recheck_routes(
    document: Document,
    raw: Any,
    previous: Document,
    routes: Mapping[str, Route],
    scope: Scope,
    faults: list[Fault],
) -> None:
    """Add faults of the routes if there are any, where variables are those of ``previous``.

    ``routes`` are the new ones; the other arguments are those of ``checks.recheck``.
    """
    pools, listeners = frozenset(document.pools), frozenset(document.listeners)
    names: dict[str, Names] = {"pools": pools, "listeners": listeners}
    names["header_maps"] = frozenset(document.header_maps)
    names["routes"] = frozenset(document.routes)
    _check_choices({name: raw["routes"][name] for name in routes}, faults)
    if faults:
        return
    counters = RouteCounters()
    for name, route in routes.items():
        _check_fit(route, raw["routes"][name], pointer("routes", name), faults)
        compile_route(_spec(name, route), scope, counters, faults)
    lost = not (
        pools >= previous.pools.keys()
        and listeners >= previous.listeners.keys()
        and document.routes.keys() >= previous.routes.keys()
    )
    for name, route in (document.routes if lost else routes).items():
        _check_references(route, pointer("routes", name), names, faults)
    moved = any(_moved(name, route, previous.routes.get(name)) for name, route in routes.items())
    if moved or not document.routes.keys() >= previous.routes.keys():
        for name, route in document.routes.items():
            if outer_name(route) is not None:
                _check_references(route, pointer("routes", name), names, faults)
                check_within(name, document.routes, faults)
    other_listeners = document.listeners != previous.listeners
    for name, route in (document.routes if other_listeners else routes).items():
        _check_slashes(route, pointer("routes", name), document, faults)
    if lost or routes:
        _check_pool_maps(document, pools, faults)
    if routes or lost:
        check_named(raw.get("routes", {}), faults)
    if moved:
        _check_conflicts([_spec(name, each) for name, each in document.routes.items()], faults)


def fresh(after: Mapping[str, T], before: Mapping[str, T]) -> dict[str, T]:
    """Return the objects that are not those of ``before``."""
    return {name: each for name, each in after.items() if before.get(name) is not each}


def _moved(name: str, route: Route, before: Route | None) -> bool:
    """Tell whether a route serves other requests than before."""
    if before is None:
        return True
    new, old = _spec(name, route), _spec(name, before)
    return (new.hosts, new.path, new.listeners) != (old.hosts, old.path, old.listeners) or (
        new.path is None
    )


def _spec(name: str, route: Route) -> RouteSpec:
    """Return what can be compiled of a route; see ``_without_pools``."""
    named = route.path is None and not (route.pool is None and route.pools is None)
    return replace(route.to_spec(name, {}), pools=(("", 1),) if named else (), pool_variable=None)


def _without_pools(name: str, route: Route, raw: Any) -> RouteSpec | None:
    """Return what can be compiled of a route; ``None`` if nobody can tell what it captures.

    Pools are checked by name here; compiled, they would be found wanting twice.  A route that has
    not one path, but none or two, gets one, so that the rest of it is checked all the same.
    """
    if route.path is not None and not _has_one_path(route):
        regex = route.path.regex
        if regex is None and "regex" in raw["routes"][name]["path"]:
            return None
        path = Path(prefix="/") if regex is None else Path(regex=regex)
        route = route.model_copy(update={"path": path})
    return _spec(name, route)


def _has_one_path(route: Route) -> bool:
    return route.path is None or len(route.path.kinds()) == 1


def _check_choices(routes: Mapping[str, object], faults: list[Fault]) -> None:
    """Check what a schema can express with noise only, in routes as they are written."""
    for name, route in routes.items():
        if isinstance(route, Mapping):
            at = pointer("routes", name)
            check_one_of(route, DESTINATION_KEYS, at, faults, required="path" in route)
            if isinstance(path := route.get("path"), Mapping):
                check_one_of(path, PATH_KINDS, f"{at}/path", faults)
            if is_written_prelude(route):
                check_prelude(route, at, faults)
            if isinstance(rules := route.get("response_headers"), Mapping):
                _check_substitutions(rules, f"{at}/response_headers", faults)


def _check_substitutions(rules: Mapping[str, object], at: str, faults: list[Fault]) -> None:
    for key, kinds in REWRITES.items():
        entries = rules.get(key)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, Mapping):
                continue
            place = f"{at}/{key}/{index}"
            check_one_of(entry, kinds, place, faults)
            if entry.get("ignore_case") is True and "match" not in entry:
                faults.append(Fault(f"{place}/ignore_case", "means something only with `match`"))


def _check_fit(route: Route, written: Mapping[str, object], at: str, faults: list[Fault]) -> None:
    """Check keys that have a meaning only beside others."""
    if is_written_prelude(written):
        check_use(route, at, faults)
    path = route.path
    for key, kind in _ONLY_WITH.items() if path is not None else ():
        if getattr(path, key) and getattr(path, kind) is None:
            faults.append(Fault(f"{at}/path/{key}", f"means something only with `{kind}`"))
    if route.host_priority and not any(host.startswith("~") for host in route.hosts or ()):
        message = "means something only with a `~regex` among `hosts`"
        faults.append(Fault(f"{at}/host_priority", message))
    if route.split_by is not None and route.pools is None:
        faults.append(Fault(f"{at}/split_by", "means something only with `pools`"))
    if route.pools is not None and not any(route.pools.values()):
        faults.append(Fault(f"{at}/pools", "no pool has a share", "give at least one a weight"))
    check_fit(route.access_log, at, faults)
    check_steps(route, at, faults)


def _check_slashes(route: Route, at: str, document: Document, faults: list[Fault]) -> None:
    """Find paths with repeated slashes where every listener of the route merges them."""
    path = route.path
    kinds = ("exact", "prefix")
    kind = next((kind for kind in kinds if "//" in (getattr(path, kind, None) or "")), None)
    if path is None or kind is None:
        return
    names = route.listeners or document.listeners
    listeners = [document.listeners[name] for name in names if name in document.listeners]
    if all(listener.merge_slashes for listener in listeners):
        hint = "repeated slashes are one, unless a listener says `merge_slashes: false`"
        message = f"{shown(getattr(path, kind))} matches no request"
        faults.append(Fault(f"{at}/path/{kind}", message, hint))


def _check_references(
    route: Route, at: str, names: Mapping[str, Names], faults: list[Fault]
) -> None:
    def refer(section: str, what: str, target: str, place: str) -> None:
        known = names[section]
        if known is not None and target not in known:
            hint = nearest(target, known, section.replace("_", " "))
            faults.append(Fault(f"{at}{place}", f"there is no {what} {shown(target)}", hint))

    for index, listener in enumerate(route.listeners or ()):
        refer("listeners", "listener", listener, f"/listeners/{index}")
    for pool in route.pools or ():
        refer("pools", "pool", pool, f"/pools{pointer(pool)}")
    if route.variable is not None:
        refer("header_maps", "header map", route.variable, "/pool")
    elif route.pool is not None:
        refer("pools", "pool", route.pool, "/pool")
    if (outer := outer_name(route)) is not None:
        refer("routes", "route", outer, "/path/within")
    for index, page in enumerate(route.error_pages):
        if page.route is not None:
            refer("routes", "route", page.route, f"/error_pages/{index}/route")


def _check_pool_maps(document: Document, pools: frozenset[str], faults: list[Fault]) -> None:
    """Check that a map which chooses pools can give nothing else, whatever maps are behind it."""
    users = {route.variable: name for name, route in document.routes.items() if route.variable}
    found: dict[str, str] = {}
    for variable, user in users.items():
        for name, place, value in outcomes(variable, document.header_maps):
            at = pointer("header_maps", name, *place)
            if value in pools or found.setdefault(at, user) != user:
                continue
            message = f"{shown(value)} is no pool, and route {user!r} takes its pool from here"
            hint = nearest(value, pools, "pools")
            if place == ("default",) and not value:
                hint = "give the map a default that names a pool"
            elif "$" in value:
                hint = "a map that chooses pools has their names for values, or another such map"
            faults.append(Fault(at, message, hint))


def _check_conflicts(routes: Sequence[RouteSpec], faults: list[Fault]) -> None:
    """Find routes with one host and one path on a listener that both serve."""
    if not _pairs(routes):
        return
    everywhere = [route for route in routes if route.listeners is None]
    named = {listener for route in routes for listener in route.listeners or ()}
    pairs = dict.fromkeys(_pairs(everywhere))
    for listener in sorted(named):
        mine = [route for route in routes if listener in (route.listeners or (listener,))]
        pairs |= dict.fromkeys(_pairs(mine))
    preludes = {route.name for route in routes if route.path is None}
    for winner, loser in pairs:
        if loser in preludes:
            message = f"route {winner!r} comes before the paths of the same host too"
            hint = "make one of them, or change the hosts or the listeners of one"
            faults.append(Fault(pointer("routes", loser), message, hint))
            continue
        message = f"route {winner!r} has the same host and path"
        hint = "change the hosts, the path or the listeners of one of them"
        faults.append(Fault(pointer("routes", loser, "path"), message, hint))


def _pairs(routes: Sequence[RouteSpec]) -> list[tuple[str, str]]:
    return conflicts(
        Entry(route.name, route.hosts, route.path, None)
        for route in routes
        if route.path is not None or is_prelude(route)
    )
