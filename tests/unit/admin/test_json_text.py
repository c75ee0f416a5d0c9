"""JSON in pieces is the JSON of the encoder."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from admin.json_text import canonical, octets_of, spaced

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=30,
)


@given(values)
def test_pieces_are_what_the_encoder_writes(value: object) -> None:
    assert octets_of(value) == json.dumps(value, separators=(",", ":")).encode()
    ordered = json.dumps(value, separators=(",", ":"), sort_keys=True)
    assert canonical(value) == ordered.encode()
    assert spaced(value).decode("utf-8", "surrogatepass") == json.dumps(value, ensure_ascii=False)
