"""One direction of a splice: a protocol on the transport it reads from.

``OctetHalf`` passes octets on and counts them.  ``FrameHalf`` has a tracker beside that, and so can
do what needs frames: put a frame of ours in between two, take our pongs out, stop after a whole
frame.  While it does any of these it goes *carefully*, frame by frame; else it costs one call more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from proxy.splice import frames
from proxy.splice.frames import FrameTracker
from proxy.splice.pings import Pings


class Owner(Protocol):
    """The splice, as its halves see it."""

    def half_closed(self, half: Half) -> bool:
        """Receive a FIN; return whether the transport that it came from stays open."""

    def lost(self, half: Half) -> None:
        """Receive: the transport of a half is gone."""

    def close_came(self, half: FrameHalf, code: int) -> None:
        """Receive: an end has sent a Close frame."""

    def stranded(self, half: FrameHalf) -> None:
        """Receive: what was to be done between two frames cannot be done any more."""


class Half(asyncio.Protocol):
    """Reads from its own transport, writes to the peer's."""

    __slots__ = ("_splice", "_write", "ended", "gone", "peer", "transport")

    peer: Half
    octets: int
    """Received on this side, and forwarded to the other."""

    def __init__(self, splice: Owner, transport: asyncio.Transport) -> None:
        self._splice: Final = splice
        self.transport: Final = transport
        self._write: Callable[[bytes], None] = discard
        self.ended = False
        """Its side sends nothing more."""
        self.gone = False
        """Its transport is closed."""

    def join(self, peer: Half) -> None:
        """Write what comes to ``peer``'s transport from now on."""
        self.peer = peer
        self._write = peer.transport.write

    def pause_writing(self) -> None:
        self.peer.hold()

    def resume_writing(self) -> None:
        self.peer.unhold()

    def eof_received(self) -> bool:
        self.ended = True
        return self._splice.half_closed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.gone = True
        self.peer.silence()
        self._splice.lost(self)

    def silence(self) -> None:
        """Write nothing more: the peer's transport closes, or is closed."""
        self._write = discard

    def hold(self) -> None:
        """Read no more for now: the peer does not keep up."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on."""
        if not self.transport.is_closing():
            self.transport.resume_reading()


class OctetHalf(Half):
    """A direction of which nothing is known."""

    __slots__ = ("octets",)

    def __init__(self, splice: Owner, transport: asyncio.Transport) -> None:
        super().__init__(splice, transport)
        self.octets = 0

    def data_received(self, data: bytes) -> None:
        self.octets += len(data)
        self._write(data)


class FrameHalf(Half):
    """A direction of a WebSocket."""

    __slots__ = ("_between", "_held", "_muted", "_pongs", "_rest", "_track", "followed", "tracker")

    def __init__(self, splice: Owner, transport: asyncio.Transport, *, from_client: bool) -> None:
        super().__init__(splice, transport)
        self.tracker: Final = FrameTracker(from_client=from_client, on_close=self._close_came)
        """Of what was passed on."""
        self.followed = self.tracker
        """Of what comes: another one once nothing is passed on any more."""
        self._track = self.tracker.feed
        self._between: Callable[[], None] | None = None
        """To be called between two frames."""
        self._pongs: Pings | None = None
        """Whose pongs are to be taken out."""
        self._rest = b""
        """What is left of a read of too many frames."""
        self._held = False
        self._muted = False

    @property
    def octets(self) -> int:  # type: ignore[override]
        """Received on this side, and forwarded to the other."""
        return self.tracker.octets

    @property
    def peer_half(self) -> FrameHalf:
        """The other direction."""
        return cast("FrameHalf", self.peer)

    def data_received(self, data: bytes) -> None:
        write = self._write  # as it is now: following may change it
        end = self._track(data)
        if end:
            self._put_off(data[end:])
            data = data[:end]
        write(data)

    # What only frames allow

    def when_between_frames(self, call: Callable[[], None]) -> None:
        """Call as soon as what was passed on ends with a whole frame: now, or later."""
        if self._is_between():
            call()
        else:
            self._between = call
            self._choose()

    def take_out(self, pongs: Pings | None) -> None:
        """Keep from the peer the pongs that are ours, from now on; ``None``: no longer."""
        if not self._muted:
            self._pongs = pongs
            self._choose()

    def mute(self) -> None:
        """Pass nothing on any more; what comes is still followed, for its Close frame."""
        if self._muted:
            return
        self._muted = True
        self._between = self._pongs = None
        self.followed = self.tracker.successor()
        self._track = self.followed.feed
        self._write = discard
        self.unhold()

    def _choose(self) -> None:
        """Go carefully only while there is a reason to."""
        if self._between is None and self._pongs is None:
            self._track = self.tracker.feed
            self._write = discard if self.peer.gone else self.peer.transport.write
        else:
            self._track = self._carefully
            self._write = discard

    def _is_between(self) -> bool:
        return self.tracker.at_boundary or (self._pongs is not None and self._pongs.keeps)

    def _carefully(self, data: bytes) -> int:
        """Pass ``data`` on frame by frame; return where it stopped, 0 if nothing is left."""
        tracker, pongs = self.tracker, self._pongs
        passed: list[bytes] = []
        at, size, budget = 0, len(data), frames.MAX_FRAMES
        reached = False
        while at < size and budget and not reached:
            began = tracker.at_boundary
            end = tracker.step(data, at)
            piece = data[at:end]
            passed.append(piece if pongs is None else pongs.sift(piece, began, tracker))
            at = end
            budget -= 1
            reached = self._between is not None and self._is_between()
        self._pass(b"".join(passed))
        if pongs is not None and not pongs.expects and not pongs.keeps:
            self._pongs = None
            self._choose()
        if reached and self._between is not None:
            call, self._between = self._between, None
            self._choose()
            call()
        elif not tracker.tracked:
            self._give_up()
        if at == size:
            return 0
        if not reached:
            return at
        self.data_received(data[at:])
        return 0

    def _pass(self, data: bytes) -> None:
        if data and not self.peer.gone:
            self.tracker.octets += len(data)
            self.peer.transport.write(data)

    def _give_up(self) -> None:
        """Go on without frames: nothing is known of them any more."""
        waited = self._between is not None
        self._between = self._pongs = None
        self._choose()
        if waited:
            self._splice.stranded(self)

    def _close_came(self, code: int) -> None:
        self._splice.close_came(self, code)

    # Back-pressure, from the peer and from reads full of tiny frames

    def silence(self) -> None:
        if not self._muted:
            super().silence()

    def hold(self) -> None:
        if not self._muted:
            self._held = True
            super().hold()

    def unhold(self) -> None:
        self._held = False
        if self._rest:
            self._go_on_soon()
        else:
            super().unhold()

    def _put_off(self, rest: bytes) -> None:
        """Let the loop serve others before the rest of a read full of tiny frames."""
        self._rest = rest
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self._go_on_soon()

    def _go_on_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._held or not self._rest or self.gone:
            return
        rest, self._rest = self._rest, b""
        try:
            self.data_received(rest)
        except Exception:
            self.transport.abort()  # nobody would read from it again
            raise
        if not self._rest and not self._held:
            super().unhold()


def discard(data: bytes | bytearray | memoryview) -> None:
    """Take the place of a write to a transport that is gone."""
