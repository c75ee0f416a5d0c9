"""As much of RFC 6455 as both ends of a measurement need: the handshake, and small frames."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG, _BINARY = 0x88, 0x89, 0x8A, 0x82
_NO_MASK: Final = bytes(4)

MAX_PAYLOAD: Final = 125
"""Octets of the largest frame that is understood here: its length takes seven bits."""


def handshake(target: str, host: str) -> bytes:
    """Write the client's half of the handshake."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def accepted(key: bytes) -> bytes:
    """Write the server's half for a client's ``Sec-WebSocket-Key``."""
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
    )


def client_frame(payload: bytes) -> bytes:
    """Write a masked binary frame.  The mask is zero: valid, and no work for either end."""
    _check(len(payload))
    return bytes((_BINARY, 0x80 | len(payload))) + _NO_MASK + payload


def server_frame(payload: bytes) -> bytes:
    """Write the frame that an echo answers ``client_frame(payload)`` with."""
    _check(len(payload))
    return bytes((_BINARY, len(payload))) + payload


def echo(data: bytes) -> tuple[bytes, bytes]:
    """Answer a client's frames; return the answer, and what is there of an incomplete frame.

    ``ValueError``: a frame is not masked, or too large for this module.
    """
    answer = b""
    at = 0
    while len(data) - at >= 6:
        first, second = data[at], data[at + 1]
        if second < 0x80:
            raise ValueError("a client's frame must be masked (RFC 6455, 5.1)")
        size = second & 0x7F
        _check(size)
        end = at + 6 + size
        if end > len(data):
            break
        payload = data[at + 6 : end]
        mask = data[at + 2 : at + 6]
        if mask != _NO_MASK:
            payload = bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
        answer += bytes((_PONG if first == _PING else first, size)) + payload
        at = end
    return answer, data[at:]


def _check(size: int) -> None:
    if size > MAX_PAYLOAD:
        raise ValueError(f"a frame of more than {MAX_PAYLOAD} octets")
