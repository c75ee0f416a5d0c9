"""Which document a process begins with: the one that was kept, or what its file says.

A file that says what it said before is where the kept document came from, and that has been changed
since: it goes on.  A file that says something else wins, and what was kept stays a revision.  A
file that is no good is not served as long as there is anything that was.  A folder has its say over
its own objects, and over no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from admin.candidate import digest_of
from admin.controller import Controller, RefusedError
from admin.documents.faults import DocumentError
from admin.revisions import Origin
from proxy.telemetry.logging import get_logger

FILE: Final = Origin("file", "hotsplice")

_log = get_logger("admin.beginning")

Source = Callable[[], object]


async def begin(controller: Controller, source: Source | None, origin: Origin = FILE) -> None:
    """Serve what is to be served first; ``RefusedError`` if there is nothing that can be."""
    await controller.overrides.begin()
    if controller.folder is not None:
        await _begin_with_folder(controller)
    elif not controller.memory.found:
        if source is not None:
            # Should the disk be full: what is in the file is not lost.
            await controller.read(source, origin, come_what_may=True)
    elif source is None:
        await controller.resume()
    else:
        await _choose(controller, source, origin)


async def _begin_with_folder(controller: Controller) -> None:
    """Serve what was kept, and then the folder's objects in place of those it had.

    That is what becomes of a change while the process runs, too; and what nobody confirmed in time
    is taken back before.
    """
    refused = None
    if controller.memory.found:
        try:
            await controller.resume()
        except RefusedError as refusal:
            refused = refusal
    try:
        outcome = await controller.read_folder(come_what_may=True)
    except RefusedError:
        if refused is not None or not controller.memory.found:
            raise
        _log.error("folder_refused", going_on_with=f"revision {controller.revision.number}")
    else:
        if refused is not None and not outcome.changed:
            raise refused


async def _choose(controller: Controller, source: Source, origin: Origin) -> None:
    try:
        said = await asyncio.to_thread(source)
        same = await asyncio.to_thread(digest_of, said) == controller.memory.state.bootstrap
    except DocumentError:
        await _serve_file(controller, source, origin)
        return
    if same:
        controller.bootstrap = said
        await _serve_kept(controller, lambda: said, origin)
    else:
        await _serve_file(controller, lambda: said, origin)


async def _serve_kept(controller: Controller, source: Source, origin: Origin) -> None:
    """Serve what was kept, or else the file."""
    try:
        await controller.resume()
    except RefusedError:
        _log.error("kept_document_refused", revision=controller.revision.number)
        await controller.read(source, origin, come_what_may=True)


async def _serve_file(controller: Controller, source: Source, origin: Origin) -> None:
    """Serve the file, or else what was kept."""
    kept = controller.revision.number
    try:
        outcome = await controller.read(source, origin, come_what_may=True)
    except RefusedError as refusal:
        _log.error("file_refused", going_on_with=f"revision {kept}")
        try:
            await controller.resume()
        except RefusedError:
            raise refusal from None
        return
    if not outcome.changed:
        await controller.resume()
