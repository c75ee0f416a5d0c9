"""Documents that are to serve, examined: what follows from them is worked out ahead.

Nothing here waits or changes anything, so it can be done in pieces, in a thread or in another
process.
"""

from __future__ import annotations

from dataclasses import replace

from admin.candidate import Candidate, Change
from admin.delta import delta, patched
from admin.documents import document
from admin.documents.document import Validated, validate
from admin.edits import changed
from admin.json_text import canonical, octets_of
from admin.offloading import Pieces, Piecewise
from admin.translate import to_spec


@Piecewise
def examine(raw: object, previous: Candidate) -> Pieces[Candidate]:
    """Validate and translate a document; ``DocumentError`` with every fault.

    What stands in the previous one as well is not looked at again.
    """
    before = modelled(previous)
    assert before.document is not None
    now = validate(raw, Validated(before.raw, before.document))
    yield
    spec = to_spec(now, (before.document, before.spec))
    yield
    return Candidate(raw, len(canonical(raw)), spec, now)


@Piecewise
def examine_change(before: object, raw: object, previous: Candidate) -> Pieces[Change]:
    """Examine a document that is to take the place of ``before``; ``DocumentError``."""
    step = delta(before, raw)
    patched_raw = patched(before, step)
    yield
    candidate = yield from examine.pieces(patched_raw, previous)
    yield
    return Change(candidate, changed(before, raw), octets_of(step))


def modelled(candidate: Candidate) -> Candidate:
    """Return a candidate with its models."""
    if candidate.document is not None:
        return candidate
    return replace(candidate, document=validate(candidate.raw))


def effective(candidate: Candidate) -> object:
    """Return its document with every default filled in."""
    models = modelled(candidate).document
    assert models is not None
    return document.effective(models)
