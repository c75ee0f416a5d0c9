"""The last failed requests: what became of each, attempt by attempt.

Successful requests leave no trace here and pay nothing for it.  Path without query, no fields, no
body and no address of a client: it is about the proxy and its endpoints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FAILURES: Final = 500
"""Failed requests remembered at most."""

CLIENT_FAILURES: Final = 250
"""Of them, those that are the client's own doing, once there are ``FAILURES``: whoever asks for a
thousand paths that are not there must not make us forget why an endpoint failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """One try at an endpoint."""

    endpoint: str
    """Its name."""
    address: str
    reason: str | None
    """Of the closed list in ``proxy.errors``; ``None``: it answered."""
    status: int | None
    """What it answered; ``None``: nothing."""
    duration_s: float
    connect_s: float | None
    """Until there was a connection, 0 on an idle one; ``None``: there never was one."""
    ttfb_s: float | None
    """Until there was a response head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequest:
    """One request that failed."""

    id: str
    time: float
    """When it ended, in seconds since 1970."""
    listener: str
    route: str | None
    pool: str | None
    method: str
    path: str
    """As it was sent, without the query."""
    status: int
    reason: str | None
    """Of the closed list in ``proxy.errors``; ``None``: the upstream answered so by itself."""
    side: str
    """Whose doing it is: ``client``, ``upstream`` or ``proxy``."""
    duration_s: float
    attempts: tuple[FailedAttempt, ...]
    revision: int


class Failures:
    """A ring of failed requests."""

    __slots__ = ("_client", "_others", "recorded")

    def __init__(self) -> None:
        self._client: Final[deque[tuple[int, FailedRequest]]] = deque()
        self._others: Final[deque[tuple[int, FailedRequest]]] = deque()
        self.recorded = 0
        """All there ever were."""

    def __len__(self) -> int:
        return len(self._client) + len(self._others)

    def add(self, failed: FailedRequest) -> None:
        """Remember one more, and forget the oldest if that is one too many."""
        self.recorded += 1
        client, others = self._client, self._others
        (client if failed.side == "client" else others).append((self.recorded, failed))
        if len(self) > FAILURES:
            oldest_is_client = bool(client) and (not others or client[0][0] < others[0][0])
            (client if oldest_is_client or len(client) > CLIENT_FAILURES else others).popleft()

    def __iter__(self) -> Iterator[FailedRequest]:
        """Give them, the newest first."""
        merged = sorted((*self._client, *self._others), key=lambda each: -each[0])
        return iter([failed for _, failed in merged])

    def find(self, request_id: str) -> FailedRequest | None:
        """Return the newest with that id; a trusted proxy may use one twice."""
        return next((failed for failed in self if failed.id == request_id), None)
