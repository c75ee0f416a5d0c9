"""WebSockets that are held while something else is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench.load import LoadError
from bench.processes import ROOT, STOP_S

OPEN_S: Final = 90.0


class Holder:
    """Connections that are held, by a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process: Final = process

    def end(self) -> dict[str, int]:
        """Let go; return how many were ``opened``, ``failed``, and how many ``echoes`` came."""
        said, _ = self._process.communicate(timeout=STOP_S + OPEN_S)
        if self._process.returncode:
            raise LoadError("those who hold connections failed")
        found: dict[str, int] = json.loads(said)
        return found


@contextmanager
def held(address: str, count: int, *, every_s: float = 0.0) -> Iterator[Holder]:
    """Hold so many connections, and one more every so many seconds."""
    flags = ["--connections", str(count), "--every", str(every_s)]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.websocket_load", "hold", address, *flags],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise LoadError(f"could not open {count} WebSockets")
        yield Holder(process)
    finally:
        process.kill()
        process.wait()
