"""How far a drain is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from typing import Final

from admin.client.output import Output, span

WIDTH: Final = 30

EVERY_S: Final = 10.0
"""Between two lines where there is no terminal."""


class Progress:
    """What is said while something is waited for, on standard error."""

    def __init__(self, output: Output, what: str) -> None:
        self._output: Final = output
        self._what: Final = what
        self._started: Final = time.monotonic()
        self._said_at: float | None = None
        self._total = 0

    def show(self, remaining: int, total: int = 0) -> None:
        """Say that so many are left; the total is the most there ever was."""
        self._total = max(self._total, total, remaining)
        closed = self._total - remaining
        now = time.monotonic()
        said = f"{self._what}: {closed} of {self._total} closed, {remaining} left"
        if self._output.live:
            filled = WIDTH * closed // self._total if self._total else WIDTH
            bar = "#" * filled + "-" * (WIDTH - filled)
            print(f"\r[{bar}] {said}\x1b[K", end="", file=self._output.err, flush=True)
        elif self._said_at is None or now - self._said_at >= EVERY_S:
            print(said, file=self._output.err, flush=True)
            self._said_at = now

    def end(self, said: str) -> None:
        """Say how it ended."""
        if self._output.live and self._total:
            print(file=self._output.err)
        took = span(time.monotonic() - self._started)
        print(f"{self._what}: {said} after {took}", file=self._output.err, flush=True)
