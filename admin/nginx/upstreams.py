"""``upstream`` blocks, and the addresses of ``proxy_pass``, become pools.

What nginx says of retries it says per location, and a document per pool.  So a pool gets its rules
from the location that uses it first, and locations with other rules get a pool of their own.
"""

from __future__ import annotations

import re
from typing import Any, Final

from admin.documents.endpoint import MAX_WEIGHT
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.values import duration, milliseconds, whole
from admin.nginx.variables import Variables
from proxy.addresses import parse_address
from proxy.errors import FaultError

NGINX_HEALTH: Final = {"max_fails": 1, "max_ejected_percent": 100}
"""nginx's defaults, where they are not those of a document."""

_ENDPOINT_NAME: Final = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9_.:\[\]/-]{0,127}")
_PLUS: Final = frozenset({"resolve", "slow_start", "service", "route", "drain"})


def read_upstream(directive: Directive, variables: Variables, report: Report) -> dict[str, Any]:
    """Translate an ``upstream`` block into a pool, without what its locations say."""
    scope = Scope(report, directive.block or (), None)
    pool: dict[str, Any] = {}
    balance = _balance(scope, variables, report)
    if balance is not None:
        pool["balance"] = balance
    endpoints: dict[str, Any] = {}
    for server in scope.own("server"):
        with report.judging(server):
            _add_endpoint(endpoints, server, report, backups=balance in (None, "least_connections"))
    if not scope.own("server"):
        report.fault(directive, "no servers are inside upstream")
    pool["endpoints"] = endpoints
    pool["passive_health"] = dict(NGINX_HEALTH)
    pool["keepalive"] = _keepalive(scope, report)
    return pool


def implicit_upstream(address: str) -> dict[str, Any]:
    """Return the pool for an address that ``proxy_pass`` names itself."""
    parse_address(address)
    return {
        "endpoints": {_endpoint_name(address, {}): _address(address)},
        "passive_health": dict(NGINX_HEALTH),
        "keepalive": {"max_idle": 0},
    }


def server_address(text: str) -> str:
    """Return an address with nginx's default port; ``FaultError`` if it is none."""
    if not text.startswith("unix:") and not re.search(r":[^:\]]*$", text):
        text += ":80"
    return parse_address(text).text


def _endpoint_name(address: str, taken: dict[str, Any]) -> str:
    return address if _ENDPOINT_NAME.fullmatch(address) else f"server-{len(taken) + 1}"


def _address(address: str) -> dict[str, Any]:
    return {} if _ENDPOINT_NAME.fullmatch(address) else {"address": address}


def _add_endpoint(
    endpoints: dict[str, Any], server: Directive, report: Report, *, backups: bool
) -> None:
    address = server_address(server.args[0])
    endpoint: dict[str, Any] = _address(address)
    health: dict[str, Any] = {}
    for parameter in server.args[1:]:
        key, _, value = parameter.partition("=")
        if key == "weight":
            weight = whole(value)
            if not 0 < weight <= MAX_WEIGHT:
                raise FaultError(f'invalid parameter "{parameter[:60]}"')
            if weight > 1:
                endpoint["weight"] = weight
        elif key == "max_conns":
            if whole(value):
                endpoint["max_connections"] = whole(value)
        elif key == "max_fails":
            health["max_fails"] = whole(value)
        elif key == "fail_timeout":
            if not milliseconds(value):
                report.approximated(server, "fail_timeout is 1ms, for it cannot be 0")
            health["fail_timeout"] = duration(value) if milliseconds(value) else "1ms"
        elif parameter == "backup":
            if not backups:
                raise FaultError("this balancing has no backup servers")
            endpoint["backup"] = True
        elif parameter == "down":
            endpoint["state"] = "down"
        elif key in _PLUS:
            raise RefusalError(f"{key} is not in nginx itself", "leave it out")
        else:
            raise FaultError(f'invalid parameter "{parameter[:60]}"')
    if health.get("max_fails") == 0:
        endpoint["passive_health"] = "off"
    elif health and health != {"max_fails": 1}:
        endpoint["passive_health"] = health
    _join(endpoints, address, endpoint, server, report)


def _join(
    endpoints: dict[str, Any],
    address: str,
    endpoint: dict[str, Any],
    server: Directive,
    report: Report,
) -> None:
    """Add an endpoint; one that is there twice gets the weight of both."""
    name = _endpoint_name(address, endpoints)
    if name not in endpoints:
        endpoints[name] = endpoint
        return
    first = endpoints[name]
    if {**first, "weight": 1} != {**endpoint, "weight": 1}:
        raise RefusalError("this address is there already, with other parameters", "write it once")
    first["weight"] = first.get("weight", 1) + endpoint.get("weight", 1)
    report.approximated(server, "an address that is there twice is one with the weight of both")


def _balance(scope: Scope, variables: Variables, report: Report) -> Any:
    found: Any = None
    for name in ("least_conn", "ip_hash", "hash", "random"):
        directive = scope.one(name)
        if directive is None:
            continue
        if found is not None:
            report.fault(directive, "load balancing method redefined")
        with report.judging(directive):
            found = _method(directive, variables, report)
    return found


def _method(directive: Directive, variables: Variables, report: Report) -> Any:
    args = directive.args
    if directive.name == "least_conn":
        return "least_connections"
    if directive.name == "ip_hash":
        return "ip_hash"
    if directive.name == "random":
        if args[:1] != ("two",):
            report.approximated(directive, "of two at random the one with fewer connections")
        elif args[1:] not in {(), ("least_conn",)}:
            raise RefusalError(f"{args[1][:30]} is not in nginx itself", "write random two")
        return "random"
    if args[1:] != ("consistent",):
        report.approximated(
            directive, "the hash is consistent: keys meet other servers than before"
        )
    return {"hash": variables.template(args[0])}


def _keepalive(scope: Scope, report: Report) -> dict[str, Any]:
    directive = scope.one("keepalive")
    if directive is None:
        return {"max_idle": 0}
    keepalive: dict[str, Any] = {"idle_timeout": "60s", "max_requests": 1000}
    with report.judging(directive):
        keepalive["max_idle"] = whole(directive.args[0])
        report.approximated(directive, "so many to each server, rather than to all together")
    for name, key in (
        ("keepalive_timeout", "idle_timeout"),
        ("keepalive_requests", "max_requests"),
    ):
        setting = scope.one(name)
        if setting is not None:
            with report.judging(setting):
                text = setting.args[0]
                keepalive[key] = duration(text) if key == "idle_timeout" else whole(text)
    return keepalive
