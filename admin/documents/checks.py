"""What a document means: listeners, pools and header maps (``route_checks`` has the routes).

Checks run over whatever has good form, and lean on the compilers of the data plane, so that there
is one truth about addresses, templates, maps and rules.  They raise nothing; faults are collected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from admin.documents.access_log import check_fit, logs_to_spec
from admin.documents.listener import Listener
from admin.documents.pool import HashBalance, Pool
from admin.documents.route_checks import (
    Names,
    check_routes,
    fresh,
    recheck_routes,
)
from admin.documents.step_checks import written
from proxy.addresses import parse_address
from proxy.errors import Fault, FaultError, pointer
from proxy.headers.map import compile_maps
from proxy.headers.template import Scope, compile_at
from proxy.logs.access import compile_logs
from proxy.spec import HeaderMapSpec
from proxy.steps.step import Defined, defined_by
from proxy.upstream.endpoint import seat_key

if TYPE_CHECKING:
    from collections.abc import Set

    from admin.documents.document import Document

_VARIABLE: Final = re.compile("[a-z][a-z0-9_]*")


def check(document: Document, raw: object, broken: Set[tuple[str, ...]]) -> list[Fault]:
    """Return the faults of a document's meaning.

    ``document`` holds what has good form of ``raw``; ``broken`` has section and name of every
    object that lost something.  What was written but cut out is never called unknown.
    """
    faults: list[Fault] = []
    sections = ("listeners", "pools", "header_maps", "routes")
    names = {section: _names(raw, section) for section in sections}
    _check_binds(document.listeners, faults)
    scope = _scope(document, names["header_maps"], written(raw), faults)
    for name, listener in document.listeners.items():
        _check_logs(name, listener, scope, faults)
    for name, pool in document.pools.items():
        if scope is not None:
            _check_balance(name, pool, scope, faults)
        _check_addresses(name, pool, faults)
        _check_discovery(name, pool, ("pools", name) not in broken, faults)
    check_routes(document, raw, broken, names, scope, faults)
    return faults


def recheck(document: Document, raw: object, previous: Document) -> list[Fault]:
    """Return faults of a document's meaning, looking only at what is new; some if there are any.

    All of ``raw`` has good form, ``previous`` is valid, and what they share is identical.  A
    variable may matter to any object, so with a change of one everything is checked.
    """
    before, after = previous.header_maps, document.header_maps
    steps = _defined(document)
    if before.keys() != after.keys() or fresh(after, before) or steps != _defined(previous):
        return check(document, raw, frozenset())
    faults: list[Fault] = []
    listeners = fresh(document.listeners, previous.listeners)
    if listeners:
        _check_binds(document.listeners, faults)
    logged = any(listener.access_log is not None for listener in listeners.values())
    pools = fresh(document.pools, previous.pools)
    routes = fresh(document.routes, previous.routes)
    scope = Scope()
    hashed = any(isinstance(pool.balance, HashBalance) for pool in pools.values())
    if routes or hashed or logged:
        scope = _scope(document, frozenset(after), steps, faults) or scope
    for name, listener in listeners.items():
        _check_logs(name, listener, scope, faults)
    for name, pool in pools.items():
        _check_balance(name, pool, scope, faults)
        _check_addresses(name, pool, faults)
        _check_discovery(name, pool, True, faults)
    recheck_routes(document, raw, previous, routes, scope, faults)
    return faults


def _names(raw: object, section: str) -> Names:
    """Return the names written in a section; ``None`` if nobody can tell."""
    written = raw.get(section, {}) if isinstance(raw, Mapping) else None
    return frozenset(map(str, written)) if isinstance(written, Mapping) else None


def _check_binds(listeners: Mapping[str, Listener], faults: list[Fault]) -> None:
    owners: dict[str, str] = {}
    for name, listener in listeners.items():
        address = parse_address(listener.bind, any_port=True)
        if address.kind == "tcp" and not address.port:
            continue
        owner = owners.setdefault(address.text, name)
        if owner != name:
            path = pointer("listeners", name, "bind")
            message = f"listener {owner!r} has the same address {address.text}"
            faults.append(Fault(path, message, "port 0 lets the kernel choose another"))


def _defined(document: Document) -> Defined:
    return defined_by(route.defines for route in document.routes.values() if route.steps)


def _check_logs(name: str, listener: Listener, scope: Scope | None, faults: list[Fault]) -> None:
    at = pointer("listeners", name)
    check_fit(listener.access_log, at, faults)
    if scope is not None:
        compile_logs(logs_to_spec(listener.access_log), scope, {}, at, faults)


def _scope(
    document: Document,
    names: Names,
    steps: Defined,
    faults: list[Fault],
) -> Scope | None:
    """Compile the maps, beside the variables and captures of ``steps``.

    One that is written but cut out stands in empty, so it can be named.
    ``None`` if nobody can tell what maps there are: then no variable can be called unknown.
    """
    if names is None:
        return None
    specs = {name: HeaderMapSpec(name=name, source="") for name in names if _named(name)}
    specs |= {name: header_map.to_spec(name) for name, header_map in document.header_maps.items()}
    variables, captures = steps
    maps = compile_maps(specs, faults, variables)
    return Scope(maps=maps, variables=variables, captures=captures)


def _named(name: str) -> bool:
    return _VARIABLE.fullmatch(name) is not None


def _check_balance(name: str, pool: Pool, scope: Scope, faults: list[Fault]) -> None:
    if isinstance(pool.balance, HashBalance):
        path = pointer("pools", name, "balance", "hash")
        compile_at(pool.balance.hash, scope, path, faults)


def _check_discovery(name: str, pool: Pool, whole: bool, faults: list[Fault]) -> None:
    if pool.discovery is not None:
        faults += pool.discovery.faults(pointer("pools", name, "discovery"), whole)


def _check_addresses(name: str, pool: Pool, faults: list[Fault]) -> None:
    owners: dict[str, str] = {}
    for each, endpoint in pool.endpoints.items():
        try:
            canonical = parse_address(each if endpoint.address is None else endpoint.address).text
        except FaultError as fault:
            path = pointer("pools", name, "endpoints", each)
            if endpoint.address is None:
                hint = "give it an `address`, or make its name one: host:port"
                faults.append(Fault(path, fault.message, hint))
            else:
                faults.append(Fault(f"{path}/address", fault.message, fault.hint))
            continue
        owner = owners.setdefault(seat_key(canonical, endpoint.seat), each)
        if owner != each:
            path = pointer("pools", name, "endpoints", each)
            message = f"endpoint {owner!r} has the same address {canonical}"
            at = path if endpoint.address is None else f"{path}/address"
            hint = "remove one of them; weights express shares, a `seat` tells them apart"
            faults.append(Fault(at, message, hint))
