"""The operations of this release, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from admin.api import pages, resources, status
from admin.api.connections_table import CONNECTIONS
from admin.api.drains_table import DRAINS
from admin.api.events_table import EVENTS
from admin.api.insight_table import INSIGHTS
from admin.api.lifecycle_table import LIFECYCLE
from admin.api.media import HTML, JSON, MERGE_PATCH
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.api.overrides_table import OVERRIDES
from admin.api.parameters import (
    BODY_PROBLEMS,
    BOTH,
    CREATED,
    NAMES,
    NOT_MODIFIED,
    ON_REMOVAL,
    REMOVED,
    SEEN,
    VIEW,
    WRITE_PROBLEMS,
    WRITING,
    WRITTEN,
)
from admin.api.revisions_table import REVISIONS

ENDPOINT: Final = "documents.endpoint.Endpoint"


@dataclass(frozen=True, slots=True)
class _Resource:
    """A value of the document that has a path of its own."""

    place: tuple[str, ...]
    name: str
    noun: str
    model: str
    example: Mapping[str, Any]
    names: tuple[str, ...] = ()
    """An example for each part of the path that varies."""

    @property
    def common(self) -> dict[str, Any]:
        """What all operations on it share."""
        return {
            "path": "/v1/" + ("/".join(self.place) or "config"),
            "place": self.place,
            "tag": self.place[0] if self.place else "config",
        }

    @property
    def parts(self) -> tuple[Parameter, ...]:
        """The parts of the path that vary."""
        varying = [(self.place[at - 1], key) for at, key in enumerate(self.place) if key[0] == "{"]
        return tuple(
            Parameter(
                key[1:-1],
                "path",
                f"Name of the {resources.NOUNS[kind]}, percent-encoded.",
                {**NAMES[kind], "examples": [name]},
            )
            for (kind, key), name in zip(varying, self.names, strict=True)
        )

    @property
    def may_be_missing(self) -> tuple[int, ...]:
        """The status for when it does not exist."""
        return (404,) if self.parts else ()

    @property
    def leaving(self) -> tuple[Parameter, ...]:
        """What is asked when it is removed."""
        return (ON_REMOVAL,) if self.model == ENDPOINT else ()

    def get(self) -> Operation:
        reply = Reply(200, f"The {self.noun}.", BodyOf(self.model, BOTH), etag=True)
        return Operation(
            **self.common,
            method="GET",
            name=f"get_{self.name}",
            summary=f"Read the {self.noun}",
            handler=resources.get,
            parameters=(*self.parts, VIEW, SEEN),
            replies=(reply, NOT_MODIFIED),
            problems=self.may_be_missing,
        )

    def put(self) -> Operation:
        parent_may_be_missing = (404,) if len(self.parts) > 1 else ()
        return Operation(
            **self.common,
            method="PUT",
            name=f"put_{self.name}",
            summary=f"{'Create or replace' if self.place else 'Replace'} the {self.noun}",
            handler=resources.put,
            parameters=(*self.parts, *WRITING),
            body=BodyOf(self.model, BOTH, example=self.example),
            replies=(WRITTEN, CREATED) if self.place else (WRITTEN,),
            problems=(*parent_may_be_missing, *WRITE_PROBLEMS, *BODY_PROBLEMS),
        )

    def patch(self) -> Operation:
        return Operation(
            **self.common,
            method="PATCH",
            name=f"patch_{self.name}",
            summary=f"Change the {self.noun} in part",
            description="A merge patch (RFC 7396): what is absent stays, `null` removes.",
            handler=resources.patch,
            parameters=(*self.parts, *WRITING),
            body=BodyOf(self.model, (MERGE_PATCH, JSON), partial=True, example=self.example),
            replies=(WRITTEN,),
            problems=(*self.may_be_missing, *WRITE_PROBLEMS, *BODY_PROBLEMS),
        )

    def delete(self) -> Operation:
        return Operation(
            **self.common,
            method="DELETE",
            name=f"delete_{self.name}",
            summary=f"Remove the {self.noun}",
            description="409 while something else in the document refers to it.",
            handler=resources.delete,
            parameters=(*self.parts, *WRITING, *self.leaving),
            replies=(REMOVED,),
            problems=(404, *WRITE_PROBLEMS),
        )


def _list(of: _Resource) -> Operation:
    parent = _Resource(of.place[:-1], of.name, of.noun, of.model, {}, of.names[:-1])
    shown = BodyOf(of.model, BOTH, map_of=True)
    return Operation(
        **parent.common,
        method="GET",
        name=f"list_{of.name}s",
        summary=f"Read all {of.noun}s",
        handler=resources.get,
        parameters=(*parent.parts, VIEW, SEEN),
        replies=(Reply(200, f"The {of.noun}s by name.", shown, etag=True), NOT_MODIFIED),
        problems=parent.may_be_missing,
    )


CONFIG: Final = _Resource(
    (),
    "config",
    "document",
    "documents.document.Document",
    {
        "version": 1,
        "listeners": {"public": {"bind": "0.0.0.0:8080"}},
        "pools": {"backend": {"endpoints": {"127.0.0.1:8000": {}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
    },
)
OBJECTS: Final = (
    _Resource(
        ("listeners", "{name}"), "listener", "listener", "documents.listener.Listener",
        {"bind": "0.0.0.0:8080"}, ("public",),
    ),
    _Resource(
        ("pools", "{name}"), "pool", "pool", "documents.pool.Pool",
        {"endpoints": {"127.0.0.1:8000": {}, "127.0.0.1:8001": {"weight": 2}}}, ("backend",),
    ),
    _Resource(
        ("pools", "{name}", "endpoints", "{endpoint}"), "endpoint", "endpoint", ENDPOINT,
        {"weight": 2}, ("backend", "127.0.0.1:8001"),
    ),
    _Resource(
        ("header_maps", "{name}"), "header_map", "header map", "documents.header_map.HeaderMap",
        {"source": "$http_upgrade", "default": "upgrade", "exact": {"": "close"}},
        ("connection_upgrade",),
    ),
    _Resource(
        ("routes", "{name}"), "route", "route", "documents.route.Route",
        {"path": {"prefix": "/chat/"}, "pool": "backend"}, ("chat",),
    ),
)  # fmt: skip

OPERATIONS: Final[tuple[Operation, ...]] = (
    CONFIG.get(),
    CONFIG.put(),
    CONFIG.patch(),
    *(
        operation
        for one in OBJECTS
        for operation in (_list(one), one.get(), one.put(), one.patch(), one.delete())
    ),
    *OVERRIDES,
    *REVISIONS,
    *INSIGHTS,
    *LIFECYCLE,
    *EVENTS,
    *CONNECTIONS,
    *DRAINS,
    Operation(
        method="GET",
        path="/v1/status",
        name="get_status",
        tag="status",
        summary="See what is live",
        handler=status.get,
        replies=(
            Reply(
                200,
                "Counters count from the start.",
                BodyOf("api.bodies.status.Status", (JSON,)),
            ),
        ),
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="get_openapi",
        tag="documentation",
        summary="Read this description (OpenAPI 3.1)",
        handler=pages.openapi,
        replies=(Reply(200, "The OpenAPI document.", BodyOf(None, (JSON,))),),
    ),
    Operation(
        method="GET",
        path="/docs",
        name="get_docs",
        tag="documentation",
        summary="Read this description as a page",
        handler=pages.docs,
        replies=(Reply(200, "A page that loads nothing.", BodyOf(None, (HTML,))),),
    ),
)
