"""What all writes have in common: their terms, and what is said of what they did."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from admin.client.connection import Answer
from admin.client.output import Cell
from admin.client.session import Session


def add_terms(parser: ArgumentParser) -> None:
    """Add the flags for the terms of a write."""
    parser.add_argument("--note", metavar="TEXT", help="why; kept with the revision, and logged")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, and publish nothing"
    )
    parser.add_argument(
        "--confirm-within",
        metavar="TIME",
        help="take it back after this, 1s to 24h, unless it is confirmed by then",
    )
    parser.add_argument(
        "--if-match", metavar="ETAG", help="only if it is still as `get --etag` told it"
    )


def add_create(parser: ArgumentParser) -> None:
    """Add the flag for what may only be created."""
    parser.add_argument("--create", action="store_true", help="only create, never replace")


def terms(arguments: Namespace) -> dict[str, str]:
    """Return the terms as the query has them."""
    query: dict[str, str] = {}
    if arguments.dry_run:
        query["dry_run"] = "true"
    if arguments.note is not None:
        query["note"] = arguments.note
    if arguments.confirm_within is not None:
        query["confirm_within"] = arguments.confirm_within
    return query


def preconditions(arguments: Namespace) -> dict[str, str]:
    """Return the preconditions as fields have them."""
    fields: dict[str, str] = {}
    tag = arguments.if_match
    if tag is not None:
        bare = tag != "*" and not tag.endswith('"')
        fields["If-Match"] = f'"{tag}"' if bare else tag
    if getattr(arguments, "create", False):
        fields["If-None-Match"] = "*"
    return fields


def tell(session: Session, answer: Answer) -> int:
    """Say what a write did."""
    value: Mapping[str, Any] = answer.value
    output = session.output
    for warning in value["warnings"]:
        output.aside(f"warning: {warning}")
    if not output.for_people:
        output.json(value)
        return 0
    arguments, number, changed = session.arguments, value["revision"], value["changed"]
    if not changed:
        output.line(f"nothing to change; revision {number} serves")
    elif arguments.dry_run:
        output.line("dry run: would change ", Cell(", ".join(changed), "cyan"))
    else:
        output.line(f"revision {number}: changed ", Cell(", ".join(changed), "cyan"))
        if arguments.confirm_within is not None:
            output.line(
                f"it is taken back in {arguments.confirm_within} unless you confirm it: "
                f"hotsplice confirm {number}"
            )
    return 0
