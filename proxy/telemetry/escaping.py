"""Values for log lines: whatever came over the wire, capped, and escaped so that it stays a value.

A JSON string here is printable ASCII alone, so it holds no line break of any kind (LF, CR, NEL,
U+2028), no terminal sequence (ESC, C1) and no lone surrogate that a strict parser would refuse.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Final

FIELD_BYTES: Final = 2048
"""The most that a value takes, as UTF-8 before escaping, mark included."""

MARK: Final = "…"
"""Stands where something was cut off."""

_ROOM: Final = FIELD_BYTES - len(MARK.encode())
_SHORT: Final = FIELD_BYTES // 4
"""Octets of which no decoding makes more than ``FIELD_BYTES``: ``\\xNN`` is four for one."""


json_string: Final = encode_basestring_ascii
"""Writes a JSON string, quotes included, with everything but ``" "`` to ``"~"`` escaped."""


def cap(text: str) -> str:
    r"""Shorten to ``FIELD_BYTES`` by the end; a lone surrogate becomes ``\udcNN``."""
    if len(text) <= FIELD_BYTES and text.isascii():
        return text
    octets = text.encode("utf-8", "backslashreplace")
    if len(octets) > FIELD_BYTES:
        return octets[:_ROOM].decode("utf-8", "ignore") + MARK
    return octets.decode()


def cap_start(text: str) -> str:
    """Shorten to ``FIELD_BYTES`` by the start, for what says the important thing last."""
    octets = text.encode("utf-8", "backslashreplace")
    if len(octets) > FIELD_BYTES:
        return MARK + octets[-_ROOM:].decode("utf-8", "ignore")
    return octets.decode()


def decode(octets: bytes) -> str:
    r"""Read as UTF-8, with ``\xNN`` for what is not, and shorten to ``FIELD_BYTES``."""
    if len(octets) <= _SHORT:
        return octets.decode("utf-8", "backslashreplace")
    return cap(octets[: FIELD_BYTES + 1].decode("utf-8", "backslashreplace"))


def escaped(octets: bytes) -> bytes:
    """Write ``decode(octets)`` as a JSON string, without its quotes."""
    return json_string(decode(octets))[1:-1].encode()


def printable(text: str) -> str:
    """Escape, as Python does, each character that does not print, and those that reorder text."""
    if text.isprintable():
        return text
    return "".join(
        [one if one.isprintable() else one.encode("unicode_escape").decode() for one in text]
    )
