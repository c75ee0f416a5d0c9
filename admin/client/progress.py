"""How far a drain is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from admin.client.output import Output, span

WIDTH: Final = 30

EVERY_S: Final = 10.0
"""Between two lines where there is no terminal."""


class Progress:
    """What is said while something is waited for, on standard error.

    Who waits no longer is told so: ``otherwise`` says what they can do.
    """

    def __init__(self, output: Output, what: str, otherwise: str) -> None:
        self._output: Final = output
        self._what: Final = what
        self._otherwise: Final = otherwise
        self._started: Final = time.monotonic()
        self._said_at: float | None = None
        self._total = 0
        self._in_line = False
        """The bar stands there, and the line has not ended."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        self._end_line()
        if kind is KeyboardInterrupt:
            said = f"{self._what} goes on: {self._otherwise}"
            print(said, file=self._output.err, flush=True)

    def show(self, remaining: int, total: int = 0) -> None:
        """Say that so many are left; the total is the most there ever was."""
        self._total = max(self._total, total, remaining)
        closed = self._total - remaining
        now = time.monotonic()
        said = f"{self._what}: {closed} of {self._total} closed, {remaining} left"
        if self._output.live:
            filled = WIDTH * closed // self._total if self._total else WIDTH
            bar = "#" * filled + "-" * (WIDTH - filled)
            line = _fitted(f"[{bar}] {said}", f"{closed}/{self._total}", self._output.columns)
            print(f"\r{line}\x1b[K", end="", file=self._output.err, flush=True)
            self._in_line = True
        elif self._said_at is None or now - self._said_at >= EVERY_S:
            print(said, file=self._output.err, flush=True)
            self._said_at = now

    def end(self, said: str) -> None:
        """Say how it ended."""
        self._end_line()
        took = span(time.monotonic() - self._started)
        print(f"{self._what}: {said} after {took}", file=self._output.err, flush=True)

    def _end_line(self) -> None:
        if self._in_line:
            print(file=self._output.err, flush=True)
            self._in_line = False


def _fitted(line: str, short: str, columns: int) -> str:
    """Choose what fits into a line: one that wraps could not be written over."""
    if len(line) < columns:
        return line
    bar = line[: line.index("]") + 1]
    return next((one for one in (f"{bar} {short}", short) if len(one) < columns), "")
