"""JSON, written in pieces.

The encoder does not let go of the interpreter before it is through with a value, and the traffic
would have to wait for all of a large one, whatever thread writes it.  So objects and lists are put
together here, down to a depth, and only what is below goes to the encoder whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

DEPTH: Final = 4
"""Down to a single endpoint or route of a document, or of the status."""

RECORD_DEPTH: Final = 6
"""Down to the same in a record of the state."""


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
    return "".join(_pieces(value, SHORT, RECORD_DEPTH)).encode()


def canonical(value: object) -> bytes:
    """Write a value so that equal values, and only those, give equal octets.

    The order of an object's keys does not count (RFC 8259, 1: an object is unordered).
    """
    return "".join(_pieces(value, CANONICAL, DEPTH)).encode()


def spaced(value: object) -> bytes:
    """Write a value as it stands, on one line, for people too."""
    return "".join(_pieces(value, SPACED, DEPTH)).encode()


def _pieces(value: object, style: Style, depth: int) -> Iterator[str]:
    if not depth or not value or not isinstance(value, (dict, list)):
        yield style.encode(value)
    elif isinstance(value, dict):
        opening = "{"
        for key in sorted(value) if style.ordered else value:
            yield f"{opening}{style.encode(key)}{style.colon}"
            yield from _pieces(value[key], style, depth - 1)
            opening = style.comma
        yield "}"
    else:
        opening = "["
        for item in value:
            yield opening
            yield from _pieces(item, style, depth - 1)
            opening = style.comma
        yield "]"
