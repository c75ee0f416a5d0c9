"""nginx as origin and as the peer to compare with: one worker, no access log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine import LOAD_CORES, PROXY_CORE, free_port, max_files
from bench.peers.peer import MissingError, Peer, Proxy, Setup, said, unused
from bench.processes import Processes, filled

BODY: Final = "hello from the origin of this test"
"""What origins answer: 34 octets."""

FILES: Final = {"64k": 64 << 10, "10m": 10 << 20}
"""Larger answers, at ``/files/NAME``, and their sizes."""

_MAIN: Final = """
daemon off;
master_process on;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""

_ORIGIN: Final = """
    sendfile on;
    client_body_buffer_size 128k;
    server {{
        listen {host}:{port} backlog=4096;
        {whose}
        location / {{ return 200 "{body}"; }}
        location /files/ {{ alias {folder}/files/; }}
        location = /headers {{
            return 200 "$http_host|$http_x_forwarded_for|$http_x_forwarded_proto|\
$http_x_forwarded_host|$http_x_tier|$http_x_zone|$http_x_level|$http_x_constant_0|\
$http_x_constant_3|$http_connection|$http_x_request_id";
        }}
        {tunnels}
    }}
"""

_TUNNELS: Final = """location /ws {{
            proxy_pass http://{address};
            proxy_http_version 1.1;
            proxy_read_timeout 1h;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}"""

# Bodies stream, as they do everywhere else, and nothing goes to files; buffers are as they come.
_PROXY: Final = """
    {maps}
    {log}
    upstream backend {{
        {servers}
        keepalive {kept};
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /status {{ stub_status; }}
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_read_timeout 1h;
        {fields}
        proxy_set_header Connection "";
        {locations}
        location /ws {{
            {fields}
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://backend;
        }}
    }}
"""


@dataclass(frozen=True, slots=True)
class Nginx(Proxy):
    """nginx, with what another configuration of it needs."""

    folder: Path
    port: int


_FORWARDED: Final = {
    "Host": "$http_host",
    "X-Forwarded-For": "$remote_addr",
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$http_host",
    "X-Request-Id": "$request_id",
}


def origin(processes: Processes, *, wide: bool = False, tunnels: str = "") -> str:
    """Start an origin that answers 200 with ``BODY``; return its address.

    At ``/headers`` it answers with what it was sent.  ``wide``: on every address of 127/8, so that
    one process stands for any number of endpoints.  ``tunnels`` is where its WebSockets go.
    """
    port = free_port()
    folder = processes.place("origin")
    (folder / "files").mkdir()
    for name, octets in FILES.items():
        (folder / "files" / name).write_bytes(bytes(octets))
    http = _ORIGIN.format(
        host="0.0.0.0" if wide else "127.0.0.1",
        whose="allow 127.0.0.0/8; deny all;" if wide else "",
        port=port,
        body=BODY,
        tunnels=_TUNNELS.format(address=tunnels) if tunnels else "",
        folder=folder,
    )
    _run(processes, "origin", folder, conf(folder, http, max_files()), LOAD_CORES)
    return f"127.0.0.1:{port}"


def _start(processes: Processes, setup: Setup) -> Proxy:
    folder = processes.place("nginx")
    port = free_port()
    text = conf(folder, http(setup, port, folder), setup.sockets)
    pid = _run(processes, "nginx", folder, text, {PROXY_CORE})
    return Nginx("nginx", f"127.0.0.1:{port}", pid, folder, port)


def http(setup: Setup, port: int, folder: Path) -> str:
    """Write the ``http`` block for a setup.

    Only ``/ws`` lets a connection be upgraded, so that plain requests do not pay for it.
    """
    rules = setup.rules
    maps = {one.target: f"${one.variable}" for one in rules.maps}
    sets = _FORWARDED | maps | rules.request
    prefixes = ["/", *(f"/r{number}/" for number in range(setup.routes))]
    return _PROXY.format(
        maps="\n    ".join(
            f"map $http_{one.source.lower().replace('-', '_')} ${one.variable} "
            f"{{ default {one.default}; {one.when} {one.then}; }}"
            for one in (*rules.maps, *unused(setup))
        ),
        log=f"access_log {folder}/access.log combined buffer=64k;" if setup.access_log else "",
        servers="\n        ".join(f"server {one};" for one in setup.endpoints),
        kept=setup.kept,
        port=port,
        fields="\n        ".join(
            [f'proxy_set_header {name} "{value}";' for name, value in sets.items()]
            + [f'add_header {name} "{value}";' for name, value in rules.response.items()]
        ),
        locations="\n        ".join(
            f"location {prefix} {{ proxy_pass http://backend; }}" for prefix in prefixes
        ),
    )


def conf(folder: Path, http: str, connections: int) -> str:
    """Write a whole nginx.conf."""
    # Idle connections are closed as soon as no more than a sixteenth is left.
    connections += connections // 15 + 100
    user = "user root;" if os.getuid() == 0 else ""
    return _MAIN.format(folder=folder, user=user, http=http, connections=connections)


def _run(processes: Processes, name: str, folder: Path, text: str, cores: Set[int]) -> int:
    file = folder / "nginx.conf"
    file.write_text(text)
    command = [_program(), "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")]
    return processes.start(name, command, filled(folder / "pid"), cores=cores)


def _program() -> str:
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        raise MissingError("nginx is not installed")
    return program


PEER: Final = Peer("nginx", lambda: said(_program(), "-v"), _start)
