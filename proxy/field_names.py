"""Field names that decide how a message is handled, recognised by one dictionary look-up.

A name arrives in any case.  Lower-casing each one for each request is a measurable share of the
work, and the names that occur are few: ``Memo`` remembers the verdict on a name as it was spelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

MEMO_NAMES: Final = 1024
"""Spellings remembered per memo; what comes beyond is computed each time."""

MEMOS: Final = 256
"""Memos that are kept for whoever asks for the same."""

MEMO_NAME_BYTES: Final = 64
"""Longer names are not remembered: they are rare, and memory is bounded by this."""

ORDINARY: Final = 0
HOST: Final = 1
CONTENT_LENGTH: Final = 2
TRANSFER_ENCODING: Final = 3
CONNECTION: Final = 4
UPGRADE: Final = 5
EXPECT: Final = 6
KEEP_ALIVE: Final = 7
REQUEST_ID: Final = 8
ODD: Final = 9
"""None of the above, with other characters than letters, digits, hyphens and underscores: a name by
RFC 9110, 5.1, and none to nginx."""
LOCATION: Final = 10
REFRESH: Final = 11
SET_COOKIE: Final = 12

_KINDS: Final = {
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"upgrade": UPGRADE,
    b"expect": EXPECT,
    b"keep-alive": KEEP_ALIVE,
    b"x-request-id": REQUEST_ID,
    b"location": LOCATION,
    b"refresh": REFRESH,
    b"set-cookie": SET_COOKIE,
}

_ODD: Final = re.compile(rb"[^A-Za-z0-9_-]")

V = TypeVar("V")


HEADS: Final = 64
"""Heads that a parser remembers, the whole of each being the key; more begin the memory anew."""

HEAD_BYTES: Final = 1024
"""Longer heads are parsed each time."""


class Memo(dict[bytes, V]):
    """A bounded dictionary that computes what it lacks: ``memo[name]``."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[bytes], V]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, name: bytes) -> V:
        value = self._compute(name)
        if len(self) < MEMO_NAMES and len(name) <= MEMO_NAME_BYTES:
            self[name] = value
        return value


@lru_cache(maxsize=MEMOS)
def passing(dropped: frozenset[bytes], prefix: bytes | None = None) -> Memo[bytes]:
    """Return the memo of which names pass: ``name: `` as it was spelled, or nothing.

    Routes with the same rules share it: none of many is new to a name.
    ``dropped`` are the lower-case names that do not, ``prefix`` is what others of them begin with.
    """

    def start(name: bytes) -> bytes:
        lower = name.lower()
        if lower in dropped or (prefix is not None and lower.startswith(prefix)):
            return b""
        return name + b": "

    return Memo(start)


def _kind(name: bytes) -> int:
    return _KINDS.get(name.lower(), ODD if _ODD.search(name) else ORDINARY)


kind_of: Final[Memo[int]] = Memo(_kind)
"""What a field name means to the proxy itself."""
