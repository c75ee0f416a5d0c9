"""nginx.conf files for tests, and what becomes of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from admin.documents import DocumentError
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

BACKEND: Final = "upstream backend { server 127.0.0.1:8000; }"


def http(*parts: str) -> str:
    """Write a file whose ``http`` block has these parts, and the upstream ``backend``."""
    return "events {}\nhttp {\n" + "\n".join((BACKEND, *parts)) + "\n}\n"


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
