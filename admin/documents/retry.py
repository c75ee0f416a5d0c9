"""``retry`` of pools and routes: when a request may be tried on another endpoint."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from admin.documents.model import Model
from admin.documents.scalars import Count, DurationOrUnlimited, SizeRule
from admin.documents.units import MIB, limit, octets, seconds_or_none
from proxy import spec

RetryCause: TypeAlias = Literal[
    "error",
    "timeout",
    "invalid_header",
    "http_500",
    "http_501",
    "http_502",
    "http_503",
    "http_504",
    "http_403",
    "http_404",
    "http_429",
]


def _only_errors() -> list[RetryCause]:
    return ["error"]


class Retry(Model):
    """When a request may be tried on another endpoint (nginx `proxy_next_upstream`)."""

    when: list[RetryCause] = Field(
        default_factory=_only_errors,
        max_length=11,
        description="What makes an attempt worth repeating. `error`: connecting failed, or the "
        "connection broke before a response. `[]`: nothing.",
        examples=[["error", "timeout", "http_503"]],
    )
    max_attempts: Count = Field(
        default=3, description="Attempts, the first included.", examples=[3]
    )
    budget: DurationOrUnlimited = Field(
        default="10s",
        description="No attempt begins later than this after the first.",
        examples=["10s"],
    )
    non_idempotent: bool = Field(
        default=False, description="Repeat POST, LOCK and PATCH too.", examples=[False]
    )
    replay_bytes: Annotated[int | str, SizeRule(0, 64 * MIB)] = Field(
        default="64KiB",
        description="How much of a request body is kept for a repetition; 0 keeps nothing.",
        examples=["64KiB"],
    )

    def to_spec(self) -> spec.RetrySpec:
        """Translate; the rules are valid."""
        return spec.RetrySpec(
            when=frozenset(self.when),
            max_attempts=limit(self.max_attempts),
            budget_s=seconds_or_none(self.budget),
            non_idempotent=self.non_idempotent,
            replay_bytes=octets(self.replay_bytes),
        )
