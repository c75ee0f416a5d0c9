"""A log file: a line writer that follows its path when the file was rotated away.

Whoever rotates logs renames the file, and says so by a signal, or says nothing: so the thread that
writes looks at most every ``LOOK_S`` whether its path still is its file, and opens it anew if not.
As long as that fails, the old file goes on being written.

Paths come from a configuration that may be written over the network.  So only regular files are
opened, and nothing that opening could have an effect on or wait for: no device, no pipe, no socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from time import monotonic
from typing import Final

from proxy.telemetry.line_writer import EXIT_FLUSH_S, LineWriter

LOOK_S: Final = 1.0
"""How often, at most, a path is looked at, in seconds."""

MODE: Final = 0o640
"""Of a file that is made; addresses of clients are not for everyone."""

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LogFile(LineWriter):
    """See the module's docstring.  Raise ``OSError`` if the file cannot be opened."""

    def __init__(self, path: str) -> None:
        descriptor, self._made = _open(path)
        super().__init__(descriptor)
        self.path: Final = path
        self._look_at = monotonic() + LOOK_S
        self._given_up = False

    def __repr__(self) -> str:
        return f"<LogFile {self.path} dropped={self.dropped}>"

    def reopen(self) -> None:
        """Look at the path now, and open it anew if it is another file, or none, by now."""
        with self._changed:
            if not self._closed:
                self._looks = True
                self._wake()

    def close(self, timeout_s: float = EXIT_FLUSH_S) -> None:
        """Write what is left, and close the file; with a timeout of 0, not before returning."""
        super().close(timeout_s)
        if self._thread is None:
            self._after()

    def abandon(self) -> None:
        """Close the file before anything was written, and remove it if it was made for us."""
        if self._made:
            with contextlib.suppress(OSError):  # it may be gone, or in use by now
                mine, there = os.fstat(self._descriptor), os.lstat(self.path)
                if os.path.samestat(mine, there) and not there.st_size:
                    Path(self.path).unlink()
        self.close(0.0)

    def _before(self) -> None:
        now = monotonic()
        if not self._looks and now < self._look_at:
            return
        self._looks = False
        self._look_at = now + LOOK_S
        try:
            if _is_at(self._descriptor, self.path):
                return
            descriptor, _ = _open(self.path)
        except OSError:
            self.failures += 1
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._torn = False

    def _after(self) -> None:
        with self._changed:
            if not self._given_up:
                self._given_up = True
                os.close(self._descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    """Tell whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116
    except FileNotFoundError:
        return False


def _open(path: str) -> tuple[int, bool]:
    """Open a regular file to append to; return its descriptor, and whether it was made.

    What is there already is looked at before it is opened, since opening a device may do something,
    and again afterwards, since it may have been exchanged meanwhile.
    """
    with contextlib.suppress(FileNotFoundError):
        _check(os.stat(path), path)  # noqa: PTH116
    try:
        descriptor, made = os.open(path, _FLAGS | os.O_EXCL, MODE), True
    except FileExistsError:
        descriptor, made = os.open(path, _FLAGS, MODE), False
    try:
        _check(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, made


def _check(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
