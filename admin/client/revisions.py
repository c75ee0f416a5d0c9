"""``revisions``, ``restore``, ``confirm``: who changed what, and the way back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from admin.client.output import Cell, Output, compact, moment
from admin.client.paths import path_of
from admin.client.problems import CONFLICT, ClientError, RefusedError
from admin.client.session import Session
from admin.client.writing import add_terms, preconditions, tell, terms

Fields = Mapping[str, Any]

SHOWN: Final = 3
"""Changed objects that are named in a list."""


def add_list(parser: ArgumentParser) -> None:
    """Describe ``revisions list``."""
    parser.add_argument("--object", metavar="KIND/NAME", help="only what changed this object")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="default 20")


def list_(session: Session) -> int:
    """Show the last revisions, the newest first."""
    arguments, output = session.arguments, session.output
    query = {"limit": str(arguments.limit)}
    if arguments.object is not None:
        query["object"] = arguments.object
    page = session.read(path_of("revisions"), query)
    if not output.for_people:
        output.json(page)
        return 0
    output.table(
        ("REVISION", "TIME", "SOURCE", "AUTHOR", "CHANGED", "NOTE"),
        (_row(one) for one in page["items"]),
    )
    if page["next"] is not None:
        output.aside("older ones: --limit 100")
    return 0


def _row(one: Fields) -> tuple[str | Cell, ...]:
    number = Cell(f"{one['number']} serves", "green") if one["serving"] else str(one["number"])
    restored = [] if one["restores"] is None else [f"restores {one['restores']}"]
    noted = [one["note"]] if one["note"] else []
    return (
        number, moment(one["time"]), one["source"], one["author"],
        _changed(one["changed"]), ": ".join(restored + noted),
    )  # fmt: skip


def _changed(pointers: list[str]) -> str:
    shown = ", ".join(pointers[:SHOWN])
    return f"{shown} and {len(pointers) - SHOWN} more" if len(pointers) > SHOWN else shown


def add_number(parser: ArgumentParser) -> None:
    """Add the number of a revision."""
    parser.add_argument("number", type=int, metavar="N", help="number of the revision")


def show(session: Session) -> int:
    """Show a revision and what it changed."""
    number, output = session.arguments.number, session.output
    if output.format == "yaml":
        output.raw(session.yaml(path_of("revisions", str(number))))
        return 0
    found = session.read(path_of("revisions", str(number)))
    if not output.for_people:
        output.json(found)
        return 0
    serving = Cell(", serves", "green") if found["serving"] else ""
    output.line(Cell(f"revision {number}", "bold"), serving)
    output.line(f"{moment(found['time'])}, {found['source']}, by {found['author']}")
    if found["restores"] is not None:
        output.line(f"restores revision {found['restores']}")
    if found["note"]:
        output.line(f"note: {found['note']}")
    try:
        _tell_diff(session.read(_diff(number - 1), {"to": str(number)}), output)
    except RefusedError as error:
        # The one before may be forgotten, and 0 has none.
        if error.code != 404:
            raise
        output.line(f"changed {', '.join(found['changed']) or 'nothing'}")
    return 0


def add_diff(parser: ArgumentParser) -> None:
    """Describe ``revisions diff``."""
    add_number(parser)
    parser.add_argument(
        "to", type=int, nargs="?", metavar="M", help="another; default: the one that serves"
    )


def diff(session: Session) -> int:
    """Show what leads from a revision to another."""
    arguments, output = session.arguments, session.output
    query = None if arguments.to is None else {"to": str(arguments.to)}
    found = session.read(_diff(arguments.number), query)
    if output.for_people:
        _tell_diff(found, output)
    else:
        output.json(found)
    return 0


def _diff(number: int) -> str:
    return path_of("revisions", str(number), "diff")


def _tell_diff(found: Fields, output: Output) -> None:
    if not found["differences"]:
        output.line("no difference")
    for one in found["differences"]:
        output.line(Cell(one["path"], "bold"))
        if "before" in one:
            output.line(Cell(f"  - {compact(one['before'])}", "red"))
        if "after" in one:
            output.line(Cell(f"  + {compact(one['after'])}", "green"))


def add_restore(parser: ArgumentParser) -> None:
    """Describe ``restore``."""
    add_number(parser)
    add_terms(parser)


def restore(session: Session) -> int:
    """Let the document of a revision serve again."""
    arguments = session.arguments
    path = path_of("revisions", str(arguments.number), "restore")
    answer = session.write("POST", path, terms(arguments), headers=preconditions(arguments))
    return tell(session, answer)


def add_confirm(parser: ArgumentParser) -> None:
    """Describe ``confirm``."""
    parser.add_argument(
        "number", type=int, nargs="?", metavar="N", help="default: the one that waits for it"
    )


def confirm(session: Session) -> int:
    """Let a revision stay that was made with ``--confirm-within``."""
    number, output = session.arguments.number, session.output
    if number is None:
        pending = session.read(path_of("status"))["pending"]
        if pending is None:
            raise ClientError("no revision waits to be confirmed", status=CONFLICT)
        number = pending["revision"]
    found = session.write("POST", path_of("revisions", str(number), "confirm")).value
    if output.for_people:
        output.line(f"revision {number} stays")
    else:
        output.json(found)
    return 0
