"""Retries: every combination of circumstances against an oracle, and the rules one by one."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from proxy import errors
from proxy.errors import Failure
from proxy.exchange.retry import Ended, Verdict, decide
from proxy.spec import RetrySpec

EVERYTHING = frozenset(
    {"error", "timeout", "invalid_header", "http_403", "http_404", "http_429"}
    | {f"http_{status}" for status in range(500, 505)}
)
SPECS = (
    RetrySpec(),
    RetrySpec(when=frozenset()),
    RetrySpec(when=EVERYTHING),
    RetrySpec(when=EVERYTHING, max_attempts=None, budget_s=None, non_idempotent=True),
    RetrySpec(when=frozenset({"timeout", "http_503"}), max_attempts=1),
)

CAUSES: dict[str, str] = {
    "connect_failed": "error",
    "upstream_closed": "error",
    "connect_timeout": "timeout",
    "send_timeout": "timeout",
    "read_timeout": "timeout",
    "bad_response": "invalid_header",
    "unasked_upgrade": "invalid_header",
    "endpoint_denied": "error",
}
"""Which word of ``retry.when`` allows a retry after which failure; after others there is none."""


def oracle(ended: Ended, spec: RetrySpec) -> set[Verdict]:
    """Say for each verdict by itself whether it is right."""
    if ended.failure is None:
        word = "http_" + str(ended.status)
    else:
        word = CAUSES.get(ended.failure.reason, "never")
    safe = not ended.sent or spec.non_idempotent or ended.method in (b"GET", b"PUT")
    permitted = word in spec.when and safe and ended.replayable and not ended.started
    free = word == "error" and (ended.reused, ended.answered, ended.free_used) == (
        True,
        False,
        False,
    )
    paid_attempts = ended.attempts - 1 if ended.free_used else ended.attempts
    limits = (
        [ended.endpoints] if spec.max_attempts is None else [ended.endpoints, spec.max_attempts]
    )
    affordable = all(paid_attempts < limit for limit in limits)
    in_time = spec.budget_s is None or ended.elapsed_s < spec.budget_s
    right = {
        Verdict.FRESH: permitted and in_time and free,
        Verdict.NEXT: permitted and in_time and affordable and not free,
        Verdict.BUDGET_SPENT: permitted
        and not in_time
        and (affordable or free)
        and ended.failure is not None,
    }
    return {verdict for verdict, holds in right.items() if holds} or {Verdict.GIVE_UP}


OUTCOMES: tuple[tuple[Failure | None, int], ...] = (
    *((failure, 0) for failure in errors.ALL),
    *((None, status) for status in (200, 403, 404, 429, 500, 502, 503, 504)),
)


@pytest.mark.parametrize("spec", SPECS)
def test_every_combination_gets_the_oracle_verdict(spec: RetrySpec) -> None:
    flags = [(False, True)] * 6
    seen: Counter[Verdict] = Counter()
    for (failure, status), method, attempts, endpoints, elapsed_s, chosen in product(
        OUTCOMES, (b"GET", b"POST"), (1, 2, 3, 4), (1, 2, 9), (0.0, 10.0), product(*flags)
    ):
        sent, reused, answered, started, replayable, free_used = chosen
        ended = Ended(
            failure=failure, status=status, method=method, sent=sent, reused=reused,
            answered=answered, started=started, attempts=attempts, elapsed_s=elapsed_s,
            replayable=replayable, free_used=free_used, endpoints=endpoints,
        )  # fmt: skip
        verdict = decide(ended, spec)
        assert {verdict} == oracle(ended, spec), (ended, spec)
        seen[verdict] += 1
    assert seen[Verdict.GIVE_UP] > 0


def test_by_default_a_refused_connection_goes_to_the_next_endpoint() -> None:
    assert decide(Ended(failure=errors.CONNECT_FAILED), RetrySpec()) is Verdict.NEXT


@pytest.mark.parametrize("method", [b"POST", b"LOCK", b"PATCH"])
def test_non_idempotent_request_is_retried_only_before_a_byte_was_sent(method: bytes) -> None:
    unsent = Ended(failure=errors.CONNECT_FAILED, method=method)
    sent = Ended(failure=errors.UPSTREAM_CLOSED, method=method, sent=True)
    assert decide(unsent, RetrySpec()) is Verdict.NEXT
    assert decide(sent, RetrySpec()) is Verdict.GIVE_UP
    assert decide(sent, RetrySpec(non_idempotent=True)) is Verdict.NEXT


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PROPFIND"])
def test_other_methods_are_retried_after_they_were_sent(method: bytes) -> None:
    sent = Ended(failure=errors.UPSTREAM_CLOSED, method=method, sent=True)
    assert decide(sent, RetrySpec()) is Verdict.NEXT


def test_stale_connection_gives_get_a_fresh_one_and_post_a_502() -> None:
    stale = Ended(failure=errors.UPSTREAM_CLOSED, sent=True, reused=True)
    assert decide(stale, RetrySpec()) is Verdict.FRESH
    stale.method = b"POST"
    assert decide(stale, RetrySpec()) is Verdict.GIVE_UP


def test_free_attempt_is_given_once_and_beyond_max_attempts() -> None:
    spec = RetrySpec(max_attempts=1)
    stale = Ended(failure=errors.UPSTREAM_CLOSED, sent=True, reused=True)
    assert decide(stale, spec) is Verdict.FRESH
    stale.attempts = 2
    stale.free_used = True
    assert decide(stale, spec) is Verdict.GIVE_UP
    assert decide(stale, RetrySpec(max_attempts=2)) is Verdict.NEXT


def test_half_a_head_is_no_reason_for_the_free_attempt() -> None:
    broken = Ended(failure=errors.UPSTREAM_CLOSED, sent=True, reused=True, answered=True)
    assert decide(broken, RetrySpec()) is Verdict.NEXT


def test_spent_budget_is_told_only_where_nothing_else_forbids_a_retry() -> None:
    late = Ended(failure=errors.CONNECT_FAILED, elapsed_s=10.0)
    assert decide(late, RetrySpec(budget_s=10.0)) is Verdict.BUDGET_SPENT
    late.attempts = 3
    assert decide(late, RetrySpec(budget_s=10.0)) is Verdict.GIVE_UP


def test_spent_budget_lets_a_response_pass() -> None:
    spec = RetrySpec(when=frozenset({"http_503"}), budget_s=1.0)
    assert decide(Ended(status=503, answered=True), spec) is Verdict.NEXT
    assert decide(Ended(status=503, answered=True, elapsed_s=2.0), spec) is Verdict.GIVE_UP


@pytest.mark.parametrize("spec", [RetrySpec(), RetrySpec(when=EVERYTHING)])
def test_client_gone_or_nobody_to_ask_is_never_retried(spec: RetrySpec) -> None:
    for failure in (errors.CLIENT_GONE, errors.NO_ENDPOINT, errors.INTERNAL):
        assert decide(Ended(failure=failure), spec) is Verdict.GIVE_UP
