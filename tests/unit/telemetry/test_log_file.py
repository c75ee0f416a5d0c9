"""Log files: appended to, followed when they are rotated away, and never anything but a file."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.telemetry import log_file
from proxy.telemetry.log_file import LOOK_S, MODE, LogFile

FLUSH_S = 10.0


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(log_file, "monotonic", clock)
    return clock


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> Iterator[LogFile]:
    file = LogFile(str(tmp_path / "a.log"))
    yield file
    file.close(FLUSH_S)


def say(file: LogFile, line: bytes) -> None:
    assert file.write(line)
    assert file.flush(FLUSH_S)


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"before\n")
    file = LogFile(str(path))
    say(file, b"one\n")
    file.close(FLUSH_S)
    assert path.read_bytes() == b"before\none\n"


def test_file_that_is_made_is_not_for_everyone(file: LogFile) -> None:
    assert Path(file.path).stat().st_mode & 0o777 & ~MODE == 0


def test_close_gives_the_descriptor_back(tmp_path: Path) -> None:
    def is_open(path: str) -> bool:
        return any(name.resolve() == Path(path) for name in Path("/proc/self/fd").iterdir())

    for used in (False, True):
        file = LogFile(str(tmp_path / "a.log"))
        if used:
            say(file, b"line\n")
        assert is_open(file.path)
        file.close(FLUSH_S)
        file.close(FLUSH_S)
        assert not is_open(file.path)
        assert not file.write(b"late\n")


def test_file_that_was_renamed_is_made_anew_after_a_second(
    file: LogFile, clock: Clock, tmp_path: Path
) -> None:
    say(file, b"1\n")
    Path(file.path).rename(tmp_path / "old.log")
    say(file, b"2\n")
    assert not Path(file.path).exists()
    clock.now += LOOK_S
    say(file, b"3\n")
    assert (tmp_path / "old.log").read_bytes() == b"1\n2\n"
    assert Path(file.path).read_bytes() == b"3\n"


def test_reopen_makes_the_file_anew_at_once_without_a_line(file: LogFile, tmp_path: Path) -> None:
    made = threading.Event()
    say(file, b"1\n")
    Path(file.path).rename(tmp_path / "old.log")
    file.reopen()
    for _ in range(int(FLUSH_S * 1000)):
        if Path(file.path).exists():
            break
        made.wait(0.001)
    assert Path(file.path).read_bytes() == b""
    say(file, b"2\n")
    assert Path(file.path).read_bytes() == b"2\n"


def test_reopen_of_a_file_that_stayed_changes_nothing(file: LogFile) -> None:
    say(file, b"1\n")
    file.reopen()
    say(file, b"2\n")
    assert Path(file.path).read_bytes() == b"1\n2\n"


def test_file_that_cannot_be_made_anew_goes_on_where_it_was(
    file: LogFile, clock: Clock, tmp_path: Path
) -> None:
    say(file, b"1\n")
    Path(file.path).rename(tmp_path / "old.log")
    Path(file.path).mkdir()
    clock.now += LOOK_S
    say(file, b"2\n")
    assert (file.failures, file.dropped) == (1, 0)
    say(file, b"3\n")
    assert file.failures == 1  # it is not tried again at once
    Path(file.path).rmdir()
    clock.now += LOOK_S
    say(file, b"4\n")
    assert (tmp_path / "old.log").read_bytes() == b"1\n2\n3\n"
    assert Path(file.path).read_bytes() == b"4\n"


def test_full_disk_loses_lines_and_nothing_else(file: LogFile) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    say(file, b"1\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    try:
        say(file, b"22\n33\n")
        say(file, b"44\n")
        assert (file.failures, file.dropped) == (2, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    say(file, b"5\n")
    assert Path(file.path).read_bytes() == b"1\n22\n5\n"


@pytest.mark.parametrize("what", ["folder", "pipe", "socket", "device", "link to a device"])
def test_what_is_no_file_is_refused_and_not_waited_for(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with socket.socket(socket.AF_UNIX) as bound:
        if what == "folder":
            path.mkdir()
        elif what == "pipe":
            os.mkfifo(path)
        elif what == "socket":
            bound.bind(str(path))
        elif what == "link to a device":
            path.symlink_to("/dev/null")
        with pytest.raises(OSError, match="not a regular file"):
            LogFile("/dev/null" if what == "device" else str(path))


def test_pipe_that_takes_the_place_of_a_file_is_not_written(
    file: LogFile, clock: Clock, tmp_path: Path
) -> None:
    say(file, b"1\n")
    Path(file.path).rename(tmp_path / "old.log")
    os.mkfifo(file.path)
    clock.now += LOOK_S
    say(file, b"2\n")
    assert (tmp_path / "old.log").read_bytes() == b"1\n2\n"


def test_link_is_followed_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.log").symlink_to(tmp_path / "b.log")
    file = LogFile(str(tmp_path / "a.log"))
    say(file, b"1\n")
    file.close(FLUSH_S)
    assert (tmp_path / "b.log").read_bytes() == b"1\n"


def test_abandoned_file_is_removed_if_it_was_made_and_is_empty(tmp_path: Path) -> None:
    made, there = tmp_path / "made.log", tmp_path / "there.log"
    there.touch()
    for path in (made, there):
        LogFile(str(path)).abandon()
    assert (made.exists(), there.exists()) == (False, True)
    used = LogFile(str(made))
    made.write_bytes(b"by somebody else\n")
    used.abandon()
    assert made.exists()


def test_file_that_is_a_device_once_it_is_open_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was exchanged between the look and the opening."""
    found = Path(__file__).stat()
    fake = SimpleNamespace(**vars(os) | {"stat": lambda path: found})
    monkeypatch.setattr(log_file, "os", fake)
    with pytest.raises(OSError, match="not a regular file"):
        LogFile("/dev/null")
