from __future__ import annotations

from proxy.spec import RetrySpec
from proxy.upstream.retry_rules import RetryRules


def test_statuses_are_read_from_the_words() -> None:
    words = frozenset({"error", "http_404", "http_403", "http_503", "http_429"})
    rules = RetryRules(RetrySpec(when=words))
    assert rules.retried == {403, 404, 429, 503}
    assert rules.failing == {429, 503}
    assert RetryRules(RetrySpec()).retried == set()
