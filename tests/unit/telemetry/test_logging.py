"""The log: every event is one line that parses, whoever says it and whatever is in it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.escaping import FIELD_BYTES
from proxy.telemetry.logging import LEVELS, Format, configure, get_logger

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.text()),
    max_leaves=10,
)


class Log:
    """The lines that came out."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def configure(self, level: str = "debug", format: Format = "json") -> None:
        configure(level, format, write=self.written.append)

    @property
    def text(self) -> str:
        return b"".join(self.written).decode()

    def events(self) -> list[dict[str, Any]]:
        """Parse every line, each of which is printable ASCII, and forget them."""
        text = self.text
        self.written.clear()
        assert text.endswith("\n") or not text
        lines = text.split("\n")[:-1]
        assert all(line.isascii() and line.isprintable() for line in lines)
        return [json.loads(line) for line in lines]


@contextmanager
def configured() -> Iterator[Log]:
    """Configure the process's log, and take that back."""
    root = logging.getLogger()
    level = root.level
    log = Log()
    log.configure()
    try:
        yield log
    finally:
        structlog.reset_defaults()
        root.setLevel(level)
        for handler in our_handlers():
            root.removeHandler(handler)


def our_handlers() -> list[logging.Handler]:
    return [
        handler
        for handler in logging.getLogger().handlers
        if type(handler).__module__ == "proxy.telemetry.logging"
    ]


@pytest.fixture
def log() -> Iterator[Log]:
    with configured() as log:
        yield log


def fail() -> None:
    raise RuntimeError("the reason\x1b[2J\nforged: line")


def test_event_is_one_json_line_with_level_logger_and_utc_time(log: Log) -> None:
    get_logger("admin.controller").info("config applied", revision=12, source="rest")
    line = log.text
    (event,) = log.events()
    assert list(event) == ["timestamp", "level", "logger", "event", "revision", "source"]
    assert line.startswith('{"timestamp": "')
    timestamp = event.pop("timestamp")
    assert timestamp.endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(timestamp)
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert event == {
        "level": "info",
        "logger": "admin.controller",
        "event": "config applied",
        "revision": 12,
        "source": "rest",
    }


@pytest.mark.parametrize("level", LEVELS)
def test_events_below_the_level_are_left_out(log: Log, level: str) -> None:
    log.configure(level)
    for name, number in LEVELS.items():
        getattr(get_logger("ours"), name)("said")
        logging.getLogger("theirs").log(number, "said")
    expected = [name for name in LEVELS if LEVELS[name] >= LEVELS[level]]
    events = log.events()
    assert [one["level"] for one in events if one["logger"] == "ours"] == expected
    assert [one["level"] for one in events if one["logger"] == "theirs"] == expected


def test_unknown_level_is_refused(log: Log) -> None:
    with pytest.raises(KeyError):
        log.configure("loud")


def test_logger_made_before_follows_a_new_configuration(log: Log) -> None:
    logger = get_logger("early")
    logger.info("seen")
    log.configure("error")
    logger.info("not seen")
    log.configure("info", "console")
    logger.info("seen again")
    assert log.text.count("\n") == 2
    assert log.text.endswith("info     early: seen again\n")


def test_bound_values_are_in_every_event(log: Log) -> None:
    get_logger("proxy").bind(listener="public").warning("slow", seconds=0.5)
    (event,) = log.events()
    assert (event["listener"], event["seconds"]) == ("public", 0.5)


@given(event=st.text(), value=ANYTHING)
def test_any_event_and_value_make_exactly_one_line(event: str, value: object) -> None:
    with configured() as log:
        get_logger("fuzz").info(event, value=value)
        (got,) = log.events()
        log.configure(format="console")
        get_logger("fuzz").info(event, value=value)
        (line,) = log.text.removesuffix("\n").split("\n")
    assert got["event"] == event.encode("utf-8", "backslashreplace").decode()
    assert line.isprintable()


def test_values_without_a_json_form_are_written_as_text(log: Log) -> None:
    get_logger("proxy").info(
        "odd",
        nan=float("nan"),
        raw=b"caf\xe9",
        path=Path("/etc/x"),
        error=OSError(2, "gone"),
        pairs=((1, b"\xff"), {"k": float("inf")}),
    )
    (event,) = log.events()
    assert event["nan"] == "nan"
    assert event["raw"] == "caf\\xe9"
    assert event["path"] == "/etc/x"
    assert event["error"] == "[Errno 2] gone"
    assert event["pairs"] == [[1, "\\xff"], {"k": "inf"}]


