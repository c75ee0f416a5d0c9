"""The measuring itself: proxies in turn, A B A B …, under one load after the other.

A scenario says what proxies are set up for and what a sample of one is.  What went wrong with a
proxy takes it out of that scenario, and is kept; the others go on.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bench.load import Load, LoadError
from bench.machine import cpu_seconds, family_bytes
from bench.peers import BASELINE
from bench.peers.peer import MissingError, Peer, Proxy, Setup, UnsupportedError
from bench.processes import Processes, StartError

FAILURES: Final = (
    StartError, LoadError, OSError, ValueError, http.client.HTTPException,
    subprocess.TimeoutExpired,
)  # fmt: skip
"""What takes a proxy out of a scenario, or a scenario out of a run; a ``ValueError`` is of an
answer that cannot be read."""

WARM_UP_S: Final = 1.0

TURNS: Final = 16
"""Of two of a kind that are compared, in each round: they differ by a few percent, and the machine
by more from one second to the next."""

Sample = dict[str, float]
"""Figures of one proxy in one round, by the names that ``bench.figures`` has."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A proxy that is measured."""

    peer: Peer
    proxy: Proxy
    setup: Setup
    ready_s: float
    """From its start to the first time that it took a connection."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the result."""

    name: str
    title: str
    figure: str
    """The one that counts."""
    place: Callable[[Processes], Setup]
    """Start origins; return what proxies are set up for."""
    sample: Callable[[Subject, float], Sample]
    """Measure one for so many seconds; ``LoadError`` if anything failed."""
    direct: Callable[[str, float], Load] | None = None
    """The load straight at the origin."""
    look: Callable[[Subject], object] | None = None
    """Tell what one makes of a request; who makes something else of it than the baseline is not
    measured."""
    against: Callable[[Setup], Setup] | None = None
    """Measure each beside another one of its kind, with this setup: by how much does it grow?"""
    beside: Callable[[Subject], AbstractContextManager[object]] | None = None
    """What goes on beside all samples of a process; only where it is ``fresh``."""
    peers: tuple[str, ...] = ()
    """The only ones; if empty, all."""
    rounds: int | None = None
    """At most so many."""
    warm_up_s: float = WARM_UP_S
    fresh: bool = False
    """Another process for each sample, and no other proxy beside it."""
    awake: bool = False
    """The cores of the load are kept from sleeping: who is served sooner finds them asleep more
    often, and pays for waking them."""
    quick: bool = False

    def __post_init__(self) -> None:
        if self.beside is not None and not self.fresh:
            raise ValueError(f"{self.name}: something beside needs a fresh process")

    def asked(self, peers: Iterable[Peer]) -> list[Peer]:
        """Return those that are measured, the baseline first."""
        own = (one for one in peers if not self.peers or one.name in self.peers)
        return sorted(own, key=lambda one: one.name != BASELINE)


