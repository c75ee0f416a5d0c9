"""What was applied: revisions, where they came from, and how the applies of this process went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

Source = Literal["start", "rest", "file", "folder", "demo", "sighup", "rollback", "state"]
"""``state``: taken up as it was kept; that makes no revision, so no revision has it."""
Result = Literal["applied", "unchanged", "refused"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from."""

    source: Source
    author: str
    """A token's name, ``unix``, ``anonymous`` or ``hotsplice`` itself."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One published configuration.  Number 0 is the empty document a process starts with."""

    number: int
    time: float
    """Seconds since 1970."""
    origin: Origin
    changed: tuple[str, ...]
    """Pointers to the objects that differ from the revision before."""
    restores: int | None = None
    """The revision whose document this one has again."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A revision that is taken back unless somebody confirms it in time."""

    revision: int
    back_to: int
    """The revision whose document would serve again."""
    until: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One apply that was not a dry run."""

    time: float
    """Seconds since 1970."""
    origin: Origin
    result: Result
    faults: int = 0


class Applies:
    """The applies of this process, for metrics and status."""

    __slots__ = ("counts", "last")

    def __init__(self) -> None:
        self.counts: Final[Counter[tuple[Source, Result]]] = Counter()
        self.last: Attempt | None = None

    def record(self, attempt: Attempt) -> None:
        """Count an apply."""
        self.counts[attempt.origin.source, attempt.result] += 1
        self.last = attempt
