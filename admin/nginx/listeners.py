"""Listeners: what nginx says of a server, as far as it holds before a request has a host.

What it says of clients in a location is said by a route, where it is not what the listener says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from admin.nginx.client_address import client_address
from admin.nginx.pools import document_name
from admin.nginx.report import Report
from admin.nginx.scope import Scope
from admin.nginx.servers import Server
from admin.nginx.values import duration, octets, size, whole

_MIN_HEAD: Final = 1024
_MAX_HEAD: Final = 1024 * 1024
USUAL: Final = {"body": "60s", "write": "60s", "idle": "75s"}
"""The times of clients that are nginx's defaults and a listener's too."""


def listener_names(addresses: Iterable[str]) -> dict[str, str]:
    """Return what the listeners are called: as a rule, a name that no other address changes."""
    names: dict[str, str] = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        text = {"0.0.0.0": f"port-{port}", "[::]": f"port-{port}-v6"}.get(host, address)
        names[address] = document_name(text, names.values())
    return names


def listener(
    address: str, default: Server, report: Report, scopes: Iterable[Scope] = ()
) -> dict[str, Any]:
    """Return the listener of an address, with the settings of its default server.

    ``scopes`` are those of all that serves there; routes say where one keeps fewer requests.
    """
    scope = default.scope
    timeouts = {"header": _duration(scope, "client_header_timeout", "60s", report)}
    timeouts |= client_timeouts(scope, report)
    made: dict[str, Any] = {"bind": address, "paths": "nginx"}
    if scope.word("merge_slashes", "on").lower() == "off":
        made["merge_slashes"] = False
    made["timeouts"] = {key: value for key, value in timeouts.items() if value != USUAL.get(key)}
    limits: dict[str, Any] = {"connections": "unlimited", "headers": 10_000}
    limits["body_bytes"] = body_bytes(scope, report)
    limits["requests_per_connection"] = max(requests(each, report) for each in (scope, *scopes))
    head = _head_bytes(scope, report)
    if head != 32 * 1024:
        limits["header_bytes"] = head
    made["limits"] = limits
    lets_all_in = scope.word("ignore_invalid_headers", "on").lower() == "off"
    if lets_all_in or scope.word("underscores_in_headers", "off").lower() == "on":
        made["underscores_in_headers"] = "allow"
    if not lets_all_in:
        made["odd_header_names"] = "drop"
    return made | client_address(scope, report)


def default_host(address: str, servers: Iterable[Server], default: Server) -> dict[str, str]:
    """Return what ``$host`` is in a request that names none: its server's first name."""
    here = [each for each in servers if any(one.address == address for one in each.listens)]
    nameless = (each for each in here if "" in (each.names or {""}))
    name = next(nameless, default).shown
    plain = name and not name.startswith(("~", ".")) and "*" not in name
    return {"default_host": name} if plain else {}


def client_timeouts(scope: Scope, report: Report) -> dict[str, str]:
    """Return how long clients may take after a request's head."""
    directive = scope.one("keepalive_time")
    if directive is not None:
        report.approximated(directive, "a client's connection is not closed because of its age")
    made = {
        "body": _duration(scope, "client_body_timeout", USUAL["body"], report),
        "write": _duration(scope, "send_timeout", USUAL["write"], report),
        "idle": _duration(scope, "keepalive_timeout", USUAL["idle"], report),
    }
    if made["idle"] == "0s":  # keep-alive is off, see ``requests``
        made["idle"] = USUAL["idle"]
    return made


def requests(scope: Scope, report: Report) -> int:
    """Return how many requests a client's connection may have."""
    if _duration(scope, "keepalive_timeout", USUAL["idle"], report) == "0s":
        return 1
    directive = scope.one("keepalive_requests")
    if directive is not None:
        with report.judging(directive):
            return whole(directive.args[0]) or 1
    return 1000


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


def _head_bytes(scope: Scope, report: Report) -> int:
    directive = scope.one("large_client_header_buffers")
    if directive is not None:
        with report.judging(directive):
            total = whole(directive.args[0]) * octets(directive.args[1])
            if not _MIN_HEAD <= total <= _MAX_HEAD:
                report.approximated(directive, "a request head may have from 1 KiB to 1 MiB")
            return min(max(total, _MIN_HEAD), _MAX_HEAD)
    return 32 * 1024
