from __future__ import annotations

import time
from dataclasses import replace

import pytest

from admin import overrides as module
from admin.controller import Controller
from admin.overrides import TooManyOverridesError
from admin.records import Override
from admin.revisions import Origin
from proxy.errors import Fault, SpecError
from proxy.spec import OverrideSpec
from tests.peers import eventually
from tests.unit.admin.plane import DOCUMENT, FakePlane

DOWN = OverrideSpec(state="down")


def override(ttl_s: float = 60.0, **differs: object) -> Override:
    made = Override(
        pool="backend",
        endpoint="blue",
        state="down",
        weight=None,
        since=time.time(),
        until=time.time() + ttl_s,
        author="ops",
    )
    return replace(made, **differs)  # type: ignore[arg-type]


async def test_override_is_in_force_at_once_until_it_is_removed(
    plane: FakePlane, controller: Controller
) -> None:
    overrides = controller.overrides
    mine = override()
    await overrides.put(mine)
    assert plane.overrides == {"backend": {"blue": DOWN}}
    assert (overrides.find("backend", "blue"), overrides.all()) == (mine, (mine,))
    await overrides.remove("backend", "blue", "ops")
    assert (plane.overrides, overrides.all()) == ({}, ())


async def test_override_replaces_the_one_before_and_leaves_others(
    plane: FakePlane, controller: Controller
) -> None:
    await controller.overrides.put(override())
    await controller.overrides.put(override(endpoint="127.0.0.1:8000", state="drain"))
    await controller.overrides.put(override(state="active", weight=7))
    assert plane.overrides == {
        "backend": {
            "blue": OverrideSpec(state="active", weight=7),
            "127.0.0.1:8000": OverrideSpec(state="drain"),
        }
    }


async def test_override_ends_by_itself(plane: FakePlane, controller: Controller) -> None:
    await controller.overrides.put(override(0.02))
    await controller.overrides.put(override(endpoint="127.0.0.1:8000"))
    await eventually(lambda: plane.overrides == {"backend": {"127.0.0.1:8000": DOWN}}, "the end")
    assert controller.overrides.find("backend", "blue") is None
    assert len(controller.memory.state.overrides) == 1


async def test_override_that_is_over_is_not_shown_before_it_is_ended(
    plane: FakePlane, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await controller.overrides.put(override(60))
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert controller.overrides.all() == ()
    assert controller.overrides.find("backend", "blue") is None


async def test_changes_of_the_document_leave_overrides_alone(
    plane: FakePlane, controller: Controller
) -> None:
    await controller.overrides.put(override())
    await controller.change(lambda _: {"version": 1}, Origin("rest", "ops"))
    await controller.change(lambda _: DOCUMENT, Origin("rest", "ops"))
    assert plane.overrides == {"backend": {"blue": DOWN}}
    assert controller.revision.number == 3


async def test_pool_that_cannot_be_so_is_refused_and_nothing_kept(
    plane: FakePlane, controller: Controller
) -> None:
    plane.refuse = (Fault("/pools/backend/endpoints", "the ring is too large"),)
    with pytest.raises(SpecError):
        await controller.overrides.put(override())
    assert controller.overrides.all() == ()


async def test_override_that_cannot_be_ended_is_tried_again(
    plane: FakePlane, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.01)
    await controller.overrides.put(override(0.02))
    plane.refuse = (Fault("/pools/backend/endpoints", "the ring is too large"),)
    until = time.time() + 0.1
    await eventually(lambda: time.time() > until, "the time to be over")
    assert plane.overrides == {"backend": {"blue": DOWN}}
    plane.refuse = ()
    await eventually(lambda: plane.overrides == {}, "the end")


async def test_there_are_not_too_many(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    await controller.overrides.put(override(endpoint="a"))
    await controller.overrides.put(override(endpoint="b"))
    with pytest.raises(TooManyOverridesError):
        await controller.overrides.put(override(endpoint="c"))
    await controller.overrides.put(override(endpoint="b", state="drain"))
