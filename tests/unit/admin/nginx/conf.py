"""nginx.conf files for tests, and what becomes of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from admin.documents.faults import DocumentError
from admin.nginx import Imported, import_nginx
from admin.nginx.report import Verdict

SIMPLE: Final = """\
# The seed's simple example, made whole: every WebSocket under /chat/ goes to one backend.
events { worker_connections 1024; }
http {
    upstream backend {
        server 127.0.0.1:8000;
    }
    server {
        listen 127.0.0.1:8080;
        location /chat/ {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}
"""
MAPPED: Final = """\
# The seed's second example, made whole: Connection is computed from Upgrade by a map.
worker_processes auto;
error_log stderr info;
events { worker_connections 1024; }
http {
    upstream backend {
        server 127.0.0.1:8000;
    }
    map $http_upgrade $connection_upgrade {
        default upgrade;
        ''      close;
    }
    server {
        listen 127.0.0.1:8080;
        location /chat/ {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
    }
}
"""
"""The two files that the project began with."""

RICH: Final = r"""
events {}
http {
    default_type application/octet-stream;
    log_format main '$remote_addr - $request_time';
    access_log off;
    sendfile on;
    gzip on;
    upstream a {
        least_conn;
        server 127.0.0.1:8001 weight=3 max_fails=0;
        server localhost:8002 backup fail_timeout=5s;
        server 127.0.0.1:8003 down max_conns=7;
        keepalive 16;
    }
    upstream b {
        hash $cookie_x consistent;
        server 127.0.0.1:8004;
        server unix:/run/x.sock max_fails=2;
        server 127.0.0.1:8004;
    }
    map $http_x_tier $tier { hostnames; default a; beta b; *.example.org b; ~^gamma$ b; }
    map $http_x_tier $where { default 127.0.0.1:9000; beta a; }
    split_clients $remote_addr $variant { 10% b; * a; }
    proxy_set_header Host $host;
    server {
        listen 8080 default_server reuseport; listen [::]:8080;
        server_name a.example.com *.example.com;
        client_max_body_size 0;
        location = / { proxy_pass http://a/index; }
        location /tier/ { proxy_pass http://$tier; add_header X-A b always; add_header X-A c; }
        location /where/ { proxy_pass http://$where; }
        location /v/ {
            proxy_pass http://$variant;
            proxy_set_header X-Host $proxy_host;
            proxy_set_header X-Host 2;
            proxy_next_upstream error http_502 non_idempotent;
        }
        location ^~ /static/ {
            proxy_pass http://127.0.0.1:7000;
            location /static/deep/ { proxy_pass http://127.0.0.1:7000/x/; }
        }
        location ~* \.png$ { proxy_pass http://a; proxy_read_timeout 1h; }
        location ~ ^/u/(\d+)$ { proxy_pass http://b/users/$1$is_args$args; }
        location /r {
            proxy_pass http://a$request_uri;
            proxy_connect_timeout 5;
            client_max_body_size 8m;
        }
    }
    server {
        listen 8080;
        server_name ~^(?<user>.+)\.users\.example\.com$ a.example.com;
        set_real_ip_from 10.0.0.0/8;
        real_ip_header X-Forwarded-For;
        location / {
            proxy_pass http://unix:/run/y.sock:/u/;
            proxy_set_header X-User $user;
            proxy_set_header X-Names "$proxy_host ${server_name}x";
        }
        location /s { return 200; }
    }
}
"""
"""Something of nearly everything."""

BACKEND: Final = "upstream backend { server 127.0.0.1:8000; }"


def http(*parts: str) -> str:
    """Write a file whose ``http`` block has these parts, and the upstream ``backend``."""
    return "events {}\nhttp {\n" + "\n".join((BACKEND, *parts)) + "\n}\n"


def http_of(text: str) -> str:
    """Return what stands in the ``http`` block of a file."""
    return text[text.index("http {") + 6 : text.rindex("}")]


def server(*parts: str) -> str:
    """Write a file with one server of these parts."""
    return http("server { listen 127.0.0.1:8080;\n" + "\n".join(parts) + "\n}")


def location(*parts: str, path: str = "/", to: str = "http://backend") -> str:
    """Write a location that passes on to ``backend``."""
    return f"location {path} {{ proxy_pass {to};\n" + "\n".join(parts) + "\n}"


def write(text: str | bytes, **more: str) -> Path:
    """Write a file ``nginx.conf``, and others by their stems, in a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="nginx"))
    for stem, content in more.items():
        (folder / f"{stem}.conf").write_text(content)
    path = folder / "nginx.conf"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def imported(text: str, *, lenient: bool = False, **more: str) -> Imported:
    """Import a file that can be imported."""
    return import_nginx(write(text, **more), lenient=lenient)


def document(text: str, *, lenient: bool = False) -> dict[str, Any]:
    """Return the document that a file becomes."""
    return imported(text, lenient=lenient).document


def route(*parts: str, path: str = "/", to: str = "http://backend") -> dict[str, Any]:
    """Return the one route of a server with one location."""
    (made,) = document(server(location(*parts, path=path, to=to)))["routes"].values()
    assert isinstance(made, dict)
    return made


def faults(text: str | bytes, *, lenient: bool = False, **more: str) -> list[str]:
    """Return what is wrong with a file, as ``LINE: what``, or ``FILE:LINE: what`` of others."""
    path = write(text, **more)
    try:
        import_nginx(path, lenient=lenient)
    except DocumentError as error:
        here = f"{path}:"
        return [
            f"{fault.path}: {fault.message}".removeprefix(here).removeprefix(f"{path.parent}/")
            for fault in error.faults
        ]
    return []


def verdict(text: str, name: str) -> Verdict:
    """Return the worst verdict on a directive of that name, with what is refused left out."""
    notes = imported(text, lenient=True).report.notes
    return max(note.verdict for directive, note in notes.items() if directive.name == name)
