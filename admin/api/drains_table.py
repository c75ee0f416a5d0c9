"""The operations on drains of some connections."""

from __future__ import annotations

from typing import Any, Final

from admin.api import drains
from admin.api.auth import Role
from admin.api.media import JSON
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.api.parameters import BODY_PROBLEMS, BOTH, NOTE
from proxy.drains import MAX_DRAINS

DRAIN: Final[dict[str, Any]] = {
    "name": "node-n7",
    "selector": {"labels": {"node": "n7"}},
    "cordon": True,
    "fraction": None,
    "code": 1012,
    "reason": "service restart",
    "rate": 50.0,
    "timeout": "60s",
    "author": "alice",
    "note": "disk swap",
    "since": 1764092499.25,
    "selected": 180,
    "closed": 55,
    "remaining": 125,
    "cordoned": ["backend/blue-0"],
    "done": False,
}
_STATUS: Final = BodyOf("api.bodies.drains.DrainStatus", BOTH, example=DRAIN)
_NAME: Final = Parameter(
    "name",
    "path",
    "Name of the drain, which whoever starts it chooses.",
    {"type": "string", "examples": [DRAIN["name"]]},
)
_ONE: Final[dict[str, Any]] = {
    "path": "/v1/drains/{name}",
    "tag": "drains",
    "writer": Role.DRAIN,
}
DRAINS: Final = (
    Operation(
        method="GET",
        path="/v1/drains",
        name="list_drains",
        tag="drains",
        summary="See every drain",
        description=f"The oldest first; {MAX_DRAINS} are remembered, until the process ends. The "
        "oldest that is over and keeps no endpoint from work makes room for a new one.",
        handler=drains.get_list,
        replies=(
            Reply(
                200,
                "Every drain.",
                BodyOf(
                    "api.bodies.drains.DrainList",
                    (JSON,),
                    example={"items": [DRAIN]},
                    leads=(("/v1/drains/{name}", "/items/0/name"),),
                ),
            ),
        ),
    ),
    Operation(
        **_ONE,
        method="GET",
        name="get_drain",
        summary="See how far a drain is",
        handler=drains.get,
        parameters=(_NAME,),
        replies=(Reply(200, "How far it is.", _STATUS),),
        problems=(404,),
    ),
    Operation(
        **_ONE,
        method="PUT",
        name="put_drain",
        summary="Tell some connections to close, at a pace",
        description="WebSockets are told `code` and `reason`, other tunnels are closed by TCP, and "
        "connections of HTTP end after the request under way; those of HTTP only if the selector "
        "names no route, pool, endpoint or label. Sent again, the same order goes on; another one "
        "of that name takes its place. 409 if too many drains run. Needs the role `drain` only.",
        handler=drains.put,
        parameters=(_NAME, NOTE),
        body=BodyOf(
            "api.bodies.drains.DrainBody",
            BOTH,
            example={"selector": {"labels": {"node": "n7"}}, "rate": 50, "timeout": "60s"},
        ),
        replies=(
            Reply(200, "The drain of that name goes on, or was replaced.", _STATUS),
            Reply(201, "Started.", _STATUS),
        ),
        problems=(409, *BODY_PROBLEMS),
    ),
    Operation(
        **_ONE,
        method="DELETE",
        name="delete_drain",
        summary="Cancel a drain",
        description="What is closed stays closed; nothing further is, and its endpoints get work "
        "again.",
        handler=drains.delete,
        parameters=(_NAME,),
        replies=(Reply(204, "Cancelled, and forgotten."),),
        problems=(404,),
    ),
)
