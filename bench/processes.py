"""The processes of one measurement: started until ready, and all ended, whatever happens.

Each is ended by its own process id.  It gets no signal of the terminal's, so that on Ctrl-C too it
is this module that ends it, after whoever uses it.  It is of the same session, because Linux shares
a core between sessions first: what is idle in one would get as much as what works in another.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from bench.machine import LOAD_CORES, on_cores

ROOT: Final = Path(__file__).parents[1]

START_S: Final = 60.0
STOP_S: Final = 5.0
"""How long a process may take to start, and to stop before it is killed, in seconds."""

_POLL_S: Final = 0.002

_AWAKE: Final = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


class StartError(Exception):
    """A process did not come up; what it said is in the message."""


class Processes:
    """A context: a folder, and processes that live as long as it."""

    def __init__(self) -> None:
        self._temporary: Final = tempfile.TemporaryDirectory(prefix="bench-")
        self._running: Final[list[subprocess.Popen[bytes]]] = []
        self.folder: Final = Path(self._temporary.name)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._temporary.cleanup()

    def place(self, name: str) -> Path:
        """Make a folder for one of the processes."""
        folder = self._numbered(name, "d")
        folder.mkdir()
        return folder

    def _numbered(self, name: str, suffix: str) -> Path:
        return self.folder / f"{len(self._running)}-{name}.{suffix}"

    def start(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[], object],
        *,
        cores: Set[int] = LOAD_CORES,
        environ: Mapping[str, str] | None = None,
    ) -> int:
        """Start a process, wait until ``ready`` says something true; return its id."""
        log = self._numbered(name, "log")
        with on_cores(cores), log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        self._running.append(process)
        deadline = time.monotonic() + START_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(_POLL_S)
        return process.pid

    def keep_awake(self) -> None:
        """Keep the cores of the load from sleeping: a loop of idle priority on each.

        A virtual machine's core that sleeps is woken by its host, at the cost of who wakes it.
        """
        for core in LOAD_CORES:
            self.start("awake", [sys.executable, "-c", _AWAKE], lambda: True, cores={core})

    def start_python(
        self,
        name: str,
        module: str,
        *flags: str,
        cores: Set[int] = LOAD_CORES,
        python: str = sys.executable,
    ) -> tuple[int, Path]:
        """Start a module of this repository that takes ``--ready-file``; return id and file."""
        ready_file = self._numbered(name, "ready")
        command = [python, "-m", module, *flags, "--ready-file", str(ready_file)]
        environ = {
            "XDG_RUNTIME_DIR": str(self.folder),
            # As of what is installed: compiled once.  An empty value says no.
            "PYTHONPYCACHEPREFIX": str(ROOT / ".peers" / "compiled"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        pid = self.start(name, command, filled(ready_file), cores=cores, environ=environ)
        return pid, ready_file


def filled(file: Path) -> Callable[[], bool]:
    """Return what tells whether there is something in a file."""
    return lambda: file.exists() and file.stat().st_size > 0


def accepting(address: str) -> Callable[[], bool]:
    """Return what tells whether an address can be connected to."""

    def connects() -> bool:
        host, _, port = address.rpartition(":")
        with socket.socket() as sock:
            return sock.connect_ex((host, int(port))) == 0

    return connects


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that every context is left."""
    raise KeyboardInterrupt
