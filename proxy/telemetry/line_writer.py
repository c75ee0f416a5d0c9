"""Lines written so that nobody who logs ever waits: for a reader, or for a disk.

A pipe whose reader is stuck blocks ``write`` for ever.  Making the descriptor non-blocking would
change it for every process that shares it, the shell included, and does nothing for a file on a
slow disk.  So one daemon thread does all the writing to a descriptor, out of a queue of at most
``QUEUE_BYTES``, or of what was handed over at once when nothing waited; what does not fit is
counted and lost.  As only this thread writes, lines never mix.  ``log_file`` makes files of it.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
from typing import Final

QUEUE_BYTES: Final = 1024 * 1024
"""How much may wait for the reader: some 3,000 lines of the access log."""

EXIT_FLUSH_S: Final = 1.0
"""How long the end of the process waits for the reader to take the last lines."""

NEWLINE: Final = 0x0A


class LineWriter:
    """Writes whole lines to a descriptor from a thread of its own, which ``close`` ends.

    Nothing here raises for what happens to the descriptor: a log that cannot be written must not
    stop what it tells about, and there is no better place to say so.  ``dropped`` counts the lines
    that were lost, ``failures`` the writes that the system refused.
    """

    def __init__(self, descriptor: int, queue_bytes: int = QUEUE_BYTES) -> None:
        self.dropped = 0
        self.failures = 0
        self._descriptor = descriptor
        self._queue_bytes: Final = queue_bytes
        # Reentrant: collecting garbage in here may run a finalizer that logs.
        self._changed: Final = threading.Condition(threading.RLock())
        self._queue: list[bytes] = []
        self._taken = 0
        self._done = 0
        """Bytes so far; the difference is in the queue or on its way."""
        self._torn = False
        self._closed = False
        self._looks = False
        """``_before`` is to be called although nothing waits."""
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes) -> bool:
        """Take lines, each with its newline; ``False`` if there is no room and they are lost."""
        with self._changed:
            waiting = self._taken - self._done
            if self._closed or (waiting and waiting + len(lines) > self._queue_bytes):
                self.dropped += lines.count(b"\n")
                return False
            self._taken += len(lines)
            self._queue.append(lines)
            self._wake()
        return True

    def flush(self, timeout_s: float = EXIT_FLUSH_S) -> bool:
        """Wait until all that was taken is written; ``False`` if that took too long."""
        with self._changed:
            taken = self._taken
            return self._changed.wait_for(lambda: self._done >= taken, timeout_s)

    def close(self, timeout_s: float = EXIT_FLUSH_S) -> None:
        """Write what is left, as far as the reader lets us, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _wake(self) -> None:
        """Have the thread look; the first time, start it."""
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="line-writer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._looks or self._closed)
                if self._closed and not self._queue:
                    break
                queue, self._queue = self._queue, []
            self._before()
            # All at once: beside a busy event loop, each write waits twice for the interpreter.
            lines = b"".join(queue)
            if lines:
                self._write(lines)
            with self._changed:
                self._done += len(lines)
                self._changed.notify_all()
        self._after()

    def _before(self) -> None:
        """Get the descriptor ready, in the thread; what is about to be written waits for it."""

    def _after(self) -> None:
        """Give up the descriptor, if it is ours: the thread has ended."""

    def _write(self, lines: bytes) -> None:
        # What was torn by an error stands alone; the next line begins its own.
        whole = memoryview(b"\n" + lines if self._torn else lines)
        written = 0
        try:
            while written < len(whole):
                try:
                    written += os.write(self._descriptor, whole[written:])
                except BlockingIOError:  # somebody who shares it made it non-blocking
                    self._await_room()
        except OSError:
            with self._changed:
                self.failures += 1
                self.dropped += bytes(whole[written:]).count(b"\n")
                if self._torn and not written:  # what parts them is no line
                    self.dropped -= 1
        if written:
            self._torn = whole[written - 1] != NEWLINE

    def _await_room(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.poll()


STDERR: Final = LineWriter(2)
"""The standard error of this process."""

STDOUT: Final = LineWriter(1)
"""Its standard output, which only access logs write to."""

for _writer in (STDERR, STDOUT):
    atexit.register(_writer.close)
