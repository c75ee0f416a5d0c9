"""Who examines documents: the process beside this one while there is one, and then this one."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, Final

from admin.beside import Beside, BesideError
from admin.candidate import Candidate, Change
from admin.late import load
from admin.offloading import offload
from proxy.telemetry.logging import get_logger

_log = get_logger("admin.examiner")

WORK: Final = "admin.examining"


class Examiner:
    """See the module's docstring; one event loop."""

    def __init__(self, beside: Beside | None = None) -> None:
        self._beside = beside

    async def examine(self, size: int, raw: object, previous: Candidate) -> Candidate:
        """Validate and translate a document of about ``size`` octets; ``DocumentError``."""
        examined: Candidate = await self._do(size, "examine", raw, previous)
        return examined

    async def examine_change(
        self, size: int, before: object, raw: object, previous: Candidate
    ) -> Change:
        """Examine a document that is to take the place of ``before``; ``DocumentError``."""
        change: Change = await self._do(size, "examine_change", before, raw, previous)
        return change

    async def modelled(self, size: int, candidate: Candidate) -> Candidate:
        """Return a candidate with its models."""
        with_models: Candidate = await self._do(size, "modelled", candidate)
        return with_models

    async def effective(self, size: int, candidate: Candidate) -> object:
        """Return the document of a candidate with every default filled in."""
        return await self._do(size, "effective", candidate)

    def call(self, module: str, name: str, *args: object) -> Any:
        """Call a function of a module, there or here; for a thread, because it may take its time.

        Raise what the function raises.
        """
        if self._beside is not None:
            try:
                return self._beside.call(module, name, *args)
            except BesideError as error:
                _log.warning("examined_here", reason=str(error))
                self.close()
        return getattr(import_module(module), name)(*args)

    def close(self) -> None:
        """Go on without the process beside this one."""
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.close()

    async def _do(self, size: int, name: str, *args: object) -> Any:
        if self._beside is not None:
            return await asyncio.to_thread(self.call, WORK, name, *args)
        await load(WORK)
        return await offload(size, getattr(import_module(WORK), name), *args)
