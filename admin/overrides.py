"""Overrides: operational state of endpoints beside the document, each for a time.

An override beats the document, whoever owns the endpoint; it survives changes of the document and
restarts, waits for an endpoint that is gone, and ends by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from admin.events import Events
from admin.memory import Memory
from admin.offloading import completed
from admin.plane import DataPlane
from admin.records import Overridden, Override
from proxy.errors import SpecError
from proxy.spec import OverrideSpec
from proxy.telemetry.logging import get_logger

MOST: Final = 1_000
"""Overrides at a time."""

LOOK_AGAIN_S: Final = 30.0
"""No timer runs longer: the clock of the wall may be set meanwhile."""

_log = get_logger("admin.overrides")


class TooManyOverridesError(Exception):
    """There are ``MOST`` already."""


class Overrides:
    """All overrides, and what becomes of them."""

    def __init__(self, server: DataPlane, memory: Memory, events: Events) -> None:
        self._server: Final = server
        self._events: Final = events
        self._memory: Final = memory
        self._lock: Final = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._expiring: asyncio.Task[None] | None = None

    def all(self) -> tuple[Override, ...]:
        """Return those whose time is not over, also of endpoints that are gone."""
        now = time.time()
        return tuple(one for one in self._memory.state.overrides.values() if one.until > now)

    def find(self, pool: str, endpoint: str) -> Override | None:
        """Return the override of an endpoint, if it has one."""
        found = self._memory.state.overrides.get((pool, endpoint))
        return found if found is not None and found.until > time.time() else None

    async def begin(self) -> None:
        """Let those that were kept be in force, before anything serves."""
        if self.all():
            await self._serve(self.all())
            self._arm()

    async def put(self, override: Override) -> None:
        """Set or replace an override, in force when this returns.

        ``SpecError`` if the pool cannot be so, ``NotKeptError``, ``TooManyOverridesError``.
        """
        if len(self.all()) >= MOST and self.find(*override.key) is None:
            raise TooManyOverridesError
        await completed(self._change(override.key, override, override.author))
        _log.info(
            "override_set",
            pool=override.pool,
            endpoint=override.endpoint,
            state=override.state,
            weight=override.weight,
            until=override.until,
            author=override.author,
            note=override.note,
        )

    async def remove(self, pool: str, endpoint: str, author: str) -> None:
        """End an override before its time; ``SpecError``, ``NotKeptError``."""
        await completed(self._change((pool, endpoint), None, author))
        _log.info("override_removed", pool=pool, endpoint=endpoint, author=author)

    def close(self) -> None:
        """Look at no clock any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._expiring is not None:
            self._expiring.cancel()

    async def _change(self, key: tuple[str, str], override: Override | None, author: str) -> None:
        async with self._lock:
            wanted = [one for one in self.all() if one.key != key]
            if override is not None:
                wanted.append(override)
            await self._serve(wanted, Overridden(*key, override))
            if override is None:
                pool, endpoint = key
                self._events.emit(
                    "override", what="removed", pool=pool, endpoint=endpoint, author=author
                )
            else:
                self._events.emit("override", what="set", **asdict(override))
            self._arm()

    async def _serve(self, wanted: Iterable[Override], record: Overridden | None = None) -> None:
        prepared = await self._server.prepare_overrides(_specs(wanted))
        if record is not None:
            try:
                await self._memory.keep(record)
            except BaseException:
                prepared.discard()
                raise
        prepared.publish()

    def _arm(self, at_least_s: float = 0.0) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kept = self._memory.state.overrides.values()
        if kept:
            left_s = min(one.until for one in kept) - time.time()
            delay_s = min(max(left_s, at_least_s), LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look(self) -> None:
        if len(self.all()) == len(self._memory.state.overrides):
            self._arm()
        else:
            self._expiring = asyncio.get_running_loop().create_task(self._expire())

    async def _expire(self) -> None:
        async with self._lock:
            now = time.time()
            over = [one for one in self._memory.state.overrides.values() if one.until <= now]
            try:
                await self._serve([one for one in self.all() if one not in over])
            except SpecError as error:
                # The pool was changed to what it cannot be without the override.
                _log.error("override_not_ended", error=str(error), again_in_s=LOOK_AGAIN_S)
                self._arm(LOOK_AGAIN_S)
                return
            await self._memory.forget_expired(now)
            self._arm()
        for one in over:
            _log.info("override_expired", pool=one.pool, endpoint=one.endpoint, state=one.state)
            self._events.emit("override", what="expired", **asdict(one))


def _specs(overrides: Iterable[Override]) -> dict[str, dict[str, OverrideSpec]]:
    specs: dict[str, dict[str, OverrideSpec]] = {}
    for one in overrides:
        by_endpoint = specs.setdefault(one.pool, {})
        by_endpoint[one.endpoint] = OverrideSpec(state=one.state, weight=one.weight)
    return specs
