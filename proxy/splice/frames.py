"""Where WebSocket frames begin and end (RFC 6455, 5.2), followed without touching a payload.

A ``FrameTracker`` is shown every octet of one direction, however they are cut, and keeps of them
only a head that is not all there yet, and control frames (125 octets at most).  It is passive: a
stream that breaks the rules of framing becomes *untracked*, which is a frame without an end, and
nothing else happens.  Reserved bits are extensions' business and let through.

The tracker of a busy connection sees whole small messages, one a read.  For those there is a table
of sizes by the first two octets, and nothing else is looked at; whenever a message cannot begin,
another table, of zeros, stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

CONTINUATION: Final = 0x0
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FINAL: Final = 0x80
MASKED: Final = 0x80
MAX_CONTROL: Final = 125
"""Octets of the payload of a control frame, at most (5.5)."""

NO_STATUS: Final = 1005
"""The code of a Close frame that has none (7.1.5)."""

MAX_FRAMES: Final = 4096
"""Frames that are followed in one call: a read full of empty ones is a way to burn our CPU."""

_MAX_CONTROL_FRAME: Final = 6 + MAX_CONTROL
_SHORTEST: Final = {2: 126, 8: 1 << 16}
"""What needs a length of so many octets: a shorter form must be used where it fits (5.2)."""

Sizes = tuple[tuple[int, ...], ...]


def _whole_messages(mask_bit: int) -> Sizes:
    """Return the sizes of unfragmented messages, by their first two octets.

    For those of more than 125 octets, which the next two tell, it is that of the head, negative.
    """
    head = 6 if mask_bit else 2

    def size(second: int) -> int:
        length = second & 0x7F
        if second & MASKED != mask_bit or length == 127:
            return 0
        return -2 - head if length == 126 else head + length

    sizes = tuple(map(size, range(256)))
    return tuple(sizes if first & 0x8F in (0x81, 0x82) else _ZEROS for first in range(256))


_ZEROS: Final = (0,) * 256
_NO_MESSAGE: Final[Sizes] = (_ZEROS,) * 256
_FROM_CLIENT: Final = _whole_messages(MASKED)
_FROM_SERVER: Final = _whole_messages(0)


class FrameTracker:
    """One direction of a WebSocket; ``from_client`` says which, as only clients mask (5.1).

    ``on_close`` is called with the code of the Close frame, once.
    """

    __slots__ = ("_fragmented", "_frames", "_from_client", "_kept", "_left", "_messages", "_sizes",
                 "_whole", "close_code", "octets", "on_close", "pings")  # fmt: skip

    def __init__(self, *, from_client: bool, on_close: Callable[[int], None] | None = None) -> None:
        self.octets = 0
        """Octets fed."""
        self.pings = 0
        """Ping frames among them."""
        self.close_code: int | None = None
        """The code of the Close frame, once that was there whole."""
        self.on_close = on_close
        self._from_client: Final = from_client
        self._whole = 0
        self._frames = 0
        self._messages = 0
        self._left: float = 0
        """Octets of the present frame's payload to come; infinite once untracked."""
        self._kept = b""
        """A part of a head, or of a control frame."""
        self._fragmented = False
        """More fragments of a message are to come after the present frame."""
        self._sizes = _FROM_CLIENT if from_client else _FROM_SERVER

    @property
    def tracked(self) -> bool:
        """No rule was broken so far."""
        return self._left != inf

    @property
    def at_boundary(self) -> bool:
        """The present frame has ended and none has begun: another one may be put in here."""
        return not self._left and not self._kept

    @property
    def frames(self) -> int:
        """Frames that have ended."""
        return self._whole + self._frames

    @property
    def messages(self) -> int:
        """Messages of the application that have ended, fragmented ones as one."""
        return self._whole + self._messages

    def feed(self, data: bytes) -> int:
        """Follow ``data``, of at least one octet; return 0.

        If more than ``MAX_FRAMES`` end in it, only so many are followed, and where the last of
        them ends is returned: what is behind it is to be fed again.
        """
        size = len(data)
        self.octets += size
        if size > 1:
            whole = self._sizes[data[0]][data[1]]
            if whole == size:
                self._whole += 1
                return 0
            if whole < 0 and 125 < size + whole == data[2] << 8 | data[3]:
                self._whole += 1
                return 0
        if self._left > size:
            self._left -= size
            return 0
        end = self._walk(data, 0, MAX_FRAMES)
        if end < size:
            self.octets -= size - end
            return end
        return 0

    def step(self, data: bytes, at: int) -> int:
        """Follow ``data`` from ``at`` to the end of the frame there, or else to its own end.

        Return how far that is.  Octets are not counted.
        """
        return self._walk(data, at, 1)

    def successor(self) -> FrameTracker:
        """Return a tracker for what follows, that counts anew."""
        successor = FrameTracker(from_client=self._from_client, on_close=self.on_close)
        successor.close_code = self.close_code
        successor._left, successor._kept = self._left, self._kept
        successor._fragmented, successor._sizes = self._fragmented, self._sizes
        return successor

    def unsee_frame(self) -> None:
        """Take back the count of a frame that was not passed on."""
        self._frames -= 1

    def _walk(self, data: bytes, at: int, budget: int) -> int:
        """Follow ``data`` from ``at`` until ``budget`` frames have ended; return where that is."""
        size = len(data)
        while at < size and budget:
            left = self._left
            if left > size - at:
                self._left = left - (size - at)
                return size
            if left:
                at += int(left)
                self._left = 0
                self._data_ended()
                budget -= 1
                continue
            if self._kept:
                at = self._complete(data, at)
            else:
                sizes = self._sizes
                while at + 1 < size and budget:
                    whole = sizes[data[at]][data[at + 1]]
                    if whole <= 0 or at + whole > size:
                        break
                    at += whole
                    budget -= 1
                    self._whole += 1
                if at == size or not budget:
                    return at
                at = self._begin(data, at, size)
            if not self._left and not self._kept:
                budget -= 1
        return at

    def _begin(self, data: bytes, at: int, size: int) -> int:
        """Begin a frame; return where what was understood of it ends."""
        end = self._head(data, at, size)
        if end:
            return end
        self._kept = data[at:]
        self._sizes = _NO_MESSAGE
        return size

    def _complete(self, data: bytes, at: int) -> int:
        """Go on with a head, or a control frame, of which a part is there."""
        kept = self._kept
        joined = kept + data[at : at + _MAX_CONTROL_FRAME - len(kept)]
        end = self._head(joined, 0, len(joined))
        if not end:
            self._kept = joined
            return len(data)
        self._kept = b""
        return at + end - len(kept)

    def _head(self, data: bytes, at: int, size: int) -> int:
        """Read a head at ``at``, and all of a control frame; return its end, 0 if it is cut off."""
        if size - at < 2:
            return 0
        first, second = data[at], data[at + 1]
        length = second & 0x7F
        end = at + (6 if self._from_client else 2)
        if second & MASKED != (MASKED if self._from_client else 0) or self.close_code is not None:
            return self._breach(size)
        opcode = first & 0x0F
        if opcode >= CLOSE:
            if opcode > PONG or not first & FINAL or length > MAX_CONTROL:
                return self._breach(size)
            if end + length > size:
                return 0
            self._control(opcode, data[at : end + length])
            return end + length
        if opcode > 2 or (opcode == CONTINUATION) != self._fragmented:
            return self._breach(size)
        if length > MAX_CONTROL:
            octets = 2 if length == 126 else 8
            end += octets
            length = int.from_bytes(data[at + 2 : at + 2 + octets], "big")
            if end <= size and not _SHORTEST[octets] <= length < 1 << 63:
                return self._breach(size)
        if end > size:
            return 0
        self._fragmented = not first & FINAL
        self._left = length
        if length:
            self._sizes = _NO_MESSAGE
        else:
            self._data_ended()
        return end

    def _data_ended(self) -> None:
        self._frames += 1
        if self._fragmented:
            self._sizes = _NO_MESSAGE
        else:
            self._messages += 1
            self._sizes = _FROM_CLIENT if self._from_client else _FROM_SERVER

    def _control(self, opcode: int, frame: bytes) -> None:
        self._frames += 1
        if not self._fragmented:
            self._sizes = _FROM_CLIENT if self._from_client else _FROM_SERVER
        if opcode == PING:
            self.pings += 1
        elif opcode == CLOSE:
            payload = unmasked(frame)
            code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else NO_STATUS
            self.close_code = code
            self._sizes = _NO_MESSAGE  # nothing may come behind it (5.5.1)
            if self.on_close is not None:
                self.on_close(code)

    def _breach(self, size: int) -> int:
        self._left = inf
        self._sizes = _NO_MESSAGE
        return size


def unmasked(frame: bytes) -> bytes:
    """Return the payload of a whole control frame."""
    if not frame[1] & MASKED:
        return frame[2:]
    mask = frame[2:6]
    return bytes(octet ^ mask[index & 3] for index, octet in enumerate(frame[6:]))


def control_frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """Write a control frame, masked with the four octets of ``mask`` if there are any."""
    if not mask:
        return bytes((FINAL | opcode, len(payload))) + payload
    octets = bytes(octet ^ mask[index & 3] for index, octet in enumerate(payload))
    return bytes((FINAL | opcode, MASKED | len(payload))) + mask + octets
