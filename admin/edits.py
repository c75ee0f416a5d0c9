"""Edits of a document as it was written: plain JSON values, never changed in place.

A place is a tuple of keys, ``("pools", "backend")``; ``()`` is the whole document.  An edit copies
the objects on its way and shares everything else, so the document that serves stays whole whatever
becomes of the edited one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Literal

from admin.json_text import canonical
from proxy.errors import pointer

Place = tuple[str, ...]

KINDS: Final = ("listeners", "pools", "header_maps", "routes")
"""The sections of a document that hold named objects."""


class Missing(enum.Enum):
    """What stands at a place that does not exist (``null`` is a value)."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def look_up(raw: object, place: Place) -> object | Literal[Missing.MISSING]:
    """Return the value at a place, or ``MISSING``.  Nothing within an array has a place."""
    for key in place:
        if not isinstance(raw, Mapping) or key not in raw:
            return MISSING
        raw = raw[key]
    return raw


def section(raw: object, place: Place) -> Mapping[str, object]:
    """Return the object at a place, an empty one where there is none."""
    found = look_up(raw, place)
    return found if isinstance(found, Mapping) else {}


def placed(raw: object, place: Place, value: object) -> object:
    """Return ``raw`` with ``value`` at the place, objects on the way made as needed."""
    if not place:
        return value
    key, rest = place[0], place[1:]
    parent = section(raw, ())
    return {**parent, key: placed(parent.get(key), rest, value)}


def removed(raw: object, place: Place) -> object:
    """Return ``raw`` without what stands at the place, which has to exist."""
    key, rest = place[0], place[1:]
    parent = section(raw, ())
    if rest:
        return {**parent, key: removed(parent[key], rest)}
    return {name: value for name, value in parent.items() if name != key}


def same(old: object, new: object) -> bool:
    """Tell whether two JSON values are equal (to Python alone, ``1 == 1.0 == True``)."""
    return old is new or (old == new and canonical(old) == canonical(new))


def changed(old: object, new: object) -> tuple[str, ...]:
    """List what differs between two documents: named objects, and other top-level keys."""
    keys = dict.fromkeys([*section(old, ()), *section(new, ())])
    differing: list[Place] = []
    for key in keys:
        if not same(look_up(old, (key,)), look_up(new, (key,))):
            differing += _objects(old, new, key) or [(key,)]
    return tuple(pointer(*place) for place in differing)


def _objects(old: object, new: object, kind: str) -> list[Place]:
    if kind not in KINDS:
        return []
    before, after = section(old, (kind,)), section(new, (kind,))
    return [
        (kind, name)
        for name in dict.fromkeys([*before, *after])
        if not same(before.get(name, MISSING), after.get(name, MISSING))
    ]
