from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from admin.history import REVISIONS
from admin.memory import Memory
from admin.offloading import completed
from admin.records import Overridden, Record
from admin.state import State
from admin.store import NotKeptError, Store
from tests.peers import settle, within
from tests.unit.admin.journal import OVERRIDE, applied, document, serving
from tests.unit.admin.test_store import Disk


@pytest.fixture
async def remember(tmp_path: Path) -> AsyncIterator[Callable[[], Memory]]:
    """Remember what is kept, as the next process would."""
    memories: list[Memory] = []

    def make() -> Memory:
        if memories:
            memories.pop().close()
        memories.append(Memory(Store(tmp_path)))
        return memories[-1]

    yield make
    for memory in memories:
        memory.close()


async def test_memory_without_a_store_remembers_as_long_as_it_lives() -> None:
    memory = Memory()
    assert (memory.found, serving(memory.state)) == (False, document(0))
    for number in range(1, REVISIONS + 5):
        await memory.keep(applied(number))
    assert serving(memory.state) == document(REVISIONS + 4)
    memory.close()


async def test_memory_goes_on_where_the_one_before_ended(remember: Callable[[], Memory]) -> None:
    memory = remember()
    assert not memory.found
    await asyncio.gather(*(memory.keep(applied(number)) for number in (1, 2, 3)))
    memory = remember()
    assert memory.found
    assert serving(memory.state) == document(3)


async def test_what_is_not_kept_has_not_happened(
    remember: Callable[[], Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = remember()
    await memory.keep(applied(1))
    monkeypatch.setattr("os.write", Disk(0).write)
    with pytest.raises(NotKeptError):
        await memory.keep(applied(2))
    assert serving(memory.state) == document(1)
    monkeypatch.undo()
    await memory.keep(applied(2))
    assert serving(remember().state) == document(2)


async def test_what_has_to_happen_is_kept_with_what_is_kept_next(
    remember: Callable[[], Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = remember()
    await memory.keep(applied(1))
    monkeypatch.setattr("os.write", Disk(0).write)
    await memory.keep(applied(2), come_what_may=True)
    assert serving(memory.state) == document(2)
    monkeypatch.undo()
    await memory.keep(applied(3))
    assert serving(remember().state) == document(3)


async def test_slow_disk_holds_up_nobody(
    remember: Callable[[], Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = remember()
    go = threading.Event()
    append = Store.append

    def slow(store: Store, record: Record, state: State) -> None:
        assert go.wait(10)
        append(store, record, state)

    monkeypatch.setattr(Store, "append", slow)
    keeping = asyncio.create_task(memory.keep(applied(1)))
    await settle()
    assert not keeping.done()
    assert serving(memory.state) == document(0)
    go.set()
    await within(keeping, "the record to be kept")
    assert serving(memory.state) == document(1)


async def test_expired_overrides_are_forgotten_without_a_record(
    remember: Callable[[], Memory], tmp_path: Path
) -> None:
    memory = remember()
    await memory.keep(applied(1))
    await memory.keep(overridden(until=1.0))
    before = octets(tmp_path)
    await memory.forget_expired(2.0)
    assert memory.state.overrides == {}
    assert octets(tmp_path) == before
    assert remember().state.overrides == {}


def octets(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def overridden(*, until: float) -> Record:
    return Overridden("backend", "blue", replace(OVERRIDE, until=until))


async def test_who_is_cancelled_waits_for_what_must_not_be_half_done() -> None:
    go, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()

    task = asyncio.create_task(completed(work()))
    await settle()
    task.cancel()
    await settle()
    task.cancel()
    await settle()
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_what_fails_in_it_is_raised() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await completed(work())
