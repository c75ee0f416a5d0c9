"""Results as text, as JSON and as a part of README.  Pure, but for the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.figures import FIGURES, limited, ratios, spread, values
from bench.measure import Outcome
from bench.table import table
from bench.targets import Verdict

BEGIN: Final = "<!-- bench:begin -->"
END: Final = "<!-- bench:end -->"


OTHERS: Final = (
    ("10,000 routes and endpoints, in proportion to 1 and 1", "grown", "growth"),
    ("{title}: in proportion", "crowded", "growth"),
    ("an access-log line, us", "logged", "added_us"),
    ("{title}: KB each", "idle", "tunnel_kb"),
    ("start to ready, ms", "start", "ready_ms"),
    ("resident memory then, MB", "start", "idle_mb"),
    *(
        (f"{endpoints} endpoints replaced {times} a second: {what}", scenario, figure)
        for endpoints, times, scenario in (("10", "100", "swap_10"), ("10,000", "2", "swap_10k"))
        for what, figure in (
            ("p99 added, ms", "added_p99_ms"),
            ("failed requests", "failed"),
            ("dropped WebSockets", "dropped"),
            ("processes at the end", "processes"),
            ("resident memory at the end, MB", "resident_mb"),
        )
    ),
)
"""Rows of README that are no ratios: what, of which scenario, which figure."""

_BELOW: Final = frozenset(scenario for _, scenario, _ in OTHERS)


@dataclass(slots=True)
class Results:
    """A whole run."""

    about: dict[str, str]
    """The machine, the interpreter, the date."""
    versions: dict[str, str]
    missing: dict[str, str]
    """Who is not installed, and why it is thought so."""
    baseline: str
    ours: str
    rounds: int
    seconds: float
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return all of it as what JSON can say, and what follows of it for those who read it."""
        return asdict(self) | {"summary": {name: self._summary(name) for name in self.outcomes}}

    def _summary(self, scenario: str) -> dict[str, Any]:
        """Return of each proxy and figure the median, and the ratio to the baseline, with ends."""
        outcome = self.outcomes[scenario]
        found: dict[str, Any] = {}
        for name in outcome.samples:
            found[name] = {}
            for head, figure in FIGURES.items():
                if seen := values(outcome, name, head):
                    found[name][head] = asdict(spread(seen))
                    shares = ratios(outcome, name, self.baseline, head)
                    if figure.compared and shares:
                        found[name][head]["ratio"] = asdict(spread(shares))
        return found

    @classmethod
    def read(cls, found: dict[str, Any]) -> Results:
        """Read what ``json`` returned."""
        outcomes = {name: Outcome(**one) for name, one in found["outcomes"].items()}
        measured = {name: one for name, one in found.items() if name != "summary"}
        return cls(**(measured | {"outcomes": outcomes}))

    def names(self) -> list[str]:
        """Return who was asked for, missing or not."""
        return [*self.versions, *self.missing]


def preamble(results: Results) -> str:
    """Write what the figures depend on."""
    lines = [f"{what}: {how}" for what, how in results.about.items()]
    lines += [f"{name}: {version}" for name, version in results.versions.items()]
    lines += [f"{name}: MISSING ({why})" for name, why in results.missing.items()]
    lines.append(f"{results.rounds} rounds of {results.seconds:g} s")
    return "\n".join(lines)


def outcome_table(results: Results, outcome: Outcome) -> str:
    """Lay out one scenario: medians, and ratios to the baseline with their spread."""
    heads = [one for one in FIGURES if any(one in sample for sample in _samples(outcome))]
    rows = [
        [_marked(outcome, name), *(_cell(results, outcome, name, head) for head in heads)]
        for name in outcome.samples
    ]
    lines = [f"{outcome.name}: {outcome.title}"]
    if rows and outcome.direct:
        direct = {
            name: f"{value:,.{FIGURES[name].digits}f}" for name, value in outcome.direct.items()
        }
        rows.append(["(no proxy)", *(direct.get(head, "") for head in heads)])
    if rows and heads:
        lines.append(table(["", *(FIGURES[head].head for head in heads)], rows))
    if any(limited(outcome, name) for name in outcome.samples):
        lines.append("* not the limit: its rates and latencies are those of what loads it")
    lines += [f"{name}: none: {why}" for name, why in _absent(results, outcome).items()]
    return "\n".join(lines)


