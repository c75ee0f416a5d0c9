"""The operations that say why: what would become of a request, and what became of others."""

from __future__ import annotations

from typing import Any, Final

from admin.api import explain, failures
from admin.api.auth import Role
from admin.api.media import JSON
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.api.parameters import BODY_PROBLEMS
from proxy.telemetry.failures import FAILURES

_HEAD: Final = "Host: chat.example.com\r\nCookie: user=7\r\n\r\n"
EXPLANATION: Final[dict[str, Any]] = {
    "revision": 12,
    "request": f"GET /chat/1 HTTP/1.1\r\n{_HEAD}",
    "listener": {"name": "public", "why": "it is the only one"},
    "client": {"peer": "192.0.2.7", "address": "192.0.2.7", "trusted": False},
    "route": "chat",
    "lookups": [
        {
            "host": "chat.example.com",
            "path": "/chat/1",
            "table": "*",
            "route": "chat",
            "why": "its prefix /chat/ is the longest that matches, and no regex matches",
            "internal": False,
            "redirect": False,
            "rivals": [
                {"route": "site", "lost": "beaten", "why": "its prefix / is shorter than /chat/"}
            ],
            "rivals_left_out": 0,
        }
    ],
    "steps": [],
    "access": [],
    "header_maps": [
        {
            "name": "tier",
            "source": "$cookie_user",
            "was": "7",
            "entry": "/header_maps/tier/default",
            "value": "free",
        }
    ],
    "named": [],
    "error_pages": [],
    "pool": {
        "name": "backend",
        "why": "the route's only pool",
        "balance": "round_robin",
        "key": None,
        "chance": False,
        "endpoints": [
            {
                "name": "blue-0",
                "address": "10.0.0.7:8000",
                "state": "active",
                "why": "serves",
                "eligible": True,
                "weight": 1,
                "backup": False,
                "active": 3,
                "labels": {"node": "n7"},
                "override": None,
            }
        ],
        "endpoints_left_out": {},
    },
    "answer": None,
    "passing": {
        "endpoint": "blue-0",
        "address": "10.0.0.7:8000",
        "octets": f"GET /chat/1 HTTP/1.1\r\nX-Tier: free\r\n{_HEAD}",
        "retry": {
            "when": ["error"],
            "max_attempts": 1,
            "budget_s": 10.0,
            "non_idempotent": False,
            "replay_bytes": 65536,
        },
        "limits": {
            "connect_s": 5.0,
            "send_s": 60.0,
            "read_s": 60.0,
            "body_bytes": None,
            "upgrade": None,
            "tunnel_idle_s": None,
        },
    },
    "placeholders": {"0" * 32: "the id that each request is given anew"},
}
FAILURE: Final[dict[str, Any]] = {
    "id": "5f0c8b1d2e3f4a5b6c7d100000000001",
    "time": 1764092499.25,
    "listener": "public",
    "route": "chat",
    "pool": "backend",
    "method": "GET",
    "path": "/chat/1",
    "status": 502,
    "reason": "connect_failed",
    "side": "upstream",
    "duration_s": 0.004,
    "attempts": [
        {
            "endpoint": "blue-0",
            "address": "10.0.0.7:8000",
            "reason": "connect_failed",
            "status": None,
            "duration_s": 0.003,
            "connect_s": None,
            "ttfb_s": None,
        }
    ],
    "revision": 12,
}


def _only(name: str, what: str, **schema: object) -> Parameter:
    return Parameter(name, "query", f"Only {what}.", {"type": "string", **schema})


INSIGHTS: Final = (
    Operation(
        method="POST",
        path="/v1/explain",
        name="explain_request",
        tag="explain",
        summary="Ask what would become of a request, and why",
        description="Nothing is sent, counted or changed: the request is played through the code "
        "that serves, with nobody at either end, so the answer is what would happen. With "
        "`config`, what that document would do with it. Needs no more than reading does.",
        handler=explain.post,
        body=BodyOf(
            "api.bodies.question.ExplainBody",
            (JSON,),
            example={
                "method": "GET",
                "url": "http://chat.example.com/chat/1",
                "headers": {"Cookie": "user=7"},
                "client": "192.0.2.7",
            },
        ),
        replies=(
            Reply(
                200,
                "What would happen.",
                BodyOf("api.bodies.explanations.ExplanationBody", (JSON,), example=EXPLANATION),
            ),
        ),
        problems=BODY_PROBLEMS,
        writer=Role.READ,
    ),
    Operation(
        method="GET",
        path="/v1/failures",
        name="list_failures",
        tag="failures",
        summary="Read the last requests that failed",
        description=f"The newest first; {FAILURES} are remembered, of clients' own doing half as "
        "many once there are more. A request failed if the proxy has a reason for its end, or if "
        "what the upstream answered in the end is a 5xx. One that another attempt made good did "
        "not fail; nor did one that was refused before it had a route to be looked for, which "
        "`rejected_total` counts.",
        handler=failures.get_list,
        parameters=(
            _only("route", "those of this route", examples=["chat"]),
            _only("pool", "those of this pool", examples=["backend"]),
            _only("reason", "those with this reason", enum=list(failures.REASONS)),
            Parameter(
                "limit",
                "query",
                "So many at most.",
                {"type": "integer", "minimum": 1, "maximum": FAILURES, "default": failures.PAGE},
            ),
        ),
        replies=(
            Reply(
                200,
                "The last failures.",
                BodyOf(
                    "api.bodies.failures.FailurePage",
                    (JSON,),
                    example={"items": [FAILURE], "recorded": 1},
                    leads=(("/v1/failures/{request_id}", "/items/0/id"),),
                ),
            ),
        ),
    ),
    Operation(
        method="GET",
        path="/v1/failures/{request_id}",
        name="get_failure",
        tag="failures",
        summary="Read why a request failed",
        description="404 if it did not fail, or too many have since.",
        handler=failures.get,
        parameters=(
            Parameter(
                "request_id",
                "path",
                "Its `X-Request-Id`.",
                {"type": "string", "examples": [FAILURE["id"]]},
            ),
        ),
        replies=(
            Reply(
                200,
                "What happened.",
                BodyOf("api.bodies.failures.FailureBody", (JSON,), example=FAILURE),
            ),
        ),
        problems=(404,),
    ),
)
