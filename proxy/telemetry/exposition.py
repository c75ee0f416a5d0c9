"""The text of ``/metrics``: families as OpenMetrics 1.0 or in the text format 0.0.4.

Our own families write themselves (``family``); ``prometheus_client`` writes ``process_*`` and
whatever the caller adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from itertools import islice
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from proxy.telemetry.families import all_families
from proxy.telemetry.family import PREFIX, Escaped
from proxy.telemetry.reading import Reading

OPENMETRICS: Final = "application/openmetrics-text"
OPENMETRICS_VERSIONS: Final = frozenset({"", "0.0.1", "1.0.0"})
"""What Prometheus has asked for in ``version``; we answer 1.0.0, which reads as either."""
PLAIN: Final = frozenset({"text/plain", "text/*", "*/*"})

LINES: Final = 50
"""So many lines take 30 to 50 us."""

_PROCESS: Final = ProcessCollector(registry=None)


def render(reading: Reading, accept: str, extra: Iterable[Metric] = ()) -> tuple[bytes, str]:
    """Return the exposition and its media type, OpenMetrics 1.0 or the text format 0.0.4.

    ``accept`` is the value of the ``Accept`` field, ``""`` without one; no value of it is an
    error.  ``extra`` are the caller's own families; their names are given whole.
    """
    rest, content_type = ending(accept, extra)
    return b"".join([*pieces(reading, accept), rest]), content_type


def pieces(reading: Reading, accept: str) -> Iterator[bytes]:
    """Give the families of a reading as octets, ``LINES`` at a time; ``ending`` comes after it."""
    openmetrics = _prefers_openmetrics(accept)
    escaped = Escaped()
    lines = (
        line
        for family in all_families(reading)
        for line in family.text(escaped, openmetrics=openmetrics)
    )
    while piece := "".join(islice(lines, LINES)):
        yield piece.encode()


def ending(accept: str, extra: Iterable[Metric] = ()) -> tuple[bytes, str]:
    """Return what the library writes, and the media type of the whole; for a thread.

    It counts the open files, which takes milliseconds where there are ten thousand.
    """
    openmetrics = _prefers_openmetrics(accept)
    encode, content_type = choose_encoder("application/openmetrics-text" if openmetrics else "")
    # It comes last because it ends with OpenMetrics' `# EOF`.
    return encode(_Rest(extra)), content_type


def families(reading: Reading) -> Iterator[Metric]:
    """Give the same families for a ``prometheus_client`` registry, as a collector yields them."""
    for family in all_families(reading):
        yield family.metric()


@cache
def _version() -> str:
    try:
        return metadata.version("hotsplice")
    except metadata.PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"


class _Rest(Collector):
    """What the library writes: few samples, but of any kind."""

    def __init__(self, extra: Iterable[Metric]) -> None:
        self._extra: Final = extra

    def collect(self) -> Iterator[Metric]:
        """Give the standard families, then the caller's."""
        yield InfoMetricFamily(PREFIX + "build", "The version that runs", {"version": _version()})
        yield from _PROCESS.collect()
        yield from self._extra


def _prefers_openmetrics(accept: str) -> bool:
    """Weigh the media ranges (RFC 9110, 12.5.1); a tie goes to OpenMetrics, as more specific."""
    best_openmetrics = best_plain = 0.0
    for media_range in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in media_range.split(";"))
        values = dict(part.replace('"', "").split("=", 1) for part in parameters if "=" in part)
        quality = _quality(values.get("q", "1"))
        if media_type == OPENMETRICS and values.get("version", "") in OPENMETRICS_VERSIONS:
            best_openmetrics = max(best_openmetrics, quality)
        elif media_type in PLAIN:
            best_plain = max(best_plain, quality)
    return best_openmetrics > 0 and best_openmetrics >= best_plain


def _quality(text: str) -> float:
    """Read a ``q``; what is not a number from 0 to 1 counts as 0."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
