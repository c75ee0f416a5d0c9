"""The request half: what the client sent of its body, framed, and kept as long as it may be needed.

Octets are *kept* until they are sent for the last time: while no endpoint is connected, and after
that as long as the request may be retried and they fit into ``limit``.
"""

from __future__ import annotations

from typing import Final

from proxy.framing import LAST_CHUNK, chunk


class RequestBody:
    """See the module's docstring."""

    __slots__ = ("_chunked", "_kept", "_kept_octets", "done", "limit", "octets")

    def __init__(self, *, chunked: bool, limit: int, done: bool = False) -> None:
        self._chunked: Final = chunked
        self.limit = limit
        """Octets kept at most, once they were sent."""
        self._kept: list[bytes] | None = []
        self._kept_octets = 0
        self.octets = 0
        """Payload received."""
        self.done = done
        """The client has sent all of it."""

    def add(self, payload: bytes, *, last: bool) -> bytes:
        """Take more from the client; return it as it goes on the wire."""
        self.octets += len(payload)
        self.done = last
        if self._chunked:
            framed = chunk(payload) if payload else b""
            if last:
                framed += LAST_CHUNK
        else:
            framed = payload
        if self._kept is not None:
            self._kept.append(framed)
            self._kept_octets += len(framed)
        return framed

    @property
    def full(self) -> bool:
        """No more should be taken before it can be sent."""
        return self._kept_octets >= self.limit

    @property
    def intact(self) -> bool:
        """Everything sent so far can be sent again."""
        return self._kept is not None

    def kept(self) -> bytes:
        """Return all of it so far, framed.  Only while ``intact``."""
        if not self._kept:
            return b""
        return self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)

    def forget(self) -> None:
        """Keep nothing any more: the request goes on without its body."""
        self._kept = None
        self._kept_octets = 0

    def sent(self, *, may_retry: bool) -> None:
        """Note that what is kept was sent: forget it if it is no longer needed or too large."""
        if self._kept and (not may_retry or self._kept_octets > self.limit):
            self.forget()


NOTHING: Final = RequestBody(chunked=False, limit=1, done=True)
"""The body of a request without one; never added to."""
