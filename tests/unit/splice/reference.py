"""RFC 6455, 5.2, read from a whole stream at once, by the letter: a tracker must agree with it.

It is told nothing of cuts, keeps everything, and is as slow as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Seen:
    """What there is to know about one direction of a WebSocket."""

    frames: int = 0
    messages: int = 0
    pings: int = 0
    close_code: int | None = None
    tracked: bool = True
    at_boundary: bool = True


def read(stream: bytes, *, from_client: bool) -> Seen:
    """Read all frames of a stream."""
    seen = Seen()
    in_message = False
    while stream:
        seen.at_boundary = False
        if len(stream) < 2:
            break
        final, opcode = stream[0] >> 7, stream[0] & 15
        masked, length = stream[1] >> 7, stream[1] & 127
        control = opcode >= 8
        if (
            masked != from_client
            or seen.close_code is not None
            or opcode not in (0, 1, 2, 8, 9, 10)
            or (control and (not final or length > 125))
            or (not control and (opcode == 0) != in_message)
        ):
            seen.tracked = False
            break
        head = {126: 4, 127: 10}.get(length, 2) + 4 * masked
        if len(stream) < head - 4 * masked:
            break
        if length > 125:
            written = stream[2 : head - 4 * masked]
            length = int.from_bytes(written, "big")
            # The highest bit is 0, and the shortest form is used. Known once the head is there.
            shortest = 126 if len(written) == 2 else 65536
            if len(stream) >= head and (length < shortest or length >= 2**63):
                seen.tracked = False
                break
        if not control and len(stream) >= head:
            in_message = not final
        if len(stream) < head + length:
            break
        payload = stream[head : head + length]
        if masked:
            mask = stream[head - 4 : head]
            payload = bytes(octet ^ mask[at % 4] for at, octet in enumerate(payload))
        stream = stream[head + length :]
        seen.at_boundary = True
        seen.frames += 1
        seen.messages += not control and bool(final)
        seen.pings += opcode == 9
        if opcode == 8:
            seen.close_code = int.from_bytes(payload[:2], "big") if length > 1 else 1005
    return seen
