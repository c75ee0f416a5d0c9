"""Results that nobody measured."""

from __future__ import annotations

from bench.measure import Outcome, Sample
from bench.report import Results


def outcome(name: str = "get_64", figure: str = "cpu_us", **samples: list[float]) -> Outcome:
    """Return one with a figure by proxy and round."""
    rounds: dict[str, list[Sample]] = {
        proxy: [{figure: one} for one in found] for proxy, found in samples.items()
    }
    return Outcome(name, "small <GET>", figure, rounds)


def results(*outcomes: Outcome, missing: dict[str, str] | None = None) -> Results:
    """Return a run of nginx and hotsplice."""
    versions = {"nginx": "1.22.1", "hotsplice": "0.1.0"}
    about = {"machine": "two cores", "date": "one day"}
    found = Results(about, versions, missing or {}, "nginx", "hotsplice", 3, 1.0)
    found.outcomes = {one.name: one for one in outcomes}
    return found
