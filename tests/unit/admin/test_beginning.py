"""What a process begins with, after one that was here before it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from admin.beginning import begin
from admin.controller import Controller, RefusedError, Terms
from admin.documents.faults import DocumentError
from admin.memory import Memory
from admin.records import Override
from admin.revisions import Origin
from admin.store import NAME, NotKeptError, Store
from proxy.errors import Fault
from proxy.spec import OverrideSpec
from tests.peers import eventually
from tests.unit.admin.plane import DOCUMENT, FakePlane
from tests.unit.admin.test_store import Disk

REST = Origin("rest", "ops", "why")


def noted(note: str) -> dict[str, Any]:
    """Return a document that only its note tells from others."""
    return {**DOCUMENT, "x-note": note}


@dataclass
class Process:
    """What a process has, without the process."""

    plane: FakePlane
    controller: Controller

    @property
    def number(self) -> int:
        return self.controller.revision.number

    async def write(self, note: str, terms: Terms | None = None) -> None:
        await self.controller.change(lambda _: noted(note), REST, terms or Terms())


Start = Callable[[], Process]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Be the next process, the one before being gone."""
    running: list[Process] = []

    def end() -> None:
        for process in running:
            process.controller.close()
            process.controller.memory.close()
        running.clear()

    def make() -> Process:
        end()
        plane = FakePlane()
        running.append(Process(plane, Controller(plane, Memory(Store(tmp_path)))))
        return running[0]

    yield make
    end()


async def begun(process: Process, document: object = None) -> Process:
    source = None if document is None else lambda: document
    await begin(process.controller, source)
    return process


async def test_first_process_serves_its_file(start: Start) -> None:
    process = await begun(start(), DOCUMENT)
    assert (process.number, process.controller.raw) == (1, DOCUMENT)
    assert len(process.plane.published) == 1


async def test_first_process_without_a_file_serves_nothing(start: Start) -> None:
    process = await begun(start())
    assert (process.number, process.plane.published) == (0, [])


async def test_first_process_with_a_bad_file_does_not_begin(start: Start) -> None:
    with pytest.raises(RefusedError):
        await begun(start(), {"version": 2})


@pytest.mark.parametrize("file", [None, DOCUMENT], ids=["no file", "the same file"])
async def test_next_process_goes_on_with_what_was_kept(
    start: Start, file: dict[str, Any] | None
) -> None:
    first = await begun(start(), DOCUMENT)
    await first.write("by rest")
    revisions = list(first.controller.memory.state.history.newest_first())
    process = await begun(start(), file)
    assert (process.number, process.controller.raw) == (2, noted("by rest"))
    assert list(process.controller.memory.state.history.newest_first()) == revisions
    assert len(process.plane.published) == 1
    assert process.controller.applies.counts["state", "applied"] == 1
    assert list(process.controller.drift) == ([] if file is None else ["/x-note"])
    await process.write("again")
    assert process.number == 3


async def test_file_that_says_something_else_wins_and_the_rest_stays_a_revision(
    start: Start,
) -> None:
    await (await begun(start(), DOCUMENT)).write("by rest")
    process = await begun(start(), noted("new file"))
    assert (process.number, process.controller.raw) == (3, noted("new file"))
    assert process.controller.revision.origin.source == "file"
    assert len(process.plane.published) == 1
    assert process.controller.memory.state.history.document(2) == noted("by rest")
    again = await begun(start(), noted("new file"))
    assert (again.number, again.controller.raw) == (3, noted("new file"))


async def test_file_that_says_what_serves_makes_no_revision(start: Start) -> None:
    await (await begun(start(), DOCUMENT)).write("by rest")
    process = await begun(start(), noted("by rest"))
    assert (process.number, len(process.plane.published)) == (2, 1)
    await process.write("later")
    again = await begun(start(), noted("by rest"))
    assert again.controller.raw == noted("later")


async def test_file_read_by_sighup_is_the_file_from_then_on(start: Start) -> None:
    process = await begun(start(), DOCUMENT)
    await process.controller.read(lambda: noted("hup"), Origin("sighup", "hotsplice"))
    await process.write("by rest")
    assert (await begun(start(), noted("hup"))).controller.raw == noted("by rest")


@pytest.mark.parametrize("bad", [{"version": 2}, None], ids=["faults", "unreadable"])
async def test_bad_file_is_not_served_while_there_is_something_better(
    start: Start, bad: object
) -> None:
    await (await begun(start(), DOCUMENT)).write("by rest")
    process = start()

    def source() -> object:
        if bad is None:
            raise DocumentError([Fault("", "cannot be read")])
        return bad

    await begin(process.controller, source)
    assert (process.number, process.controller.raw) == (2, noted("by rest"))
    assert process.controller.applies.counts["file", "refused"] == 1
    # Mended as it was, it is still the file that was changed since.
    assert (await begun(start(), DOCUMENT)).controller.raw == noted("by rest")


async def test_kept_document_that_cannot_serve_gives_way_to_the_file(start: Start) -> None:
    await (await begun(start(), DOCUMENT)).write("by rest")
    process = start()
    refusals = iter([(Fault("/listeners/public/bind", "address in use"),), ()])
    prepare = process.plane.prepare

    async def refuse_first(*args: Any, **kwargs: Any) -> Any:
        process.plane.refuse = next(refusals)
        return await prepare(*args, **kwargs)

    process.plane.prepare = refuse_first  # type: ignore[method-assign]
    await begun(process, DOCUMENT)
    assert (process.number, process.controller.raw) == (3, DOCUMENT)


