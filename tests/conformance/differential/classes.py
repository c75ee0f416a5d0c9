"""The differences that are meant: each has a reason, and all of them occur.

A class makes both sides alike where they differ for its reason, and says whether it had to.  What
is different after all classes have had their turn is a defect, of ours or of this list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.conformance.differential.observation import Message, Side
from tests.conformance.differential.row import Row

Rule = Callable[[Row, Side, Side], bool]


@dataclass(frozen=True, slots=True)
class Difference:
    """A class of differences."""

    name: str
    reason: str
    rule: Rule
    """Makes ours and nginx's side alike; tells whether they differed in this."""


DECLARED: Final[list[Difference]] = []


def differs(name: str, reason: str) -> Callable[[Rule], Rule]:
    """Declare a class; they have their turn in the order in which they are declared."""

    def declare(rule: Rule) -> Rule:
        DECLARED.append(Difference(name, reason, rule))
        return rule

    return declare


def reconcile(row: Row, ours: Side, theirs: Side) -> set[str]:
    """Take out of both what is declared; return the names of the classes that occurred."""
    return {each.name for each in DECLARED if each.rule(row, ours, theirs)}


def forget(ours: Side, theirs: Side) -> None:
    """Take everything out of both, when nothing of it can be compared."""
    for side in (ours, theirs):
        side.replies.clear()
        side.seen.clear()
        side.after = side.tunnel = b""


def responses(ours: Side, theirs: Side) -> Iterator[tuple[Message, Message]]:
    """Give the responses side by side."""
    return zip(ours.replies, theirs.replies, strict=False)


def requests(ours: Side, theirs: Side) -> Iterator[tuple[Message, Message]]:
    """Give side by side what the origins got."""
    for mine, yours in zip(ours.seen, theirs.seen, strict=False):
        yield from zip(mine, yours, strict=False)


def in_front(message: Message, *names: bytes) -> None:
    """Move the fields with these lower-case names to the front, in this order."""
    front = [field for name in names for field in message.fields if field[0].lower() == name]
    message.fields = front + [field for field in message.fields if field[0].lower() not in names]
