"""What a Close frame can say (RFC 6455, 5.5 and 7.4)."""

from __future__ import annotations

from typing import Final

from proxy.errors import FaultError

CLOSE_REASON_BYTES: Final = 123
"""What a Close frame can carry (RFC 6455, 5.5)."""


def sendable_code(code: int) -> int:
    """Check that an endpoint may send this WebSocket close code (RFC 6455, 7.4).

    Raises:
        FaultError: it may not.
    """
    if code in {1000, 1001, 1002, 1003} or 1007 <= code <= 1014 or 3000 <= code <= 4999:
        return code
    raise FaultError(
        f"{code} is not a close code that can be sent",
        "such as 1001, 1012, or one of your own from 4000 to 4999",
    )


def sendable_reason(text: str) -> str:
    """Check that a Close frame can carry this reason.

    Raises:
        FaultError: it is too long.
    """
    if len(text.encode()) > CLOSE_REASON_BYTES:
        raise FaultError("the reason is too long", f"at most {CLOSE_REASON_BYTES} bytes")
    return text
