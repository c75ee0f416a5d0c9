"""Two ends and the splice between them, with a clock that the test winds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from proxy.splice.relay import Kind, Splice
from tests.peers.frames import CLOSE, encode
from tests.unit.fake_transport import FakeTransport

NOW = 1000.0


@dataclass(frozen=True, slots=True)
class Got:
    """A frame that an end was sent."""

    opcode: int
    payload: bytes
    fin: bool
    masked: bool


class Pair:
    """See the module's docstring."""

    def __init__(
        self,
        *,
        kind: Kind = "tunnel",
        idle_timeout_s: float | None = 80.0,
        ping_interval_s: float | None = None,
        client: FakeTransport | None = None,
        upstream: FakeTransport | None = None,
        behind_request: bytes = b"",
        behind_response: bytes = b"",
    ) -> None:
        self.client = client or FakeTransport()
        self.upstream = upstream or FakeTransport()
        self.ended: list[Splice] = []
        self.splice = Splice(
            kind, self.client, self.upstream,
            idle_timeout_s=idle_timeout_s, ping_interval_s=ping_interval_s,
            on_end=self.ended.append, now=NOW,
        )  # fmt: skip
        self.splice.start(behind_request, behind_response)

    def lose_both(self) -> None:
        for transport in (self.client, self.upstream):
            if not transport.closed:
                transport.lose()

    @property
    def closing(self) -> tuple[bool, bool]:
        return self.client.is_closing(), self.upstream.is_closing()

    @property
    def aborted(self) -> tuple[bool, bool]:
        return self.client.aborted, self.upstream.aborted


class Clock:
    """Stands in for ``monotonic``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr("proxy.splice.relay.monotonic", lambda: self.now)

    def sweep(self, splice: Splice, seconds: float, step: float = 0.2) -> None:
        """Let time go by, and sweep as the server does."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now = min(self.now + step, until)
            splice.sweep(self.now)


def frames_in(stream: bytes) -> list[Got]:
    """Read whole frames; fails if a frame is broken or cut."""
    found: list[Got] = []
    while stream:
        first, second = stream[0], stream[1]
        size, at = second & 127, 2
        if size > 125:
            octets = 2 if size == 126 else 8
            size, at = int.from_bytes(stream[2 : 2 + octets], "big"), 2 + octets
        masked = bool(second & 128)
        mask = stream[at : at + 4] if masked else b""
        at += len(mask)
        payload = stream[at : at + size]
        assert len(payload) == size, f"cut: {stream[:20]!r}"
        if masked:
            payload = bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
        found.append(Got(first & 15, payload, bool(first & 128), masked))
        stream = stream[at + size :]
    return found


def close(code: int, reason: bytes = b"", *, mask: bool) -> bytes:
    """Write a Close frame."""
    return encode(CLOSE, code.to_bytes(2, "big") + reason, mask=mask)
