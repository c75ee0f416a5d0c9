"""The real process, as a user starts it, and what it says."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.peers import eventually, within

ROOT: Final = Path(__file__).parents[3]
START_S: Final = 30.0
"""A machine that runs tests may be busy."""


class Process:
    """``python -m admin`` with a ready file."""

    def __init__(
        self, process: asyncio.subprocess.Process, ready_file: Path, reading: asyncio.Task[bytes]
    ) -> None:
        self.process: Final = process
        self.ready_file: Final = ready_file
        self._reading: Final = reading

    async def ready(self) -> dict[str, Any]:
        """Wait for the ready file, and return what is in it."""
        await eventually(
            lambda: self.ready_file.exists() or self._reading.done(), "the ready file", START_S
        )
        assert self.ready_file.exists(), (await self._reading).decode()
        return self.whereabouts()

    def whereabouts(self) -> dict[str, Any]:
        """Return what is in the ready file now."""
        content: dict[str, Any] = json.loads(self.ready_file.read_text())
        return content

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and what was said on standard error."""
        said = await within(self._reading, "standard error to end", START_S)
        return await within(self.process.wait(), "the process to end", START_S), said.decode()

    async def terminated(self) -> tuple[int, str]:
        """Terminate the process and wait for its end."""
        self.signal(signal.SIGTERM)
        return await self.ended()


@asynccontextmanager
async def process(
    tmp_path: Path,
    command: str,
    *flags: str,
    stdout: int = asyncio.subprocess.DEVNULL,
    **environ: str,
) -> AsyncIterator[Process]:
    """Start ``hotsplice COMMAND FLAGS…`` on ports of the kernel's choice."""
    ready_file = tmp_path / "ready.json"
    anywhere = {"--admin": "127.0.0.1:0", "--telemetry": "127.0.0.1:0"}
    if command == "demo":
        anywhere["--listen"] = "127.0.0.1:0"
    words = [word for pair in anywhere.items() if pair[0] not in flags for word in pair]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "admin", command, *words, "--ready-file", str(ready_file), *flags,
        cwd=ROOT,
        env={"PATH": "", "XDG_RUNTIME_DIR": str(tmp_path), **environ},
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    reading = asyncio.create_task(child.stderr.read())
    try:
        yield Process(child, ready_file, reading)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await reading
