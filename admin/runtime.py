"""What a process leaves on disk while it runs: the ready file, and a token that it made.

The client looks for the token here each time it is called, so what costs time is imported late.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TOKEN_BYTES: Final = 32

STATE_TOKEN: Final = "admin.token"
"""The token's name in a state folder."""


class RuntimeFolderError(Exception):
    """The runtime folder cannot hold a token: it cannot be made, or is not ours alone."""


def write_atomically(path: Path, text: str, mode: int) -> None:
    """Put a file in place at once: who reads it sees the old one or the new one."""
    import tempfile

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
    import secrets

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
        return state_dir / STATE_TOKEN
    return folder(base) / _token_name(admin)


def link_token(token_file: Path, admin: str, base: Path | None) -> Path:
    """Lead from the runtime folder to a token elsewhere, for clients that know the address alone.

    Return the link; raise ``RuntimeFolderError`` or ``OSError`` if there cannot be one.
    """
    link = folder(base) / _token_name(admin)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(token_file.absolute())
    fresh.replace(link)
    return link


def made_token(
    admin: str, told: Path | None, state_dir: Path | None, base: Path | None
) -> str | None:
    """Return the token that the process at an address has made, if it is where it may be.

    ``told`` is where a ready file says that it is.
    """
    places = [] if told is None else [told]
    if state_dir is not None:
        places.append(state_dir / STATE_TOKEN)
    shared = _folder_path(base)
    if _is_ours_alone(shared):
        places.append(shared / _token_name(admin))
    for place in places:
        try:
            return place.read_text().strip()
        except OSError:
            continue
    return None


def folder(base: Path | None) -> Path:
    """Return the runtime folder, made if need be; ``RuntimeFolderError`` if not ours alone.

    It stands in ``base``, the session's runtime folder, or else among the temporary files.
    """
    path = _folder_path(base)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RuntimeFolderError(
            f"no place for an admin token: {path} cannot be made ({error.strerror}); set "
            "XDG_RUNTIME_DIR, give --admin-token-file, or use --admin unix:PATH"
        ) from error
    if not _is_ours_alone(path):
        raise RuntimeFolderError(f"{path} is not a folder that only this user reaches (mode 0700)")
    return path


def _folder_path(base: Path | None) -> Path:
    if base is not None:
        return base / "hotsplice"
    import tempfile

    return Path(tempfile.gettempdir()) / f"hotsplice-{os.getuid()}"


def _is_ours_alone(path: Path) -> bool:
    # Anyone can make a folder of that name in a shared place before we do, or a link.
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.getuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )


def _token_name(admin: str) -> str:
    name = admin.replace(":", "_").replace("[", "").replace("]", "")
    return f"admin-{name}.token"


class ReadyFile:
    """``--ready-file``: where everything is, once everything serves."""

    def __init__(self, path: Path | None) -> None:
        """Remove what an earlier process may have left."""
        self._path: Final = path
        self._written: dict[str, object] | None = None
        self.remove()

    def write(
        self, admin: str, telemetry: str, listeners: Mapping[str, str], token_file: Path | None
    ) -> None:
        """Say where everything is, if that is new; ``OSError`` if it cannot be written."""
        if self._path is None:
            return
        content: dict[str, object] = {
            "admin": admin,
            "telemetry": telemetry,
            "listeners": dict(listeners),
            "admin_token_file": None if token_file is None else str(token_file),
        }
        if content != self._written:  # most changes move no listener, and a disk takes its time
            write_atomically(self._path, json.dumps(content, indent=2) + "\n", 0o644)
            self._written = content

    def remove(self) -> None:
        """Take it away: nothing serves any more."""
        self._written = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
