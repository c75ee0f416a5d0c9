"""Every way a request can fail: where, what the client is told, whether it may be retried.

The reasons are one closed list.  Logs, metrics and the failure records use these words and no
others, so that one search finds the same event everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["client", "upstream", "proxy"]


class FaultError(ValueError):
    """Something in a configuration that cannot work, found where it stands.

    ``hint`` says what would be right, if that is known.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message: Final = message
        self.hint: Final = hint


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault with its place: ``path`` is a JSON pointer (RFC 6901) into the configuration."""

    path: str
    message: str
    hint: str | None = None


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a place in a document."""
    escaped = [str(part).replace("~", "~0").replace("/", "~1") for part in parts]
    text = "".join(f"/{part}" for part in escaped)
    return text.encode("utf-8", "backslashreplace").decode()  # it has to travel as UTF-8


class SpecError(Exception):
    """A configuration was refused; nothing was changed.  ``faults`` has at least one entry."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults: Final = faults


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """One reason from the closed list."""

    reason: str
    side: Side
    status: int
    """What the client is answered, if an answer is still possible."""
    retry: str | None = None
    """The word in ``retry.when`` that allows another attempt."""


# The client's side: what it sent, or did not.
BAD_REQUEST: Final = Failure("bad_request", "client", 400)
HEAD_TOO_LARGE: Final = Failure("head_too_large", "client", 431)
TARGET_TOO_LONG: Final = Failure("target_too_long", "client", 414)
BODY_TOO_LARGE: Final = Failure("body_too_large", "client", 413)
METHOD_NOT_ALLOWED: Final = Failure("method_not_allowed", "client", 405)
METHOD_UNKNOWN: Final = Failure("method_unknown", "client", 501)
VERSION_UNKNOWN: Final = Failure("version_unknown", "client", 505)
EXPECTATION_UNKNOWN: Final = Failure("expectation_unknown", "client", 417)
NO_ROUTE: Final = Failure("no_route", "client", 404)
FORBIDDEN: Final = Failure("forbidden", "client", 403)
HEAD_TIMEOUT: Final = Failure("head_timeout", "client", 408)
BODY_TIMEOUT: Final = Failure("body_timeout", "client", 408)
CLIENT_GONE: Final = Failure("client_gone", "client", 499)
CLIENT_STALLED: Final = Failure("client_stalled", "client", 499)

# The upstream's side.
NO_ENDPOINT: Final = Failure("no_endpoint", "upstream", 502)
CONNECT_FAILED: Final = Failure("connect_failed", "upstream", 502, "error")
ENDPOINT_DENIED: Final = Failure("endpoint_denied", "upstream", 502, "error")
CONNECT_TIMEOUT: Final = Failure("connect_timeout", "upstream", 504, "timeout")
UPSTREAM_CLOSED: Final = Failure("upstream_closed", "upstream", 502, "error")
SEND_TIMEOUT: Final = Failure("send_timeout", "upstream", 504, "timeout")
READ_TIMEOUT: Final = Failure("read_timeout", "upstream", 504, "timeout")
BAD_RESPONSE: Final = Failure("bad_response", "upstream", 502, "invalid_header")
UNASKED_UPGRADE: Final = Failure("unasked_upgrade", "upstream", 502, "invalid_header")
RESPONSE_TRUNCATED: Final = Failure("response_truncated", "upstream", 502)
BUDGET_SPENT: Final = Failure("budget_spent", "upstream", 504)

# Ours.
CONNECTION_LIMIT: Final = Failure("connection_limit", "proxy", 503)
CLOSED_BY_OPERATOR: Final = Failure("closed_by_operator", "proxy", 503)
DRAIN_TIMEOUT: Final = Failure("drain_timeout", "proxy", 503)
TOO_MANY_REROUTES: Final = Failure("too_many_reroutes", "proxy", 500)
INTERNAL: Final = Failure("internal", "proxy", 500)

ALL: Final = tuple(value for value in globals().values() if isinstance(value, Failure))
