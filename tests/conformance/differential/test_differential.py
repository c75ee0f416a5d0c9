"""The whole table, row by row, and that every declared difference occurs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import deepcopy
from itertools import pairwise
from typing import Final

import pytest
import pytest_asyncio

from tests.conformance.differential.classes import RULES, reconcile
from tests.conformance.differential.observation import Message, Side
from tests.conformance.differential.pair import Pair, pair
from tests.conformance.differential.row import Row
from tests.conformance.differential.tables import rows
from tests.peers import Stage
from tests.peers.leaks import Watch
from tests.peers.nginx import beside_nginx

pytestmark = beside_nginx

ROWS: Final = rows()
FEWEST_ROWS: Final = 300
MOST_CLASSES: Final = 19
"""Another reason to differ has to be a better one than one of these."""

compared: Final[dict[str, tuple[Side, Side]]] = {}
"""Rows that were, with what was seen of either."""
occurred: Final[set[str]] = set()
"""Forms of declared differences that were seen."""


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
    *mine, theirs = await both.observe(row)
    for times, ours in zip((3, 1), reversed(mine), strict=True):
        seen = deepcopy((ours, theirs))
        said = f"\n-- ours, time {times}\n{ours}\n-- nginx\n{theirs}"
        found = reconcile(row, ours, theirs)
        assert ours == theirs, f"{said}\n-- differs beyond {sorted(found)}"
    compared[row.name] = seen
    occurred.update(found)


def test_every_declared_difference_occurs() -> None:
    """A rule that finds nothing any more has to go."""
    if len(compared) < len(ROWS):
        pytest.skip(f"only {len(compared)} of {len(ROWS)} rows were compared")
    assert [name for name, _ in RULES if name not in occurred] == []


@pytest.mark.parametrize("change", ["case", "double", "swap", "value", "body", "start"])
def test_rules_forgive_nothing_else(change: str) -> None:
    """Whatever else becomes of a message of ours is a difference, with all rules in force."""
    if len(compared) < len(ROWS):
        pytest.skip(f"only {len(compared)} of {len(ROWS)} rows were compared")
    forgiven, tried = [], 0
    for row in ROWS[::SAMPLE]:
        ours, theirs = compared[row.name]
        for number in range(len(_comparable(ours, theirs))):
            mine, yours = deepcopy((ours, theirs))
            if _changed(_comparable(mine, yours)[number], change):
                tried += 1
                reconcile(row, mine, yours)
                if mine == yours:
                    forgiven.append(f"{row}, message {number}")
    assert tried > len(ROWS) / SAMPLE / 2
    assert forgiven == []


SAMPLE: Final = 4
"""Of so many rows one is tried with changes."""

MOVABLE: Final = {b"content-type", b"content-length", b"location", b"date", b"etag",
                  b"last-modified", b"x-always", b"x-http-host", b"connection"}  # fmt: skip
"""Fields whose place is what a rule is about."""


def _comparable(ours: Side, theirs: Side) -> list[Message]:
    """Return our messages, but for those behind the end of a connection with nginx."""
    seen = zip(ours.seen, theirs.seen, strict=False)
    return [
        *ours.replies[: len(theirs.replies)],
        *(mine for many, others in seen for mine, _ in zip(many, others, strict=False)),
    ]


def _changed(message: Message, change: str) -> bool:
    """Change one thing; tell whether there was one."""
    fields = message.fields
    if change == "body":
        message.body += b"x"
    elif change == "start":
        message.start += b"x"
    elif not fields:
        return False
    elif change == "case":
        fields[-1] = (fields[-1][0].swapcase(), fields[-1][1])
    elif change == "double":
        fields.append(fields[-1])
    elif change == "value":
        fields[-1] = (fields[-1][0], fields[-1][1] + b"x")
    else:
        names = [name.lower() for name, _ in fields]
        for place, (one, other) in enumerate(pairwise(names)):
            if not {one, other} & MOVABLE and one != other:
                fields[place], fields[place + 1] = fields[place + 1], fields[place]
                return True
        return False
    return True


def test_classes_are_few() -> None:
    assert len({name.partition(":")[0] for name, _ in RULES}) <= MOST_CLASSES


def test_table_is_large_and_its_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= FEWEST_ROWS
