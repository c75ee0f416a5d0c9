"""The machine under the measurement: its two cores, and what ``/proc`` says of a process."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOAD_CORE: Final = 0
"""Where load generators, origins and the measuring program itself run."""

PROXY_CORE: Final = 1
"""Where the proxy that is measured runs, alone as far as we can help it."""

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def stay_on_load_core() -> None:
    """Move this process, and all that it starts from now on, to the load core."""
    missing = {LOAD_CORE, PROXY_CORE} - os.sched_getaffinity(0)
    if missing:
        raise SystemExit(
            f"this needs the cores {LOAD_CORE} and {PROXY_CORE}; {missing} is not ours"
        )
    os.sched_setaffinity(0, {LOAD_CORE})


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Start processes on a core: a child inherits it, threads and children of its own too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid: int) -> list[int]:
    """Return a process and all that live below it (nginx works in a child)."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its children took, user and system, all threads.

    It comes in ticks of 10 ms, so measure seconds.
    """
    return sum(_ticks(one) for one in family(pid)) * _TICK_S


def _ticks(pid: int) -> int:
    # The second field is the command in parentheses, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_bytes(pid: int) -> int:
    """Return the resident memory of one process (``VmRSS``)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def described() -> dict[str, str]:
    """Say what the figures depend on besides the code."""
    return {
        "system": platform.platform(),
        "python": f"{platform.python_version()} of {', '.join(platform.python_build())}, "
        f"{platform.python_compiler()}, {sys.base_prefix}",
        "load": f"{os.getloadavg()[0]:.1f} processes wanted a core in the last minute",
    }


def free_port() -> int:
    """Return a loopback port that was free a moment ago, for programs that cannot bind port 0."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
