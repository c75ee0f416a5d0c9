"""What lines of requests say in tests."""

from __future__ import annotations

from time import monotonic
from typing import Any, cast

from proxy.telemetry.request_lines import Entry

ENTRY: dict[str, Any] = {
    "request_id": b"5f0c-1",
    "client_ip": b"203.0.113.7",
    "method": b"GET",
    "path": b"/chat/room",
    "status": 200,
    "reason": None,
    "route": "chat",
    "pool": "backend",
    "endpoint": "blue-0",
    "attempts": 1,
    "revision": 12,
}


def entry(
    *,
    event: bytes = b"access",
    ended: float | None = None,
    bytes_in: int = 10,
    bytes_out: int = 2000,
    ttfb_s: float | None = 0.0015,
    duration_s: float = 0.25,
    **differs: Any,
) -> Entry:
    """Return an entry that differs from ``ENTRY``; it ended just now if nothing else is said."""
    ended = monotonic() if ended is None else ended
    began = ended - duration_s
    first_byte = 0.0 if ttfb_s is None else began + ttfb_s
    request_id, client_ip, method, path, *outcome, revision = (ENTRY | differs).values()
    facts = (began, first_byte, request_id, client_ip, method, path, tuple(outcome), revision)
    return cast("Entry", (event, ended, bytes_in, bytes_out, facts))
