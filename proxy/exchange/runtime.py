"""What all exchanges of a server share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from proxy.snapshot import NOTHING
from proxy.splice.relay import Splice
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import RouteCounters
from proxy.telemetry.failures import Failures
from proxy.upstream.connection import Connections
from proxy.upstream.denied import Denied

NEVER: Final = float("inf")
"""A deadline that does not come."""


_TWO_DIGITS: Final = tuple(b"%02x" % number for number in range(256))


class Runtime:
    """Loop, parser, logs, live splices; and whether the process drains."""

    __slots__ = (
        "_id_prefix",
        "_id_start",
        "_ids",
        "access_log",
        "draining",
        "failures",
        "joined",
        "live",
        "log",
        "loop",
        "no_route",
        "snapshot",
        "splices",
        "upstreams",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Any,
        access_log: AccessLog | None,
        denied: Denied | None = None,
    ) -> None:
        self.loop: Final = loop
        self.log: Final = log
        self.access_log: Final = access_log
        self.upstreams: Final = Connections(loop, denied)
        self.splices: Final[set[Splice]] = set()
        self.live: Final[dict[int, object]] = {}
        """Client connections and splices by their number, the oldest first."""
        self.joined: Callable[[Splice], None] | None = None
        """Told of every new splice, while somebody wants to know."""
        self.snapshot = NOTHING
        """What serves; publishing a configuration is assigning it."""
        self.draining = False
        """Every response says ``Connection: close``."""
        self.no_route: Final = RouteCounters()
        """Requests that no route took."""
        self.failures: Final = Failures()
        self._id_start: Final = os.urandom(10).hex().encode()
        self._id_prefix = b""
        self._ids = (0x100000000000 + int.from_bytes(os.urandom(4), "big")) & ~0xFF

    def new_request_id(self) -> bytes:
        """Return 32 hexadecimal digits, unique to this request: a random part and a count."""
        number = self._ids
        self._ids = number + 1
        last = number & 0xFF
        if not last:  # 256 in a row differ in the last two digits only
            self._id_prefix = self._id_start + b"%x" % (number >> 8)
        return self._id_prefix + _TWO_DIGITS[last]
