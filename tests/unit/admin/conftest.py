"""The control plane over a fake data plane, and a client of its API."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestClient

from admin.api.application import application
from admin.api.auth import Guard, Tokens
from admin.controller import Controller
from admin.revisions import Origin
from proxy.addresses import parse_address
from tests.unit.admin.plane import DOCUMENT, FakePlane

Client: TypeAlias = TestClient[Any, Any]
Connect: TypeAlias = Callable[..., Awaitable[Client]]


@pytest.fixture
async def plane() -> FakePlane:
    return FakePlane()


@pytest.fixture
async def controller(plane: FakePlane) -> AsyncIterator[Controller]:
    """Serve ``DOCUMENT`` as revision 1."""
    controller = Controller(plane)
    await controller.read(lambda: DOCUMENT, Origin("file", "hotsplice"))
    yield controller
    controller.close()


@pytest.fixture
def counts() -> Counter[int]:
    return Counter()


@pytest.fixture
def connect(
    aiohttp_client: AiohttpClient, plane: FakePlane, controller: Controller, counts: Counter[int]
) -> Connect:
    """Make a client of an API that is guarded as one bound to ``address`` would be."""

    async def make(address: str = "127.0.0.1:9901", tokens: Tokens | None = None) -> Client:
        guard = Guard(parse_address(address), tokens)
        return await aiohttp_client(application(controller, plane, guard, counts))

    return make


@pytest.fixture
async def client(connect: Connect) -> Client:
    """Reach the API on loopback with ``--admin-auth off``."""
    return await connect()
