"""Finding the sidecar and its token, so that nothing has to be said inside its container.

Where: ``--admin``, ``HOTSPLICE_ADMIN``, the ready file that ``HOTSPLICE_READY_FILE`` names,
``127.0.0.1:9901``, and the Unix socket of the image.  The token: ``--token-file``,
``HOTSPLICE_TOKEN_FILE``, and the file that ``run`` made, in the state or runtime folder.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from admin.client.connection import CONNECT_S, Address, Connection, parse_address
from admin.client.problems import FAULTY, ClientError, UnreachableError
from admin.runtime import made_token

DEFAULT: Final = Address("127.0.0.1", 9901)

IMAGE: Final = Address("", 0, "/run/hotsplice/admin.sock")
"""Where the image's process listens."""


def find(
    admin: str | None, token_file: str | None, environ: Mapping[str, str], *, writes: bool
) -> Connection:
    """Return a connection to the sidecar, with the token that it takes.

    A token that ``run`` made is shown for writes only: reading needs none where one is made.
    Raise ``ClientError``.
    """
    ready = _ready(environ)
    address, bound = _reached(_candidates(admin, environ, ready))
    token = _given_token(token_file, environ)
    if token is None and writes and not address.path:
        token = _made_token(bound, environ, ready)
    return Connection(address, token)


def _candidates(
    admin: str | None, environ: Mapping[str, str], ready: Mapping[str, Any]
) -> list[Address]:
    for text, where in ((admin, "--admin"), (environ.get("HOTSPLICE_ADMIN"), "HOTSPLICE_ADMIN")):
        if not text:
            continue
        try:
            address = parse_address(text)
        except ValueError as error:
            raise ClientError(f"{where}: {error}", status=FAULTY) from error
        if address.path or address.port:
            return [address]
    if isinstance(ready.get("admin"), str):
        return [parse_address(ready["admin"])]
    return [DEFAULT, IMAGE]


def _reached(candidates: list[Address]) -> tuple[Address, str]:
    """Return the first that somebody listens on, and its address as the listener has it."""
    refused: list[UnreachableError] = []
    for address in candidates:
        try:
            return address, _probe(address)
        except OSError as error:
            refused.append(UnreachableError(address.text, error.strerror or str(error)))
    raise refused[0]


def _probe(address: Address) -> str:
    if address.path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_S)
            probe.connect(address.path)
        return address.text
    with socket.create_connection((address.host, address.port), CONNECT_S) as probe:
        host, port = probe.getpeername()[:2]
    return Address(host, port).text


def _given_token(token_file: str | None, environ: Mapping[str, str]) -> str | None:
    path, where = token_file, "--token-file"
    if not path:
        path, where = environ.get("HOTSPLICE_TOKEN_FILE"), "HOTSPLICE_TOKEN_FILE"
    if not path:
        return None
    try:
        text = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"{where}: {path}: {error}", status=FAULTY) from error
    if not text.isascii() or not text.isprintable() or not text:
        hint = "one line, the token itself; the file of --admin-token-file has only its hash"
        raise ClientError(f"{where}: {path} holds no token", hint, FAULTY)
    return text


def _made_token(bound: str, environ: Mapping[str, str], ready: Mapping[str, Any]) -> str | None:
    state_dir, base = environ.get("HOTSPLICE_STATE_DIR"), environ.get("XDG_RUNTIME_DIR")
    told = ready.get("admin_token_file")
    return made_token(
        bound,
        Path(told) if isinstance(told, str) and ready.get("admin") == bound else None,
        Path(state_dir) if state_dir else None,
        Path(base) if base else None,
    )


def _ready(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the ready file says; nothing if there is none."""
    path = environ.get("HOTSPLICE_READY_FILE")
    if not path or not Path(path).exists():
        return {}
    try:
        value = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ClientError(f"HOTSPLICE_READY_FILE: {path}: {error}", status=FAULTY) from error
    return value if isinstance(value, dict) else {}
