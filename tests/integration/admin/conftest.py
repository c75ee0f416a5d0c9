"""An upstream, and a client that speaks to the real process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from admin.demo import ANYWHERE, echo
from admin.listening import listening


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
async def blue() -> AsyncIterator[str]:
    """Give the address of an echo server."""
    async with listening(echo("blue"), ANYWHERE) as address:
        yield address
