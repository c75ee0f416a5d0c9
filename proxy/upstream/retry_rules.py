"""When another endpoint may be tried, worked out from what a pool or a route says of it."""

from __future__ import annotations

from typing import Final

from proxy.spec import RetrySpec

NEVER_FAILURES: Final = frozenset({403, 404})
"""Statuses that say nothing about the endpoint's health, even if they are retried (as in nginx)."""


class RetryRules:
    """A ``RetrySpec`` with what an exchange asks about each response."""

    __slots__ = ("failing", "retried", "spec")

    def __init__(self, spec: RetrySpec) -> None:
        self.spec: Final = spec
        self.retried: Final = frozenset(
            int(word[5:]) for word in spec.when if word.startswith("http_")
        )
        """Statuses for which another endpoint may be tried."""
        self.failing: Final = self.retried - NEVER_FAILURES
        """Those of them that count against an endpoint's health."""
