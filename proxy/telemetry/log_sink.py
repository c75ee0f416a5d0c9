"""Where lines of access logs wait on the event loop, to be handed over many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BUFFER_BYTES: Final = 256 * 1024
"""As many bytes, or one line more, wait for ``flush`` at most; then ``add`` flushes by itself.
Each time it takes several turns of the interpreter lock until the writing thread has them."""

Schedule = Callable[[Callable[[], None]], object]
"""Calls back soon, such as ``partial(loop.call_later, 0.05)``."""


class LogSink:
    """Lines that wait to be written.

    ``write`` takes whole lines at once and says ``False`` if it lost them; it must neither wait nor
    raise.  The owner sees to ``flush``: ``add`` calls ``schedule`` with it whenever a first line
    waits, and the owner flushes when it shuts down.
    """

    __slots__ = ("__weakref__", "_buffer", "_bytes", "_write", "dropped", "schedule")

    def __init__(
        self, write: Callable[[bytes], bool | None], schedule: Schedule | None = None
    ) -> None:
        self.dropped = 0
        """Lines that were lost because ``write`` had no room."""
        self.schedule = schedule
        self._write: Final = write
        self._buffer: list[bytes] = []
        self._bytes = 0

    def add(self, line: bytes) -> None:
        """Take a line with its newline."""
        buffer = self._buffer
        if not buffer and self.schedule is not None:
            self.schedule(self.flush)
        buffer.append(line)
        self._bytes += len(line)
        if self._bytes >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits; nothing happens if nothing does."""
        if not self._buffer:
            return
        lines, self._buffer, self._bytes = self._buffer, [], 0
        if self._write(b"".join(lines)) is False:
            self.dropped += len(lines)


NOWHERE: Final = LogSink(lambda lines: True)
"""Stands in where no target was opened, in a configuration that is only checked."""
