"""The JSON lines of requests and of the ends of tunnels, written many at a time.

Between two requests the code that writes a line leaves the caches of a busy core; so what lines say
is kept, as tuples of what is there anyway, and many are written by one turn of a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from time import gmtime, monotonic, strftime, time
from typing import Final, Literal, TypeVar

from proxy.telemetry.escaping import FIELD_BYTES, escaped, json_string

Event = Literal[b"access", b"tunnel_open", b"tunnel_close"]

Outcome = tuple[int, str | None, str | None, str | None, str | None, int]
"""Status, reason, route, pool, endpoint, attempts; ``None`` becomes ``null``."""

Facts = tuple[float, float, bytes, bytes, bytes, bytes, Outcome, int]
"""Begin, first byte of the response (0.0: none came), request id, client's address, method, path,
outcome, revision: what the two ends of a tunnel have in common.  A query in the path is left out.
"""

Entry = tuple[Event, float, int, int, Facts]
"""What a line says: event, when, octets from the client, octets to it, facts.

All times are monotonic, in seconds.
"""

KNOWN: Final = 1024
KNOWN_LENGTH: Final = 256
"""How much is remembered as it is written, and of what length.  What is used is soon there again
after all was forgotten, and what left with a pod is not."""

K = TypeVar("K")


def request_lines(entries: Iterable[Entry]) -> list[bytes]:
    """Write a line for each entry."""
    lines = []
    to_wall = time() - monotonic()
    second, prefix = 0, b""
    for event, ended, bytes_in, bytes_out, facts in entries:
        began, first_byte, request_id, client_ip, method, path, outcome, revision = facts
        past = ended + to_wall - second
        if not 0.0 <= past < 1.0:
            second = int(ended + to_wall)
            prefix = _begin_of(second)
            past = ended + to_wall - second
        # Nearly every id and path stands there as it came; to see that costs less than a call.
        if not request_id.isalnum() or len(request_id) > FIELD_BYTES:
            request_id = escaped(request_id)
        if not path.translate(_PLAIN).isalpha() or len(path) > FIELD_BYTES:
            path = escaped(path.partition(b"?")[0])
        lines.append(
            (_LINE if first_byte else _LINE_WITHOUT_TTFB) % (
                prefix, past * 1e6, event, request_id, _escaped[client_ip], _escaped[method], path,
                _outcomes[outcome], bytes_in, bytes_out,
                (first_byte - began) * 1e3, (ended - began) * 1e3, revision,
            )
        )  # fmt: skip
    return lines


_LINE: Final = (
    b'{"timestamp":"%b%06dZ","event":"%b","request_id":"%b","client_ip":"%b","method":"%b",'
    b'"path":"%b",%b"bytes_in":%d,"bytes_out":%d,"ttfb_ms":%.3f,"duration_ms":%.3f,"revision":%d}\n'
)
"""An f-string would make a string of each number first."""

_LINE_WITHOUT_TTFB: Final = _LINE.replace(b"%.3f", b"null%.0a", 1)
"""``%.0a`` takes the number and writes nothing of it."""

_PLAIN: Final = bytes(
    ord("a") if 0x20 <= octet < 0x7F and chr(octet) not in '"\\?' else 0 for octet in range(256)
)
"""Makes letters of the octets that stand in a line as they are, and nothing else."""


@lru_cache(maxsize=2)
def _begin_of(second: int) -> bytes:
    """Write a second since 1970: ISO 8601 in UTC, as far as its point."""
    return strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second)).encode()


class _Known(dict[K, bytes]):
    """What comes again, as it is written."""

    def __init__(self, write: Callable[[K], bytes]) -> None:
        super().__init__()
        self._write: Final = write

    def __missing__(self, value: K) -> bytes:
        written = self._write(value)
        if len(written) <= KNOWN_LENGTH:
            if len(self) >= KNOWN:
                self.clear()
            self[value] = written
        return written


def _outcome(of: Outcome) -> bytes:
    status, *names, attempts = of
    written = ["null" if name is None else json_string(name) for name in names]
    return (_OUTCOME % (status, *written, attempts)).encode()


_OUTCOME: Final = '"status":%d,"reason":%s,"route":%s,"pool":%s,"endpoint":%s,"attempts":%d,'


_escaped: Final = _Known(escaped)
_outcomes: Final = _Known(_outcome)
