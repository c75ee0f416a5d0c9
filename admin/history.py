"""The last revisions, each with its document: the oldest one whole, then what each one changed.

So a revision costs what it changes, in memory and on disk, however large the document is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from admin.delta import patched
from admin.json_text import octets_of
from admin.revisions import Revision

REVISIONS: Final = 100
"""Revisions that are kept, at most; older ones are forgotten."""

REVISION_BYTES: Final = 8 * 1024 * 1024
"""What all of them may have changed, together, as JSON; beyond that older ones are forgotten.  The
one that serves and the one before are kept whatever they have changed, for an undo."""

UNDO: Final = 2
"""Revisions that are always kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A revision, and how its document differs from the one before."""

    revision: Revision
    delta: bytes
    """As JSON; of the oldest one it is not known any more."""
    octets: int


@dataclass(frozen=True, slots=True)
class History:
    """Revisions without a gap; never empty, never changed."""

    base: object
    """The document of the oldest one."""
    entries: tuple[Entry, ...]
    """The oldest one first."""

    @classmethod
    def of(cls, revision: Revision, document: object) -> History:
        """Begin with a revision and its document."""
        return cls(document, (Entry(revision, b"{}", 0),))

    @property
    def latest(self) -> Revision:
        """The revision that serves."""
        return self.entries[-1].revision

    @property
    def oldest(self) -> int:
        """The number of the oldest revision kept."""
        return self.entries[0].revision.number

    @property
    def octets(self) -> int:
        """What the revisions have changed, as JSON."""
        return sum(entry.octets for entry in self.entries[1:])

    def find(self, number: int) -> Revision | None:
        """Return a revision, if it is kept."""
        at = number - self.oldest
        return self.entries[at].revision if 0 <= at < len(self.entries) else None

    def newest_first(self) -> Iterator[Revision]:
        """Give all revisions."""
        for entry in reversed(self.entries):
            yield entry.revision

    def document(self, number: int) -> object:
        """Return the document of a revision that is kept."""
        document = self.base
        for entry in self.entries[1 : number - self.oldest + 1]:
            document = patched(document, json.loads(entry.delta))
        return document

    def after(
        self,
        revision: Revision,
        delta: bytes,
        *,
        revisions: int = REVISIONS,
        revision_bytes: int = REVISION_BYTES,
    ) -> History:
        """Return the history with one revision more, and what is too old forgotten.

        ``ValueError`` if it is not the next one.
        """
        if revision.number != self.latest.number + 1:
            raise ValueError(f"revision {revision.number} after {self.latest.number}")
        octets = len(delta) + len(octets_of(revision.changed))
        entries = (*self.entries, Entry(revision, delta, octets))
        base, kept = self.base, self.octets + octets
        first = 0
        while len(entries) - first > max(revisions, UNDO) or (
            kept > revision_bytes and len(entries) - first > UNDO
        ):
            first += 1
            base = patched(base, json.loads(entries[first].delta))
            kept -= entries[first].octets
        return History(base, entries[first:])
