"""What differs between two documents: exactly, to lead from one to the other, and for people.

A delta is a JSON value, one of

- ``[value]``: this value in place of the old one;
- ``{"set": {key: delta}, "gone": [key], "order": [key]}`` for an object, each part left out where
  there is nothing in it; ``order`` is there if the keys do not stand as they come about.

``patched(old, delta(old, new))`` is ``new``, the order of keys and ``1`` beside ``1.0`` included,
and shares with ``old`` whatever is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from admin.edits import MISSING, same
from proxy.errors import pointer

UNCHANGED: Final[dict[str, object]] = {}
"""The delta between equal values."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not the same in two documents."""

    path: str
    """JSON pointer."""
    before: object
    """``MISSING`` if it was not there."""
    after: object
    """``MISSING`` if it is not there any more."""


def delta(old: object, new: object) -> object:
    """Return what leads from one JSON value to another."""
    if old is new:
        return UNCHANGED
    if not isinstance(old, dict) or not isinstance(new, dict):
        return UNCHANGED if _exactly(old, new) else [new]
    steps: dict[str, object] = {}
    for key, value in new.items():
        step = delta(old[key], value) if key in old else [value]
        if step != UNCHANGED:
            steps[key] = step
    gone = [key for key in old if key not in new]
    found: dict[str, object] = {}
    if steps:
        found["set"] = steps
    if gone:
        found["gone"] = gone
    come_about = [key for key in old if key in new] + [key for key in new if key not in old]
    if come_about != list(new):
        found["order"] = list(new)
    return found


def patched(old: object, step: object) -> object:
    """Return what a delta leads to; neither argument is changed.

    ``ValueError`` if it is no delta, or none of this value.
    """
    if isinstance(step, list) and len(step) == 1:
        return step[0]
    if step == UNCHANGED:
        return old
    if not isinstance(step, dict) or not isinstance(old, dict):
        raise ValueError("a delta that does not fit")
    gone = set(step.get("gone", ()))
    value = {key: item for key, item in old.items() if key not in gone}
    for key, change in step.get("set", {}).items():
        value[key] = patched(value.get(key), change)
    if "order" not in step:
        return value
    if set(step["order"]) != value.keys():
        raise ValueError("a delta that does not fit")
    return {key: value[key] for key in step["order"]}


def differences(old: object, new: object, place: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Give what differs, value by value; what holds values is gone into, a list is one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            before, after = old.get(key, MISSING), new.get(key, MISSING)
            if before is not after:
                yield from differences(before, after, (*place, key))
    elif old is MISSING or new is MISSING or not same(old, new):
        yield Difference(pointer(*place), old, new)


def _exactly(old: object, new: object) -> bool:
    """Tell whether two values, not both objects, are written the same."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(
            delta(*pair) == UNCHANGED for pair in zip(old, new, strict=True)
        )
    return type(old) is type(new) and repr(old) == repr(new)
