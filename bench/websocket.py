"""As much of RFC 6455 as both ends of a measurement need: the handshake, and whole messages."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PING, _PONG, _BINARY = 0x89, 0x8A, 0x82
_NO_MASK: Final = bytes(4)
_MASKED: Final = 0x80


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
    return _head(_BINARY, len(payload), _MASKED) + _NO_MASK + payload


def server_frame(payload: bytes) -> bytes:
    """Write the frame that an echo answers ``client_frame(payload)`` with."""
    return _head(_BINARY, len(payload)) + payload


def echo(data: bytes) -> tuple[bytes, bytes]:
    """Answer a client's frames; return the answer, and what is there of an incomplete frame.

    ``ValueError``: a frame is not masked (RFC 6455, 5.1).
    """
    answers: list[bytes] = []
    at = 0
    while len(data) - at >= 2:
        first, second = data[at], data[at + 1]
        if second < _MASKED:
            raise ValueError("a client's frame must be masked")
        size, mask_at = second & 0x7F, at + 2
        if size >= 126:
            mask_at += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : mask_at], "big")
        payload_at = mask_at + 4
        end = payload_at + size
        if payload_at > len(data) or end > len(data):
            break
        payload, mask = data[payload_at:end], data[mask_at:payload_at]
        if mask != _NO_MASK:
            payload = bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
        answers += _head(_PONG if first == _PING else first, size), payload
        at = end
    return b"".join(answers), data[at:]


def _head(first: int, size: int, masked: int = 0) -> bytes:
    if size < 126:
        return bytes((first, masked | size))
    if size < 1 << 16:
        return bytes((first, masked | 126)) + size.to_bytes(2, "big")
    return bytes((first, masked | 127)) + size.to_bytes(8, "big")
