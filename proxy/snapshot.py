"""What serves: an immutable snapshot, compiled from a ``Spec``.

Compiling is pure.  Everything that can fail fails here, every fault located and all of them at
once; what is unchanged is taken over from the previous snapshot, so that a swap costs what it
changes.  Publishing a snapshot is one assignment; every request reads it once and keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.addresses import parse_address
from proxy.errors import Fault, FaultError, SpecError, pointer
from proxy.headers.forwarded import compile_trust
from proxy.headers.map import compile_maps
from proxy.headers.secrets import ANY, Secrets
from proxy.headers.template import Scope, Template, compile_template
from proxy.logs.access import Logs, compile_logs
from proxy.overrides import overridden
from proxy.route import InheritedLogs, Route, compile_route
from proxy.routing.table import conflicts
from proxy.site import Site, entries, is_prelude
from proxy.spec import EMPTY, Overrides, PoolSpec, RouteSpec, Spec
from proxy.steps.step import Defined, defined, defined_by
from proxy.telemetry.counters import Ledger, RouteCounters
from proxy.telemetry.log_sink import LogSink
from proxy.upstream.pool import Pool, PoolFaultError, PoolPlan, compile_pool
from proxy.upstream.retry_rules import RetryRules

_NO_SINKS: Final[Mapping[str, LogSink]] = {}


class Upstream:
    """A pool's part of a snapshot: its plan, and what an exchange asks of its settings."""

    __slots__ = ("counters", "key", "label", "name", "plan", "retry")

    def __init__(self, plan: PoolPlan, key: Template | None) -> None:
        self.plan: Final = plan
        self.counters: Final = plan.pool.counters
        self.key: Final = key
        """What ``balance: {hash: …}`` hashes."""
        self.name: Final = plan.spec.name
        self.label: Final = plan.spec.name.encode()
        self.retry: Final = RetryRules(plan.spec.retry)
        """For requests of routes that have no rules of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """See the module's docstring."""

    spec: Spec
    sites: Mapping[str, Site]
    pools: Mapping[str, Upstream]
    names: Scope
    """The header maps, and the variables and captures that steps of routes define."""
    routes: Mapping[str, Route]
    addresses: Mapping[str, tuple[str, ...]]
    """What names in endpoint addresses stood for when this was compiled."""
    number: int = 0
    """Revision of the configuration, for logs."""
    overrides: Overrides = field(default_factory=dict)
    """What beats the spec."""


NOTHING: Final = Snapshot(EMPTY, {}, {}, Scope(), {}, {})
"""Serves nothing; what a server begins with."""


def compile_snapshot(
    spec: Spec,
    previous: Snapshot,
    addresses: Mapping[str, tuple[str, ...]],
    pools: Mapping[str, Pool],
    ledger: Ledger[RouteCounters],
    number: int = 0,
    sinks: Mapping[str, LogSink] = _NO_SINKS,
    secrets: Secrets = ANY,
) -> Snapshot:
    """Compile ``spec``.  Raise ``SpecError`` with every fault; nothing long-lived is touched.

    ``pools`` are the live pools by name, ``addresses`` what every name was resolved to, ``sinks``
    where logs go, by target.  By default every name is taken for that of a secret.
    """
    faults: list[Fault] = []
    names = previous.names
    variables, captures = _defined(spec, previous)
    same = (names.variables, names.captures) == (variables, captures)
    if not same or spec.header_maps != previous.spec.header_maps:
        maps = compile_maps(spec.header_maps, faults, variables)
        names = Scope(maps=maps, variables=variables, captures=captures)
    upstreams = _compile_pools(spec, previous, addresses, pools, names, faults)
    logs = _compile_logs(spec, previous, names, sinks, faults)
    routes = _compile_routes(spec, previous, names, ledger, logs, sinks, secrets, faults)
    sites = _compile_sites(spec, previous, routes, logs, faults)
    if faults:
        raise SpecError(tuple(faults))
    return Snapshot(spec, sites, upstreams, names, routes, addresses, number, previous.overrides)


def compile_overrides(
    previous: Snapshot, overrides: Overrides, pools: Mapping[str, Pool]
) -> Snapshot:
    """Compile the same spec with other overrides: the pools that these concern, and no more.

    Raise ``SpecError``.
    """
    faults: list[Fault] = []
    upstreams = dict(previous.pools)
    for name, old in previous.pools.items():
        by = overrides.get(name)
        if by != previous.overrides.get(name):
            pool = overridden(previous.spec.pools[name], by)
            plan = _plan(pool, previous.addresses, old, pools.get(name), faults)
            if plan is not None and plan is not old.plan:
                upstreams[name] = Upstream(plan, old.key)
    if faults:
        raise SpecError(tuple(faults))
    return replace(previous, pools=upstreams, overrides=overrides)


def _defined(spec: Spec, previous: Snapshot) -> Defined:
    """Return what steps define; of an unchanged route it is known."""
    found: list[Defined] = []
    for name, route in spec.routes.items():
        if route.steps:
            old = previous.routes.get(name)
            known = old is not None and old.spec == route
            found.append(old.defines if old is not None and known else defined(route.steps))
    return defined_by(found)


