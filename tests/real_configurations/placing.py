"""A folder of nginx's files, copied to where a test may have it, with addresses of the test's own.

Nothing else is changed: what ``listen`` says becomes a Unix socket (nginx cannot be given port 0),
what is passed on to becomes a server of the test, and paths lead into the copy.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILES: Final = Path(__file__).parent / "files"
SERVERS: Final[dict[str, dict[str, str]]] = {
    "canary": {
        "stable": "10.2.0.1:8080",
        "stable too": "10.2.0.2:8080",
        "canary": "10.2.1.1:8080",
    },
    "chat": {
        "one": "10.1.0.11:8001",
        "two": "10.1.0.12:8001",
        "spare": "10.1.0.19:8001",
        "api": "10.1.0.21:8010",
    },
    "grafana": {"grafana": "127.0.0.1:3000", "prometheus": "127.0.0.1:9090"},
    "home": {
        "home assistant": "127.0.0.1:8123",
        "vault": "127.0.0.1:8087",
        "code": "localhost:8443",
        "reports": "127.0.0.1:8501",
    },
    "hosts": {
        "acme": "127.0.0.1:8402",
        "app": "127.0.0.1:8100",
        "cell one": "127.0.0.1:8201",
        "cell two": "127.0.0.1:8202",
    },
    "jupyter": {"hub": "127.0.0.1:8888"},
    "shop": {"app": "127.0.0.1:3000", "assets": "127.0.0.1:3001", "sorry": "127.0.0.1:3002"},
    "socketio": {"one": "127.0.0.1:3001", "two": "127.0.0.1:3002", "three": "127.0.0.1:3003"},
    "spa": {"files": "127.0.0.1:5173", "api": "127.0.0.1:8000", "live": "127.0.0.1:8001"},
}
"""Whom each passes on to, by what a test calls them.  ``certbot`` cannot be imported."""

_LISTEN: Final = re.compile(r"(?m)^(\s*listen\s+)([^\s;]+)")
_TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True, slots=True)
class Placed:
    """A copy."""

    folder: Path

    @property
    def conf(self) -> Path:
        """The main file."""
        return self.folder / "nginx.conf"

    def socket(self, listen: str = "80") -> Path:
        """Return the Unix socket that stands for what a ``listen`` says."""
        return self.folder / f"{_socket_name(listen)}.sock"

    def replace(self, file: str, old: str, new: str) -> None:
        """Edit a file, as somebody would who is about to say ``nginx -s reload``."""
        text = (self.folder / file).read_text()
        assert text.count(old) == 1, f"{old!r} is in {file} {text.count(old)} times"
        (self.folder / file).write_text(text.replace(old, new))


def copy(name: str, folder: Path) -> Placed:
    """Copy a configuration to ``folder``, where its includes lead to then."""
    shutil.copytree(FILES / name, folder, dirs_exist_ok=True)
    shutil.copy(FILES / "mime.types", folder)
    for path in folder.rglob("*"):
        if path.is_file():
            text = re.sub(r"(?m)^(\s*include\s+)/etc/nginx/", r"\1", path.read_text())
            path.write_text(text)
    return Placed(folder)


def place(name: str, folder: Path, servers: Mapping[str, str]) -> Placed:
    """Copy a configuration, and give it addresses: ``servers`` are those of its servers."""
    placed = copy(name, folder)
    addresses = {SERVERS[name][server]: real for server, real in servers.items()}
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_text(_placed(path.read_text(), placed, addresses))
    return placed


def _placed(text: str, placed: Placed, addresses: Mapping[str, str]) -> str:
    text = _LISTEN.sub(lambda found: f"{found[1]}unix:{placed.socket(found[2])}", text)
    for path in ("/var/log/nginx/", "/run/"):
        text = re.sub(rf"(?<=\s){path}(?=[\w.])", f"{placed.folder}/", text)
    # Clients reach us through a Unix socket, so this is who tells their addresses.
    text = re.sub(r"set_real_ip_from [0-9][^;]*;", "set_real_ip_from unix:;", text)
    for address, real in addresses.items():
        text = re.sub(rf"(?<=[\s/]){re.escape(address)}(?=[;\s/])", real, text)
    return text


def for_nginx(placed: Placed) -> None:
    """Let nginx run on a copy as whoever runs the tests, with one worker and no files elsewhere."""
    text = re.sub(r"(?m)^(worker_processes\s+)\w+;", r"\1 1;", placed.conf.read_text())
    text = re.sub(r"(?m)^user\s.*$", "", text)
    text = re.sub(r"(?m)^pid\s.*$", "", text)
    text = re.sub(r"(?m)^error_log\s.*$", "", text)
    main = f"pid {placed.folder}/pid;\nerror_log {placed.folder}/error.log;\n"
    main += "user root;\n" if os.getuid() == 0 else ""
    paths = "".join(f"{each}_temp_path {placed.folder}/{each};\n" for each in _TEMPORARY)
    placed.conf.write_text(main + text.replace("http {\n", "http {\n" + paths, 1))


def _socket_name(listen: str) -> str:
    return re.sub(r"[^0-9a-z.]+", "-", listen).strip("-") + ("-v6" if "[" in listen else "")
