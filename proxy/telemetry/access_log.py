"""The access log: one JSON line for each request, and for each end of a tunnel.

A line costs a few microseconds on the event loop: it is formatted by hand and kept, and many are
handed over at once.  Handing over never waits (``proxy.telemetry.stderr``); lines that find no
room are counted in ``dropped``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import random
from typing import Final, Literal

from proxy.telemetry.escaping import decode, json_string
from proxy.telemetry.stderr import STDERR

Mode = Literal["off", "errors", "sampled", "all"]
Event = Literal["access", "tunnel_open", "tunnel_close"]

BUFFER_BYTES: Final = 64 * 1024
"""As many bytes, or one line more, wait for ``flush`` at most; then ``log`` flushes by itself."""

_FROM: Final = {"off": 1000, "errors": 400, "sampled": 400, "all": 0}
"""The least status that is logged always."""


class AccessLog:
    """Which requests are logged, and the lines that wait to be written.

    ``write`` takes whole lines at once and says ``False`` if it lost them; it must neither wait nor
    raise.  ``sample`` is the share, 0 to 1, of what did not fail that ``sampled`` logs; failures
    are logged whole.

    The owner sees to ``flush``: it sets ``schedule`` to a function that calls back soon, such as
    ``partial(loop.call_later, 0.05)``, and ``log`` calls it whenever a first line waits.  It also
    flushes when it shuts down.
    """

    __slots__ = (
        "_buffer",
        "_bytes",
        "_from",
        "_sample",
        "_second",
        "_stamp",
        "_write",
        "dropped",
        "schedule",
    )

    def __init__(
        self, mode: Mode, write: Callable[[bytes], bool | None] | None = None, sample: float = 0.01
    ) -> None:
        self.dropped = 0
        """Lines that were lost because ``write`` had no room."""
        self.schedule: Callable[[Callable[[], None]], object] | None = None
        self._write: Final = STDERR.write if write is None else write
        self._from: Final = _FROM[mode]
        self._sample: Final = sample if mode == "sampled" else 0.0
        self._buffer: list[str] = []
        self._bytes = 0
        self._second = 0
        self._stamp = ""

    def wants(self, status: int) -> bool:
        """Tell whether a request answered with ``status`` is to be logged.

        Ask once per request: a tunnel that was sampled at its opening is logged at its end too.
        """
        return status >= self._from or (self._sample > 0.0 and random() < self._sample)

    def log(
        self,
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
    ) -> None:
        """Add a line; ``None`` becomes ``null``, a query in ``path`` is left out.

        ``bytes_in`` came from the client, ``bytes_out`` went to it; durations are seconds here and
        milliseconds in the line.
        """
        line = (
            f'{{"timestamp":"{self._now()}","event":"{event}",'
            f'"request_id":{json_string(decode(request_id))},'
            f'"client_ip":{json_string(decode(client_ip))},'
            f'"method":{json_string(decode(method))},'
            f'"path":{json_string(decode(path.partition(b"?")[0]))},'
            f'"status":{status},"reason":{_name(reason)},"route":{_name(route)},'
            f'"pool":{_name(pool)},"endpoint":{_name(endpoint)},"attempts":{attempts},'
            f'"bytes_in":{bytes_in},"bytes_out":{bytes_out},'
            f'"ttfb_ms":{"null" if ttfb_s is None else f"{ttfb_s * 1000:.3f}"},'
            f'"duration_ms":{duration_s * 1000:.3f},"revision":{revision}}}\n'
        )
        if not self._buffer and self.schedule is not None:
            self.schedule(self.flush)
        self._buffer.append(line)
        self._bytes += len(line)
        if self._bytes >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits; nothing happens if nothing does."""
        if not self._buffer:
            return
        lines, self._buffer, self._bytes = self._buffer, [], 0
        if self._write("".join(lines).encode("ascii")) is False:
            self.dropped += len(lines)

    def _now(self) -> str:
        """Return the time as ISO 8601 in UTC with microseconds; the seconds are formatted once."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((now - second) * 1_000_000):06d}Z"


def _name(name: str | None) -> str:
    return "null" if name is None else json_string(name)
