"""When Python's garbage collector looks for cycles: nobody is served while it does.

Requests make no cycles, nor do changes, so there is hardly anything to find.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

THRESHOLD: Final = (10_000, 3, 150)
"""With Python's default of 700 the collector runs once for every few dozen requests under way, and
finds nothing; at 2,000 what is remembered of paths and routes makes it run, at the expense of
requests.  At 10,000 objects it takes some 3 ms, for those of the middle generation, four times as
many, some 10 ms.  All are looked at once for 6 million that stayed."""

MANY: Final = 250_000
"""New objects that large documents may have made before the collector looks: those of 20,000
endpoints or routes.  Nearly all take the place of others, and when those are gone there is nothing
to look at; until then, a change of 10,000 endpoints would be looked at ten times."""

WAITS_S: Final = 1.0
"""So long after work on a large document the collector goes back to its rest."""

_waiting: asyncio.TimerHandle | None = None


def settle() -> None:
    """Take what stays for ever out of the collector's way, and let it look rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLD)


def wait() -> None:
    """Have the collector wait while a large document is worked on, and ``WAITS_S`` longer."""
    global _waiting
    if _waiting is not None:
        _waiting.cancel()
    _, *older = gc.get_threshold()
    gc.set_threshold(MANY, *older)
    _waiting = asyncio.get_running_loop().call_later(WAITS_S, _go_on)


def _go_on() -> None:
    global _waiting
    _waiting = None
    gc.set_threshold(*THRESHOLD)
