"""The access log: one JSON line for each request, and for each end of a tunnel.

A line costs a few microseconds on the event loop: it is formatted by hand and kept, and many are
handed over at once.  Handing over never waits (``proxy.telemetry.line_writer``); lines that find no
room are counted in ``dropped``.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from time import gmtime, strftime, time
from typing import Final, Literal, TypeVar

from proxy.telemetry.escaping import json_string, quoted
from proxy.telemetry.line_writer import STDERR
from proxy.telemetry.log_sink import LogSink

Mode = Literal["off", "errors", "sampled", "all"]
Event = Literal["access", "tunnel_open", "tunnel_close"]

KNOWN: Final = 1024
KNOWN_LENGTH: Final = 256
"""How much is remembered as it is written, and of what length."""

K = TypeVar("K")

_FROM: Final = {"off": 1000, "errors": 400, "sampled": 400, "all": 0}
"""The least status that is logged always."""


class AccessLog(LogSink):
    """The log of the process: which requests are logged where no document says it.

    ``sample`` is the share, 0 to 1, of what did not fail that ``sampled`` logs; failures are logged
    whole.
    """

    __slots__ = ("_from", "_sample")

    def __init__(
        self, mode: Mode, write: Callable[[bytes], bool | None] | None = None, sample: float = 0.01
    ) -> None:
        super().__init__(STDERR.write if write is None else write)
        self._from: Final = _FROM[mode]
        self._sample: Final = sample if mode == "sampled" else 0.0

    def wants(self, status: int) -> bool:
        """Tell whether a request answered with ``status`` is to be logged.

        Ask once per request: a tunnel that was sampled at its opening is logged at its end too.
        """
        return status >= self._from or (self._sample > 0.0 and random() < self._sample)


Said = tuple[
    bytes, bytes, bytes, bytes, int, str | None, str, str, str | None, int, float | None, int
]  # fmt: skip
"""Request id, client's address, method, path, status, reason, route, pool, endpoint, attempts, time
to first byte in seconds, revision: what a line says beside event, octets and duration.  ``None``
becomes ``null``; a query in the path is left out."""


def json_line(
    said: Said, bytes_in: int, bytes_out: int, duration_s: float, event: Event = "access"
) -> bytes:
    """Write a line.

    ``bytes_in`` came from the client, ``bytes_out`` went to it; durations are seconds here and
    milliseconds in the line.
    """
    (request_id, client_ip, method, path, status, reason, route, pool, endpoint, attempts, ttfb_s,
     revision) = said  # fmt: skip
    now = time()
    if not 0.0 <= (past := now - _second[0]) < 1.0:
        past = _begin_second(now)
    if b"?" in path:
        path = path.partition(b"?")[0]
    line = (_LINE if ttfb_s is not None else _LINE_WITHOUT_TTFB) % (
        _second[1], past * 1e6, event, quoted(request_id), _quoted[client_ip], _quoted[method],
        quoted(path), _outcomes[status, reason, route, pool, endpoint, attempts], bytes_in,
        bytes_out, ttfb_s and ttfb_s * 1e3, duration_s * 1e3, revision,
    )  # fmt: skip
    return line.encode("ascii")


_LINE: Final = (
    '{"timestamp":"%s%06dZ","event":"%s","request_id":%s,"client_ip":%s,"method":%s,"path":%s,%s'
    '"bytes_in":%d,"bytes_out":%d,"ttfb_ms":%.3f,"duration_ms":%.3f,"revision":%d}\n'
)
"""An f-string would make a string of each number first."""

_LINE_WITHOUT_TTFB: Final = _LINE.replace("%.3f", "null%.0s", 1)

_second = (0, "")
"""The last second that was written, and how: ISO 8601 in UTC, as far as its point."""


def _begin_second(now: float) -> float:
    """Write the second of a time; return what is past of it."""
    global _second
    second = int(now)
    _second = second, strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second))
    return now - second


class _Known(dict[K, str]):
    """What comes again, as it is written."""

    def __init__(self, write: Callable[[K], str]) -> None:
        super().__init__()
        self._write: Final = write

    def __missing__(self, value: K) -> str:
        written = self._write(value)
        if len(self) < KNOWN and len(written) <= KNOWN_LENGTH:
            self[value] = written
        return written


def _outcome(of: tuple[int, str | None, str | None, str | None, str | None, int]) -> str:
    status, *names, attempts = of
    pairs = zip(("reason", "route", "pool", "endpoint"), names, strict=True)
    written = "".join(
        f'"{key}":{"null" if name is None else json_string(name)},' for key, name in pairs
    )
    return f'"status":{status},{written}"attempts":{attempts},'


_quoted: Final = _Known(quoted)
_outcomes: Final = _Known(_outcome)
