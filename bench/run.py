"""CPU time per request beside nginx: ``python bench/run.py [http|websocket|all]``.

``README.md`` says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import nginx
from bench.load import Load, LoadError, varied, websockets, wrk
from bench.machine import cpu_seconds, described, stay_on_load_core
from bench.processes import Processes, StartError
from bench.proxies import BASELINE, PROXIES, Proxy
from bench.table import table

CONNECTIONS: Final = 64
WARM_UP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of load and the origin it is for."""

    name: str
    target: float
    """CPU time per request that hotsplice may take, as a multiple of nginx's."""
    origin: Callable[[Processes], str]
    generate: Callable[[str, int, float], Load]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One proxy in one round."""

    cpu_us: float
    """CPU time of the proxy per request, microseconds."""
    busy: float
    """Share of its core that it used: 1.0 says that the proxy was the limit."""
    rate: float
    p50_us: float
    p99_us: float


Rounds = dict[str, list[Measurement]]
"""By the name of the proxy, in the order in which they were measured."""


def echo_origin(processes: Processes) -> str:
    """Start the WebSocket echo; return its address."""
    _, ready_file = processes.start_python("echo", "bench.echo")
    addresses: list[str] = json.loads(ready_file.read_text())
    return addresses[0]


SCENARIOS: Final = {
    "http": Scenario("http", 2.0, nginx.origin, wrk),
    "varied": Scenario("varied", 2.0, nginx.origin, varied),
    "websocket": Scenario("websocket", 1.2, echo_origin, websockets),
}


def measure(scenario: Scenario, proxy: Proxy, seconds: float) -> Measurement:
    """Load one proxy; ``LoadError`` if anything failed."""
    before = cpu_seconds(proxy.pid)
    try:
        load = scenario.generate(proxy.address, CONNECTIONS, seconds)
    except LoadError as error:
        raise LoadError(f"{proxy.name}: {error}") from error
    cpu_s = cpu_seconds(proxy.pid) - before
    return Measurement(
        cpu_s / load.requests * 1e6, cpu_s / load.seconds, load.rate, load.p50_us, load.p99_us
    )


def check_same_work(proxies: Sequence[Proxy], origin: str) -> None:
    """See that every proxy sends the origin the same, and answers the same."""
    seen: dict[str, tuple[str, str | None, str | None]] = {}
    for proxy in proxies:
        fields = {"Host": "bench.test", "X-Plan": "gold", "X-Forwarded-For": "192.0.2.1"}
        request = urllib.request.Request(f"http://{proxy.address}/headers", headers=fields)
        with urllib.request.urlopen(request) as answer:
            served_by, kind = answer.headers["X-Served-By"], answer.headers["Content-Type"]
            seen[proxy.name] = (answer.read().decode(), served_by, kind)
        with urllib.request.urlopen(f"http://{proxy.address}/") as answer:
            if (answer.status, answer.read().decode()) != (200, nginx.BODY):
                raise LoadError(f"{proxy.name} does not pass the origin's answer on")
    if len(set(seen.values())) != 1 or "|paid|" not in seen[BASELINE][0]:
        raise LoadError(f"the proxies do different work: {seen}")


def run(scenario: Scenario, rounds: int, seconds: float) -> tuple[Load, Rounds]:
    """Measure the proxies in turn, A B A B …; return the load without a proxy, and the rounds."""
    with Processes() as processes:
        origin = scenario.origin(processes)
        proxies = [start(processes, origin) for start in PROXIES.values()]
        if scenario.name == "http":
            check_same_work(proxies, origin)
        direct = scenario.generate(origin, CONNECTIONS, WARM_UP_S)
        for proxy in proxies:
            scenario.generate(proxy.address, CONNECTIONS, WARM_UP_S)
        measured: Rounds = {proxy.name: [] for proxy in proxies}
        for _ in range(rounds):
            for proxy in proxies:
                measured[proxy.name].append(measure(scenario, proxy, seconds))
        return direct, measured


def ratios(measured: Rounds, name: str) -> list[float]:
    """Divide a proxy's CPU time by the baseline's, round by round."""
    pairs = zip(measured[name], measured[BASELINE], strict=True)
    return [one.cpu_us / base.cpu_us for one, base in pairs]


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{min(values):.{digits}f}-{max(values):.{digits}f}"


def show(direct: Load, measured: Rounds) -> str:
    """Lay out medians over the rounds, with the smallest and the largest."""
    heads = ("proxy", "CPU us/request", "min-max", f"x {BASELINE}", "min-max",
             "requests/s", "p50 us", "p99 us", "core used")  # fmt: skip
    rows = [
        (
            name,
            f"{statistics.median(one.cpu_us for one in found):.1f}",
            _spread([one.cpu_us for one in found], 1),
            f"{statistics.median(ratios(measured, name)):.2f}",
            _spread(ratios(measured, name), 2),
            f"{statistics.median(one.rate for one in found):.0f}",
            f"{statistics.median(one.p50_us for one in found):.0f}",
            f"{statistics.median(one.p99_us for one in found):.0f}",
            f"{statistics.median(one.busy for one in found):.0%}",
        )
        for name, found in measured.items()
    ]
    without = f"{direct.rate:.0f}", f"{direct.p50_us:.0f}", f"{direct.p99_us:.0f}"
    return table(heads, [*rows, ("(no proxy)", "", "", "", "", *without, "")])


def report(scenario: Scenario, direct: Load, measured: Rounds) -> dict[str, Any]:
    """Return everything that was measured, for JSON."""
    return {
        "target": scenario.target,
        "direct": asdict(direct),
        "rounds": {name: [asdict(one) for one in found] for name, found in measured.items()},
        "ratios": {name: ratios(measured, name) for name in measured},
    }


def main() -> int:
    """Run the scenarios asked for; 1 if one could not be measured or missed its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="?", choices=[*SCENARIOS, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    arguments = parser.parse_args()
    stay_on_load_core()
    wanted = SCENARIOS if arguments.scenario == "all" else {arguments.scenario}
    reports: dict[str, Any] = {"machine": described()}
    print(*(f"{what}: {how}" for what, how in described().items()), sep="\n", end="\n\n")
    missed = False
    for scenario in (SCENARIOS[name] for name in wanted):
        try:
            direct, measured = run(scenario, arguments.rounds, arguments.seconds)
        except (LoadError, StartError) as error:
            print(f"{scenario.name}: {error}", file=sys.stderr)
            return 1
        ratio = statistics.median(ratios(measured, "hotsplice"))
        missed = missed or ratio > scenario.target
        verdict = "met" if ratio <= scenario.target else "MISSED"
        print(f"{scenario.name}: {CONNECTIONS} connections, {arguments.rounds} rounds of "
              f"{arguments.seconds:g} s; target x {scenario.target}: {verdict}")  # fmt: skip
        print(show(direct, measured), end="\n\n", flush=True)
        reports[scenario.name] = report(scenario, direct, measured)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(reports, indent=2) + "\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
