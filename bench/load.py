"""What a load generator saw, and wrk as the generator of HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import ROOT, StartError

_REPORT: Final = Path(__file__).with_name("wrk.lua")
_GRACE_S: Final = 30.0


class LoadError(Exception):
    """The run counts for nothing: something in it failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run of a load generator."""

    requests: int
    """Answered; for WebSockets, echoes."""
    seconds: float
    p50_us: float
    p99_us: float
    p999_us: float
    errors: dict[str, int]
    """How many of which kind; wrk's are connect, read, write, status (from 400) and timeout."""
    octets: int = 0
    """Taken by the generator, heads and all."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def wrk_command(address: str, path: str, connections: int, seconds: float) -> list[str]:
    """Return the command that keeps GETs going on ``connections`` and ends with a JSON line."""
    program = shutil.which("wrk")
    if program is None:
        raise StartError("wrk is not installed")
    flags = {"-t": 1, "-c": connections, "-d": f"{max(1, round(seconds))}s", "--timeout": "10s"}
    shape = [str(word) for pair in flags.items() for word in pair]
    return [program, *shape, "-s", str(_REPORT), f"http://{address}{path}"]


def wrk(
    address: str, connections: int, seconds: float, *words: str, may_fail: bool = False
) -> Load:
    """Run wrk with the words that ``wrk.lua`` knows; ``LoadError`` if anything failed."""
    command = [*wrk_command(address, "/", connections, seconds), "--", *words]
    return _run(command, seconds, may_fail=may_fail)


def websockets(
    mode: str, address: str, connections: int, seconds: float, *, size: int = 64
) -> Load:
    """Run our own generator against ``/ws``, in a process of its own."""
    flags = {"--connections": connections, "--seconds": seconds, "--size": size}
    words = [str(word) for pair in flags.items() for word in pair]
    return _run([sys.executable, "-m", "bench.websocket_load", mode, address, *words], seconds)


def read(output: bytes) -> Load:
    """Read what a generator wrote: its last line is a ``Load`` as JSON."""
    lines = output.decode().splitlines()
    if not lines:
        raise LoadError("the load generator said nothing")
    return Load(**json.loads(lines[-1]))


def _run(command: list[str], seconds: float, *, may_fail: bool = False) -> Load:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, timeout=seconds + _GRACE_S, check=False
    )
    if done.returncode:
        raise LoadError(f"{command[0]} ended with {done.returncode}")
    load = read(done.stdout)
    if not load.requests or (load.errors and not may_fail):
        raise LoadError(f"errors {load.errors}, {load.requests} answers: {' '.join(command)}")
    return load
