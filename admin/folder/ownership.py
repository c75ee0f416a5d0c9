"""Who may change what: the objects of a folder are the folder's, all others are REST's.

    document = what the folder says + what is there besides

That is the one rule, at the start as on a change: reading the folder replaces exactly the objects
that it has, or had when it was last read, and whatever else is in the document stays.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from admin.edits import KINDS, changed, section
from admin.folder.reading import NOTHING, Folded, Signature, read_folder, signature_of
from proxy.errors import Fault, pointer

Owned = Mapping[str, str]
"""By pointer to an object, the file of the folder that has it."""


class OwnedError(Exception):
    """A change of objects that belong to a folder."""

    def __init__(self, folder: Path, owned: Owned) -> None:
        super().__init__(f"they belong to {folder}: {', '.join(owned)}")
        self.folder: Final = folder
        self.owned: Final = owned


class Folder:
    """A folder, and how it went with it when it was last read."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.said = NOTHING
        """As it was last understood, whether or not that serves."""
        self.seen: Signature | None = None
        """How its files looked when they were last read; ``None`` if they could not be."""
        self.faults: tuple[Fault, ...] = ()
        """Why what it says does not serve, if it does not."""
        self.refused_at = 0
        """The revision that served then."""
        self.read_at: float | None = None
        """Seconds since 1970."""

    def read(self) -> Folded:
        """Read it; ``DocumentError``, and then it still said what it said."""
        self.read_at = time.time()
        self.seen = self.look()
        self.said = read_folder(self.path)
        return self.said

    def look(self) -> Signature | None:
        """Look whether its files have changed, without reading them."""
        try:
            return signature_of(self.path)
        except OSError:
            return None

    def check(self, before: object, after: object, owned: Owned) -> None:
        """Check that a change leaves what is owned alone; ``OwnedError``."""
        touched = {at: owned[at] for at in changed(before, after) if at in owned}
        if touched:
            raise OwnedError(self.path, touched)


def laid_over(raw: object, before: Owned, said: Folded) -> object:
    """Return a document with what a folder says in place of what it said ``before``."""
    document: dict[str, object] = dict(said.document)
    for key, value in section(raw, ()).items():
        if key not in KINDS:
            if pointer(key) not in before:
                document.setdefault(key, value)
            continue
        said_of_kind = section(document, (key,))
        kept = {
            name: each
            for name, each in section(raw, (key,)).items()
            if name not in said_of_kind and pointer(key, name) not in before
        }
        if kept:
            document[key] = {**said_of_kind, **kept}
    return document


def apart(drift: Sequence[str], owned: Owned, said: Folded) -> tuple[list[str], list[str]]:
    """Part what differs from a folder: what stands beside it, and what is not served as it says."""
    folders = owned.keys() | said.files.keys()
    return [at for at in drift if at not in folders], [at for at in drift if at in folders]