async def test_neither_can_serve_and_the_file_is_told_of(start: Start) -> None:
    await (await begun(start(), DOCUMENT)).write("by rest")
    process = start()
    process.plane.refuse = (Fault("/listeners/public/bind", "address in use"),)
    with pytest.raises(RefusedError) as refusal:
        await begun(process, {"version": 2})
    assert [fault.path for fault in refusal.value.faults] == ["/version"]


async def test_kept_document_that_cannot_serve_without_a_file_is_refused(start: Start) -> None:
    await begun(start(), DOCUMENT)
    process = start()
    process.plane.refuse = (Fault("/listeners/public/bind", "address in use"),)
    with pytest.raises(RefusedError):
        await begun(process)


async def test_overrides_go_on_before_anything_serves(start: Start) -> None:
    first = await begun(start(), DOCUMENT)
    now = time.time()
    kept = Override("backend", "blue", "down", None, now, now + 60, "ops")
    await first.controller.overrides.put(kept)
    over = Override("backend", "gone", "down", None, now, now + 0.01, "ops")
    await first.controller.overrides.put(over)
    first.controller.close()
    await eventually(lambda: time.time() > over.until, "the time to be over")
    process = start()
    assert process.controller.overrides.all() == (kept,)
    seen: list[object] = []
    prepare = process.plane.prepare

    async def look(*args: Any, **kwargs: Any) -> Any:
        seen.append(process.plane.overrides)
        return await prepare(*args, **kwargs)

    process.plane.prepare = look  # type: ignore[method-assign]
    await begun(process, DOCUMENT)
    assert seen == [{"backend": {"blue": OverrideSpec(state="down")}}]


# -- what waits to be confirmed -------------------------------------------------------------------


async def test_pending_revision_serves_on_and_is_taken_back_in_time(start: Start) -> None:
    await (await begun(start(), DOCUMENT)).write("risky", Terms(confirm_within_s=0.2))
    process = await begun(start(), DOCUMENT)
    assert process.controller.pending is not None
    assert process.controller.raw == noted("risky")
    await eventually(lambda: process.number == 3, "the rollback")
    assert process.controller.raw == DOCUMENT


async def test_pending_revision_can_be_confirmed_after_a_restart(start: Start) -> None:
    await (await begun(start(), DOCUMENT)).write("risky", Terms(confirm_within_s=60))
    assert await (await begun(start())).controller.confirm(2)
    process = await begun(start())
    assert (process.controller.pending, process.controller.raw) == (None, noted("risky"))


async def test_revision_overdue_at_the_start_does_not_serve_again(start: Start) -> None:
    first = await begun(start(), DOCUMENT)
    await first.write("risky", Terms(confirm_within_s=0.01))
    first.controller.close()
    until = time.time() + 0.01
    await eventually(lambda: time.time() > until, "the time to be over")
    process = await begun(start(), DOCUMENT)
    assert (process.number, process.controller.raw) == (3, DOCUMENT)
    assert process.controller.revision.origin.source == "rollback"
    assert len(process.plane.published) == 1


async def test_file_that_says_something_else_ends_the_wait(start: Start) -> None:
    await (await begun(start(), DOCUMENT)).write("risky", Terms(confirm_within_s=60))
    process = await begun(start(), noted("new file"))
    assert (process.controller.pending, process.controller.raw) == (None, noted("new file"))


# -- a disk that does not take it -----------------------------------------------------------------


async def test_full_disk_refuses_a_change_and_what_served_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await begun(start(), DOCUMENT)
    monkeypatch.setattr("os.write", Disk(20).write)
    with pytest.raises(NotKeptError):
        await process.write("by rest")
    with pytest.raises(NotKeptError):
        await process.controller.overrides.put(
            Override("backend", "blue", "down", None, 0.0, 4e9, "ops")
        )
    monkeypatch.undo()
    assert (process.number, process.controller.raw) == (1, DOCUMENT)
    assert (len(process.plane.published), len(process.plane.discarded)) == (1, 2)
    assert process.plane.overrides == {}
    assert process.controller.applies.counts["rest", "refused"] == 1
    await process.write("again")
    assert (await begun(start())).controller.raw == noted("again")


async def test_full_disk_does_not_keep_a_process_from_serving_its_file(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    monkeypatch.setattr("os.write", Disk(0).write)
    await begun(process, DOCUMENT)
    assert process.controller.raw == DOCUMENT
    with pytest.raises(NotKeptError):
        await process.write("by rest")
    monkeypatch.undo()
    await process.write("by rest")
    assert (tmp_path / NAME).exists()
    assert (await begun(start(), DOCUMENT)).controller.raw == noted("by rest")


async def test_full_disk_keeps_nobody_on_a_revision_that_was_not_confirmed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await begun(start(), DOCUMENT)
    await process.write("risky", Terms(confirm_within_s=0.05))
    monkeypatch.setattr("os.write", Disk(0).write)
    with pytest.raises(NotKeptError):
        await process.controller.confirm(2)
    await eventually(lambda: process.number == 3, "the rollback")
    assert process.controller.raw == DOCUMENT
    monkeypatch.undo()
    again = await begun(start(), DOCUMENT)
    assert (again.number, again.controller.raw) == (3, DOCUMENT)
