"""hotsplice itself, as a user would run it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

from bench.load import LoadError
from bench.machine import PROXY_CORE
from bench.peers.peer import Peer, Proxy, Setup, said, unused
from bench.processes import ROOT, Processes

Json = dict[str, Any]

_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
_LAG: Final = re.compile(r"^hotsplice_event_loop_lag_seconds(?:\{\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hotsplice(Proxy):
    """hotsplice, with its other two listeners."""

    admin: str
    telemetry: str
    token: str

    def write(self, method: str, path: str, body: Json) -> None:
        """Write to the REST API; ``LoadError`` unless that changes something."""
        with Writing(self.admin) as connection:
            connection.send(self.request(method, path, json.dumps(body)))

    def request(self, method: str, path: str, body: str) -> bytes:
        """Write a request for the REST API, as octets."""
        fields = {
            "Host": self.admin,
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body.encode())),
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
        return "\r\n".join([*lines, "", body]).encode()

    def metrics(self) -> str:
        """Scrape it."""
        connection = http.client.HTTPConnection(self.telemetry, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text


class Writing:
    """A connection for writes.

    They share a core with the generator of load: a client that does more would be measured with
    it.
    """

    def __init__(self, admin: str) -> None:
        host, _, port = admin.rpartition(":")
        self._sock: Final = socket.create_connection((host, int(port)), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, request: bytes) -> None:
        """Send a write and take the answer; ``LoadError`` unless that changed something."""
        self._sock.sendall(request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < end + 4 + _length(answer):
            more = self._sock.recv(65536)
            if not more:
                raise LoadError(f"the connection ended in the middle of {answer[:500]!r}")
            answer += more
        if answer[9:12] not in (b"200", b"201") or not json.loads(answer[end:])["changed"]:
            raise LoadError(f"{request[:60]!r} was answered {answer[:800]!r}")


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    if found is None:
        raise LoadError(f"an answer of no length: {head[:500]!r}")
    return int(found[1])


def lag_s(metrics: str) -> float:
    """Read the greatest delay of the event loop in the last ten to twenty seconds."""
    found = _LAG.search(metrics)
    if found is None:
        raise LoadError("the metrics do not tell the lag of the event loop")
    return float(found[1])


def interpreter() -> str:
    """Return the one with the packages of the image if it is installed, else the development's."""
    runtime = ROOT / ".peers" / "hotsplice" / "bin" / "python"
    return str(runtime) if runtime.exists() else sys.executable


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
        "hotsplice", "admin", "run", *words, cores={PROXY_CORE}, python=interpreter()
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
        for one in (*rules.maps, *unused(setup))
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
