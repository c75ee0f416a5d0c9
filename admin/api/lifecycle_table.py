"""The operations on the drain of the process."""

from __future__ import annotations

from typing import Any, Final

from admin.api import lifecycle
from admin.api.auth import Role
from admin.api.operations import BodyOf, Operation, Reply
from admin.api.parameters import BOTH, NOTE, span

PROGRESS: Final = BodyOf(
    "api.bodies.lifecycle.DrainProgress",
    BOTH,
    example={
        "state": "draining",
        "remaining": 42,
        "since": 1764092499.25,
        "accepting_until": 1764092504.25,
        "until": 1764092524.25,
        "author": "alice",
        "note": "node reboots",
        "stopping": False,
    },
)
_COMMON: Final[dict[str, Any]] = {
    "path": "/v1/lifecycle/drain",
    "tag": "lifecycle",
    "writer": Role.DRAIN,
}
LIFECYCLE: Final = (
    Operation(
        **_COMMON,
        method="GET",
        name="get_lifecycle_drain",
        summary="See how far the drain of the process is",
        handler=lifecycle.get,
        parameters=(
            span("wait", "Answer once it is done, undone, or this is over; at most an hour.", "0s"),
        ),
        replies=(Reply(200, "Where it stands.", PROGRESS),),
    ),
    Operation(
        **_COMMON,
        method="POST",
        name="start_drain",
        summary="Drain the process",
        description="As SIGTERM does, within `--drain-timeout`, but the process goes on when it is "
        "done. Idempotent. `/readyz` fails from now on. Needs the role `drain` only.",
        handler=lifecycle.start,
        parameters=(NOTE,),
        replies=(Reply(200, "It runs, or is done already.", PROGRESS),),
    ),
    Operation(
        **_COMMON,
        method="DELETE",
        name="undo_drain",
        summary="Undo the drain of the process",
        description="Listeners accept again, and `/readyz` succeeds. What was closed stays closed. "
        "Idempotent. Needs the role `drain` only.",
        handler=lifecycle.undo,
        replies=(Reply(200, "It serves.", PROGRESS),),
        problems=(409,),
    ),
)
