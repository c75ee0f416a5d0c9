"""A document without faults, and what leads to it from the one before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admin.json_text import canonical
from admin.state import EMPTY
from proxy import spec
from proxy.spec import Spec

if TYPE_CHECKING:
    from admin.documents.document import Document


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may serve."""

    raw: object
    """As it was written; shares with the one before whatever is the same."""
    size: int
    """Octets as compact JSON."""
    spec: Spec
    document: Document | None = None
    """The same as models; nothing as long as nobody here has needed them."""

    @classmethod
    def empty(cls) -> Candidate:
        """Return the empty document, which needs no examining."""
        return cls(EMPTY, len(canonical(EMPTY)), spec.EMPTY)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send it to another process: the models stay, for they cost more than making them anew."""
        return Candidate, (self.raw, self.size, self.spec)


@dataclass(frozen=True, slots=True)
class Change:
    """What leads from the document before to a candidate."""

    candidate: Candidate
    changed: tuple[str, ...]
    """Pointers to the objects that differ."""
    delta: bytes
    """As JSON."""


def digest_of(raw: object) -> str:
    """Return what tells whether a bootstrap file says the same as before."""
    return hashlib.sha256(canonical(raw)).hexdigest()
