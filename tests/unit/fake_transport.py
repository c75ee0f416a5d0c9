"""A transport without a socket that behaves as uvloop's does, wherever the proxy relies on it."""

from __future__ import annotations

import asyncio
from typing import Final

HIGH_WATER: Final = 64 * 1024


class FakeTransport(asyncio.Transport):
    """Records what is written; the test says what comes in and when the other end takes something.

    As under uvloop, writing is silently ignored while closing and raises once closed; pausing and
    resuming never raise; ``pause_writing`` fires inside ``write``.
    """

    def __init__(self, *, stuck: bool = False, half_closes: bool = True) -> None:
        super().__init__()
        self.written = b""
        self.buffered = 0
        self.stuck = stuck
        """The other end takes nothing until ``drain``."""
        self.reading = True
        self.eof_written = False
        self.aborted = False
        self.closed = False
        self._closing = False
        self._half_closes: Final = half_closes
        self._protocol: asyncio.Protocol | None = None
        self._protocol_paused = False
        self._unread: list[bytes] = []

    # What the proxy calls

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        assert self._protocol is not None
        return self._protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        if self.eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing:
            return
        self.written += data
        if self.stuck:
            self.buffered += len(data)
            if self.buffered > HIGH_WATER and not self._protocol_paused:
                self._protocol_paused = True
                self.get_protocol().pause_writing()

    def write_eof(self) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        self.eof_written = True

    def can_write_eof(self) -> bool:
        return self._half_closes

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self.reading = False

    def abort(self) -> None:
        self.close()
        self.aborted = True

    # What the test does

    def connect(self, protocol: asyncio.Protocol) -> None:
        """Tell ``protocol`` that the connection stands."""
        self.set_protocol(protocol)
        protocol.connection_made(self)

    def receive(self, data: bytes) -> None:
        """Let ``data`` come in; it waits as long as reading is paused."""
        self._unread.append(data)
        self.deliver()

    def deliver(self) -> bool:
        """Hand on what waits, if it may; return whether anything was."""
        moved = False
        while self._unread and self.reading:
            moved = True
            self.get_protocol().data_received(self._unread.pop(0))
        return moved

    def end(self) -> None:
        """Let the other end send FIN."""
        assert self.reading, "a paused transport sees no FIN"
        if not self.get_protocol().eof_received():
            self.close()

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection be gone."""
        assert not self.closed
        self.close()
        self.closed = True
        self.get_protocol().connection_lost(error)

    def drain(self, left: int = 0) -> None:
        """Let the other end take all but ``left`` octets of what is buffered."""
        self.buffered = min(left, self.buffered)
        if self._protocol_paused and self.buffered <= 16:
            self._protocol_paused = False
            self.get_protocol().resume_writing()

    def take(self) -> bytes:
        """Return what was written since the last call."""
        written, self.written = self.written, b""
        return written
