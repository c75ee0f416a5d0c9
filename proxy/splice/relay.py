"""The splice: what comes from one end is written to the other.

Each direction is a ``Half``, a protocol on the transport it reads from.  A half is *flowing*,
*ended* (its side sent FIN, which was carried over; the other direction goes on) or *lost*.  When
both have ended, or one is lost, the splice closes: what is still buffered is flushed, up to
``FLUSH_S``.  A splice belongs to its endpoint, not to a configuration: nothing here ever looks at
one.

The hot path is ``Half.data_received``: count, write to the peer.  Idle time is found by a sweep
that compares counts, so that no octet pays for a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, Literal

FLUSH_S: Final = 10.0
"""How long a closing splice may take to flush what it holds, in seconds."""

HALF_CLOSED_S: Final = 60.0
"""How long a half-closed splice may stay without an octet, in seconds."""

Kind = Literal["websocket", "tunnel"]


class Half(asyncio.Protocol):
    """One direction: reads from its own transport, writes to the peer's."""

    __slots__ = ("_splice", "_write", "ended", "octets", "peer", "transport")

    peer: Half

    def __init__(
        self, splice: Splice, transport: asyncio.Transport, peer: asyncio.Transport
    ) -> None:
        self._splice: Final = splice
        self.transport: Final = transport
        self._write = peer.write
        self.octets = 0
        """Received on this side, and so forwarded to the other."""
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.octets += len(data)
        self._write(data)

    def pause_writing(self) -> None:
        self.peer._hold()

    def resume_writing(self) -> None:
        self.peer._unhold()

    def eof_received(self) -> bool:
        self.ended = True
        return self._splice.half_closed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.peer._write = _discard
        self._splice.lost()

    def _hold(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _unhold(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()


def _discard(data: bytes | bytearray | memoryview) -> None:
    """Take the place of a write to a transport that is gone."""


class Splice:
    """A client and an upstream transport, joined."""

    __slots__ = ("_check_at", "_closed", "_idle_timeout_s", "_moved_at", "_on_end", "_open",
                 "_seen", "client", "kind", "started", "upstream")  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        client: asyncio.Transport,
        upstream: asyncio.Transport,
        *,
        idle_timeout_s: float | None,
        on_end: Callable[[Splice], None],
        now: float,
    ) -> None:
        self.kind: Final = kind
        self.started: Final = now
        self.client: Final = Half(self, client, upstream)
        self.upstream: Final = Half(self, upstream, client)
        self.client.peer = self.upstream
        self.upstream.peer = self.client
        self._on_end = on_end
        self._idle_timeout_s = idle_timeout_s
        self._closed = False
        self._open = 2
        self._seen = 0
        self._moved_at = now
        self._check_at = now + _stride(idle_timeout_s)

    def __repr__(self) -> str:
        return (
            f"<Splice {self.kind} to_upstream={self.to_upstream} to_client={self.to_client}"
            f"{' closed' if self._closed else ''}>"
        )

    @property
    def to_upstream(self) -> int:
        """Octets spliced from the client to the upstream so far."""
        return self.client.octets

    @property
    def to_client(self) -> int:
        """Octets spliced from the upstream to the client so far."""
        return self.upstream.octets

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
                half._hold()
            else:
                half._unhold()

    def sweep(self, now: float) -> None:
        """Close the splice if nothing moved for too long.  Called a few times a second."""
        if now < self._check_at:
            return
        total = self.client.octets + self.upstream.octets
        if self._closed:
            self.abort()
        elif total != self._seen:
            self._seen = total
            self._moved_at = now
        elif self._idle_timeout_s is not None and now - self._moved_at >= self._idle_timeout_s:
            self.close()
            return
        self._check_at = now + _stride(self._idle_timeout_s)

    def half_closed(self, half: Half) -> bool:
        """Carry a FIN over to the other side; return whether the reading transport stays open."""
        if self._closed or half.peer.ended:
            self.close()
            return False
        target = half.peer.transport
        if not target.can_write_eof() or target.is_closing():
            self.close()
            return False
        target.write_eof()
        if self._idle_timeout_s is None or self._idle_timeout_s > HALF_CLOSED_S:
            self._idle_timeout_s = HALF_CLOSED_S
            self._check_at = 0.0
        return True

    def lost(self) -> None:
        """Close the other side once one is gone, and report the end once both are."""
        self.close()
        self._open -= 1
        if not self._open:
            # The halves and the splice hold each other: what the end needed must not wait for the
            # collector, such as a log file that is to be closed.
            on_end, self._on_end = self._on_end, _ended
            on_end(self)

    def close(self) -> None:
        """Close both transports when what they hold is flushed, or after ``FLUSH_S``."""
        if self._closed:
            return
        self._closed = True
        self._check_at = monotonic() + FLUSH_S
        self.client._write = self.upstream._write = _discard
        for half in (self.client, self.upstream):
            if not half.transport.is_closing():
                half.transport.close()

    def abort(self) -> None:
        """Cut both transports at once."""
        self._closed = True
        self.client._write = self.upstream._write = _discard
        self.client.transport.abort()
        self.upstream.transport.abort()


def _ended(splice: Splice) -> None:
    """Take the place of what was told of the end."""


_HIGH_WATER: Final = 64 * 1024


def _stride(idle_timeout_s: float | None) -> float:
    """Look often enough that an idle splice is closed within an eighth of its timeout."""
    return HALF_CLOSED_S if idle_timeout_s is None else min(idle_timeout_s / 8, HALF_CLOSED_S / 8)
