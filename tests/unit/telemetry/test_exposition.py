"""The text of a scrape: both formats parse, say the same, and are chosen as the client asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.registry import Collector

from proxy.telemetry.exposition import families, render
from proxy.telemetry.reading import Reading
from tests.unit.telemetry import readings

OPENMETRICS = "application/openmetrics-text"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends."""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
Parsed = tuple[dict[str, tuple[str, str]], Samples]


class Library(Collector):
    """The same families for the library's own encoders."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def collect(self) -> Iterator[Metric]:
        return families(self.reading)


def parse(text: bytes, content_type: str) -> Parsed:
    """Return type and help by family, and values by sample; nothing may come twice."""
    parse_text = (
        openmetrics_parser.text_string_to_metric_families
        if content_type.startswith(OPENMETRICS)
        else parser.text_string_to_metric_families
    )
    heads: dict[str, tuple[str, str]] = {}
    samples: Samples = {}
    for metric in parse_text(text.decode()):
        assert metric.name not in heads
        heads[metric.name] = (metric.type, metric.documentation)
        for sample in metric.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples
            samples[key] = sample.value
    return heads, samples


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_text_says_what_the_library_would_have_written(accept: str) -> None:
    shown = readings.busy()
    heads, samples = parse(*render(shown, accept))
    library_encode, content_type = choose_encoder(accept)
    library_heads, library_samples = parse(library_encode(Library(shown)), content_type)
    assert {name: heads[name] for name in library_heads} == library_heads
    assert {key: samples[key] for key in library_samples} == library_samples
    others = {name for name, _ in samples} - {name for name, _ in library_samples}
    assert {name for name in others if not name.startswith("process_")} == {"hotsplice_build_info"}


def test_both_formats_have_the_same_samples() -> None:
    shown = readings.busy()
    _, plain = parse(*render(shown, ""))
    _, openmetrics = parse(*render(shown, OPENMETRICS))
    assert set(plain) == set(openmetrics)
    for (name, labels), value in plain.items():
        # The process goes on living between the two.
        assert name.startswith("process_") or openmetrics[name, labels] == value


def test_openmetrics_ends_with_its_mark_and_the_text_format_has_none() -> None:
    openmetrics, _ = render(readings.busy(), OPENMETRICS)
    plain, _ = render(readings.busy(), "")
    assert openmetrics.endswith(b"\n# EOF\n")
    assert openmetrics.count(b"# EOF") == 1
    assert b"# EOF" not in plain


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_reading_without_anything_parses(accept: str) -> None:
    _, samples = parse(*render(readings.reading(), accept))
    assert samples["hotsplice_draining", ()] == 0


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_standard_process_metrics_and_the_version_are_there(accept: str) -> None:
    _, samples = parse(*render(readings.reading(), accept))
    assert samples["process_resident_memory_bytes", ()] > 1e6
    assert samples["process_cpu_seconds_total", ()] > 0
    assert samples["process_open_fds", ()] > 2
    builds = [labels for name, labels in samples if name == "hotsplice_build_info"]
    assert [label for ((label, version),) in builds if version] == ["version"]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_extra_families_of_the_caller_are_shown_too(accept: str) -> None:
    revision = GaugeMetricFamily("hotsplice_config_revision", "The revision in force.", 12)
    applies = CounterMetricFamily(
        "hotsplice_config_applies", "Applies.", labels=["source", "result"]
    )
    applies.add_metric(["rest", "ok"], 3)
    _, samples = parse(*render(readings.busy(), accept, [revision, applies]))
    assert samples["hotsplice_config_revision", ()] == 12
    key = ("hotsplice_config_applies_total", (("result", "ok"), ("source", "rest")))
    assert samples[key] == 3


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
@given(name=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_survives_as_a_label_value(accept: str, name: str) -> None:
    shown = readings.reading(pools=(readings.pool(name=name),))
    text, content_type = render(shown, accept)
    # The library's parsers split at every kind of line end, Prometheus at LF alone.
    if len(text.decode().splitlines()) == text.count(b"\n"):
        _, samples = parse(text, content_type)
        assert samples["hotsplice_retries_total", (("pool", name),)] == 0
    assert text.count(b"\n") == render(readings.reading(pools=(readings.pool(),)), accept)[0].count(
        b"\n"
    )


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS,
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        'application/openmetrics-text; version="1.0.0"',
        "Application/OpenMetrics-Text",
        "text/plain;version=0.0.4, application/openmetrics-text",
        "*/*, application/openmetrics-text",
    ],
)
def test_openmetrics_is_given_to_those_who_want_it_most(accept: str) -> None:
    _, content_type = render(readings.reading(), accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html,*/*;q=0.8",
        "text/plain; version=abc",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=nonsense",
        "application/openmetrics-text;q=nan",
        "application/openmetrics-text;q=0.2, text/plain",
        "application/openmetrics-text; version=2.0.0",
        "application/openmetrics-text-but-not-quite",
        ";;;,=,;q",
    ],
)
def test_everybody_else_gets_the_text_format(accept: str) -> None:
    _, content_type = render(readings.reading(), accept)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"


@given(accept=st.text())
def test_no_accept_is_an_error(accept: str) -> None:
    _, content_type = render(readings.reading(), accept)
    assert content_type.partition(";")[0] in ("text/plain", OPENMETRICS)
