"""Bounded waits: each one says what it waited for when it gives up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

LIMIT_S: Final = 10.0
"""How long any single wait may take before the test fails, in seconds."""

TURNS: Final = 8
"""Turns of the event loop within which bytes written on loopback are read and acted upon."""

T = TypeVar("T")


async def within(wait: Awaitable[T], what: str, limit_s: float = LIMIT_S) -> T:
    """Await ``wait``; an ``AssertionError`` naming ``what`` after ``limit_s`` seconds."""
    try:
        async with asyncio.timeout(limit_s):
            return await wait
    except TimeoutError:
        raise AssertionError(f"waited {limit_s} s for {what}") from None


async def _turn(delay_s: float = 0.0) -> None:
    """Let the event loop go round once, polling its sockets."""
    loop = asyncio.get_running_loop()
    turned = asyncio.Event()
    loop.call_later(delay_s, turned.set)
    await turned.wait()


async def settle(turns: int = TURNS) -> None:
    """Let everything already written be delivered and acted upon.

    All peers and the proxy share one event loop and the loopback interface delivers at once, so a
    few turns are enough.  This is for "and nothing came of it", never for "until it came".
    """
    for _ in range(turns):
        await _turn()


async def eventually(
    condition: Callable[[], object], what: str | Callable[[], str], limit_s: float = LIMIT_S
) -> None:
    """Look at ``condition`` turn by turn until it holds; for state that announces no change."""
    deadline = time.monotonic() + limit_s
    pause_s = 0.0
    while not condition():
        if time.monotonic() > deadline:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {limit_s} s for {said}")
        await _turn(pause_s)
        pause_s = min(pause_s + 0.0005, 0.01)
