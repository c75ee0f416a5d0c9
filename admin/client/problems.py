"""What can go wrong for a client, the exit status of each, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TextIO

OK: Final = 0

FAILED: Final = 1
"""Refused for another reason than those below, or not done in time."""

FAULTY: Final = 2
"""The command line makes no sense, or what was sent has faults."""

UNREACHABLE: Final = 3
"""Nobody answers."""

CONFLICT: Final = 4
"""Something else stands against it: a precondition, a pending confirmation, a reference."""

INTERRUPTED: Final = 130
"""Ctrl-C, as shells have it."""

_STATUSES: Final = {
    400: FAULTY,
    413: FAULTY,
    415: FAULTY,
    422: FAULTY,
    409: CONFLICT,
    412: CONFLICT,
}


class ClientError(Exception):
    """Ends a command: ``status`` is its exit status."""

    status = FAILED

    def __init__(self, message: str, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message: Final = message
        self.hint: Final = hint
        if status is not None:
            self.status = status

    def tell(self, to: TextIO) -> None:
        """Say it for people."""
        print(f"hotsplice: {printable(self.message)}", file=to)
        if self.hint:
            print(f"    hint: {printable(self.hint)}", file=to)


class UnreachableError(ClientError):
    """No answer came."""

    status = UNREACHABLE

    def __init__(self, address: str, reason: str) -> None:
        """``reason`` is the system's."""
        hint = "is it running? --admin ADDR or HOTSPLICE_ADMIN says where"
        super().__init__(f"{address}: {reason}", hint)


class RefusedError(ClientError):
    """The answer is a refusal, with its problem details (RFC 9457)."""

    def __init__(self, code: int, problem: Mapping[str, Any]) -> None:
        """``code`` is the status of HTTP."""
        detail = problem.get("detail") or f"{code} {_phrase(code)}"
        hint = None
        if code == 401:
            hint = "--token-file FILE or HOTSPLICE_TOKEN_FILE names the file of a token"
        super().__init__(str(detail), hint, _STATUSES.get(code, FAILED))
        self.code: Final = code
        self.problem: Final = problem

    def tell(self, to: TextIO) -> None:
        """Say it for people: every fault with its place and hint."""
        super().tell(to)
        for fault in self.problem.get("errors") or ():
            print(f"{printable(fault['path']) or '/'}: {printable(fault['message'])}", file=to)
            if fault.get("hint"):
                print(f"    hint: {printable(fault['hint'])}", file=to)


def printable(text: str) -> str:
    """Return text that leaves a terminal alone: control characters become escapes."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""
