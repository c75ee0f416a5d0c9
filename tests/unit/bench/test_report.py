"""Results in words."""

from __future__ import annotations

import json

import pytest

from bench.load import LoadError
from bench.peers.peer import MissingError, UnsupportedError
from bench.report import (
    BEGIN,
    END,
    Results,
    between_markers,
    outcome_table,
    preamble,
    readme,
    verdict_table,
)
from bench.targets import verdicts
from tests.unit.bench.results import outcome, results


def test_a_table_has_medians_ratios_and_their_spread() -> None:
    found = outcome(nginx=[10.0, 20.0], hotsplice=[15.0, 40.0])
    text = outcome_table(results(found), found)
    assert "CPU us/request" in text
    assert "27.5 ×1.75 (1.50–2.00)" in text


def test_who_has_no_figures_is_named_with_the_reason() -> None:
    found = outcome(nginx=[10.0], haproxy=[11.0], envoy=[12.0])
    found.without("haproxy", LoadError("errors {'status': 3}"))
    found.without("envoy", UnsupportedError("no balancing"))
    found.without("nginx", MissingError("gone"))
    text = outcome_table(results(found, missing={"tutorial": "is not installed"}), found)
    assert "haproxy: none: errors {'status': 3}" in text
    assert "envoy: none: no balancing" in text
    assert "tutorial: none: is not installed" in text
    assert found.failed == ["haproxy"]


def test_a_proxy_that_waited_for_its_load_is_marked() -> None:
    found = outcome(figure="busy", nginx=[0.2], hotsplice=[1.0])
    text = outcome_table(results(found), found)
    assert "nginx *" in text
    assert "hotsplice *" not in text
    assert "* not the limit" in text


def test_the_preamble_names_versions_and_who_is_missing() -> None:
    text = preamble(results(missing={"envoy": "not installed"}))
    assert "nginx: 1.22.1" in text
    assert "envoy: MISSING (not installed)" in text


def test_json_gives_the_same_results_back() -> None:
    found = results(outcome(nginx=[10.0], hotsplice=[15.0]), missing={"envoy": "gone"})
    written = json.loads(json.dumps(found.json()))
    assert Results.read(written) == found
    ours = written["summary"]["get_64"]["hotsplice"]["cpu_us"]
    assert ours == {
        "median": 15.0, "least": 15.0, "most": 15.0,
        "ratio": {"median": 1.5, "least": 1.5, "most": 1.5},
    }  # fmt: skip


def test_targets_are_met_missed_or_unknown() -> None:
    found = outcome(nginx=[10.0], hotsplice=[18.0])
    seen = verdicts({"get_64": found}, "hotsplice", "nginx", ["get_64", "bulk"])
    first, second = verdict_table(seen).splitlines()[2:]
    assert [word for word in first.split() if word in ("met", "MISSED")] == ["met", "MISSED"]
    assert second.split()[-1] == "?"
    assert "not measured" in second


def test_the_part_of_readme_has_a_row_for_each_cost_and_target() -> None:
    found = outcome(nginx=[10.0, 10.0], hotsplice=[18.0, 19.0])
    all_of_it = results(found, outcome("start", "idle_mb", hotsplice=[40.0]),
                        missing={"envoy": "gone"})  # fmt: skip
    text = readme(all_of_it, verdicts(all_of_it.outcomes, "hotsplice", "nginx", ["start"]), "a.svg")
    assert "| small <GET> | 10.0 µs | ×1.85 (1.80–1.90) | missing |" in text
    assert "| resident memory then, MB | – | 40.0 | missing |" in text
    assert "| resident memory, idle | 40.0 MB | ≤ 50 MB | met | ≤ 42 MB | met |" in text
    assert "(a.svg)" in text
    assert "two cores" in text


def test_two_of_a_kind_are_in_readme_by_what_the_one_costs_more() -> None:
    twice = outcome("crowded", "growth", nginx=[1.25], hotsplice=[1.5])
    twice.figure = "cpu_us"
    failed = outcome("logged")
    failed.without("hotsplice", LoadError("no log"))
    text = readme(results(twice, failed), verdicts({}, "hotsplice", "nginx", []), "a.svg")
    assert "| small <GET>: in proportion | 1.25 | 1.50 |" in text
    assert "| an access-log line, us | – | failed |" in text
    assert text.count("small <GET>") == 1


def test_nothing_to_be_seen_is_asked_for_in_words() -> None:
    found = outcome("swap_10", "added_p99_ms", hotsplice=[0.25])
    table = verdict_table(verdicts({"swap_10": found}, "hotsplice", "nginx", ["swap_10"]))
    assert "none visible  MISSED" in table


def test_only_what_is_between_the_markers_is_replaced() -> None:
    page = f"before {BEGIN} old {END} after"
    assert between_markers(page, "new") == f"before {BEGIN}\nnew\n{END} after"
    with pytest.raises(ValueError, match="there is no"):
        between_markers("a page", "new")
