"""How a WebSocket is closed from our side: the table, and the conversation it makes."""

from __future__ import annotations

import itertools
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.splice.closing import (
    BOUNDARY_S,
    ECHO_S,
    FLUSH_S,
    TABLE,
    Act,
    Event,
    Phase,
    close_frame,
    step,
)
from tests.peers.frames import BINARY, CLOSE, PING, TEXT, encode
from tests.unit.fake_transport import HIGH_WATER, FakeTransport
from tests.unit.splice.pair import Clock, Got, Pair, close, frames_in

FRAGMENT = encode(TEXT, b"frag", fin=False)
OUR_CLOSE = Got(CLOSE, b"\x03\xf4service restart", True, False)
OUR_CLOSE_MASKED = Got(CLOSE, b"\x03\xf4service restart", True, True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def websocket(**differs: object) -> Pair:
    return Pair(kind="websocket", **differs)  # type: ignore[arg-type]


def goodbye(pair: Pair) -> None:
    pair.splice.close(1012, "service restart")


# -- the table ------------------------------------------------------------------------------------


def test_every_phase_can_end_and_none_is_left_by_an_unknown_event() -> None:
    reached = {Phase.WAITING}
    open_ends = deque(reached)
    while open_ends:
        phase = open_ends.popleft()
        for event in Event:
            following, _ = step(phase, event)
            if following not in reached:
                reached.add(following)
                open_ends.append(following)
    assert reached == set(Phase)
    assert {phase for phase, _ in TABLE} == set(Phase) - {Phase.GONE}
    for phase in Phase:
        assert step(phase, Event.LOST) == (Phase.GONE, ())


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.GONE])
def test_time_ends_every_phase(phase: Phase) -> None:
    acts: list[Act] = []
    for _ in range(3):
        phase, done = step(phase, Event.LATE)
        acts += done
    assert Act.CUT in acts


@given(st.lists(st.sampled_from(list(Event)), max_size=12))
def test_an_end_is_told_at_most_once_and_nothing_follows_its_end(events: list[Event]) -> None:
    phase, told, gone = Phase.WAITING, 0, False
    for event in events:
        phase, acts = step(phase, event)
        assert not (gone and acts)
        gone = gone or phase is Phase.GONE
        told += acts.count(Act.TELL)
    assert told <= 1


@pytest.mark.parametrize(("to_upstream", "masked"), [(False, False), (True, True)])
def test_close_frame_has_code_and_reason_and_is_masked_towards_the_upstream(
    to_upstream: bool, masked: bool
) -> None:
    (frame,) = frames_in(close_frame(4321, "für alle", to_upstream=to_upstream))
    assert frame == Got(CLOSE, b"\x10\xe1" + "für alle".encode(), True, masked)


def test_masks_differ() -> None:
    assert close_frame(1001, "", to_upstream=True) != close_frame(1001, "", to_upstream=True)


# -- the conversation -----------------------------------------------------------------------------


def test_idle_ends_are_told_at_once_and_closed_when_they_have_answered() -> None:
    pair = websocket()
    goodbye(pair)
    assert frames_in(pair.client.take()) == [OUR_CLOSE]
    assert frames_in(pair.upstream.take()) == [OUR_CLOSE_MASKED]
    assert pair.closing == (False, False)
    pair.client.receive(close(1012, mask=True))
    assert pair.closing == (True, False)
    pair.upstream.receive(close(1012, mask=False))
    assert pair.closing == (True, True)
    assert pair.aborted == (False, False)
    assert (pair.client.take(), pair.upstream.take()) == (b"", b"")
    pair.lose_both()
    assert pair.ended == [pair.splice]
    assert pair.splice.outcome == ("proxy", 1012)


def test_closing_twice_is_closing_once() -> None:
    pair = websocket()
    goodbye(pair)
    pair.splice.close(4000, "again")
    assert frames_in(pair.client.take()) == [OUR_CLOSE]


@pytest.mark.parametrize("side", ["client", "upstream"])
@pytest.mark.parametrize("sent", [1, 2, 3, 4, 5, 9, 10, 300, 70_000])
def test_frame_under_way_is_finished_first_and_nothing_follows(side: str, sent: int) -> None:
    pair = websocket()
    mask = side == "client"
    source = pair.client if mask else pair.upstream
    target = pair.upstream if mask else pair.client
    whole = encode(BINARY, b"x" * 70_000, mask=mask)
    source.receive(whole[:sent])
    goodbye(pair)
    assert target.written == whole[:sent]
    source.receive(whole[sent:] + encode(TEXT, b"too late", mask=mask))
    source.receive(encode(TEXT, b"later still", mask=mask))
    data, closing = frames_in(target.written)
    assert (data.payload, closing.opcode) == (b"x" * 70_000, CLOSE)
    source.receive(close(1012, mask=mask))
    assert source.is_closing()


