"""The log of the process: one event per line on standard error, whatever is in it.

Everything goes through structlog: our own events, and what libraries say through the standard
``logging`` (asyncio, aiohttp).  A line is JSON, or for people
``time level logger: event key=value``.
Values may come from the wire, so none of them can end a line, steer a terminal or fill a disk
(``proxy.telemetry.escaping``).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Final, Literal, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from proxy.telemetry.escaping import FIELD_BYTES, cap, cap_start, decode, printable
from proxy.telemetry.line_writer import STDERR

Format = Literal["json", "console"]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

LEADING: Final = ("timestamp", "level", "logger", "event")
"""What a line begins with, in this order."""


def configure(
    level: str, format: Format = "json", *, write: Callable[[bytes], object] = STDERR.write
) -> None:
    """Send every event of at least ``level``, a key of ``LEVELS``, to ``write``, line by line.

    The default ``write`` neither waits nor raises, whatever happens to standard error.  May be
    called again, and then holds for loggers that exist as well.
    """
    threshold = LEVELS[level]
    structlog.configure(
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _bounded,
            _as_json if format == "json" else _as_console,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda name="": _Line(name, write),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(threshold)


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a part of the process; it may be made before ``configure``."""
    return cast("FilteringBoundLogger", structlog.get_logger(name))


class _Line:
    """The end of structlog's chain: each level's method takes a finished line."""

    def __init__(self, name: str, write: Callable[[bytes], object]) -> None:
        self.name: Final = name
        self._write: Final = write

    def debug(self, line: bytes) -> None:
        self._write(line)

    info = warning = error = critical = debug


class _Bridge(logging.Handler):
    """Takes the records of the standard ``logging`` over."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record as an event whose text is the message."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit the format
            message = f"{record.msg} {record.args!r}"
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        more = {"stack": record.stack_info} if record.stack_info else {}
        get_logger(record.name).log(level, message, exc_info=record.exc_info, **more)


def _bounded(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make every value one that JSON has a form for, and of bounded size."""
    bounded: EventDict = {}
    for key in [*LEADING, *event]:
        if key in event and key not in bounded:
            value = event[key]
            last = key in ("exception", "stack")
            bounded[cap(key)] = cap_start(str(value)) if last else _field(value)
    return bounded


def _field(value: object) -> object:
    plain = _plain(value)
    if isinstance(plain, (dict, list)):
        text = json.dumps(plain)
        if len(text) > FIELD_BYTES:
            return cap(text)
    return plain


def _plain(value: object) -> object:
    if isinstance(value, str):
        return cap(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray)):
        return decode(bytes(value))
    if isinstance(value, Mapping):
        return {cap(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return cap(str(value))


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return json.dumps(event).encode("ascii") + b"\n"


def _as_console(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    timestamp, level, logger, text = (printable(str(event.pop(key, "-"))) for key in LEADING)
    blocks = [str(event.pop(key)) for key in ("exception", "stack") if key in event]
    pairs = "".join([f" {printable(key)}={_console_value(value)}" for key, value in event.items()])
    line = f"{timestamp} {level:<8} {logger}: {text}{pairs}\n"
    # A traceback keeps its lines for people; the indent tells them from events.
    for block in blocks:
        line += "".join([f"    {printable(one)}\n" for one in block.split("\n")])
    return line.encode()


def _console_value(value: object) -> str:
    if isinstance(value, str) and value and not set(' "=\\') & set(value):
        return printable(value)
    return printable(json.dumps(value, ensure_ascii=False))
