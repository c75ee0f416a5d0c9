"""hotsplice beside other proxies: ``python bench/run.py [SCENARIO …]``.

``README.md`` says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import chart
from bench.machine import claim, described
from bench.measure import FAILURES, Outcome, Scenario, Tell, measure
from bench.peers import BASELINE, PEERS
from bench.peers.hotsplice import PEER as HOTSPLICE
from bench.peers.peer import MissingError, Peer
from bench.processes import ROOT, StartError
from bench.report import Results, between_markers, outcome_table, preamble, readme, verdict_table
from bench.scenarios import SCENARIOS
from bench.targets import verdicts

CHART: Final = "docs/bench.svg"
OURS: Final = HOTSPLICE.name

QUICK_S: Final = 0.125
"""How long a sample is with ``--quick``, at most; generators have a least time of their own."""


def options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--peers", default="all", help=f"of {', '.join(PEERS)}; commas between")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each sample")
    parser.add_argument("--quick", action="store_true", help="the main rows, beside nginx only")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    parser.add_argument("--chart", type=Path, help="write the chart to this file")
    parser.add_argument("--readme", action="store_true", help=f"write into README and {CHART}")
    parser.add_argument("--from", type=Path, dest="source", help="measure nothing: read this JSON")
    found = parser.parse_args(words)
    if found.rounds < 1 or found.seconds <= 0:
        parser.error("there must be a round of some length")
    if found.quick:
        found.scenarios = found.scenarios or [n for n, one in SCENARIOS.items() if one.quick]
        found.peers = f"{BASELINE},{OURS}" if found.peers == "all" else found.peers
        found.rounds = min(found.rounds, 2)
        found.seconds = min(found.seconds, QUICK_S)
    found.scenarios = found.scenarios or list(SCENARIOS)
    found.peers = list(PEERS) if found.peers == "all" else found.peers.split(",")
    for name in {*found.scenarios} - {*SCENARIOS}:
        parser.error(f"there is no scenario {name}: {', '.join(SCENARIOS)}")
    for name in {*found.peers} - {*PEERS}:
        parser.error(f"there is no peer {name}: {', '.join(PEERS)}")
    return found


def run(
    scenarios: Iterable[str],
    peers: Iterable[str],
    rounds: int,
    seconds: float,
    save: Callable[[Results], object],
) -> Results:
    """Measure; print each scenario, and save all so far, as it is done."""
    versions, missing, there = {}, {}, list[Peer]()
    for name in peers:
        try:
            peer = PEERS[name]
            versions[name] = peer.version() + (f" (without {peer.lacks})" if peer.lacks else "")
            there.append(peer)
        except MissingError as error:
            missing[name] = str(error)
    results = Results(described(), versions, missing, BASELINE, OURS, rounds, seconds)
    print(preamble(results), end="\n\n", flush=True)
    for name in scenarios:
        started = time.monotonic()
        results.outcomes[name] = outcome = _measured(SCENARIOS[name], there, rounds, seconds)
        save(results)
        print(outcome_table(results, outcome))
        print(f"took {time.monotonic() - started:.0f} s", end="\n\n", flush=True)
    return results


def _measured(scenario: Scenario, peers: Sequence[Peer], rounds: int, seconds: float) -> Outcome:
    """Measure a scenario; what fails before any proxy is measured fails for all."""
    tell = _tell(scenario.name)
    try:
        return measure(scenario, peers, rounds, seconds, tell)
    except FAILURES as error:
        outcome = Outcome(scenario.name, scenario.title, scenario.figure)
        for peer in scenario.asked(peers):
            outcome.without(peer.name, StartError(str(error)))
        return outcome
    finally:
        tell("")


def _tell(name: str) -> Tell:
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda what: print(f"\r\033[K{name}: {what}" if what else "\r\033[K", end="",
                              file=sys.stderr, flush=True)  # fmt: skip


def failed(outcomes: Iterable[Outcome]) -> list[str]:
    """Return what failed, in words."""
    return [
        f"{outcome.name}: {name} failed: {outcome.absent[name]}"
        for outcome in outcomes
        for name in outcome.failed
    ]


def _save(file: Path | None, results: Results) -> None:
    if file is not None:
        file.write_text(json.dumps(results.json(), indent=1) + "\n")


def main() -> int:
    """Measure and report; 1 if something failed, or hotsplice missed a target of stage 1."""
    chosen = options()
    if chosen.source is None:
        claim()
        save = partial(_save, chosen.json)
        results = run(chosen.scenarios, chosen.peers, chosen.rounds, chosen.seconds, save)
    else:
        results = Results.read(json.loads(chosen.source.read_text()))
        _save(chosen.json, results)
    found = verdicts(results.outcomes, OURS, BASELINE, results.outcomes)
    if found:
        print(verdict_table(found))
    drawing = chart.draw(results)
    if chosen.chart is not None:
        chosen.chart.write_text(drawing)
    if chosen.readme:
        (ROOT / CHART).write_text(drawing)
        page = ROOT / "README.md"
        page.write_text(between_markers(page.read_text(), readme(results, found, CHART)))
    faults = failed(results.outcomes.values())
    for fault in faults:
        print(fault, file=sys.stderr)
    return int(bool(faults) or not all(one.met[0] for one in found))


if __name__ == "__main__":
    sys.exit(main())
