"""configurable-http-proxy, the one of JupyterHub."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from typing import Final

from bench.machine import PROXY_CORE, free_port
from bench.peers.peer import INSTALLED, MissingError, Peer, Proxy, Setup, UnsupportedError
from bench.processes import Processes, accepting

_PACKAGE: Final = INSTALLED / "node_modules" / "configurable-http-proxy"


def _start(processes: Processes, setup: Setup) -> Proxy:
    _version()
    if len(setup.endpoints) > 1:
        raise UnsupportedError("one endpoint a route")
    if setup.access_log:
        raise UnsupportedError("has no access log")
    port, api, metrics = free_port(), free_port(), free_port()
    target = f"http://{setup.endpoints[0]}"
    flags = {
        "--ip": "127.0.0.1",
        "--port": port,
        "--api-ip": "127.0.0.1",
        "--api-port": api,
        "--metrics-ip": "127.0.0.1",
        "--metrics-port": metrics,
        "--default-target": target,
        "--log-level": "error",
    }
    program = _PACKAGE / "bin" / "configurable-http-proxy"
    command = [_node(), str(program), *(str(word) for pair in flags.items() for word in pair)]
    address = f"127.0.0.1:{port}"
    # It quits if the environment has no token for an API that others could reach.
    environ = {"CONFIGPROXY_AUTH_TOKEN": "bench"}
    pid = processes.start(
        "configurable-http-proxy", command, accepting(address), cores={PROXY_CORE}, environ=environ
    )
    _add_routes(api, setup.routes, target)
    return Proxy(PEER.name, address, pid)


def _add_routes(api: int, routes: int, target: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api)
    for number in range(routes):
        body, headers = json.dumps({"target": target}), {"Authorization": "token bench"}
        connection.request("POST", f"/api/routes/r{number}", body, headers)
        connection.getresponse().read()
    connection.close()


def _version() -> str:
    package = _PACKAGE / "package.json"
    if not package.exists():
        raise MissingError("configurable-http-proxy is not installed")
    version: str = json.loads(package.read_text())["version"]
    return version


def _node() -> str:
    node = shutil.which("node", path=os.environ["PATH"])
    if node is None:
        raise MissingError("node is not installed")
    return node


PEER: Final = Peer(
    "configurable-http-proxy",
    _version,
    _start,
    lacks="header rules, maps, X-Request-Id",
    warm_up=4.0,
)
