"""Taking turns, with proxies and a load of air."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bench.load import LoadError
from bench.measure import TURNS, Outcome, Sample, Scenario, Subject, measure
from bench.peers.peer import MissingError, Peer, Proxy, Setup, UnsupportedError
from bench.processes import Processes

SETUP = Setup(("127.0.0.1:1",))


def peer(name: str, error: Exception | None = None) -> Peer:
    def start(processes: Processes, setup: Setup) -> Proxy:
        if error is not None:
            raise error
        return Proxy(name, f"127.0.0.1:{setup.routes}", 0)

    return Peer(name, lambda: "1", start)


def scenario(sample: Callable[[Subject, float], Sample]) -> Scenario:
    return Scenario("air", "air", "cpu_us", lambda _: SETUP, sample, warm_up_s=9.0)


def run(one: Scenario, *peers: Peer, rounds: int = 2) -> Outcome:
    return measure(one, peers, rounds, 1.0, lambda _: None)


@pytest.fixture(name="turns")
def turns_fixture() -> list[tuple[str, float]]:
    return []


def noting(turns: list[tuple[str, float]]) -> Callable[[Subject, float], Sample]:
    def sample(subject: Subject, seconds: float) -> Sample:
        turns.append((subject.proxy.name, seconds))
        return {"cpu_us": float(len(turns))}

    return sample


def test_proxies_take_turns_after_a_warm_up_that_does_not_count(
    turns: list[tuple[str, float]],
) -> None:
    found = run(scenario(noting(turns)), peer("a"), peer("b"))
    assert turns == [("a", 9.0), ("b", 9.0), *[("a", 1.0), ("b", 1.0)] * 2]
    assert found.samples == {
        "a": [{"cpu_us": 3.0}, {"cpu_us": 5.0}],
        "b": [{"cpu_us": 4.0}, {"cpu_us": 6.0}],
    }
    assert not found.failed


def test_one_that_fails_is_out_and_the_others_go_on() -> None:
    rounds: list[str] = []

    def sample(subject: Subject, seconds: float) -> Sample:
        rounds.append(subject.proxy.name)
        if rounds[-1] == "a" and rounds.count("a") == 2:
            raise LoadError("an answer was 502")
        return {"cpu_us": 1.0}

    found = run(scenario(sample), peer("a"), peer("b"), rounds=3)
    assert rounds.count("a") == 2
    assert len(found.samples["b"]) == 3
    assert "a" not in found.samples
    assert found.absent == {"a": "an answer was 502"}
    assert found.failed == ["a"]


@pytest.mark.parametrize("error", [MissingError("not there"), UnsupportedError("cannot")])
def test_one_that_cannot_be_is_absent_but_no_failure(
    turns: list[tuple[str, float]], error: Exception
) -> None:
    found = run(scenario(noting(turns)), peer("a", error), peer("b"))
    assert found.absent == {"a": str(error)}
    assert found.failed == []
    assert list(found.samples) == ["b"]


@pytest.mark.parametrize("fresh", [False, True])
def test_one_that_does_other_work_is_not_measured(
    turns: list[tuple[str, float]], fresh: bool
) -> None:
    one = replace(
        scenario(noting(turns)), look=lambda subject: subject.peer.name == "a", fresh=fresh
    )
    found = run(one, peer("nginx"), peer("a"), peer("b"))
    assert found.failed == ["a"]
    assert "does other work: True instead of False" in found.absent["a"]
    assert {name for name, _ in turns} == {"nginx", "b"}


def test_the_baseline_is_first_whatever_the_order(turns: list[tuple[str, float]]) -> None:
    one = replace(scenario(noting(turns)), look=lambda subject: subject.peer.name == "a")
    found = run(one, peer("a"), peer("nginx"))
    assert (found.failed, list(found.samples)) == (["a"], ["nginx"])


def test_one_that_cannot_do_all_of_it_may_differ(turns: list[tuple[str, float]]) -> None:
    one = replace(scenario(noting(turns)), look=lambda subject: subject.peer.name == "a")
    found = run(one, peer("nginx"), replace(peer("a"), lacks="maps"))
    assert list(found.samples) == ["nginx", "a"]


def test_what_goes_on_beside_goes_on_for_all_samples_of_a_process(
    turns: list[tuple[str, float]],
) -> None:
    @contextmanager
    def beside(subject: Subject) -> Iterator[None]:
        turns.append(("begin", 0.0))
        yield
        turns.append(("end", 0.0))

    run(replace(scenario(noting(turns)), beside=beside, fresh=True), peer("a"), rounds=1)
    assert turns == [("begin", 0.0), ("a", 9.0), ("a", 1.0), ("end", 0.0)]
    with pytest.raises(ValueError, match="needs a fresh process"):
        replace(scenario(noting(turns)), beside=beside)


def test_growth_is_beside_another_one_of_its_kind() -> None:
    samples: list[float] = []

    def sample(subject: Subject, seconds: float) -> Sample:
        samples.append(seconds)
        return {"cpu_us": 12.0 if subject.setup.routes else 10.0}

    one = replace(
        scenario(sample),
        place=lambda _: replace(SETUP, routes=5),
        against=lambda setup: replace(setup, routes=0),
    )
    (found,) = run(one, peer("a"), rounds=1).samples["a"]
    assert found == {"cpu_us": 12.0, "alone": 10.0, "growth": 1.2, "added_us": 2.0}
    assert samples == [9.0] * 2 + [1.0] * 2 * TURNS


def test_a_fresh_process_for_each_sample(turns: list[tuple[str, float]]) -> None:
    started: list[str] = []

    def start(processes: Processes, setup: Setup) -> Proxy:
        started.append("a")
        return Proxy("a", "", 0)

    one = replace(scenario(noting(turns)), fresh=True, rounds=3, warm_up_s=0.0)
    found = run(one, Peer("a", lambda: "1", start), rounds=5)
    assert len(started) == len(found.samples["a"]) == 3


def test_only_those_are_measured_whom_it_is_for(turns: list[tuple[str, float]]) -> None:
    run(replace(scenario(noting(turns)), peers=("b",)), peer("a"), peer("b"))
    assert {name for name, _ in turns} == {"b"}
