"""Every configuration beside nginx: the same requests to both, and everything compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import pytest
import pytest_asyncio

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.conformance.differential.classes import reconcile
from tests.conformance.differential.pair import Pair, Play
from tests.conformance.differential.row import Row
from tests.peers import Stage
from tests.peers.leaks import Watch
from tests.peers.nginx import beside_nginx, running
from tests.real_configurations.asking import REQUESTS
from tests.real_configurations.placing import SERVERS, Placed, for_nginx, place

pytestmark = beside_nginx

FEWEST: Final = 150


class Serving:
    """hotsplice and nginx with one configuration at a time, and the same origins behind them."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._name = ""

    async def pair(self, name: str, listen: str) -> Pair:
        """Serve a configuration, if it is not served already."""
        if name != self._name:
            await self.close()
            await self._serve(name)
            self._name = name
        ours, theirs = (placed.socket(listen) for placed in (self._ours, self._theirs))
        return Pair(ours, theirs, self._origins, self._play)

    async def _serve(self, name: str) -> None:
        watch, stage, self._play = Watch(), Stage(), Play()
        self._stack.push_async_callback(watch.check)
        self._stack.push_async_callback(stage.close)
        self._origins = [stage.origin(self._play) for _ in SERVERS[name]]
        servers = dict(zip(SERVERS[name], (each.address for each in self._origins), strict=True))
        folder = stage.path("x").parent
        self._ours, self._theirs = (place(name, folder / who, servers) for who in ("us", "nginx"))
        for_nginx(self._theirs)
        await stage.serve(to_spec(validate(import_nginx(self._ours.conf).document)))
        await self._stack.enter_async_context(running(self._theirs.conf))

    async def close(self) -> None:
        """Serve nothing, and see that nothing is left."""
        self._name = ""
        await self._stack.aclose()

    _ours: Placed
    _theirs: Placed
    _play: Play


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Serving]:
    serving = Serving()
    yield serving
    await serving.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "listen", "row"), REQUESTS, ids=[row.name.replace("|", "") for _, _, row in REQUESTS]
)
async def test_request_has_the_same_outcome(
    serving: Serving, name: str, listen: str, row: Row
) -> None:
    both = await serving.pair(name, listen)
    *mine, theirs = await both.observe(row)
    for times, ours in zip((3, 1), reversed(mine), strict=True):
        said = f"\n-- ours, time {times}\n{ours}\n-- nginx\n{theirs}"
        found = reconcile(row, ours, theirs)
        assert ours == theirs, f"{said}\n-- differs beyond {sorted(found)}"


def test_table_is_about_every_configuration() -> None:
    assert {name for name, _, _ in REQUESTS} == SERVERS.keys()
    assert len(REQUESTS) >= FEWEST
