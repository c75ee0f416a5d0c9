"""Some things that happen to a process, one after the other, and the state after each."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from admin.delta import delta
from admin.json_text import octets_of
from admin.records import (
    Applied,
    Bootstrapped,
    Confirmed,
    Overridden,
    Override,
    Record,
)
from admin.revisions import Origin, Pending, Revision
from admin.state import EMPTY, State

OVERRIDE: Final = Override(
    pool="backend",
    endpoint="blue",
    state="drain",
    weight=None,
    since=1e9,
    until=4e9,
    author="ops",
    note="disk swap ü",
)


def document(number: int) -> object:
    """Return a document that differs from that of every other number."""
    return EMPTY if number == 0 else {"version": 1, "x-number": number, f"x-{number}": {}}


def applied(number: int, *, pending: bool = False, bootstrap: str | None = None) -> Applied:
    """Return the record of a revision with the document of its number."""
    return Applied(
        Revision(number, 1e9 + number, Origin("rest", "ops", "why"), ("/x-number",)),
        octets_of(delta(document(number - 1), document(number))),
        Pending(number, number - 1, 4e9) if pending else None,
        bootstrap,
    )


HAPPENED: Final[tuple[Record, ...]] = (
    applied(1, bootstrap="abc"),
    applied(2),
    Overridden("backend", "blue", OVERRIDE),
    applied(3, pending=True),
    Confirmed(),
    Bootstrapped("def"),
    Overridden("backend", "blue", None),
    applied(4),
    Overridden("spare", "gone", replace(OVERRIDE, pool="spare", endpoint="gone")),
)


def states() -> list[State]:
    """Return the fresh state, and the state after each of ``HAPPENED``."""
    found = [State.fresh()]
    for record in HAPPENED:
        found.append(found[-1].after(record))
    return found


def serving(state: State) -> object:
    """Return the document that serves."""
    return state.history.document(state.history.latest.number)