def test_close_may_come_between_fragments() -> None:
    pair = websocket()
    pair.upstream.receive(FRAGMENT)
    goodbye(pair)
    assert [frame.opcode for frame in frames_in(pair.client.written)] == [TEXT, CLOSE]
    pair.upstream.receive(encode(0, b"ments") + close(1012, mask=False))
    assert pair.upstream.is_closing(), "the rest of the message is no breach"


def test_what_is_not_passed_on_is_not_counted() -> None:
    pair = websocket()
    pair.client.receive(encode(TEXT, b"counts", mask=True))
    goodbye(pair)
    pair.client.receive(encode(TEXT, b"does not", mask=True) * 3)
    assert pair.splice.to_upstream == 12
    assert pair.splice.messages == (1, 0)


def test_frame_that_does_not_end_in_time_is_cut(clock: Clock) -> None:
    pair = websocket()
    pair.upstream.receive(encode(BINARY, b"x" * 500)[:100])
    goodbye(pair)
    pair.upstream.receive(b"x")
    clock.sweep(pair.splice, BOUNDARY_S - 0.2)
    assert not pair.client.is_closing()
    clock.sweep(pair.splice, 0.4)
    assert pair.client.aborted
    assert pair.client.written == encode(BINARY, b"x" * 500)[:100] + b"x", "no broken frame"


def test_boundary_may_be_wanted_sooner(clock: Clock) -> None:
    pair = websocket()
    pair.upstream.receive(encode(BINARY, b"x" * 500)[:100])
    pair.splice.close(1012, "", by=clock.now + 1)
    clock.sweep(pair.splice, 1.2)
    assert pair.client.aborted


def test_end_that_does_not_answer_is_sent_fin_and_then_cut(clock: Clock) -> None:
    pair = websocket()
    goodbye(pair)
    pair.upstream.receive(close(1012, mask=False))
    clock.sweep(pair.splice, ECHO_S - 0.2)
    assert not pair.client.eof_written
    clock.sweep(pair.splice, 0.4)
    assert (pair.client.eof_written, pair.client.is_closing()) == (True, False)
    clock.sweep(pair.splice, FLUSH_S + 0.2)
    assert pair.client.aborted


def test_end_in_the_middle_of_a_frame_is_not_late_with_its_answer(clock: Clock) -> None:
    pair = websocket()
    whole = encode(BINARY, b"x" * 500)
    pair.upstream.receive(whole[:100])
    goodbye(pair)
    clock.sweep(pair.splice, BOUNDARY_S - 0.2)
    assert not pair.upstream.eof_written
    pair.upstream.receive(whole[100:])
    clock.sweep(pair.splice, ECHO_S - 0.2)
    assert not pair.upstream.eof_written
    pair.upstream.receive(close(1012, mask=False))
    assert (pair.upstream.is_closing(), pair.upstream.aborted) == (True, False)


def test_end_whose_answer_could_not_be_understood_is_sent_fin_at_once(clock: Clock) -> None:
    pair = websocket()
    goodbye(pair)
    pair.upstream.receive(close(1012, mask=True))  # a server must not mask
    clock.sweep(pair.splice, 0.2)
    assert (pair.upstream.eof_written, pair.client.eof_written) == (True, False)
    pair.upstream.end()
    assert (pair.upstream.is_closing(), pair.upstream.aborted) == (True, False)


def test_late_answer_is_still_one(clock: Clock) -> None:
    pair = websocket()
    goodbye(pair)
    clock.sweep(pair.splice, ECHO_S + 1)
    pair.client.receive(close(1012, mask=True))
    assert (pair.client.is_closing(), pair.client.aborted) == (True, False)


def test_transport_that_cannot_half_close_is_closed(clock: Clock) -> None:
    pair = websocket(client=FakeTransport(half_closes=False))
    goodbye(pair)
    clock.sweep(pair.splice, ECHO_S + 0.4)
    assert (pair.client.eof_written, pair.client.is_closing()) == (False, True)


