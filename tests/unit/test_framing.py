"""Bodies on the wire: chunked bodies against a reference, whatever they are split into."""

from __future__ import annotations

import itertools
import re
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy import framing
from proxy.framing import (
    LAST_CHUNK,
    MAX_CHUNK_LINE,
    MAX_CHUNKS_PER_FEED,
    MAX_TRAILER,
    ChunkedDecoder,
    FramingError,
    chunk,
    chunk_size,
)


def decode(*pieces: bytes) -> tuple[bytes, ChunkedDecoder]:
    """Feed pieces as an owner does: what is left to do is done before anything new comes."""
    decoder = ChunkedDecoder()
    payload: list[bytes] = []
    waiting = list(pieces)
    while waiting and not decoder.done:
        payload += decoder.feed(waiting.pop(0))
        while decoder.more:
            payload += decoder.feed(b"")
    return b"".join(payload), decoder


def behind(decoder: ChunkedDecoder, pieces: list[bytes]) -> bytes:
    """Return what stands behind the body: what the decoder left, and what it never got."""
    return decoder.rest + b"".join(pieces)


def splits(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    edges = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


SIZE_LINES: Final = st.sampled_from([b"%x", b"%X", b"0%x", b"%x;a=b", b"%x \t;a", b'%x;a="b"'])
TRAILERS: Final = st.sampled_from([b"", b"A: b\r\n", b"X-Long: " + b"v" * 300 + b"\r\nB:\r\n"])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, list[bytes]]:
    """Draw payload, framed body, what stands behind it, and how all of it is split."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
    framed = b"".join(draw(SIZE_LINES) % len(piece) + b"\r\n" + piece + b"\r\n" for piece in chunks)
    framed += draw(st.sampled_from([b"0\r\n", b"000\r\n", b"0;last\r\n"])) + draw(TRAILERS)
    framed += b"\r\n"
    rest = draw(st.sampled_from([b"", b"G", b"GET / HTTP/1.1\r\n\r\n", b"\r\n0\r\n\r\n"]))
    return b"".join(chunks), framed, rest, splits(draw, framed + rest)


@given(bodies())
def test_any_split_of_any_body_gives_its_payload_and_what_is_behind(
    body: tuple[bytes, bytes, bytes, list[bytes]],
) -> None:
    expected, _, rest, pieces = body
    decoder = ChunkedDecoder()
    payload = b""
    while pieces and not decoder.done:
        payload += b"".join(decoder.feed(pieces.pop(0)))
        assert not decoder.more
    assert decoder.done
    assert payload == expected
    assert behind(decoder, pieces) == rest


@given(bodies())
def test_a_body_is_done_at_its_last_octet_and_not_before(
    body: tuple[bytes, bytes, bytes, list[bytes]],
) -> None:
    framed = body[1]
    decoder = ChunkedDecoder()
    for at in range(len(framed)):
        assert not decoder.done
        decoder.feed(framed[at : at + 1])
    assert decoder.done
    assert decoder.rest == b""


_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?\r\n")
_TRAILER: Final = re.compile(rb"(?:[^:\r\n]+:[^\r\n]*\r\n)*\r\n")


def reference(data: bytes) -> bytes | None:
    """Read a whole chunked body by the letter of RFC 9112, 7.1; ``None`` if it is none."""
    payload, at = b"", 0
    while line := _SIZE.match(data, at):
        size, at = int(line[1], 16), line.end()
        if size == 0:
            return payload if _TRAILER.fullmatch(data, at) else None
        if data[at + size : at + size + 2] != b"\r\n":
            return None
        payload += data[at : at + size]
        at += size + 2
    return None


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a body in which an octet is missing, doubled or another one."""
    data = draw(bodies())[1]
    at = draw(st.integers(0, len(data) - 1))
    octet = draw(st.sampled_from([b"", b"\r", b"\n", b"0", b"f", b"g", b" ", b";", b":", b"\r\n"]))
    return data[:at] + octet + data[at + draw(st.integers(0, 1)) :]


@given(damaged())
@example(b"1\r\na\r\n0\r\n\r\n")
@example(b"1\r\na\n0\r\n\r\n")
def test_what_is_accepted_is_what_the_reference_accepts(data: bytes) -> None:
    decoder = ChunkedDecoder()
    payload, taken = b"", 0
    try:
        while taken < len(data) and not decoder.done:
            payload += b"".join(decoder.feed(data[taken : taken + 1]))
            taken += 1
    except FramingError:
        assert all(reference(data[:end]) is None for end in range(len(data) + 1))
    else:
        assert reference(data[:taken]) == (payload if decoder.done else None)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1_0\r\n",
        b";a\r\n",
        b"1\na\r\n",
        b"1;a\nb\r\na\r\n",
        b"1;a\rb\r\na\r\n",
        b"11111111111111111\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n: no name\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\nA: b\rc\r\n\r\n",
    ],
)
def test_what_is_no_chunked_body_is_refused_in_one_piece_and_in_many(data: bytes) -> None:
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        with pytest.raises(FramingError):
            decode(*pieces)


def test_chunk_size_line_without_an_end_is_refused_at_its_limit() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"1" + b";" * (MAX_CHUNK_LINE - 1))
    with pytest.raises(FramingError):
        decoder.feed(b";;")


def test_trailers_beyond_their_limit_are_refused_whether_ended_or_not() -> None:
    with pytest.raises(FramingError):
        decode(b"0\r\n" + b"A: b\r\n" * (MAX_TRAILER // 6 + 1))
    with pytest.raises(FramingError):
        decode(b"0\r\nA: ", b"b" * MAX_TRAILER)


def test_trailers_up_to_the_limit_are_dropped() -> None:
    payload, decoder = decode(b"1\r\na\r\n0\r\nA: " + b"b" * (MAX_TRAILER - 7) + b"\r\n\r\nrest")
    assert (payload, decoder.done, decoder.rest) == (b"a", True, b"rest")


@pytest.mark.parametrize("number", [MAX_CHUNKS_PER_FEED - 1, MAX_CHUNKS_PER_FEED, 10_000])
def test_work_of_one_call_is_bounded_and_nothing_is_lost(number: int) -> None:
    decoder = ChunkedDecoder()
    first = decoder.feed(b"1\r\na\r\n" * number + LAST_CHUNK + b"rest")
    assert len(first) <= MAX_CHUNKS_PER_FEED
    assert decoder.more == (not decoder.done)
    pieces = list(first)
    while decoder.more:
        pieces += decoder.feed(b"")
    assert len(pieces) == number
    assert decoder.done
    assert decoder.rest == b"rest"


def test_new_data_while_there_is_more_to_do_stays_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framing, "MAX_CHUNKS_PER_FEED", 1)
    decoder = ChunkedDecoder()
    assert decoder.feed(b"1\r\na\r\n1\r\nb\r\n") == [b"a"]
    assert decoder.more
    assert decoder.feed(b"1\r\nc\r\n") == [b"b"]
    assert decoder.feed(b"") == [b"c"]
    assert not decoder.more
    assert not decoder.done


def test_payload_is_passed_on_before_its_chunk_is_complete() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"ffffffff\r\nfirst") == [b"first"]
    assert decoder.feed(b"second") == [b"second"]


@given(st.integers(0, 2**64 - 1))
def test_chunk_size_reads_what_is_written(size: int) -> None:
    assert chunk_size(b"%x" % size) == chunk_size(b"%X;ext" % size) == size


@given(st.binary(min_size=1, max_size=300))
def test_chunk_is_read_back(payload: bytes) -> None:
    assert decode(chunk(payload), LAST_CHUNK)[0] == payload
