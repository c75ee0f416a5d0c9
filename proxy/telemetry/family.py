"""One metric family, as ``prometheus_client`` has it and as text.

The text is written here because a scrape may be tens of thousands of samples: the library's own
encoder looks at every letter of every label name again, and takes ten times as long.  A test holds
the two against each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from typing import Final, Generic, TypeVar

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from proxy.telemetry.counters import Histogram

PREFIX: Final = "hotsplice_"

V = TypeVar("V")


class Escaped(dict[str, str]):
    """Label values as both formats escape them; the same few come in thousands of samples."""

    def __missing__(self, value: str) -> str:
        text = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        self[value] = text
        return text


class Family(ABC, Generic[V]):
    """A name, the names of its labels, and a value for each combination of their values.

    ``rows`` is walked once, by ``metric`` or by ``text``.  No combination may come twice.
    ``documentation`` is plain text without quotes, backslashes and a full stop at its end.
    """

    kind: str
    suffix: str = ""
    """What the samples' name, and in the text format the family's, has behind the name."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: tuple[str, ...],
        rows: Iterable[tuple[tuple[str, ...], V]],
    ) -> None:
        self.name: Final = PREFIX + name
        self.documentation: Final = documentation
        self.labels: Final = labels
        self.rows: Final = rows

    @abstractmethod
    def metric(self) -> Metric:
        """Return the family for a ``prometheus_client`` collector."""

    @abstractmethod
    def samples(self, escaped: Escaped) -> Iterator[str]:
        """Give the lines of the samples, the same in both formats."""

    def text(self, escaped: Escaped, *, openmetrics: bool) -> Iterator[str]:
        """Give the family's lines, in OpenMetrics 1.0 or in the text format 0.0.4."""
        name = self.name if openmetrics else self.name + self.suffix
        yield f"# HELP {name} {self.documentation}.\n# TYPE {name} {self.kind}\n"
        yield from self.samples(escaped)

    def _template(self) -> str:
        return ",".join([f'{label}="%s"' for label in self.labels])


class Gauge(Family[float]):
    """What goes up and down."""

    kind = "gauge"

    def metric(self) -> Metric:
        """Return a ``GaugeMetricFamily``."""
        metric = GaugeMetricFamily(self.name, f"{self.documentation}.", labels=self.labels)
        for values, value in self.rows:
            metric.add_metric(values, value)
        return metric

    def samples(self, escaped: Escaped) -> Iterator[str]:
        """Give one line for each row."""
        line = f"{self.name}{self.suffix}{{{self._template()}}} %s\n"
        escape = escaped.__getitem__
        for values, value in self.rows:
            yield line % (*map(escape, values), value)


class Counter(Gauge):
    """What only grows; its samples end in ``_total``, its OpenMetrics name does not."""

    kind = "counter"
    suffix = "_total"

    def metric(self) -> Metric:
        """Return a ``CounterMetricFamily``."""
        metric = CounterMetricFamily(self.name, f"{self.documentation}.", labels=self.labels)
        for values, value in self.rows:
            metric.add_metric(values, value)
        return metric


class Distribution(Family[Histogram]):
    """A histogram: cumulative buckets, the last of which is the count, and the sum."""

    kind = "histogram"

    def metric(self) -> Metric:
        """Return a ``HistogramMetricFamily``."""
        metric = HistogramMetricFamily(self.name, f"{self.documentation}.", labels=self.labels)
        for values, histogram in self.rows:
            total, buckets = _cumulated(histogram)
            metric.add_metric(
                values, list(zip(_bounds(histogram.bounds), buckets, strict=True)), total
            )
        return metric

    def samples(self, escaped: Escaped) -> Iterator[str]:
        """Give a line for each bucket, the count and the sum of each row."""
        template = self._template()
        for values, histogram in self.rows:
            labels = template % (*map(escaped.__getitem__, values),)
            total, buckets = _cumulated(histogram)
            bucket = f'{self.name}_bucket{{{labels},le="'
            for bound, count in zip(_bounds(histogram.bounds), buckets, strict=True):
                yield f'{bucket}{bound}"}} {count}\n'
            yield f"{self.name}_count{{{labels}}} {buckets[-1]}\n"
            yield f"{self.name}_sum{{{labels}}} {total}\n"


def _cumulated(histogram: Histogram) -> tuple[float, list[int]]:
    """Return the sum and the cumulative counts.

    They come from one copy of the counts, so buckets and count agree whatever the event loop
    observes meanwhile.
    """
    total, counts = histogram.total, histogram.counts.copy()
    return total, list(accumulate(counts))


@cache
def _bounds(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """Return the values of ``le``: OpenMetrics wants floats, so ``1.0`` and not ``1``."""
    return (*(repr(float(bound)) for bound in bounds), "+Inf")