def test_end_that_does_not_take_what_is_flushed_is_cut(clock: Clock) -> None:
    pair = websocket()
    goodbye(pair)
    pair.client.receive(close(1012, mask=True))
    clock.sweep(pair.splice, FLUSH_S + 0.4)
    assert pair.client.aborted


@pytest.mark.parametrize("how", ["fin", "lost"])
def test_end_that_vanishes_meanwhile_does_not_keep_the_other_from_answering(how: str) -> None:
    pair = websocket()
    goodbye(pair)
    if how == "fin":
        pair.client.end()
    pair.client.lose()
    assert pair.closing == (True, False)
    pair.upstream.receive(close(1012, mask=False))
    assert pair.closing == (True, True)
    pair.upstream.lose()
    assert pair.ended == [pair.splice]


def test_source_that_vanishes_in_mid_frame_leaves_the_other_to_tcp() -> None:
    pair = websocket()
    pair.upstream.receive(encode(BINARY, b"x" * 500)[:100])
    goodbye(pair)
    pair.upstream.lose(ConnectionResetError())
    assert (pair.client.is_closing(), pair.client.aborted) == (True, False)
    assert pair.client.written == encode(BINARY, b"x" * 500)[:100]
    pair.client.lose()
    assert pair.splice.outcome == ("proxy", 1012), "the upstream was told"


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_close_that_an_end_has_sent_already_counts_as_its_answer_and_as_telling_the_other(
    side: str,
) -> None:
    pair = websocket()
    mask = side == "client"
    source = pair.client if mask else pair.upstream
    target = pair.upstream if mask else pair.client
    source.receive(close(1000, b"bye", mask=mask))
    goodbye(pair)
    assert [frame.payload for frame in frames_in(target.written)] == [b"\x03\xe8bye"]
    assert [frame.opcode for frame in frames_in(source.written)] == [CLOSE]
    assert source.is_closing()
    target.receive(close(1000, mask=not mask))
    assert target.is_closing()
    pair.lose_both()
    assert pair.splice.outcome == (side, 1000)


def test_handshake_that_is_over_is_only_closed() -> None:
    pair = websocket()
    pair.client.receive(close(1000, mask=True))
    pair.upstream.receive(close(1000, mask=False))
    written = len(pair.client.written), len(pair.upstream.written)
    goodbye(pair)
    assert pair.closing == (True, True)
    assert (len(pair.client.written), len(pair.upstream.written)) == written


def test_close_under_way_is_passed_on_instead_of_ours() -> None:
    pair = websocket()
    frame = close(1000, b"bye", mask=False)
    pair.upstream.receive(frame[:3])
    goodbye(pair)
    pair.upstream.receive(frame[3:])
    assert pair.client.written == frame
    assert pair.upstream.is_closing()
    pair.client.receive(close(1000, mask=True))
    assert pair.client.is_closing()


def test_half_closed_end_is_told_if_it_can_still_read() -> None:
    pair = websocket()
    pair.client.end()
    goodbye(pair)
    assert frames_in(pair.client.written) == [OUR_CLOSE]
    assert pair.closing == (True, True)
    assert pair.upstream.written == b"", "it has been sent FIN before"


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_end_whose_stream_is_untracked_is_closed_by_tcp_and_the_other_told(side: str) -> None:
    pair = websocket()
    source, target = pair.client, pair.upstream
    if side == "client":
        source, target = target, source
    source.receive(b"\xff\xff\xff")
    goodbye(pair)
    assert (target.written, target.is_closing()) == (b"\xff\xff\xff", True)
    assert [frame.opcode for frame in frames_in(source.written)] == [CLOSE]


def test_stream_that_becomes_untracked_while_its_boundary_is_awaited_is_closed_by_tcp() -> None:
    pair = websocket()
    pair.upstream.receive(b"\x82")
    goodbye(pair)
    pair.upstream.receive(b"\xff\xff")
    assert pair.client.written == b"\x82\xff\xff"
    assert (pair.client.is_closing(), pair.client.aborted) == (True, False)


def test_untracked_splice_ends_abnormally() -> None:
    pair = websocket(behind_request=b"\xff\xff", behind_response=b"\xff\xff")
    goodbye(pair)
    assert pair.closing == (True, True)
    pair.lose_both()
    assert pair.splice.outcome == ("proxy", 1006)


def test_tunnel_is_closed_by_tcp() -> None:
    pair = Pair(kind="tunnel")
    goodbye(pair)
    assert pair.closing == (True, True)
    assert (pair.client.written, pair.upstream.written) == (b"", b"")


