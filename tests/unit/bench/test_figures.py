"""Medians, ratios and their spread."""

from __future__ import annotations

from bench.figures import FIGURES, Spread, limited, ratios, spread, values
from bench.report import OTHERS
from bench.scenarios import SCENARIOS
from bench.targets import TARGETS
from tests.unit.bench.results import outcome


def test_a_ratio_is_taken_within_each_round() -> None:
    found = outcome(nginx=[10.0, 20.0, 40.0], hotsplice=[15.0, 40.0, 60.0])
    assert ratios(found, "hotsplice", "nginx", "cpu_us") == [1.5, 2.0, 1.5]
    assert spread(ratios(found, "hotsplice", "nginx", "cpu_us")) == Spread(1.5, 1.5, 2.0)


def test_who_has_no_figures_has_no_ratios() -> None:
    found = outcome(hotsplice=[15.0])
    assert ratios(found, "hotsplice", "nginx", "cpu_us") == []
    assert ratios(found, "envoy", "hotsplice", "cpu_us") == []
    assert values(found, "hotsplice", "rate") == []


def test_a_baseline_of_nothing_divides_nothing() -> None:
    found = outcome(nginx=[0.0, 2.0], hotsplice=[1.0, 1.0])
    assert ratios(found, "hotsplice", "nginx", "cpu_us") == [0.5]


def test_a_spread_says_its_ends_only_if_they_differ() -> None:
    assert spread([1.5]).text(2) == "1.50"
    assert spread([1.0, 3.0, 2.0]).text(1) == "2.0 (1.0–3.0)"
    assert spread([12345.0]).text(0) == "12,345"


def test_a_proxy_with_time_to_spare_was_not_the_limit() -> None:
    found = outcome(figure="busy", nginx=[0.5, 0.95, 0.6], hotsplice=[0.99, 0.5, 0.98])
    assert limited(found, "nginx")
    assert not limited(found, "hotsplice")
    assert not limited(outcome(nginx=[1.0]), "nginx")


def test_every_scenario_and_target_speaks_of_what_there_is() -> None:
    assert {one.figure for one in SCENARIOS.values()} <= FIGURES.keys()
    assert {one.figure for one in TARGETS} <= FIGURES.keys()
    assert {one.scenario for one in TARGETS} <= SCENARIOS.keys()
    assert {scenario for _, scenario, _ in OTHERS} <= SCENARIOS.keys()
    assert {figure for _, _, figure in OTHERS} <= FIGURES.keys()
    assert all(one.stages[0] >= one.stages[1] for one in TARGETS)
