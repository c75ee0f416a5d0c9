from __future__ import annotations

import asyncio
import copy
import threading

import pytest

from admin.controller import Controller, RefusedError, Terms
from admin.documents.faults import DocumentError
from admin.edits import placed
from admin.offloading import INLINE_BYTES
from admin.revisions import Origin
from proxy.errors import Fault
from tests.peers import settle
from tests.unit.admin.plane import DOCUMENT, FakePlane

REST = Origin("rest", "ops")


def weight_of(value: object) -> object:
    return placed(DOCUMENT, ("pools", "backend", "endpoints", "blue", "weight"), value)


async def test_new_controller_serves_the_empty_document_as_revision_0(plane: FakePlane) -> None:
    controller = Controller(plane)
    assert (controller.raw, controller.revision.number) == ({"version": 1}, 0)
    assert plane.published == []


async def test_change_publishes_the_next_revision(plane: FakePlane, controller: Controller) -> None:
    plane.warnings = ("careful",)
    outcome = await controller.change(lambda raw: weight_of(5), REST)
    assert (outcome.revision, outcome.changed) == (2, ("/pools/backend",))
    assert outcome.warnings == ("careful",)
    assert controller.revision.origin == REST
    assert {one.name: one.weight for one in plane.spec.pools["backend"].endpoints} == {
        "127.0.0.1:8000": 1,
        "blue": 5,
    }


async def test_equal_document_calls_nothing(plane: FakePlane, controller: Controller) -> None:
    plane.crash = AssertionError("prepare was called")
    outcome = await controller.change(lambda raw: copy.deepcopy(DOCUMENT), REST)
    assert (outcome.revision, outcome.changed) == (1, ())
    assert len(plane.published) == 1
    assert controller.applies.counts["rest", "unchanged"] == 1


async def test_dry_run_prepares_and_discards(plane: FakePlane, controller: Controller) -> None:
    outcome = await controller.change(lambda raw: weight_of(5), REST, Terms(dry_run=True))
    assert (outcome.revision, outcome.changed) == (1, ("/pools/backend",))
    assert (len(plane.discarded), len(plane.published)) == (1, 1)
    assert controller.raw == DOCUMENT
    assert controller.applies.counts["rest", "applied"] == 0


async def test_faulty_document_leaves_the_old_one(plane: FakePlane, controller: Controller) -> None:
    with pytest.raises(RefusedError) as refusal:
        await controller.change(lambda raw: weight_of(-1), REST)
    assert [fault.path for fault in refusal.value.faults] == [
        "/pools/backend/endpoints/blue/weight"
    ]
    assert controller.raw == DOCUMENT
    assert controller.applies.last is not None
    assert (controller.applies.last.result, controller.applies.last.faults) == ("refused", 1)


async def test_faults_of_the_data_plane_leave_the_old_one(
    plane: FakePlane, controller: Controller
) -> None:
    plane.refuse = (Fault("/listeners/public/bind", "address in use"),)
    with pytest.raises(RefusedError) as refusal:
        await controller.change(lambda raw: weight_of(5), REST)
    assert refusal.value.faults == plane.refuse
    assert controller.revision.number == 1


async def test_crash_while_preparing_leaves_the_controller_usable(
    plane: FakePlane, controller: Controller
) -> None:
    plane.crash = RuntimeError("bug")
    with pytest.raises(RuntimeError):
        await controller.change(lambda raw: weight_of(5), REST)
    plane.crash = None
    assert (await controller.change(lambda raw: weight_of(5), REST)).revision == 2


async def test_edits_wait_for_each_other_and_see_the_one_before(
    plane: FakePlane, controller: Controller
) -> None:
    plane.hold = asyncio.Event()
    seen: list[object] = []

    def second(raw: object) -> object:
        seen.append(raw)
        return placed(raw, ("x-note",), "second")

    first = asyncio.create_task(controller.change(lambda raw: weight_of(5), REST))
    await settle()
    last = asyncio.create_task(controller.change(second, REST))
    await settle()
    assert seen == []
    plane.hold.set()
    assert ((await first).revision, (await last).revision) == (2, 3)
    assert seen == [weight_of(5)]


async def test_every_revision_is_announced(controller: Controller) -> None:
    announced: list[int] = []
    controller.published = lambda: announced.append(controller.revision.number)
    await controller.change(lambda raw: weight_of(5), REST)
    await controller.change(lambda raw: weight_of(5), REST)
    await controller.change(lambda raw: weight_of(6), REST)
    assert announced == [2, 3]


async def test_source_that_cannot_be_read_is_a_refused_apply(controller: Controller) -> None:
    def source() -> object:
        raise DocumentError([Fault("", "cannot be read")])

    with pytest.raises(RefusedError):
        await controller.read(source, Origin("sighup", "hotsplice"))
    assert controller.applies.counts["sighup", "refused"] == 1


async def test_large_edit_leaves_the_event_loop(controller: Controller) -> None:
    threads: list[threading.Thread] = []

    def edit(raw: object) -> object:
        threads.append(threading.current_thread())
        return raw

    await controller.change(edit, REST)
    await controller.change(edit, REST, added=INLINE_BYTES)
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


async def test_effective_document_has_the_defaults(controller: Controller) -> None:
    effective = await controller.effective()
    assert isinstance(effective, dict)
    assert effective["pools"]["backend"]["endpoints"]["blue"]["weight"] == 1


async def test_drift_names_what_differs_from_the_file_until_it_is_read_again(
    plane: FakePlane,
) -> None:
    controller = Controller(plane)
    await controller.change(lambda _: DOCUMENT, REST)
    assert list(controller.drift) == []  # there is no file to differ from
    await controller.read(lambda: DOCUMENT, Origin("file", "hotsplice"))
    assert list(controller.drift) == []
    await controller.change(lambda raw: weight_of(5), REST)
    assert list(controller.drift) == ["/pools/backend"]
    with pytest.raises(RefusedError):
        await controller.read(lambda: weight_of(-1), Origin("sighup", "hotsplice"))
    assert list(controller.drift) == ["/pools/backend"]
    await controller.read(lambda: DOCUMENT, Origin("sighup", "hotsplice"))
    assert list(controller.drift) == []
