"""The proxies that are compared.  One more is one more function, and one more entry in ``PROXIES``.

Each gets an origin's address, and does the same for every request: one route, one header map, a
rule for the request that writes the map's value (``X-Tier``), a rule for the response
(``X-Served-By``), ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``X-Request-Id``, ``Host`` as the
client sent it, connections to the origin kept, metrics on, access log off; WebSocket at ``/ws``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import nginx
from bench.machine import PROXY_CORE
from bench.processes import Processes


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs."""

    name: str
    address: str
    """Where its clients connect, ``host:port``."""
    pid: int


@dataclass(frozen=True, slots=True)
class Hotsplice(Proxy):
    """hotsplice, with its other two listeners."""

    admin: str
    telemetry: str
    token: str


def hotsplice(processes: Processes, document: Mapping[str, Any]) -> Hotsplice:
    """Start hotsplice with a document whose listener is named ``public``, as a user would."""
    config = processes.folder / "hotsplice.json"
    config.write_text(json.dumps(document))
    flags = {
        "--config": str(config),
        "--admin": "127.0.0.1:0",
        "--telemetry": "127.0.0.1:0",
        "--access-log": "off",
        "--drain-timeout": "1s",
        "--drain-accept": "0s",
    }
    words = [word for pair in flags.items() for word in pair]
    pid, ready_file = processes.start_python("hotsplice", "admin", "run", *words, core=PROXY_CORE)
    ready = json.loads(ready_file.read_text())
    return Hotsplice(
        name="hotsplice",
        address=ready["listeners"]["public"],
        pid=pid,
        admin=ready["admin"],
        telemetry=ready["telemetry"],
        token=Path(ready["admin_token_file"]).read_text().strip(),
    )


def document(origin: str) -> dict[str, Any]:
    """Write the document that makes hotsplice do what the module's docstring says."""
    return {
        "version": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "pools": {
            "backend": {
                "endpoints": {"origin": {"address": origin}},
                "keepalive": {"max_idle": 128, "idle_timeout": "60s"},
            }
        },
        "header_maps": {
            "tier": {"source": "$http_x_plan", "default": "free", "exact": {"gold": "paid"}}
        },
        "routes": {
            "all": {
                "path": {"prefix": "/"},
                "pool": "backend",
                "request_headers": {"set": {"X-Tier": "$tier"}},
                "response_headers": {"set": {"X-Served-By": "bench"}},
            }
        },
    }


def _nginx(processes: Processes, origin: str) -> Proxy:
    return Proxy("nginx", *nginx.proxy(processes, origin))


def _hotsplice(processes: Processes, origin: str) -> Proxy:
    return hotsplice(processes, document(origin))


BASELINE: Final = "nginx"
"""The one whose figures the others' are divided by."""

PROXIES: Final[dict[str, Callable[[Processes, str], Proxy]]] = {
    "nginx": _nginx,
    "hotsplice": _hotsplice,
}