def _compile_pools(
    spec: Spec,
    previous: Snapshot,
    addresses: Mapping[str, tuple[str, ...]],
    pools: Mapping[str, Pool],
    names: Scope,
    faults: list[Fault],
) -> dict[str, Upstream]:
    upstreams: dict[str, Upstream] = {}
    for name, pool in spec.pools.items():
        at = pointer("pools", name)
        old = previous.pools.get(name)
        key = None
        if pool.balance.key is not None:
            try:
                key = compile_template(pool.balance.key, names)
            except FaultError as error:
                faults.append(Fault(f"{at}/balance/hash", error.message, error.hint))
        effective = overridden(pool, previous.overrides.get(name))
        plan = _plan(effective, addresses, old, pools.get(name), faults)
        if plan is None:
            continue
        if old is not None and plan is old.plan and names is previous.names:
            upstreams[name] = old
        else:
            upstreams[name] = Upstream(plan, key)
    return upstreams


def _plan(
    pool: PoolSpec,
    addresses: Mapping[str, tuple[str, ...]],
    old: Upstream | None,
    live: Pool | None,
    faults: list[Fault],
) -> PoolPlan | None:
    try:
        return compile_pool(pool, addresses, old.plan if old else None, live)
    except PoolFaultError as error:
        faults += error.faults
        return None


def _compile_routes(
    spec: Spec,
    previous: Snapshot,
    names: Scope,
    ledger: Ledger[RouteCounters],
    logs: Mapping[str, Logs | None],
    sinks: Mapping[str, LogSink],
    secrets: Secrets,
    faults: list[Fault],
) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    for name, route in spec.routes.items():
        at = pointer("routes", name)
        faults += [
            Fault(f"{at}/pool", f"there is no pool {pool!r}")
            for pool, _ in route.pools
            if pool not in spec.pools
        ]
        faults += [
            Fault(f"{at}/listeners", f"there is no listener {listener!r}")
            for listener in route.listeners or ()
            if listener not in spec.listeners
        ]
        faults += _page_faults(route, spec, f"{at}/error_pages")
        if route.path is not None and not route.pools and route.answer is None:
            faults.append(Fault(f"{at}/pool", "a route with a path needs a pool or an answer"))
        if route.path is not None and route.path.within is not None:
            faults += _misplaced(route.path.within, spec, f"{at}/path/within")
        old = previous.routes.get(name)
        inherited = _inherited_logs(route, logs)
        if (
            old is not None
            and names is previous.names
            and old.spec == route
            and old.inherited_logs == inherited
        ):
            routes[name] = old
        else:
            counters = ledger.get(name) or RouteCounters()
            routes[name] = compile_route(route, names, counters, faults, sinks, inherited, secrets)
    return routes


def _misplaced(outer: str, spec: Spec, at: str) -> list[Fault]:
    """Return what is wrong with standing within the route ``outer``."""
    if outer not in spec.routes:
        return [Fault(at, f"there is no route {outer!r}")]
    if spec.routes[outer].path is None:
        return [Fault(at, f"route {outer!r} has no path")]
    return []


def _page_faults(route: RouteSpec, spec: Spec, at: str) -> Iterator[Fault]:
    for index, page in enumerate(route.error_pages):
        ways = [way for way in (page.path, page.route, page.location) if way is not None]
        if len(ways) != 1:
            yield Fault(f"{at}/{index}", "a page has one of path, route and location")
        elif page.route is not None:
            target = spec.routes.get(page.route)
            if target is None or is_prelude(target):
                yield Fault(f"{at}/{index}/route", f"there is no route {page.route!r} to go to")


def _compile_logs(
    spec: Spec,
    previous: Snapshot,
    names: Scope,
    sinks: Mapping[str, LogSink],
    faults: list[Fault],
) -> dict[str, Logs | None]:
    """Compile the logs of every listener."""
    logs: dict[str, Logs | None] = {}
    for name, listener in spec.listeners.items():
        old = previous.sites.get(name)
        same = names is previous.names
        if old is not None and same and old.spec.access_log == listener.access_log:
            logs[name] = old.logs
        else:
            at = pointer("listeners", name)
            logs[name] = compile_logs(listener.access_log, names, sinks, at, faults)
    return logs


def _inherited_logs(route: RouteSpec, logs: Mapping[str, Logs | None]) -> InheritedLogs:
    """Say what a route has to know of its listeners' logs."""
    if route.access_log is not None:
        return "none"
    names = logs if route.listeners is None else route.listeners
    inherited: InheritedLogs = "none"
    for name in names:
        some = logs.get(name)
        if some is not None:
            inherited = "some"
            if any(log.asks_response for log in some):
                return "asking"
    return inherited


def _compile_sites(
    spec: Spec,
    previous: Snapshot,
    routes: dict[str, Route],
    logs: Mapping[str, Logs | None],
    faults: list[Fault],
) -> dict[str, Site]:
    sites: dict[str, Site] = {}
    for name, listener in spec.listeners.items():
        at = pointer("listeners", name)
        mine = tuple(
            route
            for route in routes.values()
            if route.spec.listeners is None or name in route.spec.listeners
        )
        old = previous.sites.get(name)
        if (
            old is not None
            and old.spec == listener
            and old.routes == mine
            and old.logs is logs[name]
        ):
            sites[name] = old
            continue
        try:
            parse_address(listener.bind, any_port=True)
        except FaultError as error:
            faults.append(Fault(f"{at}/bind", error.message, error.hint))
        place = f"{at}/trusted_proxies"
        trust = compile_trust(listener.trusted_proxies, listener.client_address, place, faults)
        try:
            sites[name] = Site(listener, mine, trust, logs[name])
        except FaultError as error:
            # A host or path that no table takes; its route has said so where it stands.
            if not faults:
                faults.append(Fault(at, error.message, error.hint))
            continue
        faults += [
            Fault(
                pointer("routes", loser, "path"),
                f"route {winner!r} has the same host and path on listener {name!r}",
            )
            for winner, loser in conflicts(entries(mine))
        ]
    return sites
