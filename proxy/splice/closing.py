"""How a WebSocket is closed from our side (RFC 6455, 7), as a table.

Each end is told by a Close frame, put in where the stream towards it is between two frames; what
would follow is not passed on any more.  Then its own Close frame is awaited for a moment, and TCP
is closed.  The two ends are independent of each other: the one that answers first is let go first.

=========  ===========================================================  ==========
phase      the end                                                      for up to
=========  ===========================================================  ==========
WAITING    is in the middle of a frame that we pass on                  BOUNDARY_S
ANSWERED   likewise, and has itself sent Close or FIN already           BOUNDARY_S
TOLD       was sent Close, and is to answer: once the frame is whole    ECHO_S
           that it is sending, in case we pass one on
LINGERING  did not answer, was sent FIN, and may still read             FLUSH_S
CLOSING    is flushed and closed                                        FLUSH_S
GONE       is closed
=========  ===========================================================  ==========

What cannot be told cleanly in time is cut: never is a frame broken to put in another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.splice.frames import CLOSE, control_frame

if TYPE_CHECKING:
    from proxy.splice.half import FrameHalf

BOUNDARY_S: Final = 10.0
"""How long a frame that is under way may take to end, in seconds."""

ECHO_S: Final = 5.0
"""How long an end that was sent Close may take to answer with its own, in seconds."""

FLUSH_S: Final = 10.0
"""How long an end that closes may take to receive what is still buffered for it, in seconds."""

SLOW_S: Final = 60.0
"""How long an end may take altogether that reads slowly, but does read, in seconds."""

GOING_AWAY: Final = 1001
"""The code for what is no end's fault (7.4.1)."""

MAX_REASON: Final = 123
"""Octets of a reason, at most (5.5)."""


class Phase(Enum):
    """See the module's docstring."""

    WAITING = auto()
    ANSWERED = auto()
    TOLD = auto()
    LINGERING = auto()
    CLOSING = auto()
    GONE = auto()


class Event(Enum):
    """What happens to an end."""

    BOUNDARY = auto()
    """The stream towards it is between two frames."""
    STRANDED = auto()
    """That will not come to be: the stream is untracked, or its source is gone."""
    CLOSE = auto()
    """It sent Close."""
    FIN = auto()
    """It sent FIN."""
    LATE = auto()
    """The time of its phase is over."""
    LOST = auto()
    """Its connection is gone."""


class Act(Enum):
    """What is done to it."""

    TELL = auto()
    """Send it Close, unless the other end's has just passed, and nothing after that."""
    SHUT = auto()
    """Send FIN, and let it read."""
    CLOSE = auto()
    """Close TCP once everything is flushed."""
    CUT = auto()
    """Abort."""


Step = tuple[Phase, tuple[Act, ...]]

TABLE: Final[Mapping[tuple[Phase, Event], Step]] = {
    (Phase.WAITING, Event.BOUNDARY): (Phase.TOLD, (Act.TELL,)),
    (Phase.WAITING, Event.STRANDED): (Phase.CLOSING, (Act.CLOSE,)),
    (Phase.WAITING, Event.CLOSE): (Phase.ANSWERED, ()),
    (Phase.WAITING, Event.FIN): (Phase.ANSWERED, ()),
    (Phase.WAITING, Event.LATE): (Phase.CLOSING, (Act.CUT,)),
    (Phase.ANSWERED, Event.BOUNDARY): (Phase.CLOSING, (Act.TELL, Act.CLOSE)),
    (Phase.ANSWERED, Event.STRANDED): (Phase.CLOSING, (Act.CLOSE,)),
    (Phase.ANSWERED, Event.LATE): (Phase.CLOSING, (Act.CUT,)),
    (Phase.TOLD, Event.CLOSE): (Phase.CLOSING, (Act.CLOSE,)),
    (Phase.TOLD, Event.FIN): (Phase.CLOSING, (Act.CLOSE,)),
    (Phase.TOLD, Event.LATE): (Phase.LINGERING, (Act.SHUT,)),
    (Phase.LINGERING, Event.CLOSE): (Phase.CLOSING, (Act.CLOSE,)),
    (Phase.LINGERING, Event.FIN): (Phase.CLOSING, (Act.CLOSE,)),
    (Phase.LINGERING, Event.LATE): (Phase.CLOSING, (Act.CUT,)),
    (Phase.CLOSING, Event.LATE): (Phase.CLOSING, (Act.CUT,)),
}
"""What does not stand here changes nothing; ``LOST`` leads to ``GONE`` from anywhere."""

_BEFORE: Final = (Phase.WAITING, Phase.ANSWERED)


def step(phase: Phase, event: Event) -> Step:
    """Return the next phase, and what is to be done."""
    if event is Event.LOST:
        return Phase.GONE, ()
    return TABLE.get((phase, event), (phase, ()))


def _limit(phase: Phase) -> float:
    if phase is Phase.TOLD:
        return ECHO_S
    return float("inf") if phase is Phase.GONE else FLUSH_S


