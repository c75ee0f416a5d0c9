"""The file of ``--state-dir``: a journal of records, safe against a crash at any octet.

Each line is a checksum and a record.  A change appends one line and has it on the disk before it
counts, so it costs what it changes; when the file has grown to twice what it needs, it is written
anew beside the old one and put in its place.  (One file a revision would be two or three files and
as many synchronisations per change, and would ask in which order they are gone after a crash.)

Reading it again gives the state after the last record that is whole.  A line cut short at the end
was being written when the process died: nobody was told that it counts, so it does not.  Any other
line that is not what its checksum says is damage: the file is set aside, and what stands before
the damage is gone on with.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from hashlib import blake2b
from pathlib import Path
from typing import Final

from admin.records import Base, Record, decode, encode
from admin.state import State
from proxy.telemetry.logging import get_logger

NAME: Final = "state.journal"
FRESH: Final = "state.journal.new"
"""Being written, to take its place."""
ASIDE: Final = "state.journal.damaged-"

MODE: Final = 0o600
CHECKSUM_BYTES: Final = 8

SLACK_BYTES: Final = 256 * 1024
"""A file that is longer than twice what it began with, and this, is written anew."""

ASIDE_FILES: Final = 3
"""Damaged files that are kept; older ones are removed."""

_log = get_logger("admin.store")


class StateFolderError(Exception):
    """The folder of ``--state-dir`` cannot be used."""


class NotKeptError(Exception):
    """The state cannot be written; what was to be kept has not happened."""


class Store:
    """The journal of one process; no other may have it open.

    Its methods block: they are for a thread, one at a time.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be, and lock it; ``StateFolderError`` if that cannot be."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder: Final = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StateFolderError(f"{folder}: {error.strerror}") from error
        self.path: Final = folder / NAME
        self._file: int | None = None
        self._length = 0
        self._most = 0
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._folder)
            raise StateFolderError(f"{folder}: another process uses it") from None
        except OSError as error:
            # Some file systems have no locks; whoever uses one sees to it himself.
            _log.warning("state_not_locked", folder=str(folder), error=error.strerror)
        if stat.S_IMODE(os.fstat(self._folder).st_mode) & 0o022:
            _log.warning("state_dir_open_to_others", folder=str(folder))

    def close(self) -> None:
        """Let another process have it."""
        if self._file is not None:
            os.close(self._file)
        os.close(self._folder)

    # Reading

    def load(self) -> State | None:
        """Return what is kept, if anything is, and go on from there.

        ``StateFolderError`` if what is there cannot be read at all.
        """
        try:
            data = self._open()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateFolderError(f"{self.path}: {error.strerror}") from error
        state, good, damage = _read(data)
        self._length, self._most = good, 2 * good + SLACK_BYTES
        if damage is not None:
            self._recover(data, state, f"{damage}, {good:,} octets in")
        elif good < len(data):
            _log.warning(
                "state_cut_off",
                path=str(self.path),
                octets=len(data) - good,
                hint="it was being written when the process ended, and had not been acknowledged",
            )
            self._take_back(good)
        return state

    def _open(self) -> bytes:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(NAME, flags, dir_fd=self._folder)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            os.close(descriptor)
            raise StateFolderError(f"{self.path}: not a file of this user")
        self._file = descriptor
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()

    def _recover(self, data: bytes, state: State | None, damage: str) -> None:
        """Set a damaged file aside, and keep what is good of it."""
        self._forget_file()
        aside: str | None = None
        try:
            aside = self._set_aside(data)
            if state is None:
                os.unlink(NAME, dir_fd=self._folder)
            else:
                self._write_anew(state)
        except (OSError, NotKeptError) as error:
            _log.error("state_not_repaired", path=str(self.path), error=str(error))
        _log.error(
            "state_damaged",
            path=str(self.path),
            damage=damage,
            set_aside=aside,
            going_on_with=None if state is None else f"revision {state.history.latest.number}",
        )

    def _set_aside(self, data: bytes) -> str:
        folder = self.path.parent
        numbers = [
            int(digits)
            for path in folder.glob(ASIDE + "*")
            if (digits := path.name.removeprefix(ASIDE)).isdecimal()
        ]
        number = max(numbers, default=0) + 1
        name = f"{ASIDE}{number}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(name, flags, MODE, dir_fd=self._folder)
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for old in numbers:
            if old <= number - ASIDE_FILES:
                (folder / f"{ASIDE}{old}").unlink(missing_ok=True)
        return str(folder / name)

    # Writing

    def append(self, record: Record, state: State) -> None:
        """Keep a record that leads to a state, on the disk when this returns.

        ``NotKeptError`` if that cannot be, and then it has not happened.
        """
        line = _line(record)
        if self._file is None or self._length + len(line) > self._most:
            self._write_anew(state)
            return
        try:
            _write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            self._take_back(self._length)
            raise NotKeptError(f"{self.path}: {error.strerror}") from error
        self._length += len(line)

    def behind(self) -> None:
        """Take note that something happened that is not kept: the next time all is written."""
        self._forget_file()

    def _take_back(self, length: int) -> None:
        """Cut off what does not count; if not even that is possible, trust the file no more."""
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, length)
            os.fsync(self._file)
        except OSError as error:
            _log.error("state_not_cut", path=str(self.path), error=error.strerror)
            self._forget_file()

    def _write_anew(self, state: State) -> None:
        descriptor: int | None = None
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            flags |= os.O_NOFOLLOW
            descriptor = os.open(FRESH, flags, MODE, dir_fd=self._folder)
            length = sum(_write(descriptor, _line(record)) for record in state.records())
            os.fsync(descriptor)
            os.replace(FRESH, NAME, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.fsync(self._folder)
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(FRESH, dir_fd=self._folder)
            raise NotKeptError(f"{self.path}: {error.strerror}") from error
        self._forget_file()
        self._file, self._length, self._most = descriptor, length, 2 * length + SLACK_BYTES

    def _forget_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _line(record: Record) -> bytes:
    text = encode(record)
    return b"%s %s\n" % (_checksum(text), text)


def _checksum(text: bytes) -> bytes:
    return blake2b(text, digest_size=CHECKSUM_BYTES).hexdigest().encode()


def _write(descriptor: int, data: bytes) -> int:
    """Write all of it, and return how much that is."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    return len(data)


_UNFIT: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of a line that is whole and makes no sense behind the ones before."""


def _read(data: bytes) -> tuple[State | None, int, str | None]:
    """Return the state, the octets that it stands in, and what is wrong with the line behind."""
    state: State | None = None
    good = 0
    *lines, _ = data.split(b"\n")
    for line in lines:
        try:
            state = _after(state, line)
        except _UNFIT as error:
            return state, good, str(error)
        good += len(line) + 1
    if state is None:
        return None, 0, "no whole line"
    try:
        state.history.document(state.history.latest.number)
    except _UNFIT as error:
        return None, 0, str(error)
    return state, good, None


def _after(state: State | None, line: bytes) -> State:
    checksum, _, text = line.partition(b" ")
    if checksum != _checksum(text):
        raise ValueError("a line is not what its checksum says")
    record = decode(text)
    if state is None:
        if not isinstance(record, Base):
            raise ValueError("it does not begin with a document")
        state = State.fresh()
    return state.after(record)
