"""What a test must not leave behind: sockets, tasks, and errors that nobody saw."""

from __future__ import annotations

import asyncio
import os
import socket
import traceback
from pathlib import Path
from typing import Any

from tests.peers.waiting import eventually


def open_sockets() -> set[str]:
    """Return the sockets of this process, as the kernel names them (``socket:[inode]``).

    Pairs without any name are left out: the loop makes one anew whenever it runs, to be woken by
    signals.
    """
    found: set[str] = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
            if target.startswith("socket:") and _has_name(int(entry.name)):
                found.add(target)
        except OSError:  # The descriptor that listed the folder.
            continue
    return found


def _has_name(descriptor: int) -> bool:
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        if sock.family != socket.AF_UNIX or sock.getsockname():
            return True
        return bool(sock.getpeername())


def resident_bytes() -> int:
    """Return the resident memory of this process, in octets."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Watch:
    """Compares the end of a test with its beginning."""

    def __init__(self) -> None:
        self._sockets = open_sockets()
        self._loop = asyncio.get_running_loop()
        self._tasks = asyncio.all_tasks(self._loop)
        self.complaints: list[str] = []
        """What went wrong inside callbacks, where no test could see it."""
        self._loop.set_exception_handler(self._complain)

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        trace = "".join(traceback.format_exception(error)) if error else ""
        self.complaints.append(f"{context.get('message')}\n{trace}")

    def _left(self) -> list[str]:
        tasks = asyncio.all_tasks(self._loop) - self._tasks - {asyncio.current_task()}
        sockets = open_sockets() - self._sockets
        return [*map(repr, tasks), *sorted(sockets)]

    async def check(self) -> None:
        """Fail if a socket or a task outlives the test, or an exception was swallowed."""
        await eventually(lambda: not self._left(), lambda: f"leaks to go: {self._left()}", 5.0)
        assert not self.complaints, "\n".join(self.complaints)
