"""The access log: one JSON line for each request, and for each end of a tunnel.

A line costs a few microseconds on the event loop: it is formatted by hand and kept, and many are
handed over at once.  Handing over never waits (``proxy.telemetry.line_writer``); lines that find no
room are counted in ``dropped``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import random
from typing import Final, Literal, TypeVar

from proxy.telemetry.escaping import decode, json_string
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
    line = (
        f'{{"timestamp":"{_timestamp()}","event":"{event}",'
        f'"request_id":{json_string(decode(request_id))},'
        f'"client_ip":{_quoted[client_ip]},"method":{_quoted[method]},'
        f'"path":{json_string(decode(path.partition(b"?")[0]))},'
        f"{_outcomes[status, reason, route, pool, endpoint]}"
        f'"attempts":{attempts},'
        f'"bytes_in":{bytes_in},"bytes_out":{bytes_out},'
        f'"ttfb_ms":{"null" if ttfb_s is None else f"{ttfb_s * 1000:.3f}"},'
        f'"duration_ms":{duration_s * 1000:.3f},"revision":{revision}}}\n'
    )
    return line.encode("ascii")


_second = (0, "")
"""The last second that was written, and how."""


def _timestamp() -> str:
    """Return the time as ISO 8601 in UTC with microseconds; the seconds are formatted once."""
    global _second
    now = time.time()
    second = int(now)
    if second != _second[0]:
        _second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_second[1]}.{int((now - second) * 1_000_000):06d}Z"


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


def _outcome(of: tuple[int, str | None, str | None, str | None, str | None]) -> str:
    status, *names = of
    pairs = zip(("reason", "route", "pool", "endpoint"), names, strict=True)
    return f'"status":{status},' + "".join(
        f'"{key}":{"null" if name is None else json_string(name)},' for key, name in pairs
    )


_quoted: Final = _Known[bytes](lambda octets: json_string(decode(octets)))
_outcomes: Final = _Known(_outcome)
