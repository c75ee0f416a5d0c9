"""A document that is to serve: examined, and what follows from it worked out, before it is bound.

Nothing here waits or changes anything, so a large one is examined in a thread.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from admin.delta import delta, patched
from admin.documents import Document, validate
from admin.documents.document import Validated
from admin.edits import changed
from admin.json_text import canonical, octets_of
from admin.state import EMPTY
from admin.translate import to_spec
from proxy.spec import Spec


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document without faults."""

    raw: object
    """As it was written; shares with the one before whatever is the same."""
    size: int
    """Octets as compact JSON."""
    document: Document
    spec: Spec

    @classmethod
    def empty(cls) -> Candidate:
        """Return the empty document, which needs no examining."""
        document = validate(EMPTY)
        return cls(EMPTY, len(canonical(EMPTY)), document, to_spec(document))


@dataclass(frozen=True, slots=True)
class Change:
    """What leads from the document before to a candidate."""

    candidate: Candidate
    changed: tuple[str, ...]
    """Pointers to the objects that differ."""
    delta: bytes
    """As JSON."""


def examine(raw: object, previous: Candidate) -> Candidate:
    """Validate and translate a document; ``DocumentError`` with every fault.

    What stands in the previous one as well is not looked at again.
    """
    document = validate(raw, Validated(previous.raw, previous.document))
    spec = to_spec(document, (previous.document, previous.spec))
    return Candidate(raw, len(canonical(raw)), document, spec)


def examine_change(before: object, raw: object, previous: Candidate) -> Change:
    """Examine a document that is to take the place of ``before``; ``DocumentError``."""
    step = delta(before, raw)
    candidate = examine(patched(before, step), previous)
    return Change(candidate, changed(before, raw), octets_of(step))


def digest_of(raw: object) -> str:
    """Return what tells whether a bootstrap file says the same as before."""
    return hashlib.sha256(canonical(raw)).hexdigest()
