"""A hashed key decides, by its remainder (nginx ``hash`` without ``consistent``)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from itertools import accumulate
from typing import Final
from zlib import crc32

from proxy.upstream import health
from proxy.upstream.balancing.round_robin import smooth
from proxy.upstream.balancing.tier import Standing, Tier, eligible
from proxy.upstream.endpoint import Endpoint, Member

TRIES: Final = 20
"""Hits on somebody ineligible after which round-robin chooses; nginx's number."""


class ModuloHash(Tier):
    """The member at the key's hash modulo all weights, as Cache::Memcached has it.

    Where that one is ineligible, the hash of the number of the try and the key is added.  ``seats``
    are all members that share the hash space, whatever their state; when their number or weights
    change, most keys move.  An empty key is no key: round-robin then chooses.
    """

    __slots__ = ("_bounds", "_seats")

    hashes = "template"

    def __init__(
        self,
        members: tuple[Member, ...],
        standing: Standing,
        backup: Tier | None = None,
        max_ejected_percent: int = 100,
        *,
        seats: tuple[Member, ...] | None = None,
    ) -> None:
        super().__init__(members, standing, backup, max_ejected_percent)
        self._seats: Final = members if seats is None else seats
        self._bounds: Final = tuple(accumulate(member.weight for member in self._seats))

    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Hash ``key``; one step of round-robin where that finds nobody."""
        seats, bounds = self._seats, self._bounds
        value = 0
        for number in range(TRIES + 1 if key and len(seats) > 1 else 0):
            value += crc32(b"%d%b" % (number, key) if number else key) >> 16 & 0x7FFF
            member = seats[bisect_right(bounds, value % bounds[-1])]
            if eligible(member, barred):
                health.picked(member, now)
                return member
        return smooth(self.members, self.standing, now, barred)
