"""Splitting traffic by weight: which of several pools a request goes to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from hashlib import blake2b
from itertools import accumulate
from math import log
from random import Random
from typing import Final, Generic, TypeVar

from proxy.errors import FaultError

T = TypeVar("T")


class Split(Generic[T]):
    """Values with weights; each gets its share of what is asked for."""

    __slots__ = ("_bounds", "_seats", "_values")

    def __init__(self, weights: tuple[tuple[T, int], ...], name: Callable[[T], str] = str) -> None:
        """``name`` tells the values apart by key; weight 0 gets nothing.

        Raise ``FaultError`` if no weight is positive.
        """
        shares = [(value, weight) for value, weight in weights if weight > 0]
        if not shares:
            raise FaultError("no weight is positive", "give at least one pool a weight")
        self._values: Final = tuple(value for value, _ in shares)
        self._bounds: Final = tuple(accumulate(weight for _, weight in shares))
        self._seats: Final = tuple(
            (value, weight, blake2b(name(value).encode(), digest_size=16).digest())
            for value, weight in shares
        )

    def by_chance(self, random: Random) -> T:
        """Choose at random."""
        bounds = self._bounds
        return self._values[bisect_right(bounds, int(random.random() * bounds[-1]))]

    def by_key(self, key: bytes) -> T:
        """Choose by ``key``: always the same value for the same key.

        Weighted rendezvous hashing: when weights change, or values come and go, keys move only to
        values whose share grew, from those whose share shrank.  O(values).
        """
        best = self._values[0]
        least = float("inf")
        if len(self._seats) == 1:
            return best
        for value, weight, salt in self._seats:
            digest = blake2b(key, digest_size=8, salt=salt).digest()
            # An exponential waiting time with rate ``weight``: the first to come wins, which is
            # each one with probability weight / sum.
            wait = -log((int.from_bytes(digest, "little") + 1) / 2**64) / weight
            if wait < least:
                best = value
                least = wait
        return best