@dataclass(slots=True)
class Outcome:
    """What was found."""

    name: str
    title: str
    figure: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Who has no figures, and why."""
    failed: list[str] = field(default_factory=list)
    """Who of them should have some."""
    direct: Sample = field(default_factory=dict)
    """What the load reaches without a proxy."""

    def without(self, name: str, error: Exception) -> None:
        """Take a proxy out."""
        self.samples.pop(name, None)
        self.absent[name] = str(error).strip()
        if not isinstance(error, MissingError | UnsupportedError):
            self.failed.append(name)


Tell = Callable[[str], None]


def measure(
    scenario: Scenario, peers: Iterable[Peer], rounds: int, seconds: float, tell: Tell
) -> Outcome:
    """Measure a scenario."""
    outcome = Outcome(scenario.name, scenario.title, scenario.figure)
    asked = scenario.asked(peers)
    rounds = min(rounds, scenario.rounds or rounds)
    with Processes() as processes:
        if scenario.awake:
            processes.keep_awake()
        setup = scenario.place(processes)
        outcome.samples = {one.name: [] for one in asked}
        if scenario.fresh:
            looks = Looks()
            for number in range(rounds):
                for peer in asked:
                    tell(f"round {number + 1}, {peer.name}")
                    _try(outcome, peer, partial(_once, scenario, peer, setup, seconds, looks))
        else:
            _in_turn(scenario, asked, processes, setup, outcome, rounds, seconds, tell)
    return outcome


class Looks(dict[str, object]):
    """What each proxy made of a request, by its name."""

    def at(self, scenario: Scenario, subjects: Iterable[Subject]) -> None:
        """Look at proxies; ``LoadError`` if one does other work than the baseline."""
        if scenario.look is None:
            return
        for subject in subjects:
            peer = subject.peer
            seen = self[peer.name] = scenario.look(subject)
            wanted = self.get(BASELINE, seen)
            if seen != wanted and not peer.lacks:
                raise LoadError(f"does other work: {seen} instead of {wanted}")


def _try(outcome: Outcome, peer: Peer, sample: Callable[[], Sample]) -> None:
    if peer.name not in outcome.samples:
        return
    try:
        outcome.samples[peer.name].append(sample())
    except FAILURES as error:
        outcome.without(peer.name, error)


def _once(scenario: Scenario, peer: Peer, setup: Setup, seconds: float, looks: Looks) -> Sample:
    with Processes() as processes, ExitStack() as stack:
        subjects = _started(scenario, peer, processes, setup)
        looks.at(scenario, subjects)
        if scenario.beside is not None:
            for subject in subjects:
                stack.enter_context(scenario.beside(subject))
        if scenario.warm_up_s:
            _sample(scenario, subjects, scenario.warm_up_s * peer.warm_up, turns=1)
        return _sample(scenario, subjects, seconds)


def _started(
    scenario: Scenario, peer: Peer, processes: Processes, setup: Setup
) -> tuple[Subject, ...]:
    setups = [setup] if scenario.against is None else [setup, scenario.against(setup)]
    return tuple(start(peer, processes, one) for one in setups)


def _in_turn(
    scenario: Scenario,
    peers: Sequence[Peer],
    processes: Processes,
    setup: Setup,
    outcome: Outcome,
    rounds: int,
    seconds: float,
    tell: Tell,
) -> None:
    subjects: dict[str, tuple[Subject, ...]] = {}
    looks = Looks()
    for peer in peers:
        tell(f"starting {peer.name}")
        try:
            subjects[peer.name] = _started(scenario, peer, processes, setup)
            looks.at(scenario, subjects[peer.name])
        except FAILURES as error:
            outcome.without(peer.name, error)
    if scenario.direct is not None:
        outcome.direct = _reached(scenario.direct(setup.endpoints[0], WARM_UP_S), scenario.figure)
    for number in range(rounds + 1):
        for peer in peers:
            tell(f"round {number}, {peer.name}" if number else f"warming up {peer.name}")
            for_s = seconds if number else scenario.warm_up_s * peer.warm_up
            both = subjects.get(peer.name, ())
            turns = TURNS if number else 1
            _try(outcome, peer, partial(_sample, scenario, both, for_s, turns=turns))
        if number == 0:
            for samples in outcome.samples.values():
                samples.clear()


def _sample(
    scenario: Scenario, subjects: Sequence[Subject], seconds: float, *, turns: int = TURNS
) -> Sample:
    if len(subjects) == 1:
        return scenario.sample(subjects[0], seconds)
    samples = [[scenario.sample(subject, seconds) for subject in subjects] for _ in range(turns)]
    figure = scenario.figure
    pairs = [(more[figure], less[figure]) for more, less in samples]
    one = {name: statistics.median(more[name] for more, _ in samples) for name in samples[0][0]}
    return one | {
        "alone": statistics.median(less for _, less in pairs),
        "growth": statistics.median(more / less for more, less in pairs),
        "added_us": statistics.median(more - less for more, less in pairs),
    }


def start(peer: Peer, processes: Processes, setup: Setup) -> Subject:
    """Start a proxy, and see how long that takes."""
    started = time.perf_counter()
    proxy = peer.start(processes, setup)
    return Subject(peer, proxy, setup, time.perf_counter() - started)


def loaded(
    subject: Subject,
    generate: Callable[[str, float], Load],
    seconds: float,
    *,
    octets: bool = False,
) -> Sample:
    """Load a proxy; return what it took, for each request or for each KB that clients took."""
    pid = subject.proxy.pid
    before, wall = cpu_seconds(pid), time.monotonic()
    load = generate(subject.proxy.address, seconds)
    cpu_s, wall_s = cpu_seconds(pid) - before, time.monotonic() - wall
    figure, per = ("cpu_ns_kb", load.octets / 1e12) if octets else ("cpu_us", load.requests / 1e6)
    return {
        figure: cpu_s / per,
        **_reached(load, figure),
        "busy": cpu_s / min(load.seconds, wall_s),
        "resident_mb": family_bytes(pid) / 1e6,
    }


def _reached(load: Load, figure: str) -> Sample:
    if figure == "cpu_ns_kb":
        return {"mb_s": load.octets / 1e6 / load.seconds}
    return {
        "rate": load.rate,
        "p50_us": load.p50_us,
        "p99_us": load.p99_us,
        "p999_us": load.p999_us,
    }
