"""What is measured: a module for each kind of load.  Another row is another ``Scenario``."""

from __future__ import annotations

from typing import Final

from bench.measure import Scenario
from bench.scenarios import bodies, changes, footprint, http, scrape, websocket

SCENARIOS: Final[dict[str, Scenario]] = {
    one.name: one
    for module in (http, bodies, websocket, footprint, changes, scrape)
    for one in module.SCENARIOS
}
"""In the order of the tables."""
