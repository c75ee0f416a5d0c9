"""HAProxy, with one thread."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from bench.machine import PROXY_CORE, free_port
from bench.peers.peer import MissingError, Peer, Proxy, Setup, UnsupportedError, said
from bench.processes import Processes, accepting

_CONF: Final = """
global
    nbthread 1
    maxconn {clients}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend metrics
    bind 127.0.0.1:{metrics}
    http-request use-service prometheus-exporter
frontend public
    bind 127.0.0.1:{port} backlog 4096
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    http-request set-header X-Request-Id %[uuid()]
    {rules}
    {route}
    default_backend backend
backend backend
    balance roundrobin
    http-reuse always
    {servers}
"""


def _start(processes: Processes, setup: Setup) -> Proxy:
    if setup.access_log:
        raise UnsupportedError("logs to a syslog server, which is none of this")
    folder, port = processes.place("haproxy"), free_port()
    file = folder / "haproxy.cfg"
    file.write_text(conf(setup, port, folder))
    address = f"127.0.0.1:{port}"
    command = [_program(), "-db", "-f", str(file)]
    pid = processes.start("haproxy", command, accepting(address), cores={PROXY_CORE})
    return Proxy("haproxy", address, pid)


def conf(setup: Setup, port: int, folder: Path) -> str:
    """Write the configuration for a setup, with the files of its maps."""
    lines: list[str] = []
    for one in setup.rules.maps:
        file = folder / f"{one.variable}.map"
        file.write_text(f"{one.when} {one.then}\n")
        there = f"{{ req.hdr({one.source}) -m found }}"
        found = f"%[req.hdr({one.source}),map_str({file},{one.default})]"
        lines += [
            f"http-request set-header {one.target} {found} if {there}",
            f"http-request set-header {one.target} {one.default} if !{there}",
        ]
    for kind, fields in (("request", setup.rules.request), ("response", setup.rules.response)):
        lines += [f'http-{kind} set-header {name} "{value}"' for name, value in fields.items()]
    routes = folder / "routes.map"
    routes.write_text("".join(f"/r{number}/ backend\n" for number in range(setup.routes)))
    return _CONF.format(
        clients=(setup.sockets - 100) // 2,
        metrics=free_port(),
        port=port,
        rules="\n    ".join(lines),
        route=f"use_backend %[path,map_beg({routes},backend)]" if setup.routes else "",
        servers="\n    ".join(
            f"server s{number} {address} pool-max-conn {setup.kept}"
            for number, address in enumerate(setup.endpoints)
        ),
    )


def _program() -> str:
    program = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        raise MissingError("haproxy is not installed")
    return program


PEER: Final = Peer("haproxy", lambda: said(_program(), "-v"), _start)
