"""What the admin API offers, as a table.

Each operation stands here once, with its path, parameters, bodies and answers.  ``application``
serves exactly this table and ``openapi`` describes exactly this table, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from aiohttp import web

from admin.api.auth import Guard, Principal, Role
from admin.api.media import JSON
from admin.controller import Controller
from admin.drain import ProcessDrain
from admin.edits import Place
from admin.plane import DataPlane

Where = Literal["path", "query", "header"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path, a query parameter or a field that an operation reads."""

    name: str
    where: Where
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    reader: Callable[[str], str | bool | float] | None = None
    """What reads it, where the schema does not say enough; as ``read``."""

    @property
    def repeats(self) -> bool:
        """It may be given more than once; its value is a tuple."""
        return bool(self.schema["type"] == "array")

    def read(self, text: str) -> str | bool | float:
        """Turn a query parameter's text into its value; ``ValueError`` says what is allowed."""
        if self.reader is not None:
            return self.reader(text)
        if self.schema["type"] == "boolean":
            if text not in ("true", "false"):
                raise ValueError("true or false")
            return text == "true"
        if self.schema["type"] == "integer":
            return whole(text, self.schema["minimum"], self.schema["maximum"])
        allowed = self.schema.get("enum")
        if allowed is not None and text not in allowed:
            raise ValueError(" or ".join(allowed))
        if len(text) > self.schema.get("maxLength", len(text)):
            raise ValueError(f"at most {self.schema['maxLength']} characters")
        return text


def whole(text: str, least: int, most: int) -> int:
    """Read a whole number; ``ValueError`` says what is allowed."""
    short = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not short or not least <= int(text) <= most:
        raise ValueError(f"a whole number from {least:,} to {most:,}")
    return int(text)


@dataclass(frozen=True, slots=True)
class BodyOf:
    """A body: its type, and the media types it may have."""

    model: str | None
    """The path of its class below ``admin``, which is loaded when it is needed; ``None``: described
    by its media type alone."""
    media: tuple[str, ...]
    map_of: bool = False
    """A JSON object whose values are of the model, by name."""
    partial: bool = False
    """A merge patch: what is absent stays, ``null`` removes."""
    example: Mapping[str, Any] | None = None
    leads: tuple[tuple[str, str], ...] = ()
    """Paths that it names the last part of, each with the JSON pointer to that."""

    @property
    def module(self) -> str:
        """Where its model is."""
        return f"admin.{self.model}".rpartition(".")[0]

    @property
    def model_name(self) -> str:
        """The name of its model."""
        return str(self.model).rpartition(".")[2]

    def model_class(self) -> Any:
        """Return its model, loaded."""
        return getattr(import_module(self.module), self.model_name)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no problem."""

    status: int
    description: str
    body: BodyOf | None = None
    etag: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path."""

    method: Literal["GET", "PUT", "PATCH", "POST", "DELETE"]
    path: str
    name: str
    """Unique; OpenAPI's ``operationId``."""
    tag: str
    summary: str
    handler: Callable[[Call], Awaitable[web.StreamResponse]]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: BodyOf | None = None
    replies: tuple[Reply, ...]
    problems: tuple[int, ...] = ()
    """Statuses it may refuse with, beside those that every operation may."""
    place: Place = ()
    """The place in the document; ``{name}`` stands for that part of the path."""
    writer: Role = Role.WRITE
    """What a token needs, unless it only reads."""

    @property
    def role(self) -> Role:
        """What a token needs to be allowed."""
        return Role.READ if self.method == "GET" else self.writer

    @property
    def offers(self) -> tuple[str, ...]:
        """The media types it can answer with."""
        return next((reply.body.media for reply in self.replies if reply.body), (JSON,))


@dataclass(slots=True)
class Call:
    """One request for an operation that has been let in."""

    request: web.Request
    operation: Operation
    controller: Controller
    server: DataPlane
    drain: ProcessDrain
    guard: Guard
    principal: Principal
    media: str
    """The media type to answer with."""
    query: dict[str, Any]
    """Query parameters by name, checked."""

    def field(self, name: str) -> str | None:
        """Return a list field of the request, its lines joined (RFC 9110, 5.3)."""
        lines = self.request.headers.getall(name, [])
        return ",".join(lines) if lines else None

    @property
    def place(self) -> Place:
        """The place in the document that the request is about."""
        names = self.request.match_info
        return tuple(
            names[key[1:-1]] if key.startswith("{") else key for key in self.operation.place
        )
