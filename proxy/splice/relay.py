"""The splice: what comes from one end is written to the other.

Each direction is a ``Half``, a protocol on the transport it reads from.  A half is *flowing*,
*ended* (its side sent FIN, which was carried over; the other direction goes on) or *gone*.  When
both have ended, or one is gone, the splice finishes: what is still buffered is flushed, up to
``FLUSH_S``.  A WebSocket that is closed from our side says goodbye first (``closing``).  A splice
belongs to its endpoint, not to a configuration: nothing here ever looks at one.

The hot path is ``data_received`` of the halves: count, follow, write to the peer.  Silence is found
by a sweep that compares counts, so that no octet pays for a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final, Literal

from proxy.splice.closing import BOUNDARY_S, FLUSH_S, GOING_AWAY, Goodbye
from proxy.splice.half import FrameHalf, Half, OctetHalf
from proxy.splice.pings import Pings, Verdict
from proxy.splice.place import Place

HALF_CLOSED_S: Final = 60.0
"""How long a half-closed splice may stay without an octet, in seconds."""

ACTIVITY_S: Final = 5.0
"""How exactly the time of the last octet is known, in seconds."""

ABNORMAL: Final = 1006
"""The code of a connection that ended without a Close frame (RFC 6455, 7.1.5)."""

Kind = Literal["websocket", "tunnel"]
Initiator = Literal["client", "upstream", "proxy"]

_HIGH_WATER: Final = 64 * 1024


class Splice:
    """A client and an upstream transport, joined."""

    __slots__ = ("_check_at", "_ended_by", "_finishing", "_first_close", "_goodbye",
                 "_idle_timeout_s", "_on_end", "_open", "_pings", "_seen", "_stride_s", "client",
                 "ended", "kind", "moved_at", "place", "started", "upstream")  # fmt: skip

    client: Half
    upstream: Half

    def __init__(
        self,
        kind: Kind,
        client: asyncio.Transport,
        upstream: asyncio.Transport,
        *,
        idle_timeout_s: float | None,
        on_end: Callable[[Splice], None],
        now: float,
        ping_interval_s: float | None = None,
        place: Place | None = None,
    ) -> None:
        self.kind: Final = kind
        self.started: Final = now
        self.place: Final = place
        self.moved_at = now
        """When an octet last came, from ``ACTIVITY_S`` before to now (monotonic seconds)."""
        self.ended = False
        """Both transports are gone."""
        if kind == "websocket":
            self.client = FrameHalf(self, client, from_client=True)
            self.upstream = FrameHalf(self, upstream, from_client=False)
        else:
            self.client, self.upstream = OctetHalf(self, client), OctetHalf(self, upstream)
        self.client.join(self.upstream)
        self.upstream.join(self.client)
        self._on_end = on_end
        self._idle_timeout_s = idle_timeout_s
        self._goodbye: Goodbye | None = None
        self._finishing = False
        """TCP is being closed on both sides."""
        self._ended_by: Initiator | None = None
        """Who ended TCP first."""
        self._first_close: tuple[Initiator, int] | None = None
        """Who sent the first Close frame, with which code."""
        self._open = 2
        self._seen = 0
        pings = kind == "websocket" and ping_interval_s is not None
        self._pings = Pings(ping_interval_s, now) if pings and ping_interval_s else None
        self._stride_s = _stride(idle_timeout_s, ping_interval_s if pings else None)
        self._check_at = now + self._stride_s

    def __repr__(self) -> str:
        state = "ended" if self.ended else "closing" if self.closing else ""
        return (
            f"<Splice {self.kind} to_upstream={self.to_upstream} to_client={self.to_client}"
            f"{state and ' ' + state}>"
        )

    @property
    def to_upstream(self) -> int:
        """Octets spliced from the client to the upstream so far."""
        return self.client.octets

    @property
    def to_client(self) -> int:
        """Octets spliced from the upstream to the client so far."""
        return self.upstream.octets

    @property
    def messages(self) -> tuple[int, int]:
        """Messages of a WebSocket to the upstream and to the client so far."""
        client, upstream = self.client, self.upstream
        if isinstance(client, FrameHalf) and isinstance(upstream, FrameHalf):
            return client.tracker.messages, upstream.tracker.messages
        return 0, 0

    @property
    def closing(self) -> bool:
        """It was told to close, or is being closed."""
        return self._finishing or self._goodbye is not None

    @property
    def outcome(self) -> tuple[Initiator, int]:
        """Who ended it, and with which close code; of a WebSocket that has ended."""
        if self._first_close is not None:
            return self._first_close
        if self._goodbye is not None:
            return "proxy", self._goodbye.code if self._goodbye.told else ABNORMAL
        return self._ended_by or "proxy", ABNORMAL

    def start(self, from_client: bytes, from_upstream: bytes) -> None:
        """Take both transports over; first replay what was read behind either head, in order.

        Pause state is not inherited with a transport, so it is made anew from the buffers.
        """
        client, upstream = self.client, self.upstream
        client.transport.set_protocol(client)
        upstream.transport.set_protocol(upstream)
        if from_upstream:
            upstream.data_received(from_upstream)
        if from_client:
            client.data_received(from_client)
        for half in (client, upstream):
            full = half.peer.transport.get_write_buffer_size() > _HIGH_WATER
            if full:
                half.hold()
            else:
                half.unhold()

    # Time

    def sweep(self, now: float) -> None:
        """Act on silence, and on what takes too long.  Called a few times a second."""
        if now < self._check_at:
            return
        if self._finishing:
            self.abort()
        elif self._goodbye is not None:
            self._goodbye.sweep(now)
        else:
            self._check_at = now + self._stride_s
            self._look(now)

    def _look(self, now: float) -> None:
        total = self.client.octets + self.upstream.octets
        if total != self._seen:
            self._seen = total
            self.moved_at = now
        elif self._idle_timeout_s is not None and now - self.moved_at >= self._idle_timeout_s:
            self.close(GOING_AWAY, "idle timeout")
            return
        if self._pings is not None:
            self._ask(self._pings, now)

    def _ask(self, pings: Pings, now: float) -> None:
        """See whether the client is still there."""
        client, upstream = self.client, self.upstream
        if (
            not isinstance(client, FrameHalf)
            or not isinstance(upstream, FrameHalf)
            or not (client.tracker.tracked and upstream.tracker.tracked)
            or client.ended
            or upstream.ended
            or self._first_close is not None
        ):
            self._pings = None  # nothing of ours would be understood
            return
        buffered = client.transport.get_write_buffer_size()
        heard, foreign = client.octets, upstream.tracker.pings
        verdict = pings.look(now, heard, foreign, upstream.octets, buffered)
        if verdict is Verdict.PING:
            upstream.when_between_frames(partial(_ping, client, upstream, pings))
        elif verdict is Verdict.DEAD:
            self.close(GOING_AWAY, "ping timeout")

    # What the halves receive

    def half_closed(self, half: Half) -> bool:
        """Carry a FIN over to the other side; return whether the reading transport stays open."""
        if self._goodbye is not None and isinstance(half, FrameHalf):
            return self._goodbye.fin(half)
        if self._ended_by is None:
            self._ended_by = self._name(half)
        target = half.peer.transport
        if self._finishing or half.peer.ended or target.is_closing():
            self.finish()
            return False
        if not target.can_write_eof():
            self.finish()
            return False
        target.write_eof()
        if self._idle_timeout_s is None or self._idle_timeout_s > HALF_CLOSED_S:
            self._idle_timeout_s = HALF_CLOSED_S
            self._stride_s = _stride(HALF_CLOSED_S, None)
            self._check_at = 0.0
        return True

    def lost(self, half: Half) -> None:
        """Close the other side once one is gone, and report the end once both are."""
        self._open -= 1
        if self._goodbye is not None and isinstance(half, FrameHalf):
            self._goodbye.lost(half)
        else:
            if self._ended_by is None:
                self._ended_by = self._name(half)
            self.finish()
        if not self._open:
            self.ended = True
            # The halves and the splice hold each other: what the end needed must not wait for the
            # collector, such as a log file that is to be closed.
            on_end, self._on_end = self._on_end, _ended
            on_end(self)

    def close_came(self, half: FrameHalf, code: int) -> None:
        """Note who has sent the first Close frame."""
        if self._first_close is None and not (self._goodbye is not None and self._goodbye.told):
            self._first_close = self._name(half), code
        if self._goodbye is not None:
            self._goodbye.close_came(half)

    def stranded(self, half: FrameHalf) -> None:
        """Give up what waited for a boundary that will not come."""
        if self._goodbye is not None:
            self._goodbye.stranded(half)

    def _name(self, half: Half) -> Initiator:
        return "client" if half is self.client else "upstream"

    # The end

    def close(self, code: int = GOING_AWAY, reason: str = "", *, by: float | None = None) -> None:
        """Close in the way that suits what is spliced; once it closes, nothing more is done.

        Both ends of a WebSocket are told code and reason, each at the end of the frame under way;
        one for which that does not come before ``by`` (monotonic seconds) is cut.  Everything else
        is closed once it is flushed.
        """
        if self.closing:
            return
        client, upstream = self.client, self.upstream
        if not isinstance(client, FrameHalf) or not isinstance(upstream, FrameHalf):
            self._ended_by = "proxy"
            self.finish()
            return
        now = monotonic()
        self._check_at = 0.0
        self._goodbye = Goodbye(
            client, upstream, code, reason, by=now + BOUNDARY_S if by is None else by
        )
        self._goodbye.begin(now)

    def finish(self) -> None:
        """Close both transports when what they hold is flushed, or after ``FLUSH_S``."""
        if self._finishing:
            return
        self._finishing = True
        self._check_at = monotonic() + FLUSH_S
        for half in (self.client, self.upstream):
            half.silence()
            if not half.transport.is_closing():
                half.transport.close()

    def abort(self) -> None:
        """Cut both transports at once."""
        if not self.closing and self._ended_by is None:
            self._ended_by = "proxy"
        self._finishing = True
        for half in (self.client, self.upstream):
            half.silence()
            half.transport.abort()


def _ping(client: FrameHalf, upstream: FrameHalf, pings: Pings) -> None:
    """Send a ping, unless the client has been sent Close meanwhile, or is gone."""
    if upstream.tracker.close_code is None and not client.transport.is_closing():
        client.take_out(pings)
        client.transport.write(pings.next_frame())


def _ended(splice: Splice) -> None:
    """Take the place of what was told of the end."""


def _stride(idle_timeout_s: float | None, ping_interval_s: float | None) -> float:
    """Look often enough that what takes too long is found within an eighth of its time."""
    times = [time / 8 for time in (idle_timeout_s, ping_interval_s) if time is not None]
    return min(ACTIVITY_S, *times) if times else ACTIVITY_S
