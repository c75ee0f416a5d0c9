"""The wait for a revision to be confirmed: over, it is taken back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from admin.memory import Memory
from admin.overrides import LOOK_AGAIN_S
from admin.revisions import Pending
from proxy.telemetry.logging import get_logger

AGAIN_S: Final = 5.0
"""Until the next try, if a revision could not be taken back."""

_log = get_logger("admin.confirmation")


class Confirmation:
    """Looks at the clock as long as a revision is pending."""

    def __init__(self, memory: Memory, take_back: Callable[[Pending], Awaitable[None]]) -> None:
        """Let ``take_back`` do it; it may raise, and is tried again then."""
        self._memory: Final = memory
        self._take_back: Final = take_back
        self._timer: asyncio.TimerHandle | None = None
        self._taking_back: asyncio.Task[None] | None = None

    def watch(self, at_least_s: float = 0.0) -> None:
        """Begin anew with what is pending now, if anything is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending = self._memory.state.pending
        if pending is not None:
            # The clock of the wall may be set meanwhile.
            delay_s = min(max(pending.until - time.time(), at_least_s), LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)

    def close(self) -> None:
        """Take nothing back any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._taking_back is not None:
            self._taking_back.cancel()

    def _look(self) -> None:
        pending = self._memory.state.pending
        if pending is not None and pending.until <= time.time():
            loop = asyncio.get_running_loop()
            self._taking_back = loop.create_task(self._try(pending))
        else:
            self.watch()

    async def _try(self, pending: Pending) -> None:
        try:
            await self._take_back(pending)
        except Exception:  # noqa: BLE001 (whatever it is, nobody else will take it back)
            _log.exception("rollback_failed", revision=pending.revision, again_in_s=AGAIN_S)
            self.watch(AGAIN_S)
