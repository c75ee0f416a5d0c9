"""The access log: one JSON line for each request, and for each end of a tunnel.

A line costs a few microseconds on the event loop: it is formatted by hand and kept, and many are
handed over at once.  Handing over never waits (``proxy.telemetry.line_writer``); lines that find no
room are counted in ``dropped``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import random
from typing import Final, Literal, TypedDict

from proxy.telemetry.escaping import decode, json_string
from proxy.telemetry.line_writer import STDERR
from proxy.telemetry.log_sink import LogSink

Mode = Literal["off", "errors", "sampled", "all"]
Event = Literal["access", "tunnel_open", "tunnel_close"]

KNOWN: Final = 1024
KNOWN_LENGTH: Final = 128
"""How many values are remembered as they are written, and of what length."""

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


class Said(TypedDict):
    """What a line says that is known before its request is over; see ``json_line``."""

    request_id: bytes
    client_ip: bytes
    method: bytes
    path: bytes
    status: int
    reason: str | None
    route: str | None
    pool: str | None
    endpoint: str | None
    attempts: int
    ttfb_s: float | None
    revision: int


def json_line(
    *,
    request_id: bytes,
    client_ip: bytes,
    method: bytes,
    path: bytes,
    status: int,
    reason: str | None,
    route: str | None,
    pool: str | None,
    endpoint: str | None,
    attempts: int,
    bytes_in: int,
    bytes_out: int,
    ttfb_s: float | None,
    duration_s: float,
    revision: int,
    event: Event = "access",
) -> bytes:
    """Write a line; ``None`` becomes ``null``, a query in ``path`` is left out.

    ``bytes_in`` came from the client, ``bytes_out`` went to it; durations are seconds here and
    milliseconds in the line.
    """
    line = (
        f'{{"timestamp":"{_timestamp()}","event":"{event}",'
        f'"request_id":{json_string(decode(request_id))},'
        f'"client_ip":{_known[client_ip]},"method":{_known[method]},'
        f'"path":{json_string(decode(path.partition(b"?")[0]))},'
        f'"status":{status},"reason":{_known[reason]},"route":{_known[route]},'
        f'"pool":{_known[pool]},"endpoint":{_known[endpoint]},"attempts":{attempts},'
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


class _Known(dict["bytes | str | None", str]):
    """Values that come again, such as names and methods, as they are written."""

    def __missing__(self, value: bytes | str | None) -> str:
        text = decode(value) if isinstance(value, bytes) else value
        written = "null" if text is None else json_string(text)
        if len(self) < KNOWN and len(written) <= KNOWN_LENGTH:
            self[value] = written
        return written


_known: Final = _Known()
