"""Envoy, with one worker."""

from __future__ import annotations

import json
from itertools import product
from typing import Any, Final

from bench.machine import PROXY_CORE, free_port
from bench.peers.peer import (
    INSTALLED,
    HeaderMap,
    MissingError,
    Peer,
    Proxy,
    Rules,
    Setup,
    UnsupportedError,
    said,
)
from bench.processes import Processes, accepting

Json = dict[str, Any]

_PROGRAM: Final = INSTALLED / "envoy" / "envoy" / "_bin" / "envoy"
_TYPES: Final = "type.googleapis.com/"
_HTTP: Final = "envoy.extensions.filters.network.http_connection_manager.v3."
_UNLIMITED: Final = 1_000_000

_FORWARDED: Final = {
    "X-Forwarded-For": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "X-Forwarded-Host": "%REQ(:authority)%",
}


def _start(processes: Processes, setup: Setup) -> Proxy:
    if setup.access_log:
        raise UnsupportedError("not set up for logs")
    port, admin = free_port(), free_port()
    file = processes.place("envoy") / "envoy.json"
    file.write_text(json.dumps(conf(setup, port, admin)))
    address = f"127.0.0.1:{port}"
    flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    command = [_program(), "-c", str(file), *flags]
    pid = processes.start("envoy", command, accepting(address), cores={PROXY_CORE})
    return Proxy("envoy", address, pid)


def conf(setup: Setup, port: int, admin: int) -> Json:
    """Write the configuration for a setup."""
    host: Json = {
        "name": "all",
        "domains": ["*"],
        "request_headers_to_add": _headers(_FORWARDED),
    }
    if setup.routes:
        # One after the other is how Envoy looks at plain routes: a tree is its cheap way.
        tree = {f"/r{number}/": _action(setup.rules) for number in range(setup.routes)}
        host["matcher"] = {
            "matcher_tree": {
                "input": _typed(
                    "path", "envoy.type.matcher.v3.HttpRequestHeaderMatchInput", header_name=":path"
                ),
                "prefix_match_map": {"map": tree},
            },
            "on_no_match": _action(setup.rules),
        }
    else:
        host["routes"] = _routes(setup.rules)
    manager = _typed(
        "manager",
        _HTTP + "HttpConnectionManager",
        stat_prefix="public",
        use_remote_address=True,
        skip_xff_append=True,
        upgrade_configs=[{"upgrade_type": "websocket"}],
        route_config={"name": "routes", "virtual_hosts": [host]},
        http_filters=[
            _typed(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
            )
        ],
    )
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {
            "thresholds": [
                dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 1 << 20)
            ]
        },
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _at(one)}} for one in setup.endpoints]}
            ],
        },
    }
    return {
        "admin": {"address": _at(f"127.0.0.1:{admin}")},
        "static_resources": {
            "listeners": [
                {
                    "name": "public",
                    "address": _at(f"127.0.0.1:{port}"),
                    "tcp_backlog_size": 4096,
                    "filter_chains": [{"filters": [manager]}],
                }
            ],
            "clusters": [cluster],
        },
    }


def _routes(rules: Rules) -> list[Json]:
    """Write a route for each combination that the maps can give: Envoy has no maps."""
    found = []
    for choice in product((True, False), repeat=len(rules.maps)):
        chosen = list(zip(rules.maps, choice, strict=True))
        values = {one.target: one.then if taken else one.default for one, taken in chosen}
        found.append({
            "match": {"prefix": "/", "headers": [_is(one) for one, taken in chosen if taken]},
            "route": {"cluster": "backend", "timeout": "0s"},
            "request_headers_to_add": _headers(values | rules.request),
            "response_headers_to_add": _headers(rules.response),
        })  # fmt: skip
    return found


def _action(rules: Rules) -> Json:
    routes = {"routes": _routes(rules)}
    return {"action": _typed("routes", "envoy.config.route.v3.RouteList", **routes)}


def _is(one: HeaderMap) -> Json:
    return {"name": one.source, "string_match": {"exact": one.when}}


def _headers(values: dict[str, str]) -> list[Json]:
    return [
        {
            "header": {"key": name, "value": value},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
        for name, value in values.items()
    ]


def _typed(name: str, kind: str, **fields: Any) -> Json:
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **fields}}


def _at(address: str) -> Json:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _program() -> str:
    if not _PROGRAM.exists():
        raise MissingError("Envoy is not installed")
    return str(_PROGRAM)


PEER: Final = Peer("envoy", lambda: said(_program(), "--version", pattern=r"\d+\.\d+\.\d+"), _start)
