"""The access log of the process: which requests and tunnels are logged where no document says it.

To log never waits (``proxy.telemetry.line_writer``); lines that find no room are counted in
``dropped``.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import Final, Literal

from proxy.telemetry.line_writer import STDERR
from proxy.telemetry.log_sink import LogSink

Mode = Literal["off", "errors", "sampled", "all"]

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
