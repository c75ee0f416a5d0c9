"""What every test runs on: uvloop, as in production, and a stage that proves nothing leaked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.peers import Stage
from tests.peers.leaks import Watch


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every asynchronous test on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def no_leaks() -> AsyncIterator[Watch]:
    """Fail a test that leaves a socket or a task behind, or whose callbacks raised unseen."""
    watch = Watch()
    yield watch
    await watch.check()


@pytest.fixture
async def stage(no_leaks: Watch) -> AsyncIterator[Stage]:
    """Make origins, clients and servers that are closed and checked at the end."""
    stage = Stage()
    yield stage
    await stage.close()
