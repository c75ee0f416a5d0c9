"""JSON, written in pieces.

The encoder does not let go of the interpreter before it is through with a value, and the traffic
would have to wait for all of a large one, whatever thread writes it.  So what goes to the encoder
at once is a bounded number of values; large objects and lists are put together here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

PIECE: Final = 1000
"""Values that are written at once, which takes some 0.1 ms."""


class Style(NamedTuple):
    """A way of writing."""

    encode: Callable[[object], str]
    comma: str = ","
    colon: str = ":"
    ordered: bool = False
    """By key; else as it stands."""


SHORT: Final = Style(json.JSONEncoder(separators=(",", ":")).encode)
CANONICAL: Final = Style(
    json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode, ordered=True
)
SPACED: Final = Style(json.JSONEncoder(ensure_ascii=False).encode, ", ", ": ")


def octets_of(value: object) -> bytes:
    """Write a value as it stands, the order of keys included, without spaces."""
    return "".join(_pieces(value, SHORT)).encode()


def canonical(value: object) -> bytes:
    """Write a value so that equal values, and only those, give equal octets.

    The order of an object's keys does not count (RFC 8259, 1: an object is unordered).
    """
    return "".join(_pieces(value, CANONICAL)).encode()


def spaced(value: object) -> bytes:
    """Write a value as it stands, on one line, for people too."""
    return "".join(_pieces(value, SPACED)).encode()


def indented(value: object) -> bytes:
    """Write a value as it stands, a line for each value inside, as ``json.dumps(indent=2)`` does.

    That does without its C encoder, and leaves a cycle of closures each time: the collector stops
    everything for them.
    """
    return _lines(value, "\n").encode()


def _lines(value: object, margin: str) -> str:
    inner = margin + "  "
    if isinstance(value, dict) and value:
        members = [f"{SPACED.encode(key)}: {_lines(one, inner)}" for key, one in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{margin}}}"
    if isinstance(value, (list, tuple)) and value:
        return f"[{inner}{f',{inner}'.join([_lines(one, inner) for one in value])}{margin}]"
    return SPACED.encode(value)


def _pieces(value: Any, style: Style) -> Iterator[str]:
    if _values(value, PIECE) <= PIECE:
        yield style.encode(value)
        return
    keyed = isinstance(value, dict)
    opening, closing = "{}" if keyed else "[]"
    run: Any = type(value)()
    room = PIECE
    for key in (sorted(value) if style.ordered else value) if keyed else range(len(value)):
        one = value[key]
        taken = _values(one, PIECE)
        if taken > room and run:
            yield f"{opening}{style.encode(run)[1:-1]}"
            opening, run, room = style.comma, type(value)(), PIECE
        if taken > PIECE:
            yield f"{opening}{style.encode(key)}{style.colon}" if keyed else opening
            yield from _pieces(one, style)
            opening = style.comma
        elif keyed:
            run[key] = one
            room -= taken
        else:
            run.append(one)
            room -= taken
    if run:
        yield f"{opening}{style.encode(run)[1:-1]}"
    yield closing


def _values(value: object, most: int) -> int:
    """Count the values in a value, itself among them; from ``most`` on no further."""
    if isinstance(value, dict):
        inside = iter(value.values())
    elif isinstance(value, list):
        inside = iter(value)
    else:
        return 1
    count = 1
    for one in inside:
        count += _values(one, most - count) if isinstance(one, (dict, list)) else 1
        if count > most:
            break
    return count
