"""The frame tracker: every rule of framing, however the octets are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.splice import frames
from proxy.splice.frames import FrameTracker, control_frame, unmasked
from tests.peers.frames import BINARY, CLOSE, PING, TEXT, encode
from tests.unit.splice.reference import Seen, read

PONG = 0xA


def seen(tracker: FrameTracker) -> Seen:
    return Seen(
        tracker.frames, tracker.messages, tracker.pings, tracker.close_code,
        tracker.tracked, tracker.at_boundary,
    )  # fmt: skip


def follow(tracker: FrameTracker, data: bytes) -> None:
    """Feed all of ``data``, as often as it takes."""
    while end := tracker.feed(data):
        data = data[end:]


def tracked(*pieces: bytes, from_client: bool = False) -> FrameTracker:
    tracker = FrameTracker(from_client=from_client)
    for piece in pieces:
        follow(tracker, piece)
    return tracker


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % len(stream) for place in places} - {0}) if stream else []
    return [
        stream[start:end]
        for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)
        if start < end
    ]


def frame(opcode: int, size: int, *, fin: bool = True, mask: bool = False, rsv: int = 0) -> bytes:
    whole = bytearray(encode(opcode, b"x" * size, fin=fin, mask=mask))
    whole[0] |= rsv << 4
    return bytes(whole)


class Quiet(bytearray):
    """Octets that are too many to be shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} octets>"


@dataclass(frozen=True)
class Sent:
    """A stream, told in few words: payloads are large."""

    from_client: bool
    stream: bytes = field(repr=False)
    heads: str

    def __iter__(self) -> Iterator[Any]:
        return iter((self.from_client, self.stream))


def sent(from_client: bool, stream: bytes) -> Sent:
    return Sent(from_client, stream, re.sub(rb"(x|O)\1{9,}", b"...", stream)[:300].hex(" "))


SIZES = st.sampled_from([0, 1, 2, 64, 124, 125, 126, 127, 1000, 65535, 65536, 70_000])


@st.composite
def messages(draw: st.DrawFn, *, mask: bool) -> bytearray:
    """Draw a message in any number of fragments, with control frames between them."""
    count = draw(st.integers(1, 4))
    pieces: list[bytes] = []
    for number in range(count):
        opcode = 0 if number else draw(st.sampled_from([TEXT, BINARY]))
        size, rsv = draw(SIZES), draw(st.integers(0, 7))
        pieces.append(frame(opcode, size, fin=number == count - 1, mask=mask, rsv=rsv))
        if draw(st.booleans()):
            control = draw(st.sampled_from([PING, PONG]))
            pieces.append(encode(control, draw(st.binary(max_size=125)), mask=mask))
    return Quiet(b"".join(pieces))


@st.composite
def streams(draw: st.DrawFn) -> Sent:
    """Draw frames in good order, at whose end there may be a Close, or nonsense, or a cut."""
    mask = draw(st.booleans())
    stream = b"".join(draw(st.lists(messages(mask=mask), max_size=5)))
    if draw(st.booleans()):
        stream += encode(CLOSE, draw(st.binary(max_size=125)), mask=mask)
    stream += draw(st.binary(max_size=20))
    return sent(mask, stream[: len(stream) - draw(st.integers(0, 30))])


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 1 << 20), max_size=12))
@example(sent(True, frame(TEXT, 3, mask=True) * 3), [1, 2, 3, 4, 5])
def test_any_frames_cut_anywhere_are_seen_as_the_reference_sees_them(
    sent: Sent, places: list[int]
) -> None:
    from_client, stream = sent
    tracker = tracked(*cut(stream, places), from_client=from_client)
    assert seen(tracker) == read(stream, from_client=from_client)
    assert tracker.octets == len(stream)


