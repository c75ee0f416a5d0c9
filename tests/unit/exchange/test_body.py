"""The request half: framed as it goes out, kept as long as it may be needed, within its limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.body import NOTHING, RequestBody
from proxy.framing import ChunkedDecoder

PIECES = st.lists(st.binary(max_size=20), max_size=8)


def unframed(data: bytes, *, chunked: bool) -> tuple[bytes, bool]:
    """Read what went out as an upstream would: the payload, and whether it is complete."""
    if not chunked:
        return data, True
    decoder = ChunkedDecoder()
    payload = b"".join(decoder.feed(data)) if data else b""
    assert decoder.rest == b""
    return payload, decoder.done


@given(PIECES, st.booleans(), st.booleans())
def test_what_goes_out_is_what_came_in(pieces: list[bytes], chunked: bool, ends: bool) -> None:
    body = RequestBody(chunked=chunked, limit=1000)
    out = b"".join(body.add(piece, last=False) for piece in pieces)
    if ends:
        out += body.add(b"", last=True)
    payload, complete = unframed(out, chunked=chunked)
    assert payload == b"".join(pieces)
    assert complete or not ends
    assert body.octets == len(payload)
    assert body.done is ends


@given(PIECES, st.booleans(), st.integers(0, 8))
def test_what_is_kept_is_everything_so_far(
    pieces: list[bytes], chunked: bool, sent_at: int
) -> None:
    body = RequestBody(chunked=chunked, limit=10_000)
    out = b""
    for number, piece in enumerate(pieces):
        out += body.add(piece, last=False)
        if number >= sent_at:
            body.sent(may_retry=True)
        assert body.intact
        kept = unframed(body.kept(), chunked=chunked)
        assert kept == unframed(out, chunked=chunked)


def test_last_piece_and_end_go_out_together() -> None:
    body = RequestBody(chunked=True, limit=100)
    assert body.add(b"abc", last=True) == b"3\r\nabc\r\n0\r\n\r\n"
    assert body.done


def test_nothing_is_framed_as_nothing() -> None:
    """An empty chunk would end the body."""
    assert RequestBody(chunked=True, limit=100).add(b"", last=False) == b""


def test_unsent_body_is_kept_beyond_the_limit_and_says_it_is_full() -> None:
    body = RequestBody(chunked=False, limit=10)
    body.add(b"x" * 9, last=False)
    assert not body.full
    body.add(b"x" * 9, last=False)
    assert body.full
    assert body.intact
    assert body.kept() == b"x" * 18


def test_sent_body_within_the_limit_can_be_sent_again() -> None:
    body = RequestBody(chunked=False, limit=10)
    body.add(b"x" * 10, last=False)
    body.sent(may_retry=True)
    assert body.kept() == b"x" * 10


def test_sent_body_beyond_the_limit_is_forgotten_for_good() -> None:
    body = RequestBody(chunked=False, limit=10)
    body.add(b"x" * 10, last=False)
    body.sent(may_retry=True)
    body.add(b"y", last=False)
    body.sent(may_retry=True)
    assert not body.intact
    assert body.add(b"z", last=True) == b"z"
    assert (body.octets, body.full) == (12, False)


def test_sent_body_of_a_request_that_is_not_retried_is_forgotten() -> None:
    body = RequestBody(chunked=True, limit=10)
    body.add(b"x", last=False)
    body.sent(may_retry=False)
    assert not body.intact


@pytest.mark.parametrize("may_retry", [False, True])
def test_nothing_to_send_is_nothing_to_forget(may_retry: bool) -> None:
    body = RequestBody(chunked=False, limit=10)
    body.sent(may_retry=may_retry)
    assert body.intact
    assert body.kept() == b""


def test_body_of_a_request_without_one_is_complete_and_never_in_the_way() -> None:
    assert (NOTHING.done, NOTHING.intact, NOTHING.full) == (True, True, False)
    assert (NOTHING.kept(), NOTHING.octets) == (b"", 0)


@given(PIECES, st.booleans(), st.booleans())
def test_body_that_is_framed_otherwise_later_is_whole(
    pieces: list[bytes], chunked: bool, ends: bool
) -> None:
    body = RequestBody(chunked=not chunked, limit=10_000)
    for piece in pieces:
        body.add(piece, last=False)
    body.chunked = chunked
    out = body.kept()
    if ends:
        out += body.add(b"", last=True)
        assert body.kept() == out
    payload, complete = unframed(out, chunked=chunked)
    assert payload == b"".join(pieces)
    assert complete is (ends or not chunked)


def test_body_that_is_not_passed_on_is_counted_and_not_kept() -> None:
    body = RequestBody(chunked=False, limit=0)
    body.add(b"abc", last=False)
    body.forget()
    body.add(b"de", last=True)
    assert (body.octets, body.done, body.kept(), body.intact) == (5, True, b"", False)


def test_forgotten_body_is_counted_but_kept_no_more() -> None:
    body = RequestBody(chunked=True, limit=10)
    body.add(b"x" * 20, last=False)
    assert body.full
    body.forget()
    assert not body.intact
    assert not body.full
    assert body.add(b"y" * 20, last=True)
    assert (body.octets, body.done, body.full) == (40, True, False)
