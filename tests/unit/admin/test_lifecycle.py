from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from admin.controller import Controller, Terms
from admin.drain import ProcessDrain, StoppingError
from admin.lifecycle import Lifecycle
from admin.revisions import Origin
from admin.settings import RunSettings, parse
from tests.peers import eventually, settle, within
from tests.unit.admin.plane import FakePlane


def settings(*flags: str) -> RunSettings:
    parsed = parse(["run", "--drain-timeout", "9s", "--drain-accept", "2s", *flags], {})
    assert isinstance(parsed, RunSettings)
    return parsed


def make(plane: FakePlane, controller: Controller, *flags: str) -> Lifecycle:
    drain = ProcessDrain(plane, controller.events, timeout_s=9.0, accept_s=2.0)
    return Lifecycle(plane, controller, settings(*flags), drain)


@pytest.fixture
def lifecycle(plane: FakePlane, controller: Controller) -> Lifecycle:
    return make(plane, controller)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_drains_and_the_end_of_the_drain_ends_the_process(
    plane: FakePlane, lifecycle: Lifecycle, number: signal.Signals
) -> None:
    with lifecycle.signals():
        ending = asyncio.create_task(lifecycle.wait())
        os.kill(os.getpid(), number)
        await eventually(lambda: plane.process_drains, "the drain")
        assert plane.process_drains == [(9.0, 2.0)]
        await settle()
        assert not ending.done()
        plane.done.set()
        assert await within(ending, "the end") == 0


async def test_drain_that_nobody_asked_this_process_for_does_not_end_it(
    plane: FakePlane, lifecycle: Lifecycle
) -> None:
    ending = asyncio.create_task(lifecycle.wait())
    plane.drain(timeout_s=1, accept_s=0)
    plane.done.set()
    await settle()
    assert not ending.done()
    lifecycle.terminate()
    assert await within(ending, "the end") == 0


async def test_second_sigint_ends_at_once(plane: FakePlane, lifecycle: Lifecycle) -> None:
    ending = asyncio.create_task(lifecycle.wait())
    lifecycle.interrupt()
    await settle()
    assert not ending.done()
    lifecycle.interrupt()
    assert await within(ending, "the end") == 1


async def test_second_sigterm_joins_the_drain(plane: FakePlane, lifecycle: Lifecycle) -> None:
    ending = asyncio.create_task(lifecycle.wait())
    lifecycle.interrupt()
    lifecycle.terminate()
    lifecycle.terminate()
    await settle()
    assert not ending.done()
    plane.done.set()
    assert await within(ending, "the end") == 0


async def test_sighup_applies_the_file_as_a_revision(
    plane: FakePlane, controller: Controller, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("pools: {fresh: {endpoints: {}}}\n")
    lifecycle = make(plane, controller, "--config", str(path))
    with lifecycle.signals():
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: controller.revision.number == 2, "the revision")
    assert controller.revision.origin.source == "sighup"
    assert list(plane.spec.pools) == ["fresh"]


@pytest.mark.parametrize("text", ["pools: [", "pools: {a: 1}\n", None])
async def test_bad_file_changes_nothing_and_is_counted(
    plane: FakePlane, controller: Controller, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    lifecycle = make(plane, controller, "--config", str(path))
    lifecycle.hang_up()
    await eventually(lambda: controller.applies.counts["sighup", "refused"] == 1, "the refusal")
    assert controller.revision.number == 1


async def test_sighup_while_a_revision_waits_to_be_confirmed_changes_nothing(
    controller: Controller, plane: FakePlane, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("pools: {fresh: {endpoints: {}}}\n")
    origin, terms = Origin("rest", "ops"), Terms(confirm_within_s=60)
    await controller.change(lambda _: {"version": 1}, origin, terms)
    lifecycle = make(plane, controller, "--config", str(path))
    lifecycle.hang_up()
    await settle()
    assert controller.revision.number == 2
    assert await controller.confirm(2)
    lifecycle.hang_up()
    await eventually(lambda: controller.revision.number == 3, "the revision")


async def test_sighup_without_a_file_changes_nothing(
    plane: FakePlane, controller: Controller, lifecycle: Lifecycle
) -> None:
    lifecycle.hang_up()
    await settle()
    assert sum(controller.applies.counts.values()) == 1


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
async def test_signal_opens_log_files_anew(
    plane: FakePlane, lifecycle: Lifecycle, number: signal.Signals
) -> None:
    with lifecycle.signals():
        os.kill(os.getpid(), number)
        await eventually(lambda: plane.reopened, "the logs to be opened")
    await settle()
    assert plane.reopened == 1


async def test_signal_joins_a_drain_that_was_started_otherwise(
    plane: FakePlane, controller: Controller
) -> None:
    drain = ProcessDrain(plane, controller.events, timeout_s=9.0, accept_s=2.0)
    lifecycle = Lifecycle(plane, controller, settings(), drain)
    ending = asyncio.create_task(lifecycle.wait())
    drain.start("alice")
    plane.done.set()
    await settle()
    assert (drain.state, ending.done()) == ("drained", False)
    lifecycle.terminate()
    assert await within(ending, "the end") == 0
    assert len(plane.process_drains) == 1
    assert drain.begun is not None and drain.begun.author == "alice"


async def test_drain_that_ends_the_process_is_not_undone(
    plane: FakePlane, controller: Controller
) -> None:
    drain = ProcessDrain(plane, controller.events, timeout_s=9.0, accept_s=2.0)
    Lifecycle(plane, controller, settings(), drain).terminate()
    with pytest.raises(StoppingError):
        await drain.undo("alice")
    assert plane.draining


async def test_signal_while_a_drain_is_undone_starts_it_again(
    plane: FakePlane, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = ProcessDrain(plane, controller.events, timeout_s=9.0, accept_s=2.0)
    lifecycle = Lifecycle(plane, controller, settings(), drain)
    drain.start("alice")
    undrain = plane.undrain

    async def slowly() -> None:
        lifecycle.terminate()
        await undrain()

    monkeypatch.setattr(plane, "undrain", slowly)
    await drain.undo("alice")
    assert (plane.draining, drain.state, len(plane.process_drains)) == (True, "draining", 2)
