from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest

from admin.records import Overridden, decode, encode
from admin.state import State
from tests.unit.admin.journal import HAPPENED, OVERRIDE, applied, document, serving, states


def facts(state: State) -> tuple[object, ...]:
    history = state.history
    documents = [history.document(one.number) for one in history.newest_first()]
    return (
        list(history.newest_first()),
        documents,
        dict(state.overrides),
        state.pending,
        state.bootstrap,
    )


@pytest.mark.parametrize("record", HAPPENED, ids=lambda record: type(record).__name__)
def test_record_is_read_as_it_was_written(record: object) -> None:
    line = encode(record)  # type: ignore[arg-type]
    assert b"\n" not in line
    assert decode(line) == record


@pytest.mark.parametrize("state", states(), ids=range(len(HAPPENED) + 1))
def test_state_is_what_its_records_add_up_to(state: State) -> None:
    records = [decode(encode(record)) for record in state.records()]
    *_, again = accumulate(records, State.after, initial=State.fresh())
    assert facts(again) == facts(state)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"5", b"{}", b'{"applied":{}}', b'{"novel":{}}', b'{"confirmed":{"x":1}}'],
)
def test_what_is_no_record_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match="no record"):
        decode(line)


def test_records_of_another_format_are_refused() -> None:
    line = encode(next(iter(State.fresh().records())))
    with pytest.raises(ValueError, match="format 2"):
        decode(line.replace(b'"format":1', b'"format":2'))


def test_state_follows_what_happens() -> None:
    fresh, one, two, overridden, pending, confirmed, told, ended, *_ = states()
    assert [serving(each) for each in (fresh, one, two)] == [document(n) for n in range(3)]
    assert (one.bootstrap, two.bootstrap, told.bootstrap) == ("abc", "abc", "def")
    assert overridden.overrides == {("backend", "blue"): OVERRIDE}
    assert ended.overrides == {}
    assert pending.pending is not None
    assert confirmed.pending is None


def test_next_revision_ends_what_was_pending() -> None:
    pending = states()[4]
    assert pending.after(applied(4)).pending is None


def test_override_whose_time_is_over_is_forgotten() -> None:
    late = replace(OVERRIDE, endpoint="late", until=5e9)
    state = states()[3].after(Overridden("backend", "late", late))
    assert set(state.without_expired(4.5e9).overrides) == {("backend", "late")}
    assert state.without_expired(3e9) is state
