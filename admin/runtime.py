"""What a process leaves on disk while it runs: the ready file, and a token that it made."""

from __future__ import annotations

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TOKEN_BYTES: Final = 32


class RuntimeFolderError(Exception):
    """The runtime folder cannot hold a token: it cannot be made, or is not ours alone."""


def write_atomically(path: Path, text: str, mode: int) -> None:
    """Put a file in place at once: who reads it sees the old one or the new one."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_token() -> str:
    """Make a bearer token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def keep_token(token: str, path: Path) -> Path:
    """Store the token of the admin listener, readable by this user alone."""
    write_atomically(path, token + "\n", 0o600)
    return path


def token_path(admin: str, state_dir: Path | None, base: Path | None) -> Path:
    """Return where the token of the admin listener at an address belongs.

    The state folder is one process's, the runtime folder is shared, so there the address tells.
    """
    if state_dir is not None:
        return state_dir / "admin.token"
    name = admin.replace(":", "_").replace("[", "").replace("]", "")
    return folder(base) / f"admin-{name}.token"


def folder(base: Path | None) -> Path:
    """Return the runtime folder, made if need be; ``RuntimeFolderError`` if not ours alone.

    It stands in ``base``, the session's runtime folder, or else among the temporary files.
    """
    if base is not None:
        path = base / "hotsplice"
    else:
        path = Path(tempfile.gettempdir()) / f"hotsplice-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RuntimeFolderError(
            f"no place for an admin token: {path} cannot be made ({error.strerror}); set "
            "XDG_RUNTIME_DIR, give --admin-token-file, or use --admin unix:PATH"
        ) from error
    # Anyone can make a folder of that name in a shared place before we do, or a link.
    status = path.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.getuid()
        or stat.S_IMODE(status.st_mode) & 0o077
    ):
        raise RuntimeFolderError(f"{path} is not a folder that only this user reaches (mode 0700)")
    return path


class ReadyFile:
    """``--ready-file``: where everything is, once everything serves."""

    def __init__(self, path: Path | None) -> None:
        """Remove what an earlier process may have left."""
        self._path: Final = path
        self.remove()

    def write(
        self, admin: str, telemetry: str, listeners: Mapping[str, str], token_file: Path | None
    ) -> None:
        """Say where everything is; ``OSError`` if it cannot be written."""
        if self._path is None:
            return
        content = {
            "admin": admin,
            "telemetry": telemetry,
            "listeners": dict(listeners),
            "admin_token_file": None if token_file is None else str(token_file),
        }
        write_atomically(self._path, json.dumps(content, indent=2) + "\n", 0o644)

    def remove(self) -> None:
        """Take it away: nothing serves any more."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
