"""What is told of live connections."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from admin.api.connections import Kind


class DirectionBody(BaseModel):
    """What came from one end and was passed on."""

    model_config = ConfigDict(defer_build=True)

    bytes: int = Field(description="For HTTP, of the body of the exchange under way.")
    frames: int | None = Field(description="Null: it has none, or they cannot be followed.")
    messages: int | None = Field(description="Of a WebSocket; null as `frames`.")
    close_code: int | None = Field(description="Of its Close frame, if it sent one.")


class ConnectionBody(BaseModel):
    """A connection, at one moment.  HTTP belongs to a route and so on only during a request."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(description="Means no other connection, after a restart neither.")
    kind: Kind
    state: Literal["idle", "busy", "open", "closing"] = Field(
        description="`idle` or `busy` for HTTP, the others for WebSockets and tunnels."
    )
    client: str = Field(description="Address of its other end.")
    server: str = Field(description="Our own address that it came to.")
    listener: str
    route: str | None
    pool: str | None
    endpoint: str | None
    endpoint_address: str | None
    labels: dict[str, str] = Field(description="Of the endpoint.")
    revision: int | None = Field(description="The configuration that routed it.")
    request_id: str | None = Field(description="Of the request under way, or that was upgraded.")
    started: float = Field(description="When it was accepted, or upgraded; seconds since 1970.")
    age_s: float
    idle_s: float = Field(description="Since something came from either end.")
    requests: int = Field(description="How many came over it; an upgrade is the last.")
    from_client: DirectionBody
    from_upstream: DirectionBody


class ConnectionPage(BaseModel):
    """A part of the live connections, the oldest first."""

    model_config = ConfigDict(defer_build=True)

    items: list[ConnectionBody] = Field(description="May be empty although there is a `next`.")
    next: str | None = Field(description="The `cursor` of the next page; null: that was all.")
