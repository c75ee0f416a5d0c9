from __future__ import annotations

import json

import pytest

from admin.delta import delta
from admin.history import REVISIONS, History
from admin.json_text import octets_of
from admin.revisions import Origin, Revision


def revision(number: int) -> Revision:
    return Revision(number, float(number), Origin("rest", "ops"), ("/x",))


def document(number: int, padding: int = 0) -> object:
    return {"x": number, "pad": "." * padding * number}


def grown(last: int, *, padding: int = 0, **bounds: int) -> History:
    history = History.of(revision(0), document(0, padding))
    for number in range(1, last + 1):
        step = octets_of(delta(document(number - 1, padding), document(number, padding)))
        history = history.after(revision(number), step, **bounds)
    return history


def test_every_revision_has_its_document() -> None:
    history = grown(7)
    assert [history.document(number) for number in range(8)] == [document(n) for n in range(8)]
    assert [one.number for one in history.newest_first()] == list(range(7, -1, -1))
    assert (history.latest.number, history.oldest) == (7, 0)


def test_only_the_last_ones_are_kept() -> None:
    history = grown(REVISIONS + 20)
    assert [one.number for one in history.newest_first()] == list(range(REVISIONS + 20, 20, -1))
    assert history.document(21) == document(21)
    assert history.document(REVISIONS + 20) == document(REVISIONS + 20)
    assert history.find(20) is None
    assert history.find(REVISIONS + 21) is None


def test_what_changed_much_leaves_room_for_fewer() -> None:
    history = grown(20, padding=100, revision_bytes=5000)
    assert history.octets <= 5000
    assert 2 <= len(history.entries) < 10
    assert history.document(history.oldest) == document(history.oldest, 100)
    assert history.document(20) == document(20, 100)


def test_the_last_two_are_kept_whatever_they_changed() -> None:
    history = grown(5, padding=1000, revision_bytes=1)
    assert [one.number for one in history.newest_first()] == [5, 4]
    assert [history.document(number) for number in (4, 5)] == [
        document(4, 1000),
        document(5, 1000),
    ]


def test_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="revision 9 after 3"):
        grown(3).after(revision(9), b"{}")


def test_history_is_not_changed_by_what_comes_after() -> None:
    history = grown(3)
    history.after(revision(4), octets_of([json.loads("{}")]))
    assert history.latest.number == 3
