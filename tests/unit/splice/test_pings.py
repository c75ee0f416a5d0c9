"""Pings: who is asked when, who is dead, and whose pongs are whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.splice import frames
from proxy.splice.frames import FrameTracker, control_frame, unmasked
from proxy.splice.pings import Pings, Verdict
from tests.peers import settle
from tests.peers.frames import BINARY, CLOSE, PING, TEXT, encode
from tests.unit.fake_transport import HIGH_WATER, FakeTransport
from tests.unit.splice.pair import NOW, Clock, Pair, close, frames_in

PONG = 0xA
INTERVAL = 30.0
WAIT, ASK, DEAD = Verdict.WAIT, Verdict.PING, Verdict.DEAD


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# -- when to ask, as a table ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        # seconds, octets from the client, pings of the application, octets to it, buffered
        ("silent", [(29, 0, 0, 0, 0, WAIT), (30, 0, 0, 0, 0, ASK), (59, 0, 0, 0, 0, WAIT),
                    (60, 0, 0, 0, 0, DEAD)]),
        ("talks", [(29, 5, 0, 0, 0, WAIT), (58, 5, 0, 0, 0, WAIT), (59, 5, 0, 0, 0, ASK)]),
        ("talks instead of answering", [(30, 0, 0, 0, 0, ASK), (50, 1, 0, 0, 0, WAIT),
                                        (79, 1, 0, 0, 0, WAIT), (80, 1, 0, 0, 0, ASK)]),
        ("is only talked to", [(30, 0, 0, 900, 0, ASK), (60, 0, 0, 1800, 0, DEAD)]),
        ("the application asks", [(29, 0, 1, 9, 0, WAIT), (30, 0, 1, 9, 0, WAIT),
                                  (58, 0, 1, 9, 0, WAIT), (59, 0, 1, 9, 0, DEAD)]),
        ("the application is answered", [(29, 0, 1, 9, 0, WAIT), (31, 9, 1, 9, 0, WAIT),
                                         (60, 9, 1, 9, 0, WAIT), (61, 9, 1, 9, 0, ASK)]),
        ("takes nothing", [(30, 0, 0, 9000, 5000, ASK), (60, 0, 0, 9000, 5000, DEAD)]),
        ("reads slowly", [(30, 0, 0, 9000, 5000, ASK), (60, 0, 0, 9000, 4000, WAIT),
                          (89, 0, 0, 9000, 4000, WAIT), (90, 0, 0, 9000, 4000, DEAD)]),
        ("buffered later only", [(30, 0, 0, 9000, 0, ASK), (60, 0, 0, 99_000, 5000, DEAD)]),
    ],
)  # fmt: skip
def test_client_is_asked_after_silence_and_dead_after_more(
    name: str, looks: list[tuple[float, int, int, int, int, Verdict]]
) -> None:
    pings = Pings(INTERVAL, NOW)
    for seconds, heard, foreign, sent, buffered, verdict in looks:
        found = pings.look(NOW + seconds, heard, foreign, sent, buffered)
        assert found is verdict, f"{name}: at {seconds} s"
        if found is ASK:
            pings.next_frame()


def test_client_that_could_not_be_asked_is_not_dead_unless_it_takes_nothing() -> None:
    pings = Pings(INTERVAL, NOW)
    assert pings.look(NOW + 30, 0, 0, 100, 0) is ASK
    assert pings.look(NOW + 60, 0, 0, 100, 0) is WAIT, "its upstream is in the middle of a frame"
    pings = Pings(INTERVAL, NOW)
    assert pings.look(NOW + 30, 0, 0, 9000, 9000) is ASK
    assert pings.look(NOW + 60, 0, 0, 9000, 9000) is DEAD, "it is stuck in the middle of a frame"


# -- whose pong -----------------------------------------------------------------------------------


def answer(ping: bytes, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    return control_frame(PONG, unmasked(ping), mask)


def sifted(pings: Pings, stream: bytes, places: list[int]) -> tuple[bytes, FrameTracker]:
    tracker = FrameTracker(from_client=True)
    out = b""
    ends = sorted({place % max(1, len(stream)) for place in places} - {0})
    for start, end in zip([0, *ends], [*ends, len(stream)], strict=True):
        at = start
        while at < end:
            began = tracker.at_boundary
            to = tracker.step(stream[:end], at)
            out += pings.sift(stream[at:to], began, tracker)
            at = to
    return out, tracker


OTHERS = [
    encode(TEXT, b"hello", mask=True),
    encode(PONG, b"not ours", mask=True),
    encode(PONG, b"", mask=True),
    encode(PING, b"theirs", mask=True),
    encode(BINARY, b"x" * 300, mask=True),
]


@given(
    st.lists(st.sampled_from(OTHERS), max_size=4),
    st.lists(st.sampled_from(OTHERS), max_size=4),
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_our_pong_is_taken_out_and_nothing_else_however_it_is_cut(
    before: list[bytes], after: list[bytes], places: list[int]
) -> None:
    pings = Pings(INTERVAL, NOW)
    pong = answer(pings.next_frame())
    assert pings.expects
    stream = b"".join(before) + pong + b"".join(after)
    out, tracker = sifted(pings, stream, places)
    assert out == b"".join(before + after)
    assert (pings.swallowed, pings.expects, pings.keeps) == (len(pong), False, False)
    assert tracker.frames == len(before + after)


def test_answer_to_the_last_ping_answers_those_before_and_a_second_one_is_not_ours() -> None:
    pings = Pings(INTERVAL, NOW)
    pings.next_frame()
    pong = answer(pings.next_frame())
    out, _ = sifted(pings, pong + pong, [])
    assert (out, pings.expects) == (pong, False)


@pytest.mark.parametrize(
    "payload", [b"", b"x" * 12, bytes(8) + b"\x00\x00\x00\x01"], ids=["empty", "other", "forged"]
)
def test_pong_of_the_application_passes(payload: bytes) -> None:
    pings = Pings(INTERVAL, NOW)
    pings.next_frame()
    pong = encode(PONG, payload, mask=True)
    out, _ = sifted(pings, pong, [3])
    assert (out, pings.expects) == (pong, True)


def test_breach_within_a_pong_gives_back_what_was_kept() -> None:
    pings = Pings(INTERVAL, NOW)
    pings.next_frame()
    out, tracker = sifted(pings, b"\x8a\xff and more", [1])
    assert (out, tracker.tracked) == (b"\x8a\xff and more", False)


# -- in a splice ----------------------------------------------------------------------------------


def websocket(**differs: object) -> Pair:
    return Pair(kind="websocket", ping_interval_s=INTERVAL, **differs)  # type: ignore[arg-type]


def the_ping(pair: Pair) -> bytes:
    """Return the ping that the client was sent, alone."""
    stream = pair.client.take()
    (frame,) = frames_in(stream)
    assert (frame.opcode, frame.masked) == (PING, False)
    return stream


def test_silent_client_is_pinged_and_its_pong_goes_no_further(clock: Clock) -> None:
    pair = websocket(idle_timeout_s=None)
    for _ in range(3):
        clock.sweep(pair.splice, INTERVAL + 5)
        pair.client.receive(answer(the_ping(pair)))
    assert (pair.upstream.written, pair.splice.to_upstream) == (b"", 0)
    assert pair.closing == (False, False)
    pair.client.receive(encode(TEXT, b"hi", mask=True))
    pair.upstream.receive(encode(TEXT, b"ho"))
    assert pair.splice.messages == (1, 1)
    assert [frame.payload for frame in frames_in(pair.upstream.written)] == [b"hi"]


def test_dead_client_is_found_and_the_upstream_told(clock: Clock) -> None:
    pair = websocket(idle_timeout_s=None)
    clock.sweep(pair.splice, INTERVAL + 5)
    the_ping(pair)
    clock.sweep(pair.splice, INTERVAL + 5)
    (told,) = frames_in(pair.upstream.written)
    assert (told.opcode, told.payload, told.masked) == (CLOSE, b"\x03\xe9ping timeout", True)
    clock.sweep(pair.splice, 20)
    assert pair.client.aborted
    pair.lose_both()
    assert pair.splice.outcome == ("proxy", 1001)


def test_pings_and_pongs_do_not_keep_an_idle_websocket(clock: Clock) -> None:
    pair = websocket(idle_timeout_s=100.0)
    for _ in range(2):
        clock.sweep(pair.splice, INTERVAL + 5)
        pair.client.receive(answer(the_ping(pair)))
    clock.sweep(pair.splice, 50)
    told = frames_in(pair.client.written)[-1]
    assert (told.opcode, told.payload) == (CLOSE, b"\x03\xe9idle timeout")


def test_ping_waits_for_the_end_of_the_frame_under_way(clock: Clock) -> None:
    pair = websocket()
    whole = encode(BINARY, b"x" * 500)
    pair.upstream.receive(whole[:100])
    clock.sweep(pair.splice, INTERVAL + 5)
    assert pair.client.written == whole[:100]
    pair.upstream.receive(whole[100:] + encode(TEXT, b"next"))
    frames = frames_in(pair.client.take())
    assert [frame.opcode for frame in frames] == [BINARY, PING, TEXT]
    pair.upstream.receive(encode(TEXT, b"more"))
    assert [frame.opcode for frame in frames_in(pair.client.take())] == [TEXT]


def test_ping_goes_between_fragments(clock: Clock) -> None:
    pair = websocket()
    pair.upstream.receive(encode(TEXT, b"frag", fin=False))
    clock.sweep(pair.splice, INTERVAL + 5)
    assert [frame.opcode for frame in frames_in(pair.client.written)] == [TEXT, PING]


def test_application_that_pings_by_itself_is_not_disturbed(clock: Clock) -> None:
    pair = websocket()
    for number in range(20):
        pair.upstream.receive(encode(PING, b"%d" % number))
        clock.sweep(pair.splice, 20)
        pair.client.receive(encode(PONG, b"%d" % number, mask=True))
    assert len(frames_in(pair.client.written)) == 20
    assert len(frames_in(pair.upstream.written)) == 20


def test_client_that_reads_slowly_is_not_dead(clock: Clock) -> None:
    pair = websocket(idle_timeout_s=None, client=FakeTransport(stuck=True))
    pair.upstream.receive(encode(BINARY, b"x" * 200_000))
    for _ in range(6):
        clock.sweep(pair.splice, INTERVAL)
        pair.client.buffered -= 1000
    assert pair.closing == (False, False)


def test_no_ping_follows_a_close(clock: Clock) -> None:
    pair = websocket()
    frame = close(1000, mask=False)
    pair.upstream.receive(frame[:2])
    clock.sweep(pair.splice, INTERVAL + 5)
    pair.upstream.receive(frame[2:])
    clock.sweep(pair.splice, INTERVAL + 5)
    assert pair.client.written == frame


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_untracked_websocket_is_not_pinged(clock: Clock, side: str) -> None:
    pair = websocket(idle_timeout_s=None)
    getattr(pair, side).receive(b"\xff\xff")
    clock.sweep(pair.splice, 4 * INTERVAL)
    assert pair.client.written in (b"", b"\xff\xff")
    assert pair.closing == (False, False)


def test_goodbye_takes_the_place_of_a_ping_that_waits(clock: Clock) -> None:
    pair = websocket()
    whole = encode(BINARY, b"x" * 500)
    pair.upstream.receive(whole[:100])
    clock.sweep(pair.splice, INTERVAL + 5)
    pair.splice.close(1012, "")
    pair.upstream.receive(whole[100:])
    assert [frame.opcode for frame in frames_in(pair.client.written)] == [BINARY, CLOSE]


def test_goodbye_in_the_middle_of_our_pong_loses_nothing(clock: Clock) -> None:
    pair = websocket()
    clock.sweep(pair.splice, INTERVAL + 5)
    pong = answer(the_ping(pair))
    pair.client.receive(pong[:5])
    pair.splice.close(1012, "")
    assert [frame.opcode for frame in frames_in(pair.upstream.written)] == [CLOSE]
    pair.client.receive(pong[5:] + close(1012, mask=True))
    assert pair.client.is_closing()


# -- reads full of tiny frames --------------------------------------------------------------------


async def test_read_full_of_tiny_frames_is_passed_on_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAMES", 10)
    pair = Pair(kind="websocket")
    tiny = encode(TEXT, b"x", mask=True)
    pair.client.receive(tiny * 25 + tiny[:3])
    assert (pair.upstream.written, pair.client.reading) == (tiny * 10, False)
    pair.client.receive(tiny[3:])
    await settle()
    assert pair.upstream.written == tiny * 25 + tiny[:3]
    assert pair.client.reading
    pair.client.deliver()
    assert (pair.upstream.written, pair.splice.messages) == (tiny * 26, (26, 0))


async def test_read_full_of_tiny_frames_waits_for_a_slow_peer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAMES", 10)
    pair = Pair(kind="websocket", upstream=FakeTransport(stuck=True))
    pair.client.receive(encode(BINARY, b"x" * (HIGH_WATER + 1), mask=True) * 1)
    assert not pair.client.reading
    tiny = encode(TEXT, b"x", mask=True)
    pair.upstream.drain()
    pair.upstream.buffered = HIGH_WATER
    pair.client.receive(tiny * 25)
    await settle()
    assert pair.upstream.written.endswith(tiny * 10)
    assert not pair.client.reading
    pair.upstream.drain()
    await settle()
    assert pair.upstream.written.endswith(tiny * 25)
    assert pair.client.reading


async def test_read_full_of_tiny_frames_and_a_goodbye_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAMES", 10)
    pair = Pair(kind="websocket")
    tiny = encode(TEXT, b"x", mask=True)
    pair.client.receive(tiny * 25 + close(1012, mask=True))
    pair.splice.close(1012, "")
    await settle()
    sent = frames_in(pair.upstream.written)
    assert [frame.opcode for frame in sent] == [TEXT] * 10 + [CLOSE]
    assert pair.client.is_closing()
