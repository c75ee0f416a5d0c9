"""The process drain as a clock, with connections that are none."""

from __future__ import annotations

from proxy.process_drain import ProcessDrain
from proxy.splice.relay import Kind, Splice
from tests.peers.frames import CLOSE
from tests.unit.fake_transport import FakeTransport
from tests.unit.splice.pair import NOW, frames_in


def splice(kind: Kind) -> tuple[Splice, FakeTransport]:
    client = FakeTransport()
    made = Splice(
        kind, client, FakeTransport(), idle_timeout_s=None, on_end=lambda _: None, now=NOW
    )
    made.start(b"", b"")
    return made, client


def test_doors_close_once_and_only_after_the_accept_phase() -> None:
    drain = ProcessDrain()
    assert (drain.active, drain.doors_closed, drain.close_doors(NOW)) == (False, False, False)
    drain.begin(NOW, 25, 5)
    assert (drain.active, drain.doors_closed) == (True, False)
    assert not drain.close_doors(NOW + 4.9)
    assert drain.close_doors(NOW + 5)
    assert not drain.close_doors(NOW + 5.1)
    assert drain.doors_closed


def test_second_beginning_changes_nothing() -> None:
    drain = ProcessDrain()
    drain.begin(NOW, 10, 1)
    drain.begin(NOW + 5, 100, 50)
    assert drain.close_doors(NOW + 1)
    assert not drain.sweep(NOW + 9.9)
    assert drain.sweep(NOW + 10)


def test_accept_phase_is_no_longer_than_the_budget() -> None:
    drain = ProcessDrain()
    drain.begin(NOW, 2, 5)
    assert drain.close_doors(NOW + 2)


def test_websockets_are_told_that_the_server_goes_away_over_the_time_left() -> None:
    drain = ProcessDrain()
    drain.begin(NOW, 30, 5)
    made = [splice("websocket") for _ in range(20)]
    tunnel, tunnel_client = splice("tunnel")
    assert drain.close_doors(NOW + 5)
    drain.say_goodbye([tunnel, *(one for one, _ in made)], NOW + 5)
    assert drain.pacing
    assert not drain.sweep(NOW + 15)
    told = [client for _, client in made if client.written]
    assert 9 <= len(told) <= 12
    (frame,) = frames_in(told[0].written)
    assert (frame.opcode, frame.payload) == (CLOSE, b"\x03\xe9server shutdown")
    drain.sweep(NOW + 25.1)
    assert all(client.written for _, client in made), "early enough to answer"
    assert not tunnel_client.is_closing()


def test_websocket_made_meanwhile_is_told_too() -> None:
    drain = ProcessDrain()
    late, client = splice("websocket")
    drain.joined(late, NOW)
    drain.begin(NOW, 10, 0)
    drain.close_doors(NOW)
    drain.say_goodbye([], NOW)
    drain.joined(late, NOW + 1)
    drain.joined(splice("tunnel")[0], NOW + 1)
    drain.sweep(NOW + 2)
    assert [frame.opcode for frame in frames_in(client.written)] == [CLOSE]


def test_drain_that_is_called_off_tells_nobody_any_more() -> None:
    drain = ProcessDrain()
    drain.begin(NOW, 10, 0)
    drain.close_doors(NOW)
    one, client = splice("websocket")
    drain.say_goodbye([one], NOW)
    assert drain.pacing
    drain.done.set()
    drain.undo()
    assert not drain.pacing
    assert not drain.sweep(NOW + 100)
    assert (client.written, drain.active, drain.done.is_set()) == (b"", False, False)
