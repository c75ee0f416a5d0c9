"""hotsplice itself, as a user would run it."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.load import LoadError
from bench.machine import PROXY_CORE
from bench.peers.peer import Peer, Proxy, Setup, said
from bench.processes import ROOT, Processes

Json = dict[str, Any]

_LAG: Final = re.compile(r"^hotsplice_event_loop_lag_seconds(?:\{\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hotsplice(Proxy):
    """hotsplice, with its other two listeners."""

    admin: str
    telemetry: str
    token: str

    def write(self, method: str, path: str, body: Json) -> None:
        """Write to the REST API; ``LoadError`` unless that changes something."""
        self.write_text(http.client.HTTPConnection(self.admin), method, path, json.dumps(body))

    def write_text(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str
    ) -> None:
        """Do so on a connection that is kept, with a body that is ready."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status not in (200, 201) or not json.loads(said)["changed"]:
            raise LoadError(f"{method} {path} was answered {answer.status}: {said[:500]!r}")

    def metrics(self) -> str:
        """Scrape it."""
        connection = http.client.HTTPConnection(self.telemetry, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text


def lag_s(metrics: str) -> float:
    """Read the greatest delay of the event loop in the last ten to twenty seconds."""
    found = _LAG.search(metrics)
    if found is None:
        raise LoadError("the metrics do not tell the lag of the event loop")
    return float(found[1])


def hotsplice(
    processes: Processes, document: Mapping[str, Any], *, access_log: str = "off"
) -> Hotsplice:
    """Start hotsplice with a document whose listener is named ``public``."""
    config = processes.place("hotsplice") / "document.json"
    config.write_text(json.dumps(document))
    flags = {
        "--config": str(config),
        "--admin": "127.0.0.1:0",
        "--telemetry": "127.0.0.1:0",
        "--access-log": access_log,
        "--drain-timeout": "1s",
        "--drain-accept": "0s",
    }
    words = [word for pair in flags.items() for word in pair]
    pid, ready_file = processes.start_python(
        "hotsplice", "admin", "run", *words, cores={PROXY_CORE}
    )
    ready = json.loads(ready_file.read_text())
    return Hotsplice(
        name="hotsplice",
        address=ready["listeners"]["public"],
        pid=pid,
        admin=ready["admin"],
        telemetry=ready["telemetry"],
        token=Path(ready["admin_token_file"]).read_text().strip(),
    )


def pool(endpoints: tuple[str, ...], kept: int) -> Json:
    """Write a pool of equal endpoints."""
    return {
        "endpoints": {address: {} for address in endpoints},
        "keepalive": {"max_idle": kept, "idle_timeout": "60s"},
    }


def document(setup: Setup) -> Json:
    """Write the document for a setup."""
    rules = setup.rules
    route = {
        "pool": "backend",
        "request_headers": {
            "set": {one.target: f"${one.variable}" for one in rules.maps} | rules.request
        },
        "response_headers": {"set": rules.response},
    }
    prefixes = {"all": "/", **{f"r{number}": f"/r{number}/" for number in range(setup.routes)}}
    maps = {
        one.variable: {
            "source": "$http_" + one.source.lower().replace("-", "_"),
            "default": one.default,
            "exact": {one.when: one.then},
        }
        for one in rules.maps
    }
    return {
        "version": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "limits": {"connections": setup.sockets}}},
        "pools": {"backend": pool(setup.endpoints, setup.kept)},
        "header_maps": maps,
        "routes": {
            name: {"path": {"prefix": prefix}, **route} for name, prefix in prefixes.items()
        },
    }


def _start(processes: Processes, setup: Setup) -> Proxy:
    log = "all" if setup.access_log else "off"
    return hotsplice(processes, document(setup), access_log=log)


def _version() -> str:
    if not (ROOT / ".git").exists():
        return version("hotsplice")
    commit = said("git", "-C", str(ROOT), "describe", "--always", "--dirty", pattern=r"\S+")
    return f"{version('hotsplice')} at {commit}"


PEER: Final = Peer("hotsplice", _version, _start)
