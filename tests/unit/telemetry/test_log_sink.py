"""Where lines wait on the event loop."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.log_sink import BUFFER_BYTES, NOWHERE, TOGETHER, LogSink
from tests.unit.telemetry.entries import entry


def test_lines_wait_for_one_flush_and_go_together() -> None:
    batches: list[bytes] = []
    calls: list[Callable[[], None]] = []
    sink = LogSink(batches.append, calls.append)
    sink.add_line(b"1\n")
    sink.add_line(b"2\n")
    (flush,) = calls
    assert batches == []
    flush()
    flush()
    assert batches == [b"1\n2\n"]
    sink.add_line(b"3\n")
    assert len(calls) == 2


def test_full_buffer_goes_at_once() -> None:
    batches: list[bytes] = []
    sink = LogSink(batches.append)
    line = b"x" * (BUFFER_BYTES // 2 - 1) + b"\n"
    sink.add_line(line)
    assert batches == []
    sink.add_line(line)
    assert batches == [line * 2]


@given(st.lists(st.booleans() | st.just(TOGETHER), max_size=10))
def test_requests_and_other_lines_keep_their_order(kinds: list[bool | int]) -> None:
    batches: list[bytes] = []
    calls: list[Callable[[], None]] = []
    sink = LogSink(batches.append, calls.append)
    wanted: list[int] = []
    for kind in kinds:
        for _ in range(int(kind) or 1):
            number = len(wanted)
            wanted.append(number)
            if kind:
                sink.add_entry(entry(revision=number))
            else:
                sink.add_line(b'{"revision":%d}\n' % number)
    assert len(calls) == bool(kinds)
    sink.flush()
    sink.flush()
    assert len(batches) == bool(kinds)
    assert [json.loads(line)["revision"] for line in b"".join(batches).splitlines()] == wanted


def test_what_cannot_be_written_does_not_stop_what_comes() -> None:
    batches: list[bytes] = []
    sink = LogSink(batches.append)
    sink.add_entry(entry(revision=None))
    with pytest.raises(TypeError):
        sink.flush()
    sink.add_entry(entry(revision=2))
    sink.flush()
    assert json.loads(b"".join(batches))["revision"] == 2


def test_lines_without_room_are_counted() -> None:
    sink = LogSink(lambda lines: False)
    sink.add_line(b"1\n")
    sink.add_line(b"2\n")
    sink.add_entry(entry())
    sink.flush()
    sink.flush()
    assert sink.dropped == 3


def test_nowhere_takes_lines_and_loses_none() -> None:
    NOWHERE.add_line(b"1\n")
    NOWHERE.flush()
    assert NOWHERE.dropped == 0
