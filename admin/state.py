"""Everything that a restart must not lose, as one value that never changes: what records add up to.

    state = state.after(record)

A store keeps the records; reading them again gives the state again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from admin.history import History
from admin.records import (
    Applied,
    Base,
    Bootstrapped,
    Confirmed,
    Overridden,
    Override,
    Owned,
    Record,
)
from admin.revisions import Origin, Pending, Revision

EMPTY: Final[object] = {"version": 1}
"""The document of a process that was given none."""


@dataclass(frozen=True, slots=True)
class State:
    """The history, and what stands beside it."""

    history: History
    overrides: Mapping[tuple[str, str], Override] = field(default_factory=dict)
    """By pool and endpoint, also of endpoints that the document does not have."""
    pending: Pending | None = None
    bootstrap: str | None = None
    """The digest of what the bootstrap file said last, if it was the last to be read."""
    owned: Mapping[str, str] = field(default_factory=dict)
    """The objects that a folder had, if it was the last to be read: by pointer, the file."""

    @classmethod
    def fresh(cls) -> State:
        """Return the state of a process that has kept nothing: the empty document, as number 0."""
        return cls(History.of(Revision(0, time.time(), Origin("start", "hotsplice"), ()), EMPTY))

    def after(self, record: Record) -> State:
        """Return the state once that has happened; ``ValueError`` if it cannot have."""
        match record:
            case Base():
                return State(History.of(record.revision, record.document))
            case Applied():
                state = self._read(record.bootstrap, record.owned)
                history = self.history.after(record.revision, record.delta)
                return replace(state, history=history, pending=record.pending)
            case Confirmed():
                return replace(self, pending=None)
            case Bootstrapped():
                return self._read(record.digest, None)
            case Owned():
                return self._read(None, record.owned)
            case Overridden():
                others = {key: one for key, one in self.overrides.items() if key != _key(record)}
                if record.override is not None:
                    others[_key(record)] = record.override
                return replace(self, overrides=others)

    def _read(self, bootstrap: str | None, owned: Mapping[str, str] | None) -> State:
        """Return the state once a file or a folder was read, if one of them was."""
        if bootstrap is not None:
            return replace(self, bootstrap=bootstrap, owned={})
        return self if owned is None else replace(self, bootstrap=None, owned=owned)

    def without_expired(self, now: float) -> State:
        """Return the state without the overrides whose time is over."""
        left = {key: one for key, one in self.overrides.items() if one.until > now}
        return self if len(left) == len(self.overrides) else replace(self, overrides=left)

    def records(self) -> Iterator[Record]:
        """Give the fewest records that add up to this state.

        What they say of file or folder comes last: should the end be lost, it has its say again.
        """
        oldest, *others = self.history.entries
        yield Base(oldest.revision, self.history.base)
        for override in self.overrides.values():
            yield Overridden(*override.key, override)
        for entry in others[:-1]:
            yield Applied(entry.revision, entry.delta)
        if others:
            last = others[-1]
            owned = self.owned or None
            yield Applied(last.revision, last.delta, self.pending, self.bootstrap, owned)
        elif self.bootstrap is not None:
            yield Bootstrapped(self.bootstrap)
        elif self.owned:
            yield Owned(self.owned)


def _key(record: Overridden) -> tuple[str, str]:
    return record.pool, record.endpoint
