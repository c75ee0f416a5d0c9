"""The operations on overrides."""

from __future__ import annotations

from typing import Any, Final

from admin.api import overrides
from admin.api.auth import Role
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.api.parameters import BODY_PROBLEMS, BOTH, FOUND_OR_WRITTEN, NAMES

OVERRIDE: Final = BodyOf(
    "api.bodies.overrides.OverrideStatus",
    BOTH,
    example={
        "pool": "backend",
        "endpoint": "blue-0",
        "state": "drain",
        "weight": None,
        "since": 1764092499.25,
        "until": 1764096099.25,
        "author": "alice",
        "note": "disk swap",
    },
)
_PLACE: Final = ("pools", "{name}", "endpoints", "{endpoint}")
_COMMON: Final[dict[str, Any]] = {
    "path": f"/v1/{'/'.join(_PLACE)}/override",
    "place": _PLACE,
    "tag": "overrides",
    "parameters": (
        Parameter(
            "name",
            "path",
            "Name of the pool, percent-encoded.",
            {**NAMES["pools"], "examples": ["backend"]},
        ),
        Parameter(
            "endpoint",
            "path",
            "Name of the endpoint, percent-encoded.",
            {**FOUND_OR_WRITTEN, "examples": ["blue-0"]},
        ),
    ),
    "writer": Role.DRAIN,
}
OVERRIDES: Final = (
    Operation(
        **_COMMON,
        method="GET",
        name="get_override",
        summary="Read the override of an endpoint",
        handler=overrides.get,
        replies=(Reply(200, "The override.", OVERRIDE),),
        problems=(404,),
    ),
    Operation(
        **_COMMON,
        method="PUT",
        name="put_override",
        summary="Take an endpoint out, or in, for a while",
        description="Operational state beside the document, which it beats, whoever owns the "
        "endpoint. It survives changes of the document and restarts, and ends by itself. Needs the "
        "role `drain` only.",
        handler=overrides.put,
        body=BodyOf(
            "api.bodies.overrides.OverrideBody",
            BOTH,
            example={"state": "drain", "ttl": "1h", "note": "disk swap"},
        ),
        replies=(
            Reply(200, "Replaced. It is in force.", OVERRIDE),
            Reply(201, "Set. It is in force.", OVERRIDE),
        ),
        problems=(404, 409, 507, *BODY_PROBLEMS),
    ),
    Operation(
        **_COMMON,
        method="DELETE",
        name="delete_override",
        summary="End the override of an endpoint",
        handler=overrides.delete,
        replies=(Reply(204, "The document holds again."),),
        problems=(404, 422, 507),
    ),
)
