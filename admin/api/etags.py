"""Entity tags and the preconditions on them (RFC 9110, 8.8.3 and 13).

A tag is made from the resource alone, so it changes when the resource does and not before.  Each
representation needs a tag of its own (RFC 9110, 8.8.3.3: a strong one stands for exact octets); it
is the resource's with the representation's name behind a dash, and ``If-Match`` takes any of them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

from admin.api.problems import Problem
from admin.edits import MISSING, Missing
from admin.json_text import canonical

_TAG: Final = re.compile(r'\s*((?:W/)?)"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')

Resource = object | Literal[Missing.MISSING]


def tag_of(resource: object, representation: str = "") -> str:
    """Make the tag of a resource, quotes included."""
    return tag_of_text(canonical(resource), representation)


def tag_of_text(written: bytes, representation: str = "") -> str:
    """Make the tag of a resource that was written in canonical form."""
    digest = hashlib.sha256(written).hexdigest()[:24]
    return f'"{digest}-{representation}"' if representation else f'"{digest}"'


def check_write(resource: Resource, if_match: str | None, if_none_match: str | None) -> None:
    """Raise a 412 ``Problem`` unless a write of ``resource`` is what the client has in mind."""
    for name, field in (("If-Match", if_match), ("If-None-Match", if_none_match)):
        if field is not None and _tags(field, strong=False) is None:
            raise Problem(412, f"{name} does not hold: it is no list of entity tags.")
    if if_match is not None and not _matches(resource, if_match, strong=True):
        exists = resource is not MISSING
        seen = f"its ETag is now {tag_of(resource)}" if exists else "it does not exist"
        raise Problem(412, f"If-Match does not hold: {seen}.")
    if if_none_match is not None and _matches(resource, if_none_match, strong=False):
        raise Problem(412, f"If-None-Match does not hold: its ETag is {tag_of(resource)}.")


def not_modified(tag: str, if_none_match: str | None) -> bool:
    """Tell whether the client of a GET already has the representation with that tag."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return tag.strip('"') in (_tags(if_none_match, strong=False) or ())


def _matches(resource: Resource, field: str, *, strong: bool) -> bool:
    if resource is MISSING:
        return False
    if field.strip() == "*":
        return True
    mine = tag_of(resource).strip('"')
    return any(tag.partition("-")[0] == mine for tag in _tags(field, strong=strong) or ())


def _tags(field: str, *, strong: bool) -> set[str] | None:
    """Read a list of tags; ``None`` if it is none, or has none in it.

    A weak one never matches where strong comparison is asked for.
    """
    if field.strip() == "*":
        return set()
    tags: set[str] = set()
    position = 0
    while position < len(field):
        found = _TAG.match(field, position)
        if found is None:
            return None
        if not (strong and found[1]):
            tags.add(found[2])
        position = found.end()
    return tags if position else None
