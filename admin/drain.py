"""The drain of the process, as operators start, watch and undo it: by REST, or by a signal.

Started by REST it ends nothing: the process goes on, drained, until it is told to stop or the drain
is undone.  A signal to stop joins it, and from then on nobody undoes it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Literal

from admin.events import Events
from admin.plane import DataPlane
from proxy.drains import DrainProgress, DrainState
from proxy.telemetry.logging import get_logger

DRAIN_S: Final = 25.0
ACCEPT_S: Final = 5.0
"""What ``--drain-timeout`` and ``--drain-accept`` are by default, in seconds."""

State = Literal["serving", "draining", "drained"]

_log = get_logger("admin.drain")


class StoppingError(Exception):
    """The process has been told to stop."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A drain that was started."""

    since: float
    """Seconds since 1970."""
    accepting_until: float
    until: float
    """What is left is cut then."""
    author: str
    """A token's name, ``unix``, ``anonymous`` or ``hotsplice`` itself, for a signal."""
    note: str | None


def tell_of_drain(events: Events, state: DrainState, progress: DrainProgress) -> None:
    """Tell whoever listens how far a drain of some connections is."""
    order = progress.order
    events.emit(
        "drain",
        name=progress.name,
        state=state,
        remaining=progress.remaining,
        author=order.author,
        note=order.note,
        selected=progress.selected,
    )


class ProcessDrain:
    """The one drain that there can be."""

    def __init__(
        self, server: DataPlane, events: Events, *, timeout_s: float, accept_s: float
    ) -> None:
        self._server: Final = server
        self._events: Final = events
        self._timeout_s: Final = timeout_s
        self._accept_s: Final = accept_s
        self._lock: Final = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self.begun: Begun | None = None
        """The drain that is under way or done."""
        self.done = False
        self.stopping = False
        """Whether the process ends with it."""

    @property
    def state(self) -> State:
        """How far it is."""
        if self.begun is None:
            return "serving"
        return "drained" if self.done else "draining"

    @property
    def remaining(self) -> int:
        """Client connections that it waits for."""
        return self._server.remaining if self.begun is not None else 0

    def start(self, author: str, note: str | None = None) -> None:
        """Start it; if it has been started, nothing happens."""
        if self.begun is not None:
            return
        now = time.time()
        accept_s = min(self._accept_s, self._timeout_s)
        self.begun = Begun(now, now + accept_s, now + self._timeout_s, author, note)
        remaining = self._server.remaining
        _log.info(
            "draining",
            timeout_s=self._timeout_s,
            accept_s=self._accept_s,
            remaining=remaining,
            author=author,
            note=note,
        )
        self._server.drain(timeout_s=self._timeout_s, accept_s=self._accept_s)
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        self._tell(remaining)

    def stop(self) -> None:
        """Start or join it, to end the process with it."""
        self.stopping = True
        self.start("hotsplice", "a signal")

    async def undo(self, author: str) -> None:
        """Accept again.  ``OSError`` if an address is taken, and then it goes on.

        ``StoppingError`` if the process is about to end.
        """
        async with self._lock:
            if self.stopping:
                raise StoppingError
            if self.begun is None:
                return
            await self._server.undrain()
            if self._watching is not None:
                self._watching.cancel()
            self.begun, self.done, self._watching = None, False, None
            _log.info("drain_undone", author=author)
            self._tell(0, author)
            if self.stopping:  # the signal came while it was being undone
                self.start("hotsplice", "a signal")

    async def wait(self, most_s: float) -> None:
        """Return when it is done, or undone, or none is under way; or after that time."""
        deadline = asyncio.get_running_loop().time() + most_s
        try:
            async with asyncio.timeout_at(deadline):
                while self.state == "draining":
                    await self._moved.wait()
        except TimeoutError:
            return

    def close(self) -> None:
        """Watch it no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        await self._server.drained()
        self.done = True
        _log.info("drained")
        self._tell(self._server.remaining)

    def _tell(self, remaining: int, author: str | None = None) -> None:
        """Wake who waits for a change, and tell who listens."""
        self._moved.set()
        self._moved = asyncio.Event()
        begun = self.begun
        self._events.emit(
            "drain",
            name=None,
            state=self.state,
            remaining=remaining,
            author=author if begun is None else begun.author,
            note=None if begun is None else begun.note,
        )
