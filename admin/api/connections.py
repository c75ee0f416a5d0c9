"""``/v1/connections``: who is connected, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from admin.api.media import fresh
from admin.api.operations import Call, whole
from admin.api.problems import Problem
from admin.documents.pool import sendable_code, sendable_reason
from admin.documents.scalars import seconds
from proxy.connection_view import ConnectionView, Direction
from proxy.connections import PAGE, Selector
from proxy.errors import Fault, FaultError
from proxy.splice.closing import GOING_AWAY

SELECTS: Final = ("kind", "listener", "route", "pool", "endpoint")
"""Query parameters that stand in a selector as they are."""

CURSOR: Final = "[0-9a-z]{1,16}-[0-9]{1,18}"
"""The form of what pages end with: the id of a connection."""

LABEL: Final = "[^=]+="
"""How a label and its value begin."""

SPAN: Final = "([1-9][0-9]{0,8}ms|[1-9][0-9]{0,6}s|[1-9][0-9]{0,4}m|[1-9][0-9]{0,2}h)"
"""How a duration is written that connections are chosen by."""

OCTETS: Final = 700
"""About how many a connection takes in an answer."""

Kind = Literal["http", "websocket", "tunnel"]


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


async def get_list(call: Call) -> web.Response:
    """Answer with a page of the connections that are asked for."""
    query = call.query
    try:
        page = call.server.connections(
            _selector(query), query.get("cursor"), query.get("limit", PAGE)
        )
    except ValueError:
        fault = Fault("cursor", "no page of this process ended with it", "start again without it")
        raise Problem(404, "There is no such page.", [fault]) from None
    items = [_shown(one) for one in page.items]
    size = len(items) * OCTETS
    return await fresh({"items": items, "next": page.next}, call.media, size=size)


async def get(call: Call) -> web.Response:
    """Answer with one connection."""
    name = call.request.match_info["id"]
    found = call.server.connection(name)
    if found is None:
        raise _gone(name)
    return await fresh(_shown(found), call.media)


async def delete(call: Call) -> web.Response:
    """Close one connection."""
    name = call.request.match_info["id"]
    code, reason = call.query.get("code", GOING_AWAY), call.query.get("reason", "")
    if not call.server.close_connection(name, code, reason):
        raise _gone(name)
    return web.Response(status=204)


def read_span(text: str) -> float:
    """Read a query parameter that is a duration."""
    if re.fullmatch(SPAN, text, re.ASCII) is None:
        raise ValueError("a duration above zero, such as 500ms, 60s, 5m or 1h")
    return seconds(text)


def read_label(text: str) -> str:
    """Check a query parameter that is a label and its value."""
    if re.match(LABEL, text) is None:
        raise ValueError("a label and its value, such as node=n7")
    return text


def read_cursor(text: str) -> str:
    """Check a query parameter that is where a page ended."""
    if re.fullmatch(CURSOR, text, re.ASCII) is None:
        raise ValueError("the `next` of the page before")
    return text


def read_code(text: str) -> int:
    """Read a query parameter that is a close code."""
    code = whole(text, 1000, 4999)
    _allowed(sendable_code, code)
    return code


def read_reason(text: str) -> str:
    """Check a query parameter that is the reason in a Close frame."""
    _allowed(sendable_reason, text)
    return text


def _allowed(check: Callable[[Any], object], value: object) -> None:
    try:
        check(value)
    except FaultError as error:
        raise ValueError(f"allowed: {error.hint}") from error


def _selector(query: dict[str, Any]) -> Selector:
    labels = tuple(tuple(one.split("=", 1)) for one in query.get("label", ()))
    return Selector(
        **{name: query.get(name) for name in SELECTS},
        labels=labels,
        min_age_s=query.get("min_age"),
        min_idle_s=query.get("min_idle"),
    )


FIELDS: Final = tuple(ConnectionView.__slots__)


def _shown(view: ConnectionView) -> dict[str, Any]:
    # A page has hundreds of them: dataclasses.asdict would hold up the traffic.
    return {
        **{name: getattr(view, name) for name in FIELDS},
        "labels": dict(view.labels),
        "from_client": _direction(view.from_client),
        "from_upstream": _direction(view.from_upstream),
    }


def _direction(one: Direction) -> dict[str, int | None]:
    return {
        "bytes": one.octets,
        "frames": one.frames,
        "messages": one.messages,
        "close_code": one.close_code,
    }


def _gone(name: str) -> Problem:
    return Problem(404, f"There is no connection {name}: it has ended, or is of another process.")
