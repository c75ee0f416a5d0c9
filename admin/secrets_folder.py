"""The folder of ``--secrets-dir``: a file is a secret, read again when it changes.

Only files that a document names are read.  Nothing here says what is in one.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path
from typing import Final

from proxy.telemetry.logging import get_logger

SECRET_BYTES: Final = 64 * 1024
"""The most that a secret can have."""

MOST: Final = 256
"""Secrets in use."""

LOOK_S: Final = 2.0
"""Seconds between two looks whether files have changed."""

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_UNFIT: Final = re.compile(rb"[\r\n\0]")

_Seen = tuple[int, int, int]

_log = get_logger("admin.secrets")


class SecretsFolderError(Exception):
    """The folder cannot be used."""


class SecretsFolder:
    """The secrets of a folder."""

    def __init__(self, path: Path) -> None:
        """Take a folder; ``SecretsFolderError`` if it is none."""
        if not path.is_dir():
            raise SecretsFolderError(f"{path} is no folder")
        self._path: Final = path
        self._values: Final[dict[str, bytes]] = {}
        self._seen: Final[dict[str, _Seen | None]] = {}

    def known(self, name: str) -> bool:
        """Tell whether there is a secret of that name, and read it if it is new.

        It is read as soon as there is one, too.
        """
        if name in self._values:
            return True
        if _NAME.fullmatch(name) is None:
            return False
        if name not in self._seen and not self._room():
            _log.error("too_many_secrets", name=name, most=MOST)
            return False
        seen = self._look(name)
        if seen is None:
            self._seen[name] = None
        return seen is not None and self._read(name, seen)

    def value(self, name: str) -> bytes:
        """Return the present value; empty if the file is gone."""
        return self._values.get(name, b"")

    def refresh(self) -> None:
        """Read what has changed.  One that became unreadable or too large keeps its value."""
        for name, before in list(self._seen.items()):
            seen = self._look(name)
            if seen == before:
                continue
            if seen is None:
                self._seen[name] = None
                self._values.pop(name, None)
                _log.warning("secret_gone", name=name, hint="nothing is sent in its place")
            elif self._read(name, seen):
                _log.info("secret_read", name=name)

    async def follow(self) -> None:
        """Go on reading what has changed, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self.refresh)

    def _room(self) -> bool:
        if len(self._seen) >= MOST:
            for name in [name for name, seen in self._seen.items() if seen is None]:
                del self._seen[name]
        return len(self._seen) < MOST

    def _look(self, name: str) -> _Seen | None:
        try:
            status = (self._path / name).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self, name: str, seen: _Seen) -> bool:
        self._seen[name] = seen
        try:
            value = _content(self._path / name)
        except (OSError, ValueError) as error:
            _log.error("secret_refused", name=name, error=str(error))
            return False
        if _UNFIT.search(value):
            _log.warning("secret_unfit", name=name, hint="with CR, LF or NUL in it, it is not sent")
        self._values[name] = value
        return True


def _content(path: Path) -> bytes:
    """Read a file, without the end of its last line.  Links are followed: Kubernetes makes them."""
    # A pipe would keep us waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a file")
        value = file.read(SECRET_BYTES + 1)
    if len(value) > SECRET_BYTES:
        raise ValueError(f"over {SECRET_BYTES:,} bytes")
    return value.removesuffix(b"\n").removesuffix(b"\r")
