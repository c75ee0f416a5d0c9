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

from proxy.telemetry.escaping import FIELD_BYTES, escaped, json_string
from proxy.telemetry.line_writer import STDERR
from proxy.telemetry.log_sink import LogSink

Mode = Literal["off", "errors", "sampled", "all"]
Event = Literal[b"access", b"tunnel_open", b"tunnel_close"]

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


Outcome = tuple[int, str | None, str | None, str | None, str | None, int]
"""Status, reason, route, pool, endpoint, attempts; ``None`` becomes ``null``."""

Said = tuple[bytes, bytes, bytes, bytes, Outcome, float | None, int]
"""Request id, client's address, method, path, outcome, time to first byte in seconds, revision:
what a line says beside event, octets and duration.  A query in the path is left out."""


def json_line(
    said: Said, bytes_in: int, bytes_out: int, duration_s: float, event: Event = b"access"
) -> bytes:
    """Write a line.

    ``bytes_in`` came from the client, ``bytes_out`` went to it; durations are seconds here and
    milliseconds in the line.
    """
    request_id, client_ip, method, path, outcome, ttfb_s, revision = said
    now = time()
    if not 0.0 <= (past := now - _second) < 1.0:
        past = _begin_second(now)
    # Nearly every id and path stands in the line as it came; to see that costs less than a call.
    if not request_id.isalnum() or len(request_id) > FIELD_BYTES:
        request_id = escaped(request_id)
    if not path.translate(_PLAIN).isalpha() or len(path) > FIELD_BYTES:
        path = escaped(path.partition(b"?")[0])
    return (_LINE if ttfb_s is not None else _LINE_WITHOUT_TTFB) % (
        _prefix, past * 1e6, event, request_id, _escaped[client_ip], _escaped[method], path,
        _outcomes[outcome], bytes_in, bytes_out, ttfb_s and ttfb_s * 1e3, duration_s * 1e3,
        revision,
    )  # fmt: skip


_LINE: Final = (
    b'{"timestamp":"%b%06dZ","event":"%b","request_id":"%b","client_ip":"%b","method":"%b",'
    b'"path":"%b",%b"bytes_in":%d,"bytes_out":%d,"ttfb_ms":%.3f,"duration_ms":%.3f,"revision":%d}\n'
)
"""An f-string would make a string of each number first."""

_LINE_WITHOUT_TTFB: Final = _LINE.replace(b"%.3f", b"null%.0a", 1)

_PLAIN: Final = bytes(
    ord("a") if 0x20 <= octet < 0x7F and chr(octet) not in '"\\?' else 0 for octet in range(256)
)
"""Makes letters of the octets that stand in a line as they are, and nothing else."""

_second = 0
_prefix = b""
"""The last second that was written, and how: ISO 8601 in UTC, as far as its point."""


def _begin_second(now: float) -> float:
    """Write the second of a time; return what is past of it."""
    global _second, _prefix
    _second = int(now)
    _prefix = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(_second)).encode()
    return now - _second


class _Known(dict[K, bytes]):
    """What comes again, as it is written."""

    def __init__(self, write: Callable[[K], bytes]) -> None:
        super().__init__()
        self._write: Final = write

    def __missing__(self, value: K) -> bytes:
        written = self._write(value)
        if len(self) < KNOWN and len(written) <= KNOWN_LENGTH:
            self[value] = written
        return written


def _outcome(of: Outcome) -> bytes:
    status, *names, attempts = of
    pairs = zip(("reason", "route", "pool", "endpoint"), names, strict=True)
    written = "".join(
        f'"{key}":{"null" if name is None else json_string(name)},' for key, name in pairs
    )
    return f'"status":{status},{written}"attempts":{attempts},'.encode()


_escaped: Final = _Known(escaped)
_outcomes: Final = _Known(_outcome)
