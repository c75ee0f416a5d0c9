"""The access log: which requests, which fields, and lines that always parse."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry import access_log
from proxy.telemetry.access_log import AccessLog, Mode, json_line
from proxy.telemetry.escaping import FIELD_BYTES
from proxy.telemetry.log_sink import BUFFER_BYTES

FIELDS = [
    "timestamp", "event", "request_id", "client_ip", "method", "path", "status", "reason", "route",
    "pool", "endpoint", "attempts", "bytes_in", "bytes_out", "ttfb_ms", "duration_ms", "revision",
]  # fmt: skip

ENTRY: dict[str, Any] = {
    "request_id": b"5f0c-1",
    "client_ip": b"203.0.113.7",
    "method": b"GET",
    "path": b"/chat/room",
    "status": 200,
    "reason": None,
    "route": "chat",
    "pool": "backend",
    "endpoint": "blue-0",
    "attempts": 1,
    "bytes_in": 10,
    "bytes_out": 2000,
    "ttfb_s": 0.0015,
    "duration_s": 0.25,
    "revision": 12,
}


def line(**fields: Any) -> bytes:
    """Write the line of an entry that differs from ``ENTRY``."""
    entry = ENTRY | fields
    extra = {name: entry.pop(name) for name in ("bytes_in", "bytes_out", "duration_s")}
    event = entry.pop("event", b"access")
    names = ("status", "reason", "route", "pool", "endpoint", "attempts")
    outcome = tuple(entry.pop(name) for name in names)
    *before, ttfb_s, revision = entry.values()
    return json_line((*before, outcome, ttfb_s, revision), **extra, event=event)


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


def logged(**fields: Any) -> dict[str, Any]:
    """Return the one line that an entry makes."""
    sink = Sink()
    log = AccessLog("all", sink.write)
    log.add(line(**fields))
    log.flush()
    (entry,) = sink.entries()
    return entry


def test_line_has_every_field_in_order() -> None:
    entry = logged()
    assert list(entry) == FIELDS
    age = datetime.now(UTC) - datetime.fromisoformat(entry.pop("timestamp"))
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert entry == {
        "event": "access",
        "request_id": "5f0c-1",
        "client_ip": "203.0.113.7",
        "method": "GET",
        "path": "/chat/room",
        "status": 200,
        "reason": None,
        "route": "chat",
        "pool": "backend",
        "endpoint": "blue-0",
        "attempts": 1,
        "bytes_in": 10,
        "bytes_out": 2000,
        "ttfb_ms": 1.5,
        "duration_ms": 250.0,
        "revision": 12,
    }


def test_request_that_reached_nothing_has_nulls() -> None:
    nothing = {"route": None, "pool": None, "endpoint": None, "ttfb_s": None}
    entry = logged(**nothing, reason="no_route", status=404)
    assert (entry["route"], entry["pool"], entry["endpoint"], entry["ttfb_ms"]) == (None,) * 4
    assert (entry["reason"], entry["status"]) == ("no_route", 404)


def test_tunnel_ends_are_events_of_their_own() -> None:
    assert logged(event=b"tunnel_open")["event"] == "tunnel_open"
    assert logged(event=b"tunnel_close")["event"] == "tunnel_close"


@pytest.mark.parametrize("path", [b"/login?token=s3cret", b"/login?", b"/login??token=s3cret?"])
def test_query_is_left_out(path: bytes) -> None:
    assert logged(path=path)["path"] == "/login"


@given(
    request_id=st.binary(), client_ip=st.binary(), method=st.binary(), path=st.binary(),
    route=st.none() | st.text(), reason=st.none() | st.text(),
)  # fmt: skip
def test_any_octets_make_exactly_one_line_that_parses(**fields: Any) -> None:
    entry = logged(**fields)
    assert entry["path"] == fields["path"].split(b"?")[0].decode("utf-8", "backslashreplace")
    assert entry["method"] == fields["method"].decode("utf-8", "backslashreplace")
    assert (entry["route"], entry["reason"]) == (fields["route"], fields["reason"])


@pytest.mark.parametrize("octet", [b"a", b"\xff", b"\x00", b'"'])
@pytest.mark.parametrize("name", ["request_id", "client_ip", "method", "path"])
def test_large_value_is_capped_and_marked(name: str, octet: bytes) -> None:
    value = logged(**{name: octet * 100_000})[name]
    assert value.endswith("…")
    assert FIELD_BYTES - 4 <= len(value.encode()) <= FIELD_BYTES


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
    log.add(line())
    log.add(line())
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
        log.add(line())
    (flush,) = calls
    flush()
    assert len(sink.entries()) == 3
    log.add(line())
    assert len(calls) == 2


def test_full_buffer_is_flushed_without_being_asked() -> None:
    sink = Sink()
    log = AccessLog("all", sink.write)
    count = 0
    while not sink.batches:
        log.add(line())
        count += 1
    (batch,) = sink.batches
    assert len(sink.entries()) == count
    assert BUFFER_BYTES <= len(batch) < BUFFER_BYTES + 1000


def test_lines_without_room_are_counted_and_forgotten() -> None:
    sink = Sink(room=False)
    log = AccessLog("all", sink.write)
    for _ in range(3):
        log.add(line())
    log.flush()
    assert log.dropped == 3
    sink.room = True
    log.add(line())
    log.flush()
    assert len(sink.entries()) == 1
    assert log.dropped == 3


def test_timestamp_moves_on_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    log = AccessLog("all", sink.write)
    for now in (1700000000.0, 1700000000.25, 1700000001.5, 1700000000.999999):
        monkeypatch.setattr(access_log, "time", partial(float, now))
        log.add(line())
    log.flush()
    assert [entry["timestamp"] for entry in sink.entries()] == [
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:13:20.250000Z",
        "2023-11-14T22:13:21.500000Z",
        "2023-11-14T22:13:20.999999Z",
    ]
