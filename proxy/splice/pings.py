"""Our own pings to a client, and its pongs to them: whether it is still there (RFC 6455, 5.5.2).

Any octet from the client says so, thus only a silent one is asked: after ``interval_s`` of silence
it is sent a ping, and after as much again it is taken to be dead.  A ping of the application that
the client has not answered yet is as good as ours; so none is sent on top of it, for a client may
answer the last ping only, and the application would wait for its pong in vain.

Pure: told the time and what was counted, it says what to do.
"""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import Final

from proxy.splice.frames import PING, PONG, FrameTracker, control_frame, unmasked

_TOKEN: Final = os.urandom(8)
"""What our pings begin with, so that nobody else's pong is taken for an answer to them."""


class Verdict(Enum):
    """What to do about a client."""

    WAIT = auto()
    PING = auto()
    DEAD = auto()


class Pings:
    """The pings of one splice."""

    __slots__ = ("_answer_by", "_answered", "_asked", "_buffered", "_due", "_foreign", "_heard",
                 "_interval_s", "_kept", "_sent", "_taken", "swallowed", "waiting")  # fmt: skip

    def __init__(self, interval_s: float, now: float) -> None:
        self.swallowed = 0
        """Octets of pongs that were ours."""
        self.waiting = False
        """A ping was asked for that could not be sent yet."""
        self._interval_s: Final = interval_s
        self._due = now + interval_s
        self._asked = False
        self._answer_by = 0.0
        self._heard = 0
        self._foreign = 0
        self._taken = 0
        self._buffered = False
        self._sent = 0
        self._answered = 0
        self._kept = b""

    # When to ask

    def look(self, now: float, heard: int, foreign: int, sent: int, buffered: int) -> Verdict:
        """Say what to do.

        ``heard`` are the octets that came from the client, ``foreign`` the pings that the
        application sent it, ``sent`` the octets written to it, of which ``buffered`` still wait.
        """
        heard += self.swallowed
        if heard != self._heard:
            self._heard, self._foreign = heard, foreign
            self._asked = self.waiting = False
            self._due = now + self._interval_s
            return Verdict.WAIT
        if self._asked:
            return self._judge(now, sent - buffered, buffered)
        if foreign != self._foreign:  # the application has asked already
            self._foreign = foreign
            self._ask(now, sent - buffered, buffered)
            return Verdict.WAIT
        if now < self._due:
            return Verdict.WAIT
        self._ask(now, sent - buffered, buffered)
        self.waiting = True
        return Verdict.PING

    def _ask(self, now: float, taken: int, buffered: int) -> None:
        self._asked = True
        self._taken = taken
        self._buffered = bool(buffered)
        self._answer_by = now + self._interval_s

    def _judge(self, now: float, taken: int, buffered: int) -> Verdict:
        """Judge a client that is asked and silent.

        One that reads slowly is alive: with a full buffer, that it takes something shows it.
        """
        if now < self._answer_by:
            return Verdict.WAIT
        unasked = self.waiting and not buffered  # the upstream is in the middle of a frame
        if unasked or (self._buffered and taken > self._taken):
            self._ask(now, taken, buffered)
            return Verdict.WAIT
        return Verdict.DEAD

    # The pings, and their pongs

    @property
    def expects(self) -> bool:
        """A ping was not answered yet."""
        return self._sent != self._answered

    @property
    def keeps(self) -> bool:
        """A part of a pong is kept that may be ours."""
        return bool(self._kept)

    def next_frame(self) -> bytes:
        """Write the next ping."""
        self.waiting = False
        self._sent += 1
        return control_frame(PING, _TOKEN + self._sent.to_bytes(4, "big"))

    def sift(self, piece: bytes, began: bool, tracker: FrameTracker) -> bytes:
        """Return what of a piece of the client's stream goes on.

        A piece reaches to the end of its frame, or of what was read; ``began`` tells whether it
        begins a frame.  ``tracker`` has followed it.  A pong is kept until it is there whole.
        """
        if not self._kept and not (began and piece[0] & 0x0F == PONG):
            return piece
        piece = self._kept + piece
        self._kept = b""
        if not tracker.tracked:
            return piece
        if not tracker.at_boundary:
            self._kept = piece
            return b""
        if not self._is_answer(unmasked(piece)):
            return piece
        self.swallowed += len(piece)
        tracker.unsee_frame()
        return b""

    def _is_answer(self, payload: bytes) -> bool:
        number = int.from_bytes(payload[len(_TOKEN) :], "big")
        if not payload.startswith(_TOKEN) or not self._answered < number <= self._sent:
            return False
        self._answered = number  # and with it all before (5.5.3)
        return True
