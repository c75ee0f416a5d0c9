"""``upstream`` blocks, and the addresses of ``proxy_pass``, become pools."""

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
    elif endpoints and all(each.get("backup") for each in endpoints.values()):
        report.fault(directive, "no servers in upstream but backup ones")
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
    seat = _seat(endpoints, address)
    if seat > 1:
        endpoint = {"address": address, "seat": seat} | endpoint
    name = _endpoint_name(address, endpoints)
    endpoints[name if name not in endpoints else f"{name}-{seat}"] = endpoint


def _seat(endpoints: dict[str, Any], address: str) -> int:
    """Return a place of its own for an address that is, or may turn out to be, there already.

    nginx counts and weighs a server that is written twice as two, and so do seats.  A name may
    resolve to the address of any other server that has its port.
    """
    others = [each.get("address", name) for name, each in endpoints.items()]
    if parse_address(address).is_literal:
        rivals = [other for other in others if other == address or _may_be(other, address)]
    else:
        rivals = [other for other in others if _port(other) == _port(address)]
    return len(rivals) + 1


def _may_be(name: str, address: str) -> bool:
    return not parse_address(name).is_literal and _port(name) == _port(address)


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _balance(scope: Scope, variables: Variables, report: Report) -> Any:
    *others, last = scope.together("least_conn", "ip_hash", "hash", "random") or (None,)
    for directive in others:
        report.kept(directive, "the method behind it is the one that counts, as in nginx")
    if last is None:
        return None
    for keepalive in scope.own("keepalive"):
        if scope.precedes(keepalive, last):
            remark = "nginx forgets it, for the balancing method stands behind it; here it holds"
            report.approximated(keepalive, remark)
    with report.judging(last):
        return _method(last, variables, report)
    return None


def _method(directive: Directive, variables: Variables, report: Report) -> Any:
    args = directive.args
    if directive.name == "least_conn":
        return "least_connections"
    if directive.name == "ip_hash":
        return "ip_hash"
    if directive.name == "random":
        if not args:
            return "random_one"
        if args[0] != "two":
            raise FaultError(f'invalid parameter "{args[0][:60]}"')
        if args[1:] not in {(), ("least_conn",)}:
            raise RefusalError(f"{args[1][:30]} is not in nginx itself", "write random two")
        return "random"
    key = variables.template(args[0])
    if args[1:] == ("consistent",):
        return {"hash": key}
    if args[1:]:
        raise FaultError(f'invalid parameter "{args[1][:60]}"')
    return {"hash": key, "consistent": False}


def _keepalive(scope: Scope, report: Report) -> dict[str, Any]:
    directive = scope.one("keepalive")
    if directive is None:
        return {"max_idle": 0}
    keepalive: dict[str, Any] = {"idle_timeout": "60s", "max_requests": 1000, "max_age": "1h"}
    with report.judging(directive):
        number = whole(directive.args[0])
        if not number:
            raise FaultError(f'invalid value "{directive.args[0][:60]}"')
        keepalive["max_idle"] = keepalive["max_idle_total"] = number
    for name, key in (
        ("keepalive_timeout", "idle_timeout"),
        ("keepalive_requests", "max_requests"),
        ("keepalive_time", "max_age"),
    ):
        setting = scope.one(name)
        if setting is not None:
            with report.judging(setting):
                text = setting.args[0]
                if key == "max_requests":
                    keepalive[key] = whole(text) or 1
                elif milliseconds(text):
                    keepalive[key] = duration(text)
                else:  # it would be closed at once
                    keepalive["max_idle"] = 0
    return keepalive
