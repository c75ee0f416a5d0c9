"""All rows, topic by topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.conformance.differential.row import Row
from tests.conformance.differential.tables.answers import own_answers
from tests.conformance.differential.tables.bodies import bodies
from tests.conformance.differential.tables.captures import captures
from tests.conformance.differential.tables.headers import headers
from tests.conformance.differential.tables.hosts import hosts
from tests.conformance.differential.tables.locations import locations
from tests.conformance.differential.tables.maps import maps
from tests.conformance.differential.tables.oddities import oddities
from tests.conformance.differential.tables.pipelines import pipelines
from tests.conformance.differential.tables.responses import responses
from tests.conformance.differential.tables.rewriting import rewriting
from tests.conformance.differential.tables.seeds import seeds
from tests.conformance.differential.tables.upgrades import upgrades

TOPICS: Final[tuple[Callable[[], Iterator[Row]], ...]] = (
    seeds,
    locations,
    maps,
    headers,
    hosts,
    bodies,
    responses,
    upgrades,
    pipelines,
    oddities,
    rewriting,
    captures,
    own_answers,
)


def rows() -> list[Row]:
    """Return the whole table; rows about one file stand together."""
    made = [row for topic in TOPICS for row in topic()]
    confs = list(dict.fromkeys(row.conf for row in made))
    return sorted(made, key=lambda row: confs.index(row.conf))
