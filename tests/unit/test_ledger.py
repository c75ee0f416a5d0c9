"""Counters outlive what they count, for a while."""

from __future__ import annotations

from proxy.telemetry.counters import RETENTION_S, Histogram, Ledger


def names(ledger: Ledger[list[str]]) -> list[str]:
    return [name for name, _ in ledger.items()]


def test_counters_of_a_live_object_are_found() -> None:
    ledger: Ledger[list[str]] = Ledger()
    assert ledger.get("a") is None
    a = ["a"]
    ledger.publish({"a": a}, 0.0)
    assert ledger.get("a") is a
    assert names(ledger) == ["a"]


def test_counters_of_a_removed_object_stay_for_five_minutes() -> None:
    assert RETENTION_S == 300
    ledger: Ledger[list[str]] = Ledger()
    ledger.publish({"a": ["a"], "b": ["b"]}, 0.0)
    ledger.publish({"b": ["b"]}, 100.0)
    ledger.expire(100.0 + RETENTION_S)
    assert names(ledger) == ["b", "a"]
    ledger.expire(100.1 + RETENTION_S)
    assert names(ledger) == ["b"]
    assert ledger.get("a") is None


def test_object_that_comes_back_goes_on_counting() -> None:
    ledger: Ledger[list[str]] = Ledger()
    a = ["a"]
    ledger.publish({"a": a}, 0.0)
    ledger.publish({}, 1.0)
    again = ledger.get("a")
    assert again is a
    ledger.publish({"a": again}, 2.0)
    ledger.expire(1000.0)
    assert names(ledger) == ["a"]


def test_looking_up_leaves_no_trace() -> None:
    ledger: Ledger[list[str]] = Ledger()
    ledger.get("a")
    assert names(ledger) == []


def test_histogram_counts_each_value_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5, 100.0):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.total == 107.5
