"""Where access logs wait on the event loop, to be written and handed over many lines at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.telemetry.request_lines import Entry, request_lines

BUFFER_BYTES: Final = 256 * 1024
"""As many bytes, or as much more as is written at once, wait for ``flush`` at most; then they are
flushed without being asked.  Each time it takes several turns of the interpreter lock until the
writing thread has them."""

TOGETHER: Final = 64
"""Lines of requests that are written at once; until then what they say waits beside the buffer."""

Schedule = Callable[[Callable[[], None]], object]
"""Calls back soon, such as ``partial(loop.call_later, 0.05)``."""


class LogSink:
    """Lines that wait to be written.

    ``write`` takes whole lines at once and says ``False`` if it lost them; it must neither wait nor
    raise.  The owner sees to ``flush``: ``schedule`` is called with it whenever a first line waits,
    and the owner flushes when it shuts down.
    """

    __slots__ = ("__weakref__", "_buffer", "_bytes", "_entries", "_write", "dropped", "schedule")

    def __init__(
        self, write: Callable[[bytes], bool | None], schedule: Schedule | None = None
    ) -> None:
        self.dropped = 0
        """Lines that were lost because ``write`` had no room."""
        self.schedule = schedule
        self._write: Final = write
        self._entries: list[Entry] = []
        """What comes after the lines in the buffer."""
        self._buffer: list[bytes] = []
        self._bytes = 0

    def add_entry(self, entry: Entry) -> None:
        """Take what the JSON line of a request says."""
        entries = self._entries
        if not entries and not self._buffer and self.schedule is not None:
            self.schedule(self.flush)
        entries.append(entry)
        if len(entries) >= TOGETHER:
            self._put(self._lines())

    def add_line(self, line: bytes) -> None:
        """Take a line with its newline."""
        if self._entries:
            line = self._lines() + line
        elif not self._buffer and self.schedule is not None:
            self.schedule(self.flush)
        self._put(line)

    def flush(self) -> None:
        """Hand over what waits; nothing happens if nothing does."""
        if self._entries:
            self._buffer.append(self._lines())
        if not self._buffer:
            return
        lines, self._buffer, self._bytes = b"".join(self._buffer), [], 0
        if self._write(lines) is False:
            self.dropped += lines.count(b"\n")

    def _lines(self) -> bytes:
        entries, self._entries = self._entries, []
        return b"".join(request_lines(entries))

    def _put(self, lines: bytes) -> None:
        self._buffer.append(lines)
        self._bytes += len(lines)
        if self._bytes >= BUFFER_BYTES:
            self.flush()


NOWHERE: Final = LogSink(lambda lines: True)
"""Stands in where no target was opened, in a configuration that is only checked."""
