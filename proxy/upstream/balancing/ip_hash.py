"""A client's address decides (nginx ``ip_hash``)."""

from __future__ import annotations

import socket
from bisect import bisect_right
from collections.abc import Collection
from itertools import accumulate
from typing import Final

from proxy.upstream import health
from proxy.upstream.balancing.round_robin import smooth
from proxy.upstream.balancing.tier import Standing, Tier, eligible
from proxy.upstream.endpoint import Endpoint, Member

TRIES: Final = 20
"""Hits on somebody ineligible after which round-robin chooses; nginx's number."""

_NO_ADDRESS: Final = bytes(3)
"""What nginx hashes for a client on a Unix socket."""


class IpHash(Tier):
    """The same client network goes to the same member for as long as that one is eligible.

    ``seats`` are all members that share the hash space, whatever their state, so that a drained
    endpoint moves its own clients and nobody else's (what ``down`` is for in nginx).
    """

    __slots__ = ("_bounds", "_seats")

    hashes = "client_ip"

    def __init__(
        self,
        members: tuple[Member, ...],
        standing: Standing,
        backup: Tier | None = None,
        max_ejected_percent: int = 100,
        seats: tuple[Member, ...] | None = None,
    ) -> None:
        super().__init__(members, standing, backup, max_ejected_percent)
        self._seats: Final = members if seats is None else seats
        self._bounds: Final = tuple(accumulate(member.weight for member in self._seats))

    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Hash ``key``, a textual IP address; one step of round-robin where that finds nobody."""
        seats, bounds = self._seats, self._bounds
        octets = hashed_octets(key)
        value = 89
        for _ in range(TRIES + 1 if len(seats) > 1 else 0):
            for octet in octets:
                value = (value * 113 + octet) % 6271
            member = seats[bisect_right(bounds, value % bounds[-1])]
            if eligible(member, barred):
                health.picked(member, now)
                return member
        return smooth(self.members, self.standing, now, barred)


def hashed_octets(address: bytes) -> bytes:
    """Return what nginx hashes of a textual address: 3 octets of IPv4, all 16 of IPv6."""
    text = address.decode("latin-1")
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
        return socket.inet_pton(socket.AF_INET, text)[:3]
    except OSError:
        return _NO_ADDRESS
