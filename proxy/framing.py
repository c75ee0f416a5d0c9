"""How bodies are delimited on the wire (RFC 9112, 6 and 7): pure, and the same for both sides.

Only heads go through aiohttp's parsers; a body is either counted down (``Content-Length``), taken
apart here (``chunked``), or runs until the connection ends.
"""

from __future__ import annotations

from typing import Final

MAX_CHUNK_LINE: Final = 256
"""Octets of one chunk-size line with its extensions."""

MAX_TRAILER: Final = 16 * 1024
"""Octets of all trailer fields together; they are dropped (RFC 9110, 6.5.1)."""

MAX_CHUNKS_PER_FEED: Final = 4096
"""Tiny chunks are a way to burn our CPU: no more of them are taken apart in one go."""

LAST_CHUNK: Final = b"0\r\n\r\n"

_HEX: Final = b"0123456789abcdefABCDEF"


class FramingError(ValueError):
    """A chunked body that is not one."""


class ChunkedDecoder:
    """Takes a chunked body apart, whatever the splits it arrives in.

    ``feed`` returns payload.  After each call the owner looks at ``done`` (the body is complete and
    ``rest`` holds the octets behind it) and at ``more`` (the work limit of one call was reached:
    call ``feed(b"")`` again, later, before any new data).
    """

    __slots__ = ("_in_trailer", "_left", "_trailer_octets", "done", "more", "rest")

    def __init__(self) -> None:
        self._left = 0  # octets of the chunk still to come, its CRLF included
        self._in_trailer = False
        self._trailer_octets = 0
        self.rest = b""
        self.done = False
        self.more = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payload found in ``data``, in pieces.  Raise ``FramingError``."""
        if self.rest:
            data = self.rest + data
            self.rest = b""
        self.more = False
        out: list[bytes] = []
        position = self._finish_chunk(data, out) if self._left else 0
        budget = MAX_CHUNKS_PER_FEED
        while not self._left:
            if self._in_trailer:
                position = self._skip_trailer(data, position)
                break
            end = data.find(b"\r\n", position, position + MAX_CHUNK_LINE + 2)
            if end < 0:
                self._check_partial_line(data, position)
                break
            if not budget:
                self.more = True
                break
            budget -= 1
            size = chunk_size(data[position:end])
            position = end + 2
            if size == 0:
                self._in_trailer = True
                continue
            end = position + size
            if data[end : end + 2] == b"\r\n":
                out.append(data[position:end])
                position = end + 2
                continue
            self._left = size + 2
            position = self._finish_chunk(data, out, position)
        self.rest = data[position:]
        return out

    def _finish_chunk(self, data: bytes, out: list[bytes], position: int = 0) -> int:
        """Take what there is of a chunk that has begun; return the new position."""
        available = len(data) - position
        if self._left > 2:
            taken = min(self._left - 2, available)
            if taken:
                out.append(data[position : position + taken])
                position += taken
                available -= taken
                self._left -= taken
        if self._left <= 2 and available:
            tail = data[position : position + self._left]
            if not b"\r\n"[2 - self._left :].startswith(tail):
                msg = "a chunk does not end where its size says"
                raise FramingError(msg)
            position += len(tail)
            self._left -= len(tail)
        return position

    def _skip_trailer(self, data: bytes, position: int) -> int:
        while True:
            end = data.find(b"\r\n", position)
            if end < 0:
                if self._trailer_octets + len(data) - position > MAX_TRAILER:
                    msg = "trailer too large"
                    raise FramingError(msg)
                return position
            line = data[position:end]
            self._trailer_octets += len(line) + 2
            if self._trailer_octets > MAX_TRAILER or b"\n" in line or b"\r" in line:
                msg = "malformed or oversized trailer"
                raise FramingError(msg)
            position = end + 2
            if not line:
                self.done = True
                return position
            if line.find(b":") < 1:
                msg = "malformed trailer"
                raise FramingError(msg)

    @staticmethod
    def _check_partial_line(data: bytes, position: int) -> None:
        length = len(data) - position
        if length > MAX_CHUNK_LINE or data.find(b"\n", position) >= 0:
            msg = "chunk-size line too long or not ended by CRLF"
            raise FramingError(msg)


def chunk_size(line: bytes) -> int:
    """Parse a chunk-size line without its CRLF; extensions are ignored (RFC 9112, 7.1.1)."""
    digits = line
    if line.strip(_HEX):
        digits, found, _ = line.partition(b";")
        digits = digits.rstrip(b" \t") if found else digits
        if digits.strip(_HEX) or b"\n" in line or b"\r" in line:
            msg = "malformed chunk size"
            raise FramingError(msg)
    if not 0 < len(digits) <= 16:
        msg = "malformed chunk size"
        raise FramingError(msg)
    return int(digits, 16)


def chunk(payload: bytes) -> bytes:
    """Frame a non-empty piece of payload as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
