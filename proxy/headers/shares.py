"""Values by share: a hash of a key says which, by nginx's own rule (``split_clients``).

Equal keys get equal values, in nginx and here, so that a user stays where a split before put them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from struct import unpack_from
from typing import Final

WHOLE: Final = 10_000
"""Hundredths of a per cent that there are to share."""

KEY_BYTES: Final = 8 * 1024
"""Octets of a key that are hashed; about the longest field that nginx takes, by default."""

REMEMBERED: Final = 1024
"""Short keys whose hash is remembered."""

_SHORT: Final = 64  # octets of a key worth remembering
_FACTOR: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


class Shares:
    """Chooses among values by their shares, in hundredths of a per cent, which fit in ``WHOLE``."""

    __slots__ = ("_bounds",)

    def __init__(self, shares: Iterable[int]) -> None:
        bounds: list[int] = []
        last = 0
        for share in shares:
            last += share * _WORD // WHOLE  # cut off for each share, as nginx does
            bounds.append(last)
        self._bounds: Final = tuple(bounds)

    def choose(self, key: bytes) -> int:
        """Return the index of the value; behind the last one, if the key is left over."""
        number = _remembered(key) if len(key) <= _SHORT else murmur2(key[:KEY_BYTES])
        return bisect_right(self._bounds, number)


def murmur2(key: bytes) -> int:
    """Return the MurmurHash2 of ``key`` with seed 0 (``ngx_murmur_hash2``), 32 bits."""
    length = len(key)
    words = length >> 2
    number = length
    for word in unpack_from(f"<{words}I", key):
        word = word * _FACTOR & _WORD
        number = (number * _FACTOR & _WORD) ^ ((word ^ word >> 24) * _FACTOR & _WORD)
    if length & 3:
        number = (number ^ int.from_bytes(key[words << 2 :], "little")) * _FACTOR & _WORD
    number = (number ^ number >> 13) * _FACTOR & _WORD
    return number ^ number >> 15


_remembered = lru_cache(maxsize=REMEMBERED)(murmur2)
