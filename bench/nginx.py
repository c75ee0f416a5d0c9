"""nginx as origin and as the peer to compare with: one worker, no access log."""

from __future__ import annotations

import os
import shutil
from typing import Final

from bench.machine import LOAD_CORE, PROXY_CORE, free_port
from bench.processes import Processes, StartError

BODY: Final = "hello from the origin of this test"
"""What origins answer: 34 octets."""

_MAIN: Final = """
daemon off;
master_process on;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 4096; }}
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
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{body}"; }}
        location = /headers {{
            return 200 "$http_host|$http_x_forwarded_for|$http_x_forwarded_proto|\
$http_x_forwarded_host|$http_x_tier|$http_connection";
        }}
    }}
"""

_FIELDS: Final = """
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Tier $tier;
            add_header X-Served-By bench;
"""

_PROXY: Final = """
    map $http_x_plan $tier {{ default free; gold paid; }}
    upstream backend {{
        server {origin};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {fields}
            proxy_set_header Connection "";
        }}
        location /ws {{
            {fields}
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1h;
        }}
    }}
"""


def origin(processes: Processes) -> str:
    """Start an origin that answers 200 with ``BODY``; return its address.

    At ``/headers`` it answers with what it was sent.
    """
    port = free_port()
    _start(processes, "nginx-origin", _ORIGIN.format(port=port, body=BODY), LOAD_CORE)
    return f"127.0.0.1:{port}"


def proxy(processes: Processes, origin: str) -> tuple[str, int]:
    """Start a proxy in front of an origin; return its address and its process id.

    It does what hotsplice does for the document of ``bench.proxies``.  Only ``/ws`` lets a
    connection be upgraded, so that plain requests do not pay for it.
    """
    port = free_port()
    http = _PROXY.format(port=port, origin=origin, fields=_FIELDS)
    return f"127.0.0.1:{port}", _start(processes, "nginx", http, PROXY_CORE)


def _start(processes: Processes, name: str, http: str, core: int) -> int:
    program = shutil.which("nginx")
    if program is None:
        raise StartError("nginx is not installed")
    folder = processes.folder / name
    folder.mkdir()
    user = "user root;" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(_MAIN.format(folder=folder, user=user, http=http))
    command = [program, "-p", str(folder), "-c", str(conf), "-e", str(folder / "error.log")]
    return processes.start(name, command, folder / "pid", core=core)
