"""The differences that are meant: classes, each with its reason, and the rules that make it exact.

A rule knows one form of a difference.  Where it finds that form it makes our side what nginx's has
to be then, and nothing else: nginx's side is read and never touched.  What is different after all
rules have had their turn is a defect, of ours or of this list; and so is a rule that never finds
what it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from tests.conformance.differential.observation import Message, Side
from tests.conformance.differential.row import Row

Rule = Callable[[Row, Side, Side], bool]
"""Makes ours as nginx's in one respect; tells whether they differed in it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A class: what differs for one reason."""

    name: str
    reason: str

    def form(self, what: str) -> Callable[[Rule], Rule]:
        """Declare one form of it; rules have their turn in the order in which they are declared."""

        def declare(rule: Rule) -> Rule:
            RULES.append((f"{self.name}: {what}", rule))
            return rule

        return declare


USUAL: Final = Message(b"HTTP/1.1 200 OK", [(b"Content-Length", b"2")], b"ok", "length")
"""What a client of ours gets if the origin has nothing else to say."""

RULES: Final[list[tuple[str, Rule]]] = []
"""All of them, each with its class and form."""


def reconcile(row: Row, ours: Side, theirs: Side) -> set[str]:
    """Make ours what nginx's has to be; return which forms of differences occurred."""
    occurred = set()
    for name, rule in RULES:
        if ours == theirs:
            break
        if rule(row, ours, theirs):
            occurred.add(name)
    return occurred


def become(ours: Side, theirs: Side) -> None:
    """Make ours nginx's, where one of the two has refused and nothing else can be compared."""
    ours.replies, ours.seen = deepcopy(theirs.replies), deepcopy(theirs.seen)
    ours.after, ours.tunnel = theirs.after, theirs.tunnel


def responses(ours: Side, theirs: Side) -> Iterator[tuple[Message, Message]]:
    """Give the responses side by side."""
    return zip(ours.replies, theirs.replies, strict=False)


def requests(ours: Side, theirs: Side) -> Iterator[tuple[Message, Message]]:
    """Give side by side what the origins got."""
    for mine, yours in zip(ours.seen, theirs.seen, strict=False):
        yield from zip(mine, yours, strict=False)


def put_back(mine: Message, yours: Message, name: bytes) -> bool:
    """Put the fields with this lower-case name, if ours has none, where nginx has them."""
    if mine.get(name) is not None:
        return False
    found = [(place, each) for place, each in enumerate(yours.fields) if each[0].lower() == name]
    for place, each in found:
        mine.fields.insert(place, each)
    return bool(found)
