"""The line writer: lines come whole and in order, and nothing makes a caller wait or raise."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.telemetry import line_writer
from proxy.telemetry.line_writer import EXIT_FLUSH_S, LineWriter

FLUSH_S = 10.0
PIPE_BYTES = 64 * 1024
"""What a pipe holds on Linux."""


class Pipe:
    """A pipe whose end for writing is a ``LineWriter``'s."""

    def __init__(self, queue_bytes: int = 1 << 20) -> None:
        self.reader, self.descriptor = os.pipe()
        self.writer = LineWriter(self.descriptor, queue_bytes)

    def read_to_end(self) -> bytes:
        """Read all that was taken, while the writer is closed."""
        got: list[bytes] = []

        def read() -> None:
            while chunk := os.read(self.reader, PIPE_BYTES):
                got.append(chunk)

        reading = threading.Thread(target=read)
        reading.start()
        self.writer.close(FLUSH_S)
        os.close(self.descriptor)
        self.descriptor = -1
        reading.join(FLUSH_S)
        return b"".join(got)

    def close(self) -> None:
        for descriptor in (self.reader, self.descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self.reader = self.descriptor = -1
        self.writer.close(FLUSH_S)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_lines_come_in_order(pipe: Pipe) -> None:
    lines = [b"line %d\n" % number for number in range(1000)]
    assert all(pipe.writer.write(line) for line in lines)
    assert pipe.read_to_end() == b"".join(lines)
    assert (pipe.writer.dropped, pipe.writer.failures) == (0, 0)


def test_lines_from_many_threads_stay_whole(pipe: Pipe) -> None:
    threads = [
        threading.Thread(target=lambda: [pipe.writer.write(b"x" * 99 + b"\n") for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pipe.read_to_end() == (b"x" * 99 + b"\n") * 800


def test_flush_returns_once_everything_is_written(pipe: Pipe) -> None:
    pipe.writer.write(b"line\n")
    assert pipe.writer.flush(FLUSH_S)
    os.set_blocking(pipe.reader, False)
    assert os.read(pipe.reader, 100) == b"line\n"


def test_unused_writer_has_no_thread_and_nothing_to_flush(pipe: Pipe) -> None:
    before = threading.active_count()
    writer = LineWriter(pipe.descriptor)
    assert writer.flush(0.0)
    writer.close(0.0)
    assert threading.active_count() == before


def test_stuck_reader_costs_lines_but_no_time() -> None:
    pipe = Pipe(queue_bytes=4 * PIPE_BYTES)
    line = b"x" * (PIPE_BYTES // 2 - 1) + b"\n"
    taken = sum(pipe.writer.write(line) for _ in range(20))
    # Eight fit the queue, two more the pipe; the bound holds whatever the thread has got to.
    assert 8 <= taken <= 10
    assert pipe.writer.dropped == 20 - taken
    assert not pipe.writer.flush(0.0)
    assert pipe.read_to_end() == line * taken
    pipe.close()


def test_reader_that_goes_on_makes_room_again(pipe: Pipe) -> None:
    line = b"x" * 1023 + b"\n"
    writer = LineWriter(pipe.descriptor, queue_bytes=len(line))
    for _ in range(10):
        assert writer.write(line)
        assert writer.flush(FLUSH_S)
        assert os.read(pipe.reader, 2048) == line
    writer.close(FLUSH_S)
    assert writer.dropped == 0


def test_more_at_once_than_the_queue_holds_goes_if_nothing_waits(pipe: Pipe) -> None:
    lines = b"1\n2\n3\n"
    writer = LineWriter(pipe.descriptor, queue_bytes=2)
    assert writer.write(lines)
    assert writer.flush(FLUSH_S)
    assert os.read(pipe.reader, 2048) == lines
    writer.close(FLUSH_S)
    assert writer.dropped == 0


def test_broken_pipe_is_counted_and_never_raised(pipe: Pipe) -> None:
    os.close(pipe.reader)
    pipe.reader = -1
    assert pipe.writer.write(b"one\ntwo\n")
    assert pipe.writer.flush(FLUSH_S)
    assert (pipe.writer.failures, pipe.writer.dropped) == (1, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_counted_and_never_raised() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(descriptor)
    for _ in range(3):
        assert writer.write(b"line\n")
        assert writer.flush(FLUSH_S)
    writer.close(FLUSH_S)
    os.close(descriptor)
    assert (writer.failures, writer.dropped) == (3, 3)


def test_descriptor_that_somebody_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.descriptor, False)
    lines = (b"x" * 1023 + b"\n") * 300
    assert pipe.writer.write(lines)
    assert pipe.read_to_end() == lines
    assert pipe.writer.failures == 0


def test_line_after_a_torn_one_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    room = [8, -1, 100]  # takes 8 octets, refuses once, recovers

    def write(_descriptor: int, data: memoryview) -> int:
        size = room.pop(0)
        if size < 0:
            raise OSError(28, "No space left on device")
        written.append(bytes(data[:size]))
        return len(written[-1])

    monkeypatch.setattr(line_writer, "os", SimpleNamespace(write=write))
    writer = LineWriter(2)
    writer.write(b"first\nsecond\nthird\n")
    assert writer.flush(FLUSH_S)
    writer.write(b"fourth\n")
    writer.close(FLUSH_S)
    assert b"".join(written).split(b"\n") == [b"first", b"se", b"fourth", b""]
    assert (writer.failures, writer.dropped) == (1, 2)


def test_close_gives_up_on_a_stuck_reader(pipe: Pipe) -> None:
    pipe.writer.write(b"x" * 3 * PIPE_BYTES + b"\n")
    pipe.writer.close(0.01)
    assert not pipe.writer.write(b"late\n")
    assert pipe.writer.dropped == 1
    assert len(pipe.read_to_end()) == 3 * PIPE_BYTES + 1


def test_close_ends_the_thread(pipe: Pipe) -> None:
    before = threading.active_count()
    pipe.writer.write(b"line\n")
    pipe.writer.close(FLUSH_S)
    pipe.writer.close(FLUSH_S)
    assert threading.active_count() == before
    assert pipe.writer.flush(0.0)


def test_last_lines_are_written_when_the_process_ends() -> None:
    program = (
        "import atexit\n"
        # Runs after what STDERR registers, and so finds it closed.
        "atexit.register(lambda: print(STDERR.write(b'late\\n')))\n"
        "from proxy.telemetry.line_writer import STDERR\n"
        "STDERR.write(b'bye\\n')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stderr == b"bye\n"
    assert ended.stdout == b"False\n"


def test_process_ends_although_nobody_reads_its_standard_error() -> None:
    program = (
        "from proxy.telemetry.line_writer import STDERR\n"
        f"STDERR.write(b'x' * {3 * PIPE_BYTES} + b'\\n')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        assert process.wait(EXIT_FLUSH_S + FLUSH_S) == 0
