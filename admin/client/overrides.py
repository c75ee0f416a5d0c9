"""``override``: the switch of an endpoint beside the document."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any, Final

from admin.client import views
from admin.client.output import moment, state
from admin.client.paths import path_of
from admin.client.problems import FAULTY, ClientError
from admin.client.session import Session

STATES: Final = ("active", "drain", "down")

TTL: Final = "1h"
"""How long, unless it is said."""


def add_override(parser: ArgumentParser) -> None:
    """Describe ``override``."""
    parser.add_argument("pool", nargs="?", metavar="POOL", help="without one: all overrides")
    parser.add_argument("endpoint", nargs="?", metavar="ENDPOINT", help="its name in the pool")
    parser.add_argument(
        "state",
        nargs="?",
        choices=STATES,
        help="drain: no new work, what it has goes on; down: out; active: serves; "
        "without one: the override that there is",
    )
    parser.add_argument("--ttl", default=TTL, metavar="TIME", help=f"for how long; default {TTL}")
    parser.add_argument("--weight", type=int, metavar="N", help="its share of the work meanwhile")
    parser.add_argument("--note", metavar="TEXT", help="why; shown in status, and logged")
    parser.add_argument("--clear", action="store_true", help="end the override")


def override(session: Session) -> int:
    """Show, set or end overrides."""
    arguments, output = session.arguments, session.output
    if arguments.pool is None:
        return _all(session)
    if arguments.endpoint is None:
        raise ClientError("which endpoint of the pool?", f"get pools/{arguments.pool}", FAULTY)
    if arguments.clear:
        return _clear(session)
    if arguments.state is None:
        shown = session.read(_path(session))
        if output.for_people:
            output.table(views.OVERRIDES, [views.override_row(shown)])
        else:
            output.json(shown)
        return 0
    return _set(session)


def _all(session: Session) -> int:
    if session.output.for_people:
        views.overrides(session)
    else:
        session.output.json(session.read(path_of("status"))["overrides"])
    return 0


def _set(session: Session) -> int:
    arguments, output = session.arguments, session.output
    body: dict[str, Any] = {"state": arguments.state, "ttl": arguments.ttl}
    for key in ("weight", "note"):
        if getattr(arguments, key) is not None:
            body[key] = getattr(arguments, key)
    shown = session.write("PUT", _path(session), body=json.dumps(body).encode()).value
    if output.for_people:
        output.line(
            f"{shown['pool']}/{shown['endpoint']}: ", state(shown["state"]),
            f" until {moment(shown['until'])}",
        )  # fmt: skip
    else:
        output.json(shown)
    return 0


def _clear(session: Session) -> int:
    if session.arguments.state is not None:
        raise ClientError("either a state or --clear", status=FAULTY)
    session.write("DELETE", _path(session))
    if session.output.for_people:
        session.output.line("the document holds again")
    return 0


def _path(session: Session) -> str:
    arguments = session.arguments
    return path_of("pools", arguments.pool, "endpoints", arguments.endpoint, "override")
