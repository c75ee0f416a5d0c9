"""Listeners: what nginx says of a server, as far as it holds before a request has a host."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, Final

from admin.nginx.pools import document_name
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.servers import Server
from admin.nginx.values import duration, octets, size, whole

_MIN_HEAD: Final = 1024
_MAX_HEAD: Final = 1024 * 1024


def listener_names(addresses: Iterable[str]) -> dict[str, str]:
    """Return what the listeners are called: as a rule, a name that no other address changes."""
    names: dict[str, str] = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        text = {"0.0.0.0": f"port-{port}", "[::]": f"port-{port}-v6"}.get(host, address)
        names[address] = document_name(text, names.values())
    return names


def listener(address: str, default: Server, report: Report) -> dict[str, Any]:
    """Return the listener of an address, with the settings of its default server."""
    scope = default.scope
    timeouts = {"header": _duration(scope, "client_header_timeout", "60s", report)}
    for key, name, usual in (
        ("body", "client_body_timeout", "60s"),
        ("write", "send_timeout", "60s"),
        ("idle", "keepalive_timeout", "75s"),
    ):
        value = _duration(scope, name, usual, report)
        if value != usual:
            timeouts[key] = value
    made: dict[str, Any] = {"bind": address, "paths": "nginx", "timeouts": timeouts}
    limits: dict[str, Any] = {"connections": "unlimited", "headers": 10_000}
    limits["body_bytes"] = body_bytes(scope, report)
    limits["requests_per_connection"] = _number(scope, "keepalive_requests", 1000, report)
    if timeouts.get("idle") == "0s":  # keep-alive is off
        del timeouts["idle"]
        limits["requests_per_connection"] = 1
    head = _head_bytes(scope, report)
    if head != 32 * 1024:
        limits["header_bytes"] = head
    made["limits"] = limits
    if scope.word("underscores_in_headers", "off").lower() == "on":
        made["underscores_in_headers"] = "allow"
    return made | _client_address(scope, report)


def default_host(address: str, servers: Iterable[Server], default: Server) -> dict[str, str]:
    """Return what ``$host`` is in a request that names none: its server's first name."""
    here = [each for each in servers if any(one.address == address for one in each.listens)]
    nameless = (each for each in here if "" in (each.names or {""}))
    name = next(nameless, default).shown
    plain = name and not name.startswith(("~", ".")) and "*" not in name
    return {"default_host": name} if plain else {}


def body_bytes(scope: Scope, report: Report) -> str:
    """Return ``client_max_body_size``."""
    directive = scope.one("client_max_body_size")
    if directive is not None:
        with report.judging(directive):
            return size(directive.args[0]) if octets(directive.args[0]) else "unlimited"
    return "1MiB"


def _duration(scope: Scope, name: str, default: str, report: Report) -> str:
    directive = scope.one(name)
    if directive is not None:
        with report.judging(directive):
            if len(directive.args) > 1:
                report.approximated(directive, "no Keep-Alive field tells clients of it")
            return duration(directive.args[0])
    return default


def _number(scope: Scope, name: str, default: int, report: Report) -> int:
    directive = scope.one(name)
    if directive is not None:
        with report.judging(directive):
            return whole(directive.args[0]) or 1
    return default


def _head_bytes(scope: Scope, report: Report) -> int:
    directive = scope.one("large_client_header_buffers")
    if directive is not None:
        with report.judging(directive):
            total = whole(directive.args[0]) * octets(directive.args[1])
            if not _MIN_HEAD <= total <= _MAX_HEAD:
                report.approximated(directive, "a request head may have from 1 KiB to 1 MiB")
            return min(max(total, _MIN_HEAD), _MAX_HEAD)
    return 32 * 1024


def _client_address(scope: Scope, report: Report) -> dict[str, Any]:
    """Return whose word on the client's address is believed, and where it is."""
    found = scope.all("set_real_ip_from")
    if not found:
        return {}
    name = _real_ip_header(scope, report)
    if name is None:
        return {}
    trusted = []
    for directive in found:
        with report.judging(directive):
            trusted.append(_network(directive.args[0]))
    given: dict[str, Any] = {} if name.lower() == "x-forwarded-for" else {"header": name}
    if scope.word("real_ip_recursive", "off").lower() != "on":
        given["recursive"] = False
    made: dict[str, Any] = {"trusted_proxies": trusted}
    return made | ({"client_address": given} if given else {})


def _real_ip_header(scope: Scope, report: Report) -> str | None:
    directive = scope.one("real_ip_header")
    if directive is None:
        return "X-Real-IP"
    name = directive.args[0]
    if name == "proxy_protocol":
        hint = "have the proxy in front send X-Forwarded-For"
        report.refused(directive, "the PROXY protocol is not supported", hint)
        return None
    if name != "X-Forwarded-For" and name.lower() == "x-forwarded-for":
        report.approximated(directive, "of several such fields all count, not only the first")
    return name


def _network(text: str) -> str:
    if text == "unix:":
        return "unix"
    try:
        return str(ip_network(text, strict=False)) if "/" in text else str(ip_address(text))
    except ValueError:
        raise RefusalError("names are not resolved here", "write the addresses") from None
