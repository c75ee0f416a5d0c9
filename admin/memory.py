"""What a process remembers: the state, kept on disk record by record if there is a place for it.

Nothing counts before it is kept.  The disk is waited for in a thread of its own, so that however
slow it is, the traffic is not held up.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from admin.offloading import offload
from admin.records import Applied, Record
from admin.state import State
from admin.store import NotKeptError, Store
from proxy.telemetry.logging import get_logger

_log = get_logger("admin.memory")


class Memory:
    """The state, and the one way to change it; one event loop."""

    def __init__(self, store: Store | None = None) -> None:
        """Take up what the store has; without a store, what is remembered ends with the process.

        ``StateFolderError`` if the store cannot be read.
        """
        self._store: Final = store
        kept = None if store is None else store.load()
        self.found: Final = kept is not None
        """Whether there was a state to go on with."""
        self.state = State.fresh() if kept is None else kept.without_expired(time.time())
        self._lock: Final = asyncio.Lock()
        # One thread, as the store asks: its work is done in order.
        self._thread: Final = None if store is None else ThreadPoolExecutor(1, "state")

    async def keep(self, record: Record, *, come_what_may: bool = False) -> None:
        """Let something have happened.

        ``NotKeptError`` if the disk does not take it, and then it has not; unless it has to happen,
        ``come_what_may``: then it is kept with whatever is kept next.
        """
        async with self._lock:
            if self._store is None or self._thread is None:
                self.state = await offload(self._work(record), self.state.after, record)
                return
            loop = asyncio.get_running_loop()
            self.state = await loop.run_in_executor(
                self._thread, _keep, self._store, self.state, record, come_what_may
            )

    def _work(self, record: Record) -> int:
        """Return about how many octets of JSON are gone through for a record."""
        if not isinstance(record, Applied):
            return 0
        return len(record.delta) + max(entry.octets for entry in self.state.history.entries[:2])

    async def forget_expired(self, now: float) -> None:
        """Forget the overrides whose time is over.

        That needs no record: whoever reads one compares it with the clock.
        """
        async with self._lock:
            self.state = self.state.without_expired(now)

    def close(self) -> None:
        """Let the store go, once all that is to be kept is kept."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._store is not None:
            self._store.close()


def _keep(store: Store, state: State, record: Record, come_what_may: bool) -> State:
    after = state.after(record)
    try:
        store.append(record, after)
    except NotKeptError as error:
        if not come_what_may:
            raise
        store.behind()
        _log.error("state_not_kept", error=str(error))
    return after
