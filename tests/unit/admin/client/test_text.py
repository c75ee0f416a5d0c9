"""What people read of explanations and failures."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from admin.api.insight_table import EXPLANATION, FAILURE
from admin.client import text


def explained(**differs: object) -> str:
    told: dict[str, Any] = copy.deepcopy(EXPLANATION) | differs
    return "\n".join(text.explanation(told, all_rivals=False))


def test_explanation_says_who_takes_the_request_and_why() -> None:
    said = explained()
    for part in (
        "request   GET /chat/1 HTTP/1.1",
        "route     chat for /chat/1 [hosts: *]: its prefix /chat/ is the longest",
        "not site: its prefix / is shorter than /chat/",
        "map       $tier = 'free': $cookie_user is '7', so /header_maps/tier/default",
        "pool      backend (round_robin): the route's only pool",
        "->blue-0 10.0.0.7:8000 active: serves; weight 1, 3 active",
        "sends     to blue-0",
        "          X-Tier: free",
        "retry     on error, at most 1 attempts within 10 s",
        "revision  12",
    ):
        assert part in said


def test_steps_access_and_pages_are_told() -> None:
    said = explained(
        steps=[
            {
                "place": "/routes/a/steps/0",
                "condition": {
                    "value": "$arg_x", "was": "1", "test": "equals", "operand": "2",
                    "negated": True,
                },
                "taken": True,
                "set": {"kind": "bot"},
                "rewrite": {
                    "match": "^/a", "matched": True, "path": "/b", "query": "q", "location": None,
                    "then": "stop",
                },
                "answer": None,
            },
            {
                "place": "/routes/a/steps/1", "condition": None, "taken": True, "set": {},
                "rewrite": {
                    "match": "^/z", "matched": False, "path": None, "query": None,
                    "location": None, "then": "next",
                },
                "answer": 403,
            },
        ],
        access=[
            {"route": "a", "client": "192.0.2.7", "rule": None, "allowed": True},
            {"route": "a", "client": "192.0.2.7", "rule": "/routes/a/access/1", "allowed": False},
        ],
        error_pages=[{"statuses": [502, 504], "leads_to": "path /oops", "status": "same"}],
        named=["fallback"],
        passing=None,
        answer={"status": 403, "reason": "forbidden", "octets": "HTTP/1.1 403 F\r\nA: b\r\n\r\nno"},
    )  # fmt: skip
    for part in (
        "$arg_x is '1', not equals '2'?; taken; $kind = 'bot'; the path is /b?q now, then stop",
        "/routes/a/steps/1; taken; ^/z does not match the path; answers 403",
        "no rule of a lets 192.0.2.7 in",
        "/routes/a/access/1 turns 192.0.2.7 away",
        "502 504: path /oops, seen as same",
        "fallback, by name",
        "answers   403: forbidden",
        "          A: b",
    ):
        assert part in said
    assert "sends" not in said


@pytest.mark.parametrize("all_rivals", [False, True])
def test_routes_that_do_not_match_are_told_of_only_if_asked(all_rivals: bool) -> None:
    told = copy.deepcopy(EXPLANATION)
    told["lookups"][0]["rivals"].append({"route": "far", "lost": "path", "why": "no match"})
    told["lookups"][0]["rivals_left_out"] = 3
    said = "\n".join(text.explanation(told, all_rivals=all_rivals))
    assert ("not far: no match" in said) is all_rivals
    assert ("not 3 more" if all_rivals else "not 4 more (--all") in said


def test_what_a_client_sent_cannot_speak_to_the_terminal() -> None:
    said = explained(request="GET /\x1b[31m HTTP/1.1\r\n\r\n")
    assert "\x1b" not in said
    assert "\\x1b[31m" in said


def test_failure_tells_each_attempt() -> None:
    told: dict[str, Any] = copy.deepcopy(FAILURE)
    told["attempts"].append(
        {
            "endpoint": "green-0", "address": "10.0.0.8:8000", "reason": None, "status": 503,
            "duration_s": 0.25, "connect_s": 0.001, "ttfb_s": 0.2,
        }
    )  # fmt: skip
    said = "\n".join(text.failure(told))
    for part in (
        "request   GET /chat/1 at 2025-11-25T17:41:39Z, by public",
        "ended     502 connect_failed (upstream), 4.0 ms",
        "route     chat, pool backend",
        "attempt 1 blue-0 10.0.0.7:8000, no answer, connect_failed, 3.0 ms",
        "attempt 2 green-0 10.0.0.8:8000, answered 503, 250.0 ms, connected after 1.0 ms, first "
        "byte after 200.0 ms",
        "revision  12",
    ):
        assert part in said


def test_failure_without_attempts_says_so() -> None:
    told = copy.deepcopy(FAILURE) | {"attempts": [], "route": None, "pool": None, "reason": None}
    said = "\n".join(text.failure(told))
    assert "no endpoint was asked" in said
    assert "route     none, pool none" in said
    assert "the upstream's own answer" in said
