"""Work that would hold up the traffic on the event loop: done in a thread, or in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from time import perf_counter
from typing import Any, Final, Generic, ParamSpec, TypeVar

from admin import collector
from proxy.background import in_background

P = ParamSpec("P")
T = TypeVar("T")

INLINE_BYTES: Final = 64 * 1024
"""What is smaller is worked on where it stands (at 64 KiB, some 5 ms); what is larger would hold up
the traffic on the same event loop, and goes to a thread.  A thread costs its start and the wait for
the interpreter lock, which a small document does not repay."""

SHORT_S: Final = 0.000_1
LONG_S: Final = 0.001
"""For so long at least, and at most, ``in_turns`` keeps the traffic waiting, in seconds."""

Pieces = Generator[None, None, T]
"""Work that yields wherever something else may be done first, and returns its result."""


class Piecewise(Generic[P, T]):
    """A function that can be done in pieces; to call it does all of them at once."""

    def __init__(self, pieces: Callable[P, Pieces[T]]) -> None:
        self.pieces: Final = pieces

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do all of it."""
        pieces = self.pieces(*args, **kwargs)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                result: T = end.value
                return result


async def offload(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on about ``size`` octets of JSON, in a thread if that is a lot.

    If it is little, the traffic goes on after it, and between its pieces.
    """
    if size > INLINE_BYTES:
        collector.wait()
        return await in_background(work, *args, **kwargs)
    if isinstance(work, Piecewise):
        pieces: Pieces[T] = work.pieces(*args, **kwargs)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                result: T = end.value
                break
            await give_way()
    else:
        result = work(*args, **kwargs)
    await give_way()
    return result


async def give_way() -> None:
    """Let the traffic go on that has come meanwhile."""
    await asyncio.sleep(0)


async def in_turns(pieces: Iterable[T]) -> list[T]:
    """Collect what is made in small pieces, and let the traffic go on whenever it was kept waiting.

    The busier the loop, the more is done at a time: a fifth of it goes to this work.
    """
    made: list[T] = []
    until = perf_counter() + SHORT_S
    for piece in pieces:
        made.append(piece)
        now = perf_counter()
        if now >= until:
            await give_way()
            back = perf_counter()
            until = back + min(max(SHORT_S, (back - now) / 4), LONG_S)
    return made


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
