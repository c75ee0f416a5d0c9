"""Follow a folder: whatever changes in it in a moment is applied as one revision.

What is refused is not tried again before the folder, or the document that it has to fit into, has
changed; what could not be applied for another reason is tried until it can.
"""

from __future__ import annotations

import asyncio
from typing import Final

from admin.controller import Controller, PendingError, RefusedError
from admin.folder.ownership import Folder
from admin.folder.watching import LOOK_AGAIN_S, LOOK_S, Watch
from admin.store import NotKeptError
from proxy.telemetry.logging import get_logger

SETTLE_S: Final = 0.02
"""How long nothing more has to happen before a folder is read, in seconds."""

SETTLE_LOOKS: Final = 25
"""It is read after as many looks, if things go on happening."""

AGAIN_S: Final = 5.0
"""Until the next try, if what is to be applied cannot be kept."""

_log = get_logger("admin.folder")


async def follow(controller: Controller, folder: Folder, watch: Watch) -> None:
    """Apply what changes in a folder, until cancelled."""
    wait_s = LOOK_AGAIN_S
    while True:
        await watch.changed(wait_s)
        wait_s = LOOK_AGAIN_S
        try:
            if await _worth_reading(controller, folder):
                wait_s = await _apply(controller)
        except Exception:  # noqa: BLE001 (a bug must not end the following)
            _log.exception("folder_not_followed", again_in_s=AGAIN_S)
            wait_s = AGAIN_S


async def _worth_reading(controller: Controller, folder: Folder) -> bool:
    look = await asyncio.to_thread(folder.look)
    refused_elsewhere = folder.faults and folder.refused_at != controller.revision.number
    if look == folder.seen and not refused_elsewhere:
        return False
    # Files may be written one after the other.
    for _ in range(SETTLE_LOOKS):
        await asyncio.sleep(SETTLE_S)
        before, look = look, await asyncio.to_thread(folder.look)
        if look == before:
            break
    return True


async def _apply(controller: Controller) -> float:
    """Read and apply; return after how many seconds to look again at the latest."""
    if controller.pending is not None:
        return LOOK_S
    try:
        await controller.read_folder()
    except RefusedError:
        return LOOK_AGAIN_S  # the controller has logged and counted it
    except PendingError:
        return LOOK_S
    except NotKeptError:
        return AGAIN_S
    return LOOK_AGAIN_S
