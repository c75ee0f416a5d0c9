"""``/v1/connections``: who is connected, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

from aiohttp import web

from admin.api.media import fresh
from admin.api.operations import Call, whole
from admin.api.problems import Problem
from admin.documents.goodbye import sendable_code, sendable_reason
from admin.documents.units import seconds
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
