"""The processes of one measurement: started until ready, and all ended, whatever happens.

Each is ended by its own process id.  It gets no signal of the terminal's, so that on Ctrl-C too it
is this module that ends it, after whoever uses it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from bench.machine import LOAD_CORE, on_core

ROOT: Final = Path(__file__).parents[1]

START_S: Final = 30.0
STOP_S: Final = 5.0
"""How long a process may take to start, and to stop before it is killed, in seconds."""

_POLL_S: Final = 0.01


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

    def start(
        self,
        name: str,
        command: Sequence[str],
        ready_file: Path,
        *,
        core: int = LOAD_CORE,
        environ: Mapping[str, str] | None = None,
    ) -> int:
        """Start a process on a core, wait until it writes ``ready_file``; return its id."""
        log = self.folder / f"{name}.log"
        with on_core(core), log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._running.append(process)
        deadline = time.monotonic() + START_S
        while not (ready_file.exists() and ready_file.stat().st_size):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(_POLL_S)
        return process.pid

    def start_python(
        self, name: str, module: str, *flags: str, core: int = LOAD_CORE
    ) -> tuple[int, Path]:
        """Start a module of this repository that takes ``--ready-file``; return id and file."""
        ready_file = self.folder / f"{name}.ready"
        command = [sys.executable, "-m", module, *flags, "--ready-file", str(ready_file)]
        environ = {"XDG_RUNTIME_DIR": str(self.folder)}
        return self.start(name, command, ready_file, core=core, environ=environ), ready_file


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that every context is left."""
    raise KeyboardInterrupt
