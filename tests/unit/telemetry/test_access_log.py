"""The access log of the process: which requests, and how their lines go."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.telemetry import access_log
from proxy.telemetry.access_log import AccessLog, Mode
from proxy.telemetry.log_sink import BUFFER_BYTES, TOGETHER
from tests.unit.telemetry.entries import entry


class Sink:
    """Takes lines, or not."""

    def __init__(self, *, room: bool = True) -> None:
        self.room = room
        self.batches: list[bytes] = []

    def write(self, lines: bytes) -> bool:
        if self.room:
            self.batches.append(lines)
        return self.room

    def entries(self) -> list[dict[str, Any]]:
        """Parse what was taken: whole lines of printable ASCII."""
        text = b"".join(self.batches).decode("ascii")
        lines = text.split("\n")
        assert lines.pop() == ""
        assert all(line.isprintable() for line in lines)
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [("off", []), ("errors", [400, 499, 502, 999]), ("all", [101, 200, 304, 400, 499, 502, 999])],
)
def test_mode_says_which_statuses_are_wanted(mode: Mode, wanted: list[int]) -> None:
    log = AccessLog(mode)
    assert [status for status in (101, 200, 304, 400, 499, 502, 999) if log.wants(status)] == wanted


@pytest.mark.parametrize(("drawn", "wanted"), [(0.0, True), (0.249, True), (0.25, False)])
def test_sampled_wants_its_share_and_every_error(
    monkeypatch: pytest.MonkeyPatch, drawn: float, wanted: bool
) -> None:
    monkeypatch.setattr(access_log, "random", lambda: drawn)
    log = AccessLog("sampled", sample=0.25)
    assert log.wants(200) is wanted
    assert log.wants(500)


def test_lines_wait_for_the_flush_and_go_together() -> None:
    sink = Sink()
    log = AccessLog("all", sink.write)
    log.add_entry(entry())
    log.add_entry(entry())
    assert sink.batches == []
    log.flush()
    log.flush()
    assert len(sink.batches) == 1
    assert len(sink.entries()) == 2


def test_flush_is_scheduled_once_for_each_batch() -> None:
    sink = Sink()
    calls: list[Callable[[], None]] = []
    log = AccessLog("all", sink.write)
    log.schedule = calls.append
    for _ in range(3):
        log.add_entry(entry())
    (flush,) = calls
    flush()
    assert len(sink.entries()) == 3
    log.add_entry(entry())
    assert len(calls) == 2


def test_full_buffer_is_flushed_without_being_asked() -> None:
    sink = Sink()
    log = AccessLog("all", sink.write)
    count = 0
    while not sink.batches:
        log.add_entry(entry())
        count += 1
    (batch,) = sink.batches
    assert len(sink.entries()) == count
    assert BUFFER_BYTES <= len(batch) < BUFFER_BYTES + TOGETHER * 1000


def test_lines_without_room_are_counted_and_forgotten() -> None:
    sink = Sink(room=False)
    log = AccessLog("all", sink.write)
    for _ in range(3):
        log.add_entry(entry())
    log.flush()
    assert log.dropped == 3
    sink.room = True
    log.add_entry(entry())
    log.flush()
    assert len(sink.entries()) == 1
    assert log.dropped == 3
