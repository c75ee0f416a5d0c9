"""Learn that something in a folder changes: from the kernel where it tells, else by looking.

inotify is three calls of libc and a descriptor that the event loop waits for, and costs nothing
while nothing happens.  A library for it would bring a thread and a dependency, and leave the hard
case to us: a node that has no instance left (``fs.inotify.max_user_instances``), as happens where
many containers share a user.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from proxy.telemetry.logging import get_logger

LOOK_S: Final = 0.5
"""Seconds between two looks where the kernel does not tell."""

LOOK_AGAIN_S: Final = 10.0
"""The same where it does: it does not tell of everything, such as of a folder beneath a link."""

_CHANGES: Final = (
    0x0008  # IN_CLOSE_WRITE
    | 0x0040  # IN_MOVED_FROM
    | 0x0080  # IN_MOVED_TO: the swap of ..data
    | 0x0100  # IN_CREATE
    | 0x0200  # IN_DELETE
    | 0x0400  # IN_DELETE_SELF
    | 0x0800  # IN_MOVE_SELF
)
_READ_BYTES: Final = 64 * 1024

_log = get_logger("admin.folder")


class Watch:
    """Waits for changes of a folder, which may come and go; one event loop."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._told: Final = asyncio.Event()
        self._descriptor: int | None = None
        self._add: Callable[[], bool] = lambda: False
        try:
            self._descriptor, self._add = _inotify(path)
        except OSError as error:
            _log.info("folder_looked_at", every_s=LOOK_S, reason=error.strerror)
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        self._add()

    async def changed(self, at_most_s: float = LOOK_AGAIN_S) -> None:
        """Return when something may have changed, or after a time."""
        # The folder may be another one by now, or there again.
        timeout_s = LOOK_AGAIN_S if self._add() else LOOK_S
        try:
            async with asyncio.timeout(min(timeout_s, at_most_s)):
                await self._told.wait()
        except TimeoutError:
            return
        finally:
            self._told.clear()

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> None:
        assert self._descriptor is not None
        # What exactly happened is found by looking.
        os.read(self._descriptor, _READ_BYTES)
        self._told.set()


def _inotify(path: Path) -> tuple[int, Callable[[], bool]]:
    """Return a descriptor, and what watches the folder, if it is there; ``OSError``."""
    import ctypes  # 200 KiB that only a folder needs

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        begin, add = libc.inotify_init1, libc.inotify_add_watch
    except AttributeError:
        raise OSError(errno.ENOSYS, "this system has no inotify") from None
    descriptor: int = begin(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    name = os.fsencode(path)
    return descriptor, lambda: add(descriptor, name, _CHANGES) >= 0
