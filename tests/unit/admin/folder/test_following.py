"""A folder is followed: told of by the kernel, or looked at where it does not tell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from admin.beginning import begin
from admin.controller import Controller, Terms
from admin.edits import placed, removed
from admin.folder import following, watching
from admin.folder.following import follow
from admin.folder.ownership import Folder
from admin.folder.watching import Watch
from admin.revisions import Origin
from admin.store import NotKeptError
from tests.peers import eventually, within
from tests.peers.kubelet import ConfigMapMount
from tests.unit.admin.plane import FakePlane

REST = Origin("rest", "ops")


def pool(weight: int) -> dict[str, str]:
    return {"pools.yaml": f"pools: {{app: {{endpoints: {{'127.0.0.1:1': {{weight: {weight}}}}}}}}}"}


@asynccontextmanager
async def followed(mount: ConfigMapMount) -> AsyncIterator[Controller]:
    controller = Controller(FakePlane())
    controller.folder = Folder(mount.path)
    watch = Watch(mount.path)
    await begin(controller, None)
    task = asyncio.create_task(follow(controller, controller.folder, watch))
    try:
        yield controller
    finally:
        task.cancel()
        watch.close()
        controller.close()


@pytest.fixture
def mount(tmp_path: Path) -> ConfigMapMount:
    return ConfigMapMount(tmp_path / "config", pool(1))


def no_inotify(path: Path) -> NoReturn:
    raise OSError(24, "Too many open files")


@pytest.mark.parametrize("way", ["told", "looked at"])
async def test_swap_is_applied(
    mount: ConfigMapMount, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "looked at":
        monkeypatch.setattr(watching, "_inotify", no_inotify)
    async with followed(mount) as controller:
        mount.update(pool(2))
        await eventually(lambda: controller.revision.number == 2, "the swap")
        mount.update(pool(3))
        await eventually(lambda: controller.revision.number == 3, "the next")
    assert controller.applies.counts["folder", "applied"] == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")
async def test_kernel_tells_at_once_and_says_nothing_while_nothing_happens(
    mount: ConfigMapMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_AGAIN_S", 3600.0)
    watch = Watch(mount.path)
    waiting = asyncio.create_task(watch.changed(3600.0))
    await asyncio.sleep(0)
    (mount.path / "pools.yaml").read_text()
    assert not waiting.done()
    mount.update(pool(2))
    await within(waiting, "the kernel")
    watch.close()


async def test_what_stands_against_it_ends_and_the_folder_is_applied(
    mount: ConfigMapMount,
) -> None:
    async with followed(mount) as controller:
        await controller.change(
            lambda raw: placed(raw, ("pools", "mine"), {}), REST, Terms(confirm_within_s=60.0)
        )
        mount.update(pool(2))
        await eventually(
            lambda: controller.folder and controller.folder.look() != controller.folder.seen,
            "the swap",
        )
        assert controller.revision.number == 2
        await controller.confirm(2)
        await eventually(lambda: controller.revision.number == 3, "the folder to be applied")


async def test_refused_folder_is_tried_again_when_the_document_is_another(
    mount: ConfigMapMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_AGAIN_S", 0.05)
    async with followed(mount) as controller:
        route = {"path": {"prefix": "/"}, "pool": "app"}
        await controller.change(lambda raw: placed(raw, ("routes", "mine"), route), REST)
        mount.update({"pools.yaml": "pools: {other: {}}"})
        refused = controller.applies.counts
        await eventually(lambda: refused["folder", "refused"] == 1, "the refusal")
        await controller.change(lambda raw: removed(raw, ("routes", "mine")), REST)
        await eventually(lambda: controller.revision.number == 4, "the folder to be applied")
        assert refused["folder", "refused"] == 1


async def test_folder_is_applied_once_it_can_be_kept(
    mount: ConfigMapMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "AGAIN_S", 0.05)
    async with followed(mount) as controller:
        keep, full = controller.memory.keep, [True]

        async def kept(*args: object, **terms: object) -> None:
            if full:
                raise NotKeptError("no space left")
            await keep(*args, **terms)  # type: ignore[arg-type]

        monkeypatch.setattr(controller.memory, "keep", kept)
        mount.update(pool(2))
        refused = controller.applies.counts
        await eventually(lambda: refused["folder", "refused"], "the full disk")
        full.clear()
        await eventually(lambda: controller.revision.number == 2, "the folder to be applied")
