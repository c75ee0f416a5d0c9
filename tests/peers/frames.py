"""WebSocket frames (RFC 6455, 5.2), just enough to speak and to understand them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.peers.stream import Stream
from tests.peers.waiting import LIMIT_S, within

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9

_MASK: Final = b"\x37\xfa\x21\x3d"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, unmasked."""

    opcode: int
    payload: bytes
    fin: bool = True
    masked: bool = False

    @property
    def close_code(self) -> int:
        """The status code of a Close frame, 1005 if it has none."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


def encode(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = False) -> bytes:
    """Write one frame; a client masks, a server does not (5.1)."""
    size = len(payload)
    head = bytearray([opcode | (0x80 if fin else 0)])
    bit = 0x80 if mask else 0
    if size < 126:
        head.append(size | bit)
    elif size < 1 << 16:
        head += bytes([126 | bit]) + size.to_bytes(2, "big")
    else:
        head += bytes([127 | bit]) + size.to_bytes(8, "big")
    return bytes(head) + (_MASK + _masked(payload, _MASK) if mask else payload)


async def read_frame(stream: Stream, limit_s: float = LIMIT_S) -> Frame:
    """Read one frame."""
    return await within(_read_frame(stream), f"a frame on {stream.name}", limit_s)


async def _read_frame(stream: Stream) -> Frame:
    first, second = await stream._exactly(2)
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await stream._exactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await stream._exactly(8), "big")
    masked = bool(second & 0x80)
    mask = await stream._exactly(4) if masked else b""
    payload = await stream._exactly(size)
    if masked:
        payload = _masked(payload, mask)
    return Frame(first & 0x0F, payload, fin=bool(first & 0x80), masked=masked)


def _masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


HANDSHAKE_FIELDS: Final = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
"""What a client asks with; the accept key is then ``s3pPLMBiTxaQ9kYGzzhZRbK+xOo=`` (1.3)."""
