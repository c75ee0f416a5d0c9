"""``connections``: who is connected, one of them in detail, and its end."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from admin.client.output import Cell, compact, size, span, state
from admin.client.paths import path_of
from admin.client.selection import add_selection, selection
from admin.client.session import Session

LIMIT: Final = 100
"""Connections that are shown to people, unless it is said; scripts get all."""

PAGE: Final = 100
"""Connections asked for at a time."""

HEADINGS: Final = (
    "ID", "KIND", "STATE", "CLIENT", "ROUTE", "POOL", "ENDPOINT", "AGE", "IDLE", "OUT", "IN"
)  # fmt: skip

Fields = Mapping[str, Any]


def add_list(parser: ArgumentParser) -> None:
    """Describe ``connections list``."""
    add_selection(parser)
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help=f"at most so many; default {LIMIT}, and all with -o json",
    )


def list_(session: Session) -> int:
    """Show who is connected, the oldest first."""
    arguments, output = session.arguments, session.output
    limit = arguments.limit
    if limit is None:
        limit = LIMIT if output.for_people else sys.maxsize
    found, more = _collect(session, selection(arguments), limit)
    if output.for_people:
        output.table(HEADINGS, (_row(one) for one in found))
    else:
        output.json(found)
    if more:
        output.aside(f"there are more: --limit {limit * 10}")
    return 0


def _collect(session: Session, query: Mapping[str, str], limit: int) -> tuple[list[Fields], bool]:
    found: list[Fields] = []
    cursor: str | None = None
    while len(found) < limit:
        asked = {**query, "limit": str(min(PAGE, limit - len(found)))}
        if cursor is not None:
            asked["cursor"] = cursor
        page = session.read(path_of("connections"), asked)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found, False
    return found, True


def _row(one: Fields) -> tuple[str | Cell, ...]:
    return (
        str(one["id"]),
        str(one["kind"]),
        state(str(one.get("state", ""))),
        str(one.get("client", "")),
        *(str(one.get(key) or "") for key in ("route", "pool", "endpoint")),
        span(one.get("age_s", 0)),
        span(one.get("idle_s", 0)),
        _octets(one.get("from_client")),
        _octets(one.get("from_upstream")),
    )


def _octets(direction: Fields | None) -> str:
    if not direction:
        return ""
    return size(int(direction.get("bytes", direction.get("octets", 0))))


def add_id(parser: ArgumentParser) -> None:
    """Add the id of a connection."""
    parser.add_argument("id", metavar="CONNECTION", help="its id in the list")


def show(session: Session) -> int:
    """Show one connection with everything that is known of it."""
    found, output = session.read(path_of("connections", session.arguments.id)), session.output
    if not output.for_people:
        output.json(found)
        return 0
    rows: list[tuple[str, str]] = []
    for key, value in found.items():
        if isinstance(value, dict) and value:
            rows += [(f"{key}.{inner}", compact(each)) for inner, each in value.items()]
        elif key.endswith("_s") and isinstance(value, int | float):
            rows.append((key.removesuffix("_s"), span(value)))
        else:
            rows.append((key, "" if value is None else compact(value)))
    output.table(("FIELD", "VALUE"), rows)
    return 0


def add_close(parser: ArgumentParser) -> None:
    """Describe ``connections close``."""
    add_id(parser)
    parser.add_argument("--code", metavar="N", help="what a WebSocket is told, as in 1012")
    parser.add_argument("--reason", metavar="TEXT", help="the same in words")


def close(session: Session) -> int:
    """Close one connection; a WebSocket is told the code and the reason."""
    arguments, output = session.arguments, session.output
    query = {
        key: getattr(arguments, key)
        for key in ("code", "reason")
        if getattr(arguments, key) is not None
    }
    answer = session.write("DELETE", path_of("connections", arguments.id), query)
    if output.for_people:
        output.line(f"{arguments.id} is closed")
    elif answer.body:
        output.json(answer.value)
    return 0
