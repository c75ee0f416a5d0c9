"""Whether a request may be tried again: a pure decision (nginx ``proxy_next_upstream``).

An attempt ended with a failure, or with a status that may be one.  The first line that fits
decides:

======================================================================  ============
what happened                                                           verdict
======================================================================  ============
a byte of a response has been sent to the client                        GIVE_UP
``retry.when`` does not name the failure or the status                  GIVE_UP
the body can no longer be sent from its beginning                       GIVE_UP
POST, LOCK or PATCH, a byte of it was sent, and not ``non_idempotent``  GIVE_UP
no attempts left, or as many as endpoints made, and no free one due     GIVE_UP
the budget is spent, and a status stands ready for the client           GIVE_UP
the budget is spent                                                     BUDGET_SPENT
a reused connection broke before a byte of response, for the first time FRESH
anything else                                                           NEXT
======================================================================  ============

The free attempt exists because an upstream may close an idle connection in the very moment in which
we reuse it, which says nothing about the endpoint; it does not count towards ``max_attempts``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import Final

from proxy.errors import Failure
from proxy.spec import RetrySpec

NON_IDEMPOTENT: Final = frozenset({b"POST", b"LOCK", b"PATCH"})
"""The methods that nginx does not repeat; others are left to whoever defined them."""

NEVER_FAILURES: Final = frozenset({403, 404})
"""Statuses that say nothing about the endpoint's health, even if they are retried (as in nginx)."""


class Verdict(Enum):
    """What to do after an attempt."""

    GIVE_UP = "give_up"
    """Answer the client: with the upstream's response if there is one, else with the failure."""
    BUDGET_SPENT = "budget_spent"
    """Answer 504: only the time forbids another attempt."""
    NEXT = "next"
    """Try an endpoint that was not tried yet."""
    FRESH = "fresh"
    """Try any endpoint, the same one too, on a new connection."""


@dataclass(slots=True, kw_only=True)
class Ended:
    """How an attempt ended, and what came before: all that the decision depends on."""

    failure: Failure | None = None
    """Why there is no response; ``None`` if there is one."""
    status: int = 0
    """Of the response, if there is one."""
    method: bytes = b"GET"
    sent: bool = False
    """A byte of the request was sent to an upstream."""
    reused: bool = False
    """The connection had served a request before."""
    answered: bool = False
    """A byte of a response arrived."""
    started: bool = False
    """A byte of a response was sent to the client."""
    endpoints: int = sys.maxsize
    """In service, and so to be tried at most, whether they can be chosen at present or not."""
    attempts: int = 1
    """Made so far, this one and the free one included."""
    elapsed_s: float = 0.0
    """Since the first attempt began."""
    replayable: bool = True
    """Everything of the body that was read from the client is still at hand."""
    free_used: bool = False
    """The free attempt was made."""


def decide(ended: Ended, spec: RetrySpec) -> Verdict:
    """Decide what follows an attempt; see the table above."""
    failure = ended.failure
    cause = f"http_{ended.status}" if failure is None else failure.retry
    if ended.started or cause not in spec.when or not ended.replayable:
        return Verdict.GIVE_UP
    if ended.sent and ended.method in NON_IDEMPOTENT and not spec.non_idempotent:
        return Verdict.GIVE_UP
    free = ended.reused and not ended.answered and not ended.free_used and cause == "error"
    most = ended.endpoints
    if spec.max_attempts is not None and spec.max_attempts < most:
        most = spec.max_attempts
    if not free and ended.attempts - ended.free_used >= most:
        return Verdict.GIVE_UP
    if spec.budget_s is not None and ended.elapsed_s >= spec.budget_s:
        return Verdict.GIVE_UP if failure is None else Verdict.BUDGET_SPENT
    return Verdict.FRESH if free else Verdict.NEXT


def retried_statuses(spec: RetrySpec) -> frozenset[int]:
    """Return the statuses after which another attempt may be due; of all others a response is."""
    return frozenset(int(word[5:]) for word in spec.when if word.startswith("http_"))
