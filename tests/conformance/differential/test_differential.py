"""The whole table, row by row, and that every declared difference occurs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import pytest
import pytest_asyncio

from tests.conformance.differential.classes import DECLARED, reconcile
from tests.conformance.differential.pair import Pair, pair
from tests.conformance.differential.row import Row
from tests.conformance.differential.tables import rows
from tests.peers import Stage
from tests.peers.leaks import Watch
from tests.peers.nginx import beside_nginx

pytestmark = beside_nginx

ROWS: Final = rows()
FEWEST_ROWS: Final = 300

compared: Final[set[str]] = set()
"""Rows that were."""
occurred: Final[set[str]] = set()
"""Classes that made a difference."""


class Serving:
    """Both of them with one file at a time, for all rows in turn that are about it."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._conf = ""
        self._pair: Pair | None = None

    async def pair(self, conf: str) -> Pair:
        """Serve a file, if it is not served already."""
        if self._pair is None or conf != self._conf:
            await self.close()
            watch = Watch()
            self._stack.push_async_callback(watch.check)
            stage = Stage()
            self._stack.push_async_callback(stage.close)
            self._pair = await self._stack.enter_async_context(pair(stage, conf))
            self._conf = conf
        return self._pair

    async def close(self) -> None:
        """Serve nothing, and see that nothing is left."""
        self._pair = None
        await self._stack.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Serving]:
    serving = Serving()
    yield serving
    await serving.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_same_octets_give_the_same(serving: Serving, row: Row) -> None:
    both = await serving.pair(row.conf)
    ours, theirs = await both.observe(row)
    said = f"\n-- ours\n{ours}\n-- nginx\n{theirs}"
    found = reconcile(row, ours, theirs)
    assert ours == theirs, f"{said}\n-- differs beyond {sorted(found)}"
    compared.add(row.name)
    occurred.update(found)


def test_every_declared_difference_occurs() -> None:
    """A class that explains nothing any more has to go."""
    if len(compared) < len(ROWS):
        pytest.skip(f"only {len(compared)} of {len(ROWS)} rows were compared")
    assert [each.name for each in DECLARED if each.name not in occurred] == []


def test_table_is_large_and_its_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= FEWEST_ROWS
