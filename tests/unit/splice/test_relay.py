"""The splice as a conversation between two transports that are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.splice.closing import FLUSH_S
from proxy.splice.relay import HALF_CLOSED_S, Kind
from tests.unit.fake_transport import HIGH_WATER, FakeTransport
from tests.unit.splice.pair import NOW, Pair


@given(
    st.sampled_from(["websocket", "tunnel"]),
    st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=30)), max_size=20),
)
def test_each_side_gets_what_the_other_sent(kind: Kind, pieces: list[tuple[bool, bytes]]) -> None:
    pair = Pair(kind=kind)
    for from_client, data in pieces:
        (pair.client if from_client else pair.upstream).receive(data)
    up = b"".join(data for from_client, data in pieces if from_client)
    down = b"".join(data for from_client, data in pieces if not from_client)
    assert (pair.upstream.written, pair.client.written) == (up, down)
    assert (pair.splice.to_upstream, pair.splice.to_client) == (len(up), len(down))


def test_what_was_read_behind_the_heads_comes_first_and_counts() -> None:
    pair = Pair(behind_request=b"early ", behind_response=b"hello ")
    pair.client.receive(b"late")
    pair.upstream.receive(b"world")
    assert (pair.upstream.written, pair.client.written) == (b"early late", b"hello world")
    assert (pair.splice.to_upstream, pair.splice.to_client) == (10, 11)


def test_side_that_does_not_keep_up_holds_the_other_back() -> None:
    pair = Pair()
    pair.client.stuck = True
    pair.upstream.receive(b"x" * (HIGH_WATER + 1))
    assert not pair.upstream.reading
    assert pair.client.reading
    pair.upstream.receive(b"y")
    pair.client.drain()
    assert pair.upstream.reading
    pair.upstream.deliver()
    assert pair.client.written.endswith(b"xy")


def test_buffer_filled_before_the_splice_holds_from_the_start() -> None:
    client = FakeTransport(stuck=True)
    client.buffered = HIGH_WATER + 1
    pair = Pair(client=client)
    assert not pair.upstream.reading
    assert pair.client.reading


def test_replay_that_fills_a_buffer_holds() -> None:
    pair = Pair(client=FakeTransport(stuck=True), behind_response=b"x" * (HIGH_WATER + 1))
    assert not pair.upstream.reading
    pair.client.drain()
    assert pair.upstream.reading


def test_transports_paused_before_the_splice_read_again() -> None:
    client, upstream = FakeTransport(), FakeTransport()
    client.pause_reading()
    upstream.pause_reading()
    Pair(client=client, upstream=upstream)
    assert client.reading
    assert upstream.reading


def test_fin_is_carried_over_and_the_other_direction_goes_on() -> None:
    pair = Pair()
    pair.client.end()
    assert pair.upstream.eof_written
    assert pair.closing == (False, False)
    pair.upstream.receive(b"still")
    assert pair.client.written == b"still"
    pair.upstream.end()
    assert pair.closing == (True, True)
    assert pair.ended == []
    pair.lose_both()
    assert pair.ended == [pair.splice]


def test_end_that_cannot_half_close_closes_the_splice() -> None:
    pair = Pair(upstream=FakeTransport(half_closes=False))
    pair.client.end()
    assert pair.closing == (True, True)


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_loss_of_one_end_flushes_and_closes_the_other(first: str) -> None:
    pair = Pair()
    lost, other = (
        (pair.client, pair.upstream) if first == "client" else (pair.upstream, pair.client)
    )
    lost.lose(ConnectionResetError())
    assert other.is_closing()
    assert not other.aborted
    assert pair.ended == []
    other.lose()
    assert pair.ended == [pair.splice]


@pytest.mark.parametrize("lost", ["client", "upstream"])
def test_nothing_is_written_to_an_end_that_is_gone(lost: str) -> None:
    """A closed transport of uvloop raises, and the exception would be nobody's."""
    pair = Pair()
    gone = getattr(pair, lost)
    other = pair.upstream if lost == "client" else pair.client
    gone.lose()
    other.get_protocol().data_received(b"late")
    other.get_protocol().pause_writing()
    other.get_protocol().resume_writing()
    assert gone.written == b""


def test_end_is_told_once_whatever_happens() -> None:
    pair = Pair()
    pair.splice.close()
    pair.splice.close()
    pair.client.lose()
    pair.splice.abort()
    pair.upstream.lose()
    assert pair.ended == [pair.splice]


def test_closing_takes_nothing_more() -> None:
    pair = Pair()
    pair.splice.close()
    pair.client.get_protocol().data_received(b"late")
    assert pair.upstream.written == b""


# -- time -----------------------------------------------------------------------------------------


def swept(pair: Pair, until: float, *, act: Callable[[float], None] | None = None) -> float | None:
    """Sweep five times a second as the server does; return when the splice began to close."""
    now = NOW
    while now < until:
        now += 0.2
        if act is not None:
            act(now)
        pair.splice.sweep(now)
        if pair.client.is_closing():
            return now - NOW
    return None


@pytest.mark.parametrize("idle_timeout_s", [1.0, 80.0, 3600.0])
def test_idle_splice_is_closed_at_its_time_and_not_much_later(idle_timeout_s: float) -> None:
    after = swept(Pair(idle_timeout_s=idle_timeout_s), NOW + 2 * idle_timeout_s)
    assert after is not None
    assert idle_timeout_s <= after <= idle_timeout_s * 1.25 + 1


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_any_octet_in_either_direction_keeps_it(side: str) -> None:
    pair = Pair(idle_timeout_s=8.0)
    sent: list[float] = []

    def act(now: float) -> None:
        if not sent or now - sent[-1] >= 6.0:
            sent.append(now)
            getattr(pair, side).receive(b"x")

    assert swept(pair, NOW + 100, act=act) is None
    assert len(sent) > 10


def test_splice_without_a_timeout_stays() -> None:
    assert swept(Pair(idle_timeout_s=None), NOW + 5000) is None


@pytest.mark.parametrize("idle_timeout_s", [None, 3600.0])
def test_half_closed_splice_has_a_timeout_of_its_own(idle_timeout_s: float | None) -> None:
    pair = Pair(idle_timeout_s=idle_timeout_s)
    pair.client.end()
    after = swept(pair, NOW + 4 * HALF_CLOSED_S)
    assert after is not None
    assert HALF_CLOSED_S <= after <= 1.5 * HALF_CLOSED_S


def test_shorter_timeout_stays_when_half_closed() -> None:
    pair = Pair(idle_timeout_s=4.0)
    pair.upstream.end()
    after = swept(pair, NOW + 4 * HALF_CLOSED_S)
    assert after is not None
    assert after < 8


def test_splice_that_cannot_flush_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.splice.relay.monotonic", lambda: NOW)
    pair = Pair()
    pair.splice.close()
    pair.splice.sweep(NOW + FLUSH_S - 0.1)
    assert not pair.client.aborted
    pair.splice.sweep(NOW + FLUSH_S)
    assert pair.client.aborted
    assert pair.upstream.aborted


def test_abort_cuts_both_ends_at_once() -> None:
    pair = Pair()
    pair.splice.abort()
    assert pair.client.aborted
    assert pair.upstream.aborted
    pair.lose_both()
    assert pair.ended == [pair.splice]


def test_splice_says_what_it_moved() -> None:
    pair = Pair(behind_request=b"abc")
    assert repr(pair.splice) == "<Splice tunnel to_upstream=3 to_client=0>"
    pair.splice.close()
    assert repr(pair.splice).endswith(" closing>")
    pair.lose_both()
    assert repr(pair.splice).endswith(" ended>")