@settings(deadline=None)
@given(st.booleans(), st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_any_octets_cut_anywhere_are_seen_as_the_reference_sees_them(
    from_client: bool, stream: bytes, places: list[int]
) -> None:
    tracker = tracked(*cut(stream, places), from_client=from_client)
    assert seen(tracker) == read(stream, from_client=from_client)


@settings(deadline=None)
@given(streams())
def test_octet_by_octet_is_seen_as_the_reference_sees_it(sent: Sent) -> None:
    from_client, stream = sent
    stream = stream[:600]
    tracker = tracked(*(bytes((octet,)) for octet in stream), from_client=from_client)
    assert seen(tracker) == read(stream, from_client=from_client)


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 1 << 20), max_size=6))
def test_stepping_stops_at_every_boundary_and_ends_as_feeding_does(
    sent: Sent, places: list[int]
) -> None:
    from_client, stream = sent
    fed = tracked(stream, from_client=from_client)
    stepped = FrameTracker(from_client=from_client)
    for piece in cut(stream, places):
        at = 0
        while at < len(piece):
            before = stepped.frames
            at = stepped.step(piece, at)
            assert stepped.frames - before <= 1
            assert at == len(piece) or stepped.at_boundary
    assert seen(stepped) == seen(fed)


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("reserved data opcode", b"\x83\x00"),
        ("reserved control opcode", b"\x8b\x00"),
        ("fragmented ping", b"\x09\x00"),
        ("long ping", b"\x89\x7e\x00\x7e"),
        ("continuation of nothing", b"\x80\x00"),
        ("message within a message", frame(TEXT, 1, fin=False) + frame(TEXT, 1)),
        ("masked by a server", frame(TEXT, 1, mask=True)),
        ("two octets for 125", b"\x82\x7e\x00\x7d"),
        ("eight octets for 65535", b"\x82\x7f" + (65535).to_bytes(8, "big")),
        ("highest bit of the length", b"\x82\x7f\x80" + bytes(7)),
        ("data behind a Close", encode(CLOSE) + frame(TEXT, 0)),
        ("Close behind a Close", encode(CLOSE) * 2),
    ],
)  # fmt: skip
def test_breach_makes_the_stream_untracked_for_good(name: str, stream: bytes) -> None:
    tracker = tracked(stream)
    assert not tracker.tracked, name
    assert not tracker.at_boundary
    before = tracker.frames
    follow(tracker, frame(TEXT, 3) * 5)
    assert (tracker.tracked, tracker.frames) == (False, before)
    assert tracker.octets == len(stream) + 25


def test_unmasked_client_is_a_breach() -> None:
    assert not tracked(frame(TEXT, 1), from_client=True).tracked


def test_reserved_bits_are_let_through() -> None:
    tracker = tracked(*(frame(TEXT, 200, rsv=bits) for bits in range(8)))
    assert (tracker.messages, tracker.tracked) == (8, True)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"", 1005), (b"\x03", 1005), (b"\x03\xe8", 1000), (b"\x03\xf4bye", 1012)],
)
def test_close_code_is_remembered_and_told_once(mask: bool, payload: bytes, code: int) -> None:
    told: list[int] = []
    tracker = FrameTracker(from_client=mask, on_close=told.append)
    for octet in encode(CLOSE, payload, mask=mask):
        tracker.feed(bytes((octet,)))
    assert (tracker.close_code, told) == (code, [code])
    assert tracker.at_boundary


def test_message_is_counted_when_its_last_frame_has_ended() -> None:
    tracker = tracked(frame(TEXT, 300)[:-1])
    assert (tracker.frames, tracker.messages, tracker.at_boundary) == (0, 0, False)
    follow(tracker, b"x")
    assert (tracker.frames, tracker.messages, tracker.at_boundary) == (1, 1, True)


def test_control_frames_between_fragments_are_no_messages() -> None:
    stream = frame(TEXT, 9, fin=False) + encode(PING) + encode(PONG) + frame(0, 9)
    tracker = tracked(stream)
    assert (tracker.frames, tracker.messages, tracker.pings) == (4, 1, 1)


def test_payload_is_not_kept() -> None:
    tracker = tracked(frame(BINARY, 1 << 20)[:-1])
    assert tracker._kept == b""


def test_read_full_of_frames_is_followed_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAMES", 3)
    tracker = FrameTracker(from_client=False)
    stream = frame(TEXT, 4) * 2 + encode(PING) + frame(TEXT, 200) * 2
    end = tracker.feed(stream)
    assert (end, tracker.octets, tracker.frames, tracker.at_boundary) == (14, 14, 3, True)
    assert tracker.feed(stream[end:]) == 0
    assert (tracker.octets, tracker.frames) == (len(stream), 5)


def test_successor_goes_on_where_the_other_was_and_counts_anew() -> None:
    told: list[int] = []
    first = FrameTracker(from_client=True, on_close=told.append)
    first.feed(frame(TEXT, 5, fin=False, mask=True) + b"\x80")
    second = first.successor()
    second.feed(frame(0, 5, mask=True)[1:] + encode(CLOSE, b"\x03\xe8", mask=True))
    assert (second.messages, second.frames, second.tracked, told) == (1, 2, True, [1000])
    assert (first.messages, first.frames, first.close_code) == (0, 1, None)
    assert not first.at_boundary


def test_frame_that_was_not_passed_on_can_be_taken_back() -> None:
    tracker = tracked(frame(TEXT, 1) + encode(PONG))
    tracker.unsee_frame()
    assert (tracker.frames, tracker.messages) == (1, 1)


@settings(deadline=None)
@given(st.sampled_from([CLOSE, PING, PONG]), st.binary(max_size=125), st.booleans())
def test_control_frames_are_written_as_they_are_read(
    opcode: int, payload: bytes, masked: bool
) -> None:
    written = control_frame(opcode, payload, b"\x37\xfa\x21\x3d" if masked else b"")
    assert written == encode(opcode, payload, mask=masked)
    assert unmasked(written) == payload