@pytest.mark.parametrize(
    "value", ["x" * 5000, b"\xff" * 5000, list(range(5000)), {"k": "x" * 2000, "l": "x" * 2000}]
)
def test_large_value_is_capped_and_marked(log: Log, value: object) -> None:
    get_logger("proxy").info("x" * 5000, value=value)
    (event,) = log.events()
    for text in (event["event"], event["value"]):
        assert text.endswith("…")
        assert FIELD_BYTES - 4 <= len(text.encode()) <= FIELD_BYTES


def test_traceback_is_in_the_line_and_keeps_its_end(log: Log) -> None:
    def deep(levels: int) -> None:
        # Alternating callers: Python folds a frame that repeats itself.
        deeper(levels) if levels else fail()

    def deeper(levels: int) -> None:
        deep(levels - 1)

    try:
        deep(60)
    except RuntimeError:
        get_logger("proxy").exception("failed")
    (event,) = log.events()
    assert event["level"] == "error"
    assert event["exception"].startswith("…")
    assert event["exception"].endswith("RuntimeError: the reason\x1b[2J\nforged: line")
    assert len(event["exception"].encode()) <= FIELD_BYTES


def test_standard_logging_comes_out_in_the_same_form(log: Log) -> None:
    try:
        fail()
    except RuntimeError:
        logging.getLogger("asyncio").exception("Task %r\nwas lost", "t1", stack_info=True)
    (event,) = log.events()
    assert (event["logger"], event["level"]) == ("asyncio", "error")
    assert event["event"] == "Task 't1'\nwas lost"
    assert "RuntimeError: the reason" in event["exception"]
    assert event["stack"].startswith(("Stack (most recent call last)", "…"))


def test_standard_logging_with_wrong_arguments_is_still_said(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest's own handler raises for such a record.
    monkeypatch.setattr(logging.getLogger(), "handlers", our_handlers())
    logging.getLogger("aiohttp").warning("%d of %d", "some")
    (event,) = log.events()
    assert event["event"] == "%d of %d ('some',)"


@pytest.mark.parametrize(
    ("number", "level"), [(1, None), (15, "debug"), (35, "warning"), (99, "critical")]
)
def test_levels_between_the_usual_ones_are_rounded_down(
    log: Log, number: int, level: str | None
) -> None:
    logging.getLogger("theirs").log(number, "said")
    assert [event["level"] for event in log.events()] == ([level] if level else [])


def test_error_log_outside_of_an_exception_has_no_traceback(log: Log) -> None:
    logging.getLogger("theirs").error("said", exc_info=True)
    (event,) = log.events()
    assert "exception" not in event


def test_configuring_again_does_not_double_what_libraries_say(log: Log) -> None:
    log.configure()
    logging.getLogger("theirs").error("once")
    assert len(log.events()) == 1


def test_console_line_is_for_people(log: Log) -> None:
    log.configure(format="console")
    get_logger("proxy").warning("slow client", listener="public", seconds=1.5, why="a b", none="")
    assert re.fullmatch(
        r"\S+Z warning  proxy: slow client "
        r'listener=public seconds=1\.5 why="a b" none=""\n',
        log.text,
    )


def test_console_escapes_what_would_steer_a_terminal(log: Log) -> None:
    log.configure(format="console")
    get_logger("proxy").info("a\x1b[31m\nb", path="/\x9b2J\u2028\u202ec\\x1b")
    assert log.text.endswith('proxy: a\\x1b[31m\\nb path="/\\x9b2J\\u2028\\u202ec\\\\x1b"\n')


def test_console_shows_a_traceback_in_lines_that_cannot_pass_for_events(log: Log) -> None:
    log.configure(format="console")
    try:
        fail()
    except RuntimeError:
        get_logger("proxy").exception("failed")
    first, *rest = log.text.removesuffix("\n").split("\n")
    assert first.endswith("proxy: failed")
    assert rest[-2:] == ["    RuntimeError: the reason\\x1b[2J", "    forged: line"]
    assert all(line.startswith("    ") for line in rest)


def test_closed_standard_error_raises_nothing() -> None:
    program = (
        "import os; os.close(2)\n"
        "from proxy.telemetry.logging import configure, get_logger\n"
        "from proxy.telemetry.line_writer import STDERR\n"
        "configure('info'); get_logger('x').info('lost'); STDERR.flush()\n"
        "print(STDERR.failures, STDERR.dropped)"
    )
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert ended.stdout.split() == [b"1", b"1"]


def test_standard_error_is_where_it_goes_by_default() -> None:
    program = (
        "from proxy.telemetry.logging import configure, get_logger\n"
        "configure('info'); get_logger('x').info('said')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(ended.stderr)["event"] == "said"
    assert ended.stdout == b""