def _samples(outcome: Outcome) -> Iterable[Mapping[str, float]]:
    return (one for samples in outcome.samples.values() for one in samples)


def _marked(outcome: Outcome, name: str) -> str:
    return name + (" *" if limited(outcome, name) else "")


def _cell(results: Results, outcome: Outcome, name: str, head: str) -> str:
    figure, found = FIGURES[head], values(outcome, name, head)
    if not found:
        return ""
    if not figure.compared:
        return spread(found).text(figure.digits)
    middle = f"{spread(found).median:,.{figure.digits}f}"
    shares = ratios(outcome, name, results.baseline, head)
    if name == results.baseline or not shares:
        return middle
    return f"{middle} ×{spread(shares).text(2)}"


def _absent(results: Results, outcome: Outcome) -> dict[str, str]:
    return outcome.absent | results.missing


def verdict_table(found: Sequence[Verdict]) -> str:
    """Lay out the targets."""
    return table(("target", "seen", "stage 1", "", "stage 2", ""), _verdict_rows(found))


def _verdict_rows(found: Sequence[Verdict]) -> list[list[str]]:
    rows = []
    for one in found:
        target = one.target
        unit = "" if target.unit in ("", "x") else " " + target.unit
        times = "×" if target.unit == "x" else ""
        seen = "not measured" if one.seen is None else times + one.seen.text(target.digits) + unit
        row = [target.title, seen]
        for most, met in zip(target.stages, one.met, strict=True):
            limit = f"{most:g}" if target.stages[0] == 0 else f"≤ {times}{most:g}{unit}"
            if most == 0 and target.stages[0]:
                limit = "none visible"
            row += [limit, "?" if one.seen is None else "met" if met else "MISSED"]
        rows.append(row)
    return rows


def readme(results: Results, found: Sequence[Verdict], chart: str) -> str:
    """Write the part of README between the two markers."""
    names = results.names()
    heads = ["", f"{results.baseline}, CPU", *(one for one in names if one != results.baseline)]
    rows = []
    for outcome in results.outcomes.values():
        if outcome.name in _BELOW or not outcome.figure.startswith("cpu_"):
            continue
        figure = FIGURES[outcome.figure]
        own = values(outcome, results.baseline, outcome.figure)
        unit = figure.head.removeprefix("CPU ").replace("us", "µs").replace("/request", "")
        cells = [f"{spread(own).median:,.{figure.digits}f} {unit}" if own else "failed"]
        for name in heads[2:]:
            shares = ratios(outcome, name, results.baseline, outcome.figure)
            cells.append("×" + spread(shares).text(2) if shares else _why(results, outcome, name))
        rows.append([outcome.title, *cells])
    about = " · ".join(f"{name} {version}" for name, version in results.versions.items())
    missing = f" · missing: {', '.join(results.missing)}" if results.missing else ""
    others = [one for one in OTHERS if one[1] in results.outcomes]
    plain = [
        [
            title.format(title=results.outcomes[scenario].title),
            *(_plain(results, results.outcomes[scenario], name, figure) for name in names),
        ]
        for title, scenario, figure in others
    ]
    return "\n\n".join((
        f"![CPU time beside other proxies]({chart})",
        _markdown(heads, rows),
        _markdown(["", *names], plain),
        _markdown(("target", "seen", "stage 1", "", "stage 2", ""), _verdict_rows(found)),
        f"Medians of {results.rounds} rounds of {results.seconds:g} s, with the smallest and the "
        f"largest: {about}{missing} · {' · '.join(results.about.values())}.",
    ))  # fmt: skip


def _plain(results: Results, outcome: Outcome, name: str, figure: str) -> str:
    found = values(outcome, name, figure)
    if not found:
        return _why(results, outcome, name)
    return spread(found).text(FIGURES[figure].digits)


def _why(results: Results, outcome: Outcome, name: str) -> str:
    if name in results.missing:
        return "missing"
    if name in outcome.failed:
        return "failed"
    return "cannot" if name in outcome.absent else "–"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def between_markers(page: str, text: str) -> str:
    """Put a text between the two markers of a page; ``ValueError`` if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