def test_source_held_back_is_read_again_once_the_slow_end_is_told() -> None:
    pair = websocket(client=FakeTransport(stuck=True))
    pair.upstream.receive(encode(BINARY, b"x" * (HIGH_WATER + 1)))
    assert not pair.upstream.reading
    goodbye(pair)
    assert pair.upstream.reading
    pair.upstream.receive(close(1012, mask=False))
    assert pair.upstream.is_closing()


def test_source_in_mid_frame_stays_held_back_until_the_slow_end_takes_more() -> None:
    pair = websocket(client=FakeTransport(stuck=True))
    whole = encode(BINARY, b"x" * 200_000)
    pair.upstream.receive(whole[:100_000])
    goodbye(pair)
    assert not pair.upstream.reading
    pair.upstream.receive(whole[100_000:] + encode(TEXT, b"late"))
    pair.client.drain()
    pair.upstream.deliver()
    assert [frame.opcode for frame in frames_in(pair.client.written)] == [BINARY, CLOSE]


def test_slow_end_that_takes_some_of_it_is_given_time_for_the_rest_but_not_for_ever(
    clock: Clock,
) -> None:
    pair = websocket(client=FakeTransport(stuck=True))
    pair.upstream.receive(encode(BINARY, b"x" * 200_000))
    goodbye(pair)
    for _ in range(9):
        pair.client.buffered -= 10_000
        clock.sweep(pair.splice, ECHO_S)
    assert (pair.client.eof_written, pair.client.aborted) == (False, False)
    for _ in range(20):
        pair.client.buffered -= 1
        clock.sweep(pair.splice, ECHO_S)
    assert pair.client.aborted


def test_abort_cuts_a_goodbye_short() -> None:
    pair = websocket()
    goodbye(pair)
    pair.splice.abort()
    assert pair.aborted == (True, True)
    pair.lose_both()
    assert pair.ended == [pair.splice]


# -- who ended it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_first_close_frame_tells_who_ended_it(side: str) -> None:
    pair = websocket()
    order = [pair.client, pair.upstream]
    for number, one in enumerate(order if side == "client" else reversed(order)):
        one.receive(close(4000 + number, mask=one is pair.client))
    pair.lose_both()
    assert pair.splice.outcome == (side, 4000)


@pytest.mark.parametrize("side", ["client", "upstream"])
@pytest.mark.parametrize("how", ["fin", "reset"])
def test_end_without_a_close_frame_is_abnormal(side: str, how: str) -> None:
    pair = websocket()
    one: FakeTransport = getattr(pair, side)
    if how == "fin":
        one.end()
    one.lose(None if how == "fin" else ConnectionResetError())
    pair.lose_both()
    assert pair.splice.outcome == (side, 1006)


def test_cut_by_us_is_abnormal_and_ours() -> None:
    pair = websocket()
    pair.splice.abort()
    pair.lose_both()
    assert pair.splice.outcome == ("proxy", 1006)


# -- anything at all ------------------------------------------------------------------------------

_PIECES = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([(TEXT, 0), (TEXT, 5), (BINARY, 130), (BINARY, 66_000), (PING, 3)]),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(_PIECES, st.integers(0, 1 << 20), st.integers(1, 3000))
def test_whenever_it_is_said_no_frame_is_broken_and_close_is_the_last(
    sent: list[tuple[bool, tuple[int, int]]], when: int, block: int
) -> None:
    pair = websocket()
    moves: list[tuple[FakeTransport, bytes]] = []
    for from_client, (opcode, size) in sent:
        whole = encode(opcode, b"x" * size, mask=from_client)
        source = pair.client if from_client else pair.upstream
        cuts = range(0, len(whole), block) if len(whole) < 50 * block else (0, 1, 3000)
        moves += [
            (source, whole[start:end]) for start, end in itertools.pairwise([*cuts, len(whole)])
        ]
    at = when % (len(moves) + 1)
    for source, piece in moves[:at]:
        source.receive(piece)
    goodbye(pair)
    for source, piece in moves[at:]:
        source.receive(piece)
    pair.client.receive(close(1012, mask=True))
    pair.upstream.receive(close(1012, mask=False))
    assert pair.closing == (True, True)
    for end in (pair.client, pair.upstream):
        frames = frames_in(end.written)
        assert [frame.opcode for frame in frames].index(CLOSE) == len(frames) - 1
