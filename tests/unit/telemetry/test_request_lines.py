"""The JSON lines of requests: their fields, and that they always parse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry import request_lines as module
from proxy.telemetry.escaping import FIELD_BYTES
from proxy.telemetry.request_lines import KNOWN, KNOWN_LENGTH, request_lines
from tests.unit.telemetry.entries import entry

FIELDS = [
    "timestamp", "event", "request_id", "client_ip", "method", "path", "status", "reason", "route",
    "pool", "endpoint", "attempts", "bytes_in", "bytes_out", "ttfb_ms", "duration_ms", "revision",
]  # fmt: skip


def written(**fields: Any) -> dict[str, Any]:
    """Parse the one line that an entry makes: printable ASCII."""
    (line,) = request_lines([entry(**fields)])
    text = line.decode("ascii")
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    said: dict[str, Any] = json.loads(text)
    return said


def test_line_has_every_field_in_order() -> None:
    said = written()
    assert list(said) == FIELDS
    age = datetime.now(UTC) - datetime.fromisoformat(said.pop("timestamp"))
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert said == {
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
    said = written(**nothing, reason="no_route", status=404)
    assert (said["route"], said["pool"], said["endpoint"], said["ttfb_ms"]) == (None,) * 4
    assert (said["reason"], said["status"]) == ("no_route", 404)


def test_tunnel_ends_are_events_of_their_own() -> None:
    assert written(event=b"tunnel_open")["event"] == "tunnel_open"
    assert written(event=b"tunnel_close")["event"] == "tunnel_close"


@pytest.mark.parametrize("path", [b"/login?token=s3cret", b"/login?", b"/login??token=s3cret?"])
def test_query_is_left_out(path: bytes) -> None:
    assert written(path=path)["path"] == "/login"


@given(
    request_id=st.binary(), client_ip=st.binary(), method=st.binary(), path=st.binary(),
    route=st.none() | st.text(), reason=st.none() | st.text(),
)  # fmt: skip
def test_any_octets_make_exactly_one_line_that_parses(**fields: Any) -> None:
    said = written(**fields)
    assert said["path"] == fields["path"].split(b"?")[0].decode("utf-8", "backslashreplace")
    assert said["method"] == fields["method"].decode("utf-8", "backslashreplace")
    assert (said["route"], said["reason"]) == (fields["route"], fields["reason"])


@pytest.mark.parametrize("octet", [b"a", b"\xff", b"\x00", b'"'])
@pytest.mark.parametrize("name", ["request_id", "client_ip", "method", "path"])
def test_large_value_is_capped_and_marked(name: str, octet: bytes) -> None:
    value = written(**{name: octet * 100_000})[name]
    assert value.endswith("…")
    assert FIELD_BYTES - 4 <= len(value.encode()) <= FIELD_BYTES


def test_what_is_remembered_has_a_limit_and_is_forgotten_for_what_comes() -> None:
    for generation in range(3):
        for number in range(KNOWN):
            assert (
                written(endpoint=f"{generation}-{number}")["endpoint"] == f"{generation}-{number}"
            )
            assert len(module._outcomes) <= KNOWN
    last = [key[4] for key in module._outcomes]
    assert last[-1] == f"2-{KNOWN - 1}"
    assert written(endpoint="x" * KNOWN_LENGTH)["endpoint"] == "x" * KNOWN_LENGTH
    assert [key[4] for key in module._outcomes] == last


def test_every_entry_of_many_has_its_own_line() -> None:
    many = [entry(path=b"/%d" % number, status=200 + number) for number in range(100)]
    lines = [json.loads(line) for line in request_lines(many)]
    assert [(line["path"], line["status"]) for line in lines] == [
        (f"/{number}", 200 + number) for number in range(100)
    ]
    assert request_lines([]) == []


def test_timestamps_are_of_the_ends_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", partial(float, 1700000010.0))
    monkeypatch.setattr(module, "monotonic", partial(float, 60.0))
    many = [entry(ended=ended) for ended in (50.0, 50.25, 51.5, 50.96875, 59.9999995, 60.0)]
    assert [json.loads(line)["timestamp"] for line in request_lines(many)] == [
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:13:20.250000Z",
        "2023-11-14T22:13:21.500000Z",
        "2023-11-14T22:13:20.968750Z",
        "2023-11-14T22:13:29.999999Z",
        "2023-11-14T22:13:30.000000Z",
    ]
