"""What nobody confirms in time is taken back."""

from __future__ import annotations

import time

import pytest

from admin import confirmation
from admin.controller import Controller, PendingError, RefusedError, Terms
from admin.edits import placed
from admin.revisions import Origin
from proxy.errors import Fault
from tests.peers import eventually
from tests.unit.admin.plane import DOCUMENT, FakePlane

REST = Origin("rest", "ops")
SOON = Terms(confirm_within_s=0.02)
LATER = Terms(confirm_within_s=60.0)


def weight_of(value: object) -> object:
    return placed(DOCUMENT, ("pools", "backend", "endpoints", "blue", "weight"), value)


def weight(plane: FakePlane) -> int:
    return plane.spec.pools["backend"].endpoints[1].weight


async def test_revision_that_nobody_confirms_is_taken_back_as_a_revision(
    plane: FakePlane, controller: Controller
) -> None:
    outcome = await controller.change(lambda raw: weight_of(5), REST, SOON)
    assert (outcome.revision, weight(plane)) == (2, 5)
    await eventually(lambda: controller.revision.number == 3, "the rollback")
    assert (controller.raw, weight(plane), controller.pending) == (DOCUMENT, 1, None)
    revision = controller.revision
    assert (revision.origin.source, revision.restores) == ("rollback", 1)
    assert revision.origin.note == "revision 2 was not confirmed"
    assert revision.changed == ("/pools/backend",)
    assert controller.applies.counts["rollback", "applied"] == 1


async def test_confirmed_revision_stays(plane: FakePlane, controller: Controller) -> None:
    await controller.change(lambda raw: weight_of(5), REST, SOON)
    assert await controller.confirm(2)
    assert controller.pending is None
    until = time.time() + 0.05
    await eventually(lambda: time.time() > until, "the time to be over")
    assert controller.revision.number == 2
    await controller.change(lambda raw: weight_of(6), REST)
    assert (controller.revision.number, weight(plane)) == (3, 6)


async def test_confirming_again_is_no_mistake_and_another_revision_is(
    controller: Controller,
) -> None:
    await controller.change(lambda raw: weight_of(5), REST, LATER)
    assert not await controller.confirm(1)
    assert controller.pending is not None
    assert await controller.confirm(2)
    assert await controller.confirm(2)
    assert not await controller.confirm(1)


@pytest.mark.parametrize("value", [5, 6], ids=["the same", "another"])
async def test_other_writes_are_refused_meanwhile_and_name_the_revision(
    controller: Controller, value: int
) -> None:
    await controller.change(lambda raw: weight_of(5), REST, LATER)
    with pytest.raises(PendingError) as refusal:
        await controller.change(lambda raw: weight_of(value), REST)
    assert (refusal.value.pending.revision, refusal.value.pending.back_to) == (2, 1)
    with pytest.raises(PendingError):
        await controller.read(lambda: DOCUMENT, Origin("sighup", "hotsplice"))
    assert controller.revision.number == 2


async def test_dry_run_is_possible_meanwhile(controller: Controller) -> None:
    await controller.change(lambda raw: weight_of(5), REST, LATER)
    outcome = await controller.change(lambda raw: weight_of(6), REST, Terms(dry_run=True))
    assert outcome.changed == ("/pools/backend",)


async def test_restoring_the_one_before_takes_it_back_at_once(
    plane: FakePlane, controller: Controller
) -> None:
    await controller.change(lambda raw: weight_of(5), REST, LATER)
    with pytest.raises(PendingError):
        await controller.restore(0, REST, Terms(), lambda raw: raw)
    outcome = await controller.restore(1, REST, LATER, lambda raw: raw)
    assert (outcome.revision, weight(plane), controller.pending) == (3, 1, None)


async def test_change_of_nothing_has_nothing_to_confirm(controller: Controller) -> None:
    outcome = await controller.change(lambda raw: DOCUMENT, REST, LATER)
    assert (outcome.revision, outcome.changed, controller.pending) == (1, (), None)


async def test_rollback_that_is_refused_is_tried_again(
    plane: FakePlane, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "AGAIN_S", 0.01)
    await controller.change(lambda raw: weight_of(5), REST, SOON)
    plane.refuse = (Fault("/listeners/public/bind", "address in use"),)
    await eventually(lambda: controller.applies.counts["rollback", "refused"] >= 2, "two tries")
    assert controller.pending is not None
    plane.refuse = ()
    await eventually(lambda: controller.revision.number == 3, "the rollback")
    assert weight(plane) == 1


async def test_revision_that_is_overdue_can_still_be_confirmed(
    plane: FakePlane, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "AGAIN_S", 60.0)
    await controller.change(lambda raw: weight_of(5), REST, SOON)
    plane.refuse = (Fault("/listeners/public/bind", "address in use"),)
    await eventually(lambda: controller.applies.counts["rollback", "refused"], "a try")
    plane.refuse = ()
    assert await controller.confirm(2)
    assert weight(plane) == 5


async def test_clock_that_was_set_back_prolongs_the_wait(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "LOOK_AGAIN_S", 0.01)
    await controller.change(lambda raw: weight_of(5), REST, SOON)
    real = time.time
    looked: list[float] = []

    def earlier() -> float:
        looked.append(real())
        return real() - 3600

    monkeypatch.setattr(time, "time", earlier)
    await eventually(lambda: len(looked) > 4, "some looks at the clock")
    assert controller.revision.number == 2
    monkeypatch.setattr(time, "time", real)
    await eventually(lambda: controller.revision.number == 3, "the rollback")


async def test_refused_change_has_nothing_to_confirm(controller: Controller) -> None:
    with pytest.raises(RefusedError):
        await controller.change(lambda raw: weight_of(-1), REST, LATER)
    assert controller.pending is None


async def test_closed_controller_takes_nothing_back(controller: Controller) -> None:
    await controller.change(lambda raw: weight_of(5), REST, SOON)
    controller.close()
    until = time.time() + 0.05
    await eventually(lambda: time.time() > until, "the time to be over")
    assert controller.revision.number == 2
