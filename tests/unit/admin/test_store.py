"""The journal: whatever becomes of its octets, there is a state, and it is one that there was."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from admin import store as module
from admin.records import Record
from admin.state import State
from admin.store import ASIDE, FRESH, NAME, NotKeptError, StateFolderError, Store
from tests.unit.admin.journal import HAPPENED, applied, document, serving, states
from tests.unit.admin.test_state import facts

MakeStore = Callable[[], Store]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def opened(folder: Path) -> Iterator[MakeStore]:
    """Open the store, as the next process would: the one before is gone."""
    stores: list[Store] = []

    def make() -> Store:
        if stores:
            stores.pop().close()
        stores.append(Store(folder))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def keep(store: Store, *records: Record, state: State | None = None) -> State:
    state = store.load() or State.fresh() if state is None else state
    for record in records:
        state = state.after(record)
        store.append(record, state)
    return state


def written(folder: Path, opened: MakeStore) -> bytes:
    """Write all that happened, the first revision with the file itself; return the octets."""
    keep(opened(), *HAPPENED)
    return (folder / NAME).read_bytes()


def complaints(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_nothing_is_kept_at_first_and_nothing_written(folder: Path, opened: MakeStore) -> None:
    assert opened().load() is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []


def test_what_was_kept_is_there_again(folder: Path, opened: MakeStore) -> None:
    keep(opened(), *HAPPENED)
    kept = opened().load()
    assert kept is not None
    assert facts(kept) == facts(keep(opened()))
    # Revision 0 is a moment of this process: its time is its own.
    assert facts(kept)[1:] == facts(states()[-1])[1:]
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_each_change_costs_what_it_changes(folder: Path, opened: MakeStore) -> None:
    store = opened()
    state = keep(store, applied(1))
    before = (folder / NAME).stat()
    keep(store, applied(2), state=state)
    after = (folder / NAME).stat()
    assert after.st_ino == before.st_ino
    assert 0 < after.st_size - before.st_size < 400


def test_file_cut_at_any_octet_gives_the_last_whole_line(
    folder: Path, opened: MakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(folder, opened)
    begun = data.index(b"\n", data.index(b'"applied"')) + 1
    expected = states()[1:]
    for length in range(begun, len(data) + 1):
        (folder / NAME).write_bytes(data[:length])
        kept = opened().load()
        whole = data[begun:length].count(b"\n")
        assert kept is not None
        assert facts(kept)[1:] == facts(expected[whole])[1:], length
        assert (folder / NAME).read_bytes() == data[: data.rindex(b"\n", 0, length) + 1]
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_store_goes_on_behind_a_cut(folder: Path, opened: MakeStore) -> None:
    data = written(folder, opened)
    (folder / NAME).write_bytes(data + data[-20:-1])
    state = keep(opened(), applied(5))
    assert state.history.latest.number == 5
    assert facts(keep(opened())) == facts(state)


def test_flipped_octet_never_gives_what_never_was(
    folder: Path, opened: MakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(folder, opened)
    possible = [facts(state)[1:] for state in states()]
    for at in range(0, len(data), 2):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        (folder / NAME).write_bytes(flipped)
        kept = opened().load()
        assert kept is None or facts(kept)[1:] in possible, at
        again = opened().load()
        assert (again is None) == (kept is None)
        assert kept is None or facts(again or kept) == facts(kept)
    assert len([path for path in folder.iterdir() if path.name.startswith(ASIDE)]) == 3


def test_damage_is_set_aside_and_told_and_the_rest_goes_on(
    folder: Path, opened: MakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(folder, opened)
    damaged = data.replace(b'"number":3', b'"number":8')
    (folder / NAME).write_bytes(damaged)
    kept = opened().load()
    assert kept is not None
    assert serving(kept) == document(2)
    assert (folder / f"{ASIDE}1").read_bytes() == damaged
    assert stat.S_IMODE((folder / f"{ASIDE}1").stat().st_mode) == 0o600
    assert facts(keep(opened())) == facts(kept)


@pytest.mark.parametrize("data", [b"", b"\n", b"garbage", b"\0" * 5000, b"x" * 100_000 + b"\n"])
def test_file_of_anything_is_set_aside(folder: Path, opened: MakeStore, data: bytes) -> None:
    folder.mkdir()
    (folder / NAME).write_bytes(data)
    store = opened()
    assert store.load() is None
    assert (folder / f"{ASIDE}1").read_bytes() == data
    keep(store, applied(1), state=State.fresh())
    assert serving(keep(opened())) == document(1)


def test_gap_between_revisions_is_damage(folder: Path, opened: MakeStore) -> None:
    data = written(folder, opened)
    lines = data.splitlines(keepends=True)
    missing = [line for line in lines if b'"number":2' not in line]
    (folder / NAME).write_bytes(b"".join(missing))
    assert serving(keep(opened())) == document(1)
    assert (folder / f"{ASIDE}1").exists()


def test_revision_that_does_not_fit_the_one_before_is_damage(
    folder: Path, opened: MakeStore
) -> None:
    store = opened()
    misfit = replace(applied(1), delta=b'{"order":["novel"]}')
    store.append(misfit, State.fresh().after(misfit))
    assert opened().load() is None
    assert (folder / f"{ASIDE}1").exists()


def test_file_is_written_anew_when_it_has_grown(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLACK_BYTES", 2000)
    store = opened()
    state, sizes = keep(store), []
    for number in range(1, 400):
        state = keep(store, applied(number), state=state)
        sizes.append((folder / NAME).stat().st_size)
    shrunk = sum(later < earlier for earlier, later in pairwise(sizes))
    assert 2 <= shrunk <= 20
    assert facts(keep(opened())) == facts(state)


def test_file_that_was_being_written_anew_is_ignored(folder: Path, opened: MakeStore) -> None:
    data = written(folder, opened)
    (folder / FRESH).write_bytes(data[:100])
    state = keep(opened())
    assert serving(state) == document(4)
    store = opened()
    state = keep(store)
    store.behind()
    keep(store, applied(5), state=state)
    assert serving(keep(opened())) == document(5)
    assert [path.name for path in folder.iterdir()] == [NAME]


# -- a disk that does not take it -----------------------------------------------------------------


class Disk:
    """Writes ``room`` octets, and then no more."""

    def __init__(self, room: int, error: int = errno.ENOSPC) -> None:
        self.room = room
        self.error = error

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(self.error, os.strerror(self.error))
        taken = data[: self.room]
        self.room -= len(taken)
        return REAL_WRITE(descriptor, taken)


REAL_WRITE = os.write


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("room", [0, 1, 100])
def test_line_that_the_disk_does_not_take_has_not_happened(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch, room: int, error: int
) -> None:
    store = opened()
    state = keep(store, applied(1))
    before = (folder / NAME).read_bytes()
    monkeypatch.setattr(os, "write", Disk(room, error).write)
    with pytest.raises(NotKeptError, match=os.strerror(error)):
        keep(store, applied(2), state=state)
    monkeypatch.undo()
    assert (folder / NAME).read_bytes() == before
    keep(store, applied(2), state=state)
    assert serving(keep(opened())) == document(2)


@pytest.mark.parametrize("room", [0, 100])
def test_first_file_that_the_disk_does_not_take_leaves_nothing(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    store = opened()
    store.load()
    monkeypatch.setattr(os, "write", Disk(room).write)
    with pytest.raises(NotKeptError):
        keep(store, applied(1), state=State.fresh())
    monkeypatch.undo()
    assert list(folder.iterdir()) == []
    keep(store, applied(1), state=State.fresh())
    assert serving(keep(opened())) == document(1)


@pytest.mark.parametrize("room", [0, 100])
def test_file_that_cannot_be_written_anew_stays_as_it_was(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    store = opened()
    state = keep(store, *HAPPENED)
    before = (folder / NAME).read_bytes()
    store.behind()
    monkeypatch.setattr(os, "write", Disk(room).write)
    with pytest.raises(NotKeptError):
        keep(store, applied(5), state=state)
    monkeypatch.undo()
    assert (folder / NAME).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_line_that_does_not_reach_the_disk_has_not_happened(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    state = keep(store, applied(1))

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotKeptError, match=os.strerror(errno.EIO)):
        keep(store, applied(2), state=state)
    monkeypatch.undo()
    # What the disk has by now nobody knows; so all is written, to another file.
    before = (folder / NAME).stat().st_ino
    keep(store, applied(2), state=state)
    assert (folder / NAME).stat().st_ino != before
    assert serving(keep(opened())) == document(2)


def test_damage_on_a_full_disk_does_not_keep_from_going_on(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = written(folder, opened)
    (folder / NAME).write_bytes(data.replace(b'"number":3', b'"number":8'))
    store = opened()
    monkeypatch.setattr(os, "write", Disk(0).write)
    state = store.load()
    monkeypatch.undo()
    assert state is not None
    assert serving(state) == document(2)
    keep(store, applied(3), state=state)
    assert serving(keep(opened())) == document(3)


# -- a process that is killed ----------------------------------------------------------------------


class KilledError(BaseException):
    """Ends what is under way, as a signal would: nothing after it happens."""


class Kill:
    """Lets a number of calls of the system through, each whole, and the next one half or not."""

    CALLS = ("write", "fsync", "replace", "ftruncate", "unlink")

    def __init__(self, after: int, patch: pytest.MonkeyPatch) -> None:
        self.left = after
        self.killed = False
        for name in self.CALLS:
            patch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if self.killed:
                raise KilledError
            self.left -= 1
            if self.left >= 0:
                return call(*args, **kwargs)
            self.killed = True
            if name == "write":
                call(args[0], args[1][: len(args[1]) // 2])
            raise KilledError

        return wrapper


@pytest.mark.parametrize("anew", [False, True], ids=["a line more", "the file anew"])
def test_kill_at_any_call_leaves_what_was_or_what_was_to_be(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    killed_at = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        store = opened()
        before = keep(store, *HAPPENED, state=State.fresh())
        after = before.after(applied(5))
        if anew:
            store.behind()
        with monkeypatch.context() as patch:
            kill = Kill(killed_at, patch)
            with contextlib.suppress(KilledError):
                store.append(applied(5), after)
        kept = opened().load()
        assert kept is not None
        assert facts(kept) in (facts(before), facts(after)), killed_at
        assert not [path for path in folder.iterdir() if path.name.startswith(ASIDE)]
        if not kill.killed:
            break
        killed_at += 1
    assert facts(kept) == facts(after)
    assert killed_at == (4 + len(list(after.records())) - 1 if anew else 2)


# -- the folder -----------------------------------------------------------------------------------


def test_folder_is_of_one_process(folder: Path, opened: MakeStore) -> None:
    opened()
    with pytest.raises(StateFolderError, match="another process"):
        Store(folder)


def test_folder_without_locks_is_used_and_it_is_said(
    folder: Path, opened: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    keep(opened(), applied(1))
    assert serving(keep(opened())) == document(1)


def test_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="file"):
        Store(tmp_path / "file")


def test_file_that_is_a_link_is_refused(folder: Path, tmp_path: Path, opened: MakeStore) -> None:
    folder.mkdir()
    (tmp_path / "elsewhere").write_text("")
    (folder / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateFolderError, match=NAME):
        opened().load()


def test_file_that_is_a_folder_is_refused(folder: Path, opened: MakeStore) -> None:
    (folder / NAME).mkdir(parents=True)
    with pytest.raises(StateFolderError, match=NAME):
        opened().load()
