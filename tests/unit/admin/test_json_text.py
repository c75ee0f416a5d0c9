"""JSON in pieces is the JSON of the encoder."""

from __future__ import annotations

import gc
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin import json_text
from admin.json_text import canonical, indented, octets_of, spaced

CALLS = 1000

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=30,
)


@given(values, st.integers(1, 8))
def test_pieces_are_what_the_encoder_writes(value: object, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "PIECE", piece)
        check(value)


def check(value: object) -> None:
    assert octets_of(value) == json.dumps(value, separators=(",", ":")).encode()
    ordered = json.dumps(value, separators=(",", ":"), sort_keys=True)
    assert canonical(value) == ordered.encode()
    assert spaced(value).decode("utf-8", "surrogatepass") == json.dumps(value, ensure_ascii=False)


@given(values)
def test_indented_is_what_the_encoder_writes(value: object) -> None:
    assert indented(value).decode() == json.dumps(value, ensure_ascii=False, indent=2)


def test_indented_leaves_nothing_for_the_collector() -> None:
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(CALLS):
            indented({"revision": 1, "changed": ["/pools/a"], "warnings": []})
        # What earlier tests left may end meanwhile, so it is not 0 exactly.
        assert gc.collect() < CALLS
    finally:
        if collecting:
            gc.enable()


def test_no_piece_is_of_more_values_than_may_be_written_at_once() -> None:
    seen: list[object] = []

    def encode(one: object) -> str:
        seen.append(one)
        return json.dumps(one)

    style = json_text.Style(encode)
    value = {str(at): {"weight": at, "labels": {"node": "n"}} for at in range(3000)}
    pieces = list(json_text._pieces({"pools": {"a": {"endpoints": value}}, "version": 1}, style))
    assert json.loads("".join(pieces))["pools"]["a"]["endpoints"] == value
    assert max(json_text._values(one, 10**9) for one in seen) <= json_text.PIECE + 1
    assert len(seen) < 50
