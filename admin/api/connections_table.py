"""The operations on connections."""

from __future__ import annotations

from typing import Any, Final, get_args

from admin.api import connections
from admin.api.auth import Role
from admin.api.media import JSON
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.documents.goodbye import CLOSE_REASON_BYTES
from proxy.connections import MAX_PAGE, PAGE
from proxy.splice.closing import GOING_AWAY

CONNECTION: Final[dict[str, Any]] = {
    "id": "5f0c8b-42",
    "kind": "websocket",
    "state": "open",
    "client": "192.0.2.7:51234",
    "server": "10.0.0.2:8080",
    "listener": "public",
    "route": "chat",
    "pool": "backend",
    "endpoint": "blue-0",
    "endpoint_address": "10.0.0.7:8000",
    "labels": {"node": "n7"},
    "revision": 12,
    "request_id": "5f0c8b1d2e3f4a5b6c7d100000000001",
    "started": 1764092499.25,
    "age_s": 318.5,
    "idle_s": 2.25,
    "requests": 1,
    "from_client": {"bytes": 1180, "frames": 34, "messages": 34, "close_code": None},
    "from_upstream": {"bytes": 90122, "frames": 410, "messages": 402, "close_code": None},
}
_PAGE: Final = BodyOf(
    "api.bodies.connections.ConnectionPage",
    (JSON,),
    example={"items": [CONNECTION], "next": "5f0c8b-42"},
    leads=(("/v1/connections/{id}", "/items/0/id"),),
)
_CODES: Final = [
    {"minimum": least, "maximum": most}
    for least, most in ((1000, 1003), (1007, 1014), (3000, 4999))
]
_TEXTS: Final = (
    ("listener", "those that came to this listener", "public"),
    ("route", "those of this route", "chat"),
    ("pool", "those that go to this pool", "backend"),
    ("endpoint", "those that go to this endpoint, by name or address", "blue-0"),
)
_SPANS: Final = (
    ("min_age", "those that are at least so old", "10m"),
    ("min_idle", "those over which nothing came for at least so long", "5m"),
)
SELECTING: Final = (
    Parameter(
        "kind",
        "query",
        "Only those of this kind.",
        {"type": "string", "enum": list(get_args(connections.Kind))},
    ),
    *(
        Parameter(name, "query", f"Only {what}.", {"type": "string", "examples": [example]})
        for name, what, example in _TEXTS
    ),
    Parameter(
        "label",
        "query",
        "Only those whose endpoint has this label; may be repeated, then all must be there.",
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{connections.LABEL}"},
            "examples": [["node=n7"]],
        },
        connections.read_label,
    ),
    *(
        Parameter(
            name,
            "query",
            f"Only {what}.",
            {"type": "string", "pattern": f"^{connections.SPAN}$", "examples": [example]},
            connections.read_span,
        )
        for name, what, example in _SPANS
    ),
)
_ID: Final = Parameter(
    "id",
    "path",
    "As lists and logs of this process give it.",
    {"type": "string", "examples": [CONNECTION["id"]]},
)
CONNECTIONS: Final = (
    Operation(
        method="GET",
        path="/v1/connections",
        name="list_connections",
        tag="connections",
        summary="See who is connected",
        description="The oldest first, in pages: go on with `cursor` until `next` is null. A page "
        "looks at a bounded number of connections, so with a selection it may be short, or empty, "
        "and have a `next` all the same.",
        handler=connections.get_list,
        parameters=(
            *SELECTING,
            Parameter(
                "limit",
                "query",
                "So many at most.",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE},
            ),
            Parameter(
                "cursor",
                "query",
                "The `next` of the page before.",
                {"type": "string", "pattern": f"^{connections.CURSOR}$"},
                connections.read_cursor,
            ),
        ),
        replies=(Reply(200, "A page.", _PAGE),),
        problems=(404,),
    ),
    Operation(
        method="GET",
        path="/v1/connections/{id}",
        name="get_connection",
        tag="connections",
        summary="See one connection",
        handler=connections.get,
        parameters=(_ID,),
        replies=(
            Reply(
                200,
                "The connection.",
                BodyOf("api.bodies.connections.ConnectionBody", (JSON,), example=CONNECTION),
            ),
        ),
        problems=(404,),
    ),
    Operation(
        method="DELETE",
        path="/v1/connections/{id}",
        name="close_connection",
        tag="connections",
        summary="Close one connection",
        description="Both ends of a WebSocket are told `code` and `reason`, between two frames. "
        "Everything else is closed by TCP, a request under way is cut. Needs the role `drain` "
        "only.",
        handler=connections.delete,
        parameters=(
            _ID,
            Parameter(
                "code",
                "query",
                "What a WebSocket is told.",
                {"type": "integer", "oneOf": _CODES, "default": GOING_AWAY},
                connections.read_code,
            ),
            Parameter(
                "reason",
                "query",
                f"The same in words, up to {CLOSE_REASON_BYTES} bytes.",
                {"type": "string", "maxLength": CLOSE_REASON_BYTES},
                connections.read_reason,
            ),
        ),
        replies=(Reply(204, "It is being closed."),),
        problems=(404,),
        writer=Role.DRAIN,
    ),
)
