"""What a route says of times and sizes, over its pool and its listener."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from admin.documents.model import Maybe, Model
from admin.documents.scalars import Duration, DurationOrOff, SizeOrUnlimited, Whole


class RouteTimeouts(Model):
    """Over the pool's; what is left out is as the pool has it."""

    connect: Maybe[Duration] = Field(
        default=None, description="To accept a connection.", examples=["5s"]
    )
    send: Maybe[Duration] = Field(
        default=None, description="Without taking a byte of the request.", examples=["60s"]
    )
    read: Maybe[Duration] = Field(
        default=None, description="Between two reads of the response.", examples=["60s"]
    )
    body: Maybe[Duration] = Field(
        default=None,
        description="Over the listener's: between two reads of the request body.",
        examples=["60s"],
    )
    write: Maybe[Duration] = Field(
        default=None,
        description="Over the listener's: without the client taking a byte.",
        examples=["60s"],
    )
    idle: Maybe[Duration] = Field(
        default=None,
        description="Over the listener's: until the client's next request.",
        examples=["75s"],
    )


class RouteLimits(Model):
    """Over the listener's."""

    body_bytes: Maybe[SizeOrUnlimited] = Field(
        default=None,
        description="A request body; left out, it is as the listener has it.",
        examples=["1MiB", "unlimited"],
    )
    requests_per_connection: Maybe[Annotated[int, Whole(1, 1_000_000_000)]] = Field(
        default=None,
        description="The client's connection is closed after a request here, if it was at least "
        "this many; the listener's limit holds, too.",
        examples=[1000],
    )


class Tunnel(Model):
    """What holds after an upgrade."""

    idle_timeout: DurationOrOff = Field(
        default="1h",
        description="Without a byte in either direction, the connection is closed.",
        examples=["1h", "off"],
    )
    ping_interval: DurationOrOff = Field(
        default="off",
        description="A WebSocket's client that is silent for so long is sent a ping; if nothing "
        "comes for as long again, the connection is closed.",
        examples=["30s", "off"],
    )
