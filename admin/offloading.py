"""Work that would hold up the traffic on the event loop goes to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

INLINE_BYTES: Final = 64 * 1024
"""What is smaller is worked on where it stands (at 64 KiB, some 5 ms); what is larger would hold up
the traffic on the same event loop, and goes to a thread.  A thread costs its start and the wait for
the interpreter lock, which a small document does not repay."""


async def offload(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on about ``size`` octets of JSON, in a thread if that is a lot."""
    if size <= INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def completed(work: Coroutine[Any, Any, T]) -> T:
    """Do work that must not be left half done: who is cancelled waits for its end first."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 (raised below)
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # is seen; who asked does not ask any more
        raise cancelled
    return task.result()
