"""Which series there are, and what they count."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from proxy.telemetry.counters import (
    ENDPOINT_SERIES_PER_POOL,
    ListenerCounters,
    PoolCounters,
    RouteCounters,
)
from proxy.telemetry.exposition import families
from proxy.telemetry.reading import Reading
from tests.unit.telemetry import readings

Series = dict[tuple[tuple[str, str], ...], float]

CONTRACT = {
    "requests_total": {"route", "pool", "method", "code"},
    "request_duration_seconds_bucket": {"route", "le"},
    "upstream_ttfb_seconds_bucket": {"pool", "le"},
    "tunnel_duration_seconds_bucket": {"pool", "le"},
    "requests_in_flight": {"listener"},
    "connections_active": {"listener", "kind"},
    "connections_opened_total": {"listener", "kind"},
    "spliced_bytes_total": {"pool", "direction"},
    "http_bytes_total": {"pool", "direction"},
    "websocket_messages_total": {"pool", "direction"},
    "websocket_closes_total": {"pool", "initiator", "code"},
    "upstream_errors_total": {"pool", "reason"},
    "upstream_connections": {"pool", "state"},
    "upstream_connect_duration_seconds_bucket": {"pool", "le"},
    "retries_total": {"pool"},
    "ejections_total": {"pool"},
    "pool_endpoints": {"pool", "state"},
    "endpoint_up": {"pool", "endpoint"},
    "endpoint_active": {"pool", "endpoint"},
    "endpoint_requests_total": {"pool", "endpoint", "code_class"},
    "rejected_total": {"listener", "reason"},
    "header_rule_failures_total": {"route"},
    "drain_connections_remaining": set[str](),
    "draining": set[str](),
    "event_loop_lag_seconds": set[str](),
}


def samples(reading: Reading, name: str) -> Series:
    """Return every sample of that name, without the prefix, by its labels; none may be double."""
    found: Series = {}
    for metric in families(reading):
        for sample in metric.samples:
            if sample.name == f"hotsplice_{name}":
                labels = tuple(sorted(sample.labels.items()))
                assert labels not in found
                found[labels] = sample.value
    return found


def by(series: Series, label: str) -> dict[str, float]:
    """Return the values by one label, which alone tells the samples apart."""
    values = {dict(labels)[label]: value for labels, value in series.items()}
    assert len(values) == len(series)
    return values


def test_busy_reading_shows_every_family_with_the_labels_promised() -> None:
    seen: dict[str, set[str]] = {}
    for metric in families(readings.busy()):
        for sample in metric.samples:
            if not sample.name.endswith(("_count", "_sum")):
                seen.setdefault(sample.name.removeprefix("hotsplice_"), set()).update(sample.labels)
    assert seen == CONTRACT


def test_samples_never_fall_into_the_namespace_of_another_family() -> None:
    # OpenMetrics: a gauge `x` and a counter `x_total` clash, as do `x` and a histogram's `x_sum`.
    suffixes = ("", "_total", "_created", "_bucket", "_count", "_sum", "_info")
    names = [metric.name for metric in families(readings.busy())]
    taken = [name + suffix for name in names for suffix in suffixes]
    assert len(set(taken)) == len(taken)


def test_unknown_methods_and_codes_become_one_other_series_each() -> None:
    counters = RouteCounters()
    counters.requests.update(
        {
            ("backend", b"BREW", 200): 1,
            ("backend", b"brew", 200): 2,
            ("backend", b"GET", 299): 3,
            ("backend", b"GET", 999): 4,
            ("backend", b"GET", 499): 5,
            ("backend", b"PROPFIND", 207): 6,
        }
    )
    found = samples(readings.reading(routes=(readings.route(counters),)), "requests_total")
    methods_and_codes = {
        (dict(labels)["method"], dict(labels)["code"]): value for labels, value in found.items()
    }
    assert methods_and_codes == {
        ("other", "200"): 3,
        ("GET", "other"): 7,
        ("GET", "499"): 5,
        ("PROPFIND", "207"): 6,
    }


def test_histogram_gives_cumulative_buckets_count_and_sum() -> None:
    counters = RouteCounters()
    for seconds in (0.0005, 0.0006, 0.2, 1.0, 31.0):
        counters.duration.observe(seconds)
    shown = readings.reading(routes=(readings.route(counters),))
    buckets = by(samples(shown, "request_duration_seconds_bucket"), "le")
    assert buckets["0.0005"] == 1  # a bound belongs to its bucket
    assert buckets["0.001"] == 2
    assert buckets["0.25"] == 3
    assert buckets["1.0"] == 4
    assert buckets["30.0"] == 4
    assert buckets["+Inf"] == 5
    assert list(samples(shown, "request_duration_seconds_count").values()) == [5]
    assert list(samples(shown, "request_duration_seconds_sum").values()) == [pytest.approx(32.2011)]


def test_pool_endpoints_counts_every_state_and_names_those_without_any() -> None:
    states = ("active", "active", "ejected", "full")
    members = [readings.endpoint(f"e{n}", state=state) for n, state in enumerate(states)]
    shown = readings.reading(pools=(readings.pool(*members),))
    assert by(samples(shown, "pool_endpoints"), "state") == {
        "active": 2,
        "drain": 0,
        "down": 0,
        "ejected": 1,
        "full": 1,
        "unresolved": 0,
        "removed": 0,
    }


@pytest.mark.parametrize(
    ("state", "up"),
    [
        ("active", 1),
        ("full", 1),
        ("drain", 1),
        ("down", 0),
        ("ejected", 0),
        ("unresolved", 0),
        ("removed", 0),
    ],
)
def test_endpoint_up_tells_whether_it_is_believed_to_answer(state: str, up: int) -> None:
    shown = readings.reading(pools=(readings.pool(readings.endpoint(state=state)),))
    assert by(samples(shown, "endpoint_up"), "endpoint") == {"blue-0": up}


def test_addresses_of_one_name_are_one_series() -> None:
    shown = readings.reading(
        pools=(
            readings.pool(
                readings.endpoint("app", active=1, by_class=(1, 0, 2, 0, 0, 0)),
                readings.endpoint("app", splices=2, by_class=(0, 0, 3, 0, 0, 4), state="ejected"),
            ),
        )
    )
    assert by(samples(shown, "endpoint_up"), "endpoint") == {"app": 1}
    assert by(samples(shown, "endpoint_active"), "endpoint") == {"app": 3}
    assert by(samples(shown, "endpoint_requests_total"), "code_class") == {
        "none": 1,
        "1xx": 0,
        "2xx": 5,
        "3xx": 0,
        "4xx": 0,
        "5xx": 4,
    }


@pytest.mark.parametrize(
    ("count", "shown_count"),
    [(ENDPOINT_SERIES_PER_POOL, ENDPOINT_SERIES_PER_POOL), (ENDPOINT_SERIES_PER_POOL + 1, 0)],
)
def test_large_pool_shows_no_endpoint_one_by_one(count: int, shown_count: int) -> None:
    members = [readings.endpoint(f"e{n}") for n in range(count)]
    small = readings.pool(readings.endpoint("lone"), name="small")
    shown = readings.reading(pools=(readings.pool(*members), small))
    for name in ("endpoint_up", "endpoint_active"):
        assert len(samples(shown, name)) == shown_count + 1
    assert len(samples(shown, "endpoint_requests_total")) == (shown_count + 1) * 6
    assert sum(samples(shown, "pool_endpoints").values()) == count + 1


def test_upstream_connections_tell_idle_from_active() -> None:
    members = [readings.endpoint(f"e{n}", active=1, splices=2, idle=5) for n in range(2)]
    shown = readings.reading(pools=(readings.pool(*members),))
    assert by(samples(shown, "upstream_connections"), "state") == {"idle": 10, "active": 6}


def test_unregistered_close_codes_become_one_other_series() -> None:
    counters = PoolCounters()
    counters.closes.update(
        {
            ("client", 1000): 1, ("client", 1005): 2, ("proxy", 1006): 3, ("proxy", 1012): 4,
            ("upstream", 4000): 5, ("upstream", 4999): 6, ("upstream", 1004): 7, ("client", 0): 8,
        }
    )  # fmt: skip
    shown = readings.reading(pools=(readings.pool(counters=counters),))
    found = {
        (dict(labels)["initiator"], dict(labels)["code"]): value
        for labels, value in samples(shown, "websocket_closes_total").items()
    }
    assert found == {
        ("client", "1000"): 1, ("client", "1005"): 2, ("proxy", "1006"): 3, ("proxy", "1012"): 4,
        ("upstream", "other"): 18, ("client", "other"): 8,
    }  # fmt: skip


def test_spliced_bytes_count_live_splices() -> None:
    # The reading's own numbers, not those of the counters, which know ended splices only.
    shown = readings.reading(pools=(readings.pool(spliced=(11, 22)),))
    assert by(samples(shown, "spliced_bytes_total"), "direction") == {
        "to_upstream": 11,
        "to_client": 22,
    }


@pytest.mark.parametrize(
    ("reading", "name", "value"),
    [
        (readings.reading(), "draining", 0),
        (readings.reading(draining=True), "draining", 1),
        (readings.reading(remaining=9), "drain_connections_remaining", 9),
        (readings.reading(lag_s=0.25), "event_loop_lag_seconds", 0.25),
    ],
)
def test_process_wide_gauges_stand_alone(reading: Reading, name: str, value: float) -> None:
    assert samples(reading, name) == {(): value}


class _Growing(dict[Any, int]):
    """A dict that must not be walked in place: the event loop may add to it meanwhile."""

    def items(self) -> NoReturn:
        raise RuntimeError("dictionary changed size during iteration")


def test_counters_that_grow_meanwhile_are_shown_from_a_copy() -> None:
    listener, pool, route = ListenerCounters(), PoolCounters(), RouteCounters()
    for counters, name, key in (
        (listener, "rejected", "bad_request"),
        (pool, "errors", "read_timeout"),
        (route, "requests", ("backend", b"GET", 200)),
    ):
        setattr(counters, name, _Growing({key: 1}))
    shown = readings.reading(
        listeners=(readings.listener(listener),),
        pools=(readings.pool(counters=pool),),
        routes=(readings.route(route),),
    )
    for name in ("rejected_total", "upstream_errors_total", "requests_total"):
        assert list(samples(shown, name).values()) == [1]