def close_frame(code: int, reason: str, *, to_upstream: bool) -> bytes:
    """Write a Close frame; towards an upstream we are a client, and mask (5.3)."""
    payload = code.to_bytes(2, "big") + reason.encode()[:MAX_REASON]
    return control_frame(CLOSE, payload, os.urandom(4) if to_upstream else b"")


class Ending:
    """One end on its way out."""

    __slots__ = ("buffered", "deadline", "half", "phase")

    def __init__(self, half: FrameHalf, deadline: float) -> None:
        self.buffered = 0
        """What it has not yet taken of what was written, when its phase began; octets."""
        self.half: Final = half
        """What reads from this end."""
        self.phase = Phase.WAITING
        self.deadline = deadline


class Goodbye:
    """Closes both ends of a splice of a WebSocket; ``by`` is when a boundary must have come."""

    __slots__ = ("_client", "_clock", "_give_up_at", "_upstream", "code", "reason", "told")

    def __init__(
        self, client: FrameHalf, upstream: FrameHalf, code: int, reason: str, *, by: float
    ) -> None:
        self.code: Final = code
        self.reason: Final = reason
        self.told = False
        """At least one end was sent our Close."""
        self._clock = by
        self._give_up_at = by
        self._client: Final = Ending(client, by)
        self._upstream: Final = Ending(upstream, by)

    def begin(self, now: float) -> None:
        """Tell both ends, each as soon as that is possible."""
        self._clock = now
        self._give_up_at = now + SLOW_S
        for end in (self._client, self._upstream):
            if end.half.tracker.close_code is not None or end.half.ended:
                self._happened(end, Event.CLOSE)
        for end in (self._client, self._upstream):
            source = end.half.peer_half
            if end.half.gone:
                self._happened(end, Event.LOST)
            elif source.ended or not source.tracker.tracked or end.half.transport.is_closing():
                self._happened(end, Event.STRANDED)
            else:
                source.when_between_frames(partial(self._happened, end, Event.BOUNDARY))

    def sweep(self, now: float) -> None:
        """Act on what takes too long.

        An end that reads slowly, but does, is given more time; one whose frames cannot be followed
        would answer in vain.
        """
        self._clock = now
        for end in (self._client, self._upstream):
            answerless = end.phase is Phase.TOLD and not end.half.followed.tracked
            if now < end.deadline and not answerless:
                continue
            if end.phase is Phase.TOLD and self._other(end).phase in _BEFORE:
                continue  # it cannot answer in the middle of a frame
            buffered = end.half.transport.get_write_buffer_size()
            if buffered < end.buffered and now < self._give_up_at:
                end.buffered = buffered
                end.deadline = now + _limit(end.phase)
            else:
                self._happened(end, Event.LATE)

    def close_came(self, half: FrameHalf) -> None:
        """Receive: an end sent Close."""
        self._happened(self._end_of(half), Event.CLOSE)

    def stranded(self, source: FrameHalf) -> None:
        """Receive: what comes from an end is no use for the other any more."""
        self._happened(self._end_of(source.peer_half), Event.STRANDED)

    def fin(self, half: FrameHalf) -> bool:
        """Receive: an end sent FIN.  Return whether its transport stays open."""
        end = self._end_of(half)
        self._happened(end, Event.FIN)
        self.stranded(half)
        return end.phase is Phase.ANSWERED

    def lost(self, half: FrameHalf) -> None:
        """Receive: the connection to an end is gone."""
        self._happened(self._end_of(half), Event.LOST)
        self.stranded(half)

    def _other(self, end: Ending) -> Ending:
        return self._upstream if end is self._client else self._client

    def _end_of(self, half: FrameHalf) -> Ending:
        return self._client if half is self._client.half else self._upstream

    def _happened(self, end: Ending, event: Event) -> None:
        source = self._other(end)
        if source.phase is Phase.TOLD and end.phase in _BEFORE:
            source.deadline = self._clock + ECHO_S  # whose frame was waited for, if it was
        phase, acts = step(end.phase, event)
        if phase is not end.phase or acts:
            end.phase = phase
            if phase not in _BEFORE:
                end.deadline = self._clock + _limit(phase)
        for act in acts:
            self._do(act, end)
        if acts:
            end.buffered = end.half.transport.get_write_buffer_size()
        if phase in (Phase.CLOSING, Phase.GONE):
            end.half.peer_half.mute()  # and let it be read: it waits for nobody any more

    def _do(self, act: Act, end: Ending) -> None:
        half, transport = end.half, end.half.transport
        if act is Act.TELL:
            source = half.peer_half
            if source.tracker.close_code is None:
                frame = close_frame(self.code, self.reason, to_upstream=end is self._upstream)
                transport.write(frame)
                self.told = True
            source.mute()
        elif act is Act.SHUT and transport.can_write_eof():
            transport.write_eof()
        elif act is Act.CUT:
            transport.abort()
        elif not transport.is_closing():
            transport.close()
