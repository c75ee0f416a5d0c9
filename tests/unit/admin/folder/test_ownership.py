"""A folder has its say over its own objects, and over no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from admin.beginning import begin
from admin.controller import Controller, PendingError, RefusedError, Terms
from admin.edits import placed, removed
from admin.folder.ownership import Folder, OwnedError, laid_over
from admin.folder.reading import Folded
from admin.memory import Memory
from admin.revisions import Origin
from admin.store import Store
from tests.unit.admin.plane import FakePlane

REST = Origin("rest", "ops")
POOLS = "pools: {app: {endpoints: {'127.0.0.1:1': {}}}}\n"
OTHER = "pools: {app: {endpoints: {'127.0.0.1:2': {}}}}\n"
TWO = POOLS.replace("}}}}", "}}}, more: {}}")
ROUTE = {"path": {"prefix": "/mine/"}, "pool": "app"}

Start = Callable[[], Controller]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.mkdir()
    (path / "pools.yaml").write_text(POOLS)
    return path


@pytest.fixture
async def start(tmp_path: Path, folder: Path) -> Any:
    """Be the next process, the one before being gone."""
    running: list[Controller] = []

    def make(at: Path | None = folder) -> Controller:
        end()
        controller = Controller(FakePlane(), Memory(Store(tmp_path / "state")))
        controller.folder = None if at is None else Folder(at)
        running.append(controller)
        return controller

    def end() -> None:
        for controller in running:
            controller.close()
            controller.memory.close()
        running.clear()

    yield make
    end()


async def begun(controller: Controller) -> Controller:
    await begin(controller, None)
    return controller


async def put(controller: Controller, *place: str, value: object, **terms: Any) -> None:
    await controller.change(lambda raw: placed(raw, place, value), REST, Terms(**terms))


def write(folder: Path, text: str, name: str = "pools.yaml") -> None:
    (folder / name).write_text(text)


def test_what_a_folder_says_takes_the_place_of_what_it_said() -> None:
    raw = {
        "version": 1,
        "x-old": 1,
        "x-rest": 2,
        "pools": {"was": {}, "is": {"old": 1}, "rest": {}, "taken": {"by": "rest"}},
        "routes": {"gone": {}},
    }
    before = {"/x-old": "a", "/pools/was": "a", "/pools/is": "a", "/routes/gone": "a"}
    pools: dict[str, object] = {"is": {}, "taken": {}}
    said = Folded({"version": 1, "pools": pools}, {"/pools/is": "a", "/pools/taken": "a"})
    assert laid_over(raw, before, said) == {
        "version": 1,
        "x-rest": 2,
        "pools": {"is": {}, "taken": {}, "rest": {}},
    }
    assert pools == {"is": {}, "taken": {}}


async def test_objects_of_the_folder_are_not_written_by_rest(start: Start, folder: Path) -> None:
    controller = await begun(start())
    assert controller.revision.origin.source == "folder"
    for edit in (
        lambda raw: placed(raw, ("pools", "app", "balance"), "random"),
        lambda raw: removed(raw, ("pools", "app")),
        lambda raw: {"version": 1},
    ):
        with pytest.raises(OwnedError) as refused:
            await controller.change(edit, REST)
        assert refused.value.owned == {"/pools/app": "pools.yaml"}
    await controller.change(lambda raw: raw, REST)  # nothing is changed
    await put(controller, "routes", "mine", value=ROUTE)
    assert controller.drift == ("/routes/mine",)
    assert controller.revision.number == 2


async def test_what_rest_added_stays_when_the_folder_changes(start: Start, folder: Path) -> None:
    controller = await begun(start())
    await put(controller, "routes", "mine", value=ROUTE)
    write(folder, OTHER)
    outcome = await controller.read_folder()
    assert outcome.changed == ("/pools/app",)
    assert list(controller.drift) == ["/routes/mine"]
    with pytest.raises(OwnedError):  # it would bring the old pool back
        await controller.restore(1, REST, Terms(), lambda raw: raw)
    await controller.change(lambda raw: removed(raw, ("routes", "mine")), REST)
    assert list(controller.drift) == []


async def test_bad_folder_is_refused_whole_with_its_files(start: Start, folder: Path) -> None:
    controller = await begun(start())
    write(folder, OTHER)
    write(folder, "routes: {a: {path: {prefix: /}, pool: nobody}}", "routes.yaml")
    with pytest.raises(RefusedError) as refused:
        await controller.read_folder()
    assert [fault.path for fault in refused.value.faults] == ["routes.yaml:/routes/a/pool"]
    assert controller.folder is not None
    assert controller.folder.faults == refused.value.faults
    assert controller.applies.counts["folder", "refused"] == 1
    assert controller.revision.number == 1
    assert set(controller.drift) == {"/pools/app", "/routes/a"}
    write(folder, "routes: {a: {path: {prefix: /}, pool: app}}", "routes.yaml")
    await controller.read_folder()
    assert (controller.folder.faults, controller.drift) == ((), ())


async def test_object_that_leaves_the_folder_while_rest_uses_it_is_a_fault(
    start: Start, folder: Path
) -> None:
    controller = await begun(start())
    await put(controller, "routes", "mine", value=ROUTE)
    write(folder, "pools: {}")
    with pytest.raises(RefusedError) as refused:
        await controller.read_folder()
    assert [fault.path for fault in refused.value.faults] == ["/routes/mine/pool"]


async def test_folder_waits_for_a_confirmation(start: Start, folder: Path) -> None:
    controller = await begun(start())
    await put(controller, "routes", "mine", value=ROUTE, confirm_within_s=60.0)
    write(folder, OTHER)
    with pytest.raises(PendingError):
        await controller.read_folder()
    await controller.confirm(2)
    assert (await controller.read_folder()).revision == 3


async def test_next_process_has_the_same_rule(start: Start, folder: Path) -> None:
    write(folder, TWO)
    controller = await begun(start())
    await put(controller, "routes", "mine", value=ROUTE)
    kept = controller.raw

    controller = await begun(start())
    assert (controller.raw, controller.revision.number) == (kept, 2)
    assert controller.applies.last is not None
    assert controller.applies.last.result == "unchanged"

    write(folder, POOLS)
    controller = await begun(start())
    assert controller.revision.changed == ("/pools/more",)
    assert controller.drift == ("/routes/mine",)
    assert controller.memory.state.history.document(2) == kept


async def test_folder_bad_at_the_start_leaves_the_last_good_state(
    start: Start, folder: Path
) -> None:
    controller = await begun(start())
    write(folder, "]")
    controller = await begun(start())
    assert controller.revision.number == 1
    assert controller.folder is not None
    assert controller.folder.faults[0].path == "pools.yaml:"
    with pytest.raises(OwnedError):
        await put(controller, "pools", "app", value={})


async def test_folder_bad_at_the_start_is_the_end_without_any_state(
    start: Start, folder: Path
) -> None:
    write(folder, "pools: {app: {wieght: 1}}")
    with pytest.raises(RefusedError) as refused:
        await begin(start(), None)
    assert [fault.path for fault in refused.value.faults] == ["pools.yaml:/pools/app/wieght"]


async def test_object_that_rest_added_can_be_taken_over(start: Start, folder: Path) -> None:
    controller = await begun(start())
    await put(controller, "pools", "more", value={})
    write(folder, TWO)
    assert (await controller.read_folder()).changed == ()
    controller = await begun(start())
    with pytest.raises(OwnedError):
        await put(controller, "pools", "more", value={"balance": "random"})


async def test_without_the_folder_nobody_owns_anything(
    start: Callable[..., Controller], folder: Path
) -> None:
    await begun(start())
    controller = await begun(start(None))
    await put(controller, "pools", "app", value={})
    await controller.read(lambda: {"version": 1}, Origin("file", "hotsplice"))
    assert controller.memory.state.owned == {}
