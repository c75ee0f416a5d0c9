"""The machine under the measurement: its cores, and what ``/proc`` says of a process."""

from __future__ import annotations

import os
import platform
import re
import resource
import socket
import sys
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PROXY_CORE: Final = 1
"""Where the proxy that is measured runs, alone as far as we can help it."""

_ALL: Final = frozenset(os.sched_getaffinity(0) if sys.platform == "linux" else ())

LOAD_CORES: Final = _ALL - {PROXY_CORE}
"""Where load generators, origins and the measuring program itself run: everywhere else."""

_GONE: Final = (ProcessLookupError, FileNotFoundError)
"""What reading of a process says that has ended; those of a reload come and go."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def claim() -> None:
    """Move this process, and all that it starts from now on, off the proxy's core.

    They may open as many files as the system allows: with many connections that is what counts.
    """
    if PROXY_CORE not in _ALL or not LOAD_CORES:
        raise SystemExit(f"this needs core {PROXY_CORE} and another one; {set(_ALL)} are ours")
    os.sched_setaffinity(0, LOAD_CORES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_files(), max_files()))


def max_files() -> int:
    """Return how many files a process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@contextmanager
def on_cores(cores: Set[int]) -> Iterator[None]:
    """Start processes on some cores: a child inherits them, threads and children of its own too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid: int) -> list[int]:
    """Return a process and all that live below it (nginx works in a child)."""
    found = [pid]
    for parent in found:
        with suppress(*_GONE):
            for thread in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its children took, user and system, all threads.

    The scheduler's figure (``schedstat``, nanoseconds): what ``stat`` has is the same in ticks of
    10 ms.  Of threads and children that ended it knows nothing.
    """
    threads = (thread for one in family(pid) for thread in Path(f"/proc/{one}/task").iterdir())
    return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9


def ended_seconds(pid: int) -> float:
    """Return the CPU time that children of a process took which have ended, in ticks of 10 ms."""
    _, _, fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    user, system = fields.split()[13:15]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of one process (``VmRSS``)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def family_bytes(pid: int) -> int:
    """Return the resident memory of a process and its children: what they share counts once.

    It is that of the largest, and of the others what they have for themselves.
    """
    members = []
    for one in family(pid):
        with suppress(*_GONE):
            members.append((resident_bytes(one), _private_bytes(one)))
    largest, _ = max(members)
    return largest + sum(private for _, private in sorted(members)[:-1])


def _private_bytes(pid: int) -> int:
    said = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) << 10 for kb in re.findall(r"^Private_\w+: +(\d+) kB", said, re.MULTILINE))


def described() -> dict[str, str]:
    """Say what the figures depend on besides the code."""
    cpu = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "machine": f"{cpu[1] if cpu else platform.machine()}, {len(_ALL)} cores: the proxy on core "
        f"{PROXY_CORE}, everything else on {', '.join(map(str, sorted(LOAD_CORES)))}",
        "system": platform.platform(),
        "python": f"{platform.python_version()} of {', '.join(platform.python_build())}, "
        f"{platform.python_compiler()}, {sys.base_prefix}",
        "load": f"{os.getloadavg()[0]:.1f} processes wanted a core in the minute before",
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
    }


def free_port() -> int:
    """Return a loopback port that was free a moment ago, for programs that cannot bind port 0."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
