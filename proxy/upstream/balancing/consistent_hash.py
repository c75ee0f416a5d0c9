"""A hashed key decides, and most keys stay where they are (nginx ``hash … consistent``)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from typing import Final
from zlib import crc32

from proxy.errors import FaultError
from proxy.upstream import health
from proxy.upstream.balancing.round_robin import give_back, smooth
from proxy.upstream.balancing.tier import Standing, Tier, eligible
from proxy.upstream.endpoint import Endpoint, Member

POINTS_PER_WEIGHT: Final = 160
MAX_POINTS: Final = 8_000_000
"""A ring takes 8 octets a point and about half a second to build per million."""

_BUCKET_POINTS: Final = 4096
_NEAR: Final = 20
"""Points looked at before it is asked whether anybody is eligible at all."""

Seats = tuple[tuple[str, int], ...]
"""Canonical addresses with their weights."""


class Ring:
    """The points of all seats in the order of their hashes (ketama, as Cache::Memcached::Fast).

    A point is one integer, hash << 32 | seat, so that the ring is one flat array.
    """

    __slots__ = ("points", "seats")

    def __init__(self, seats: Seats) -> None:
        """Compute and sort the points.  Raise ``FaultError`` if they would be too many."""
        self.seats: Final = seats
        count = POINTS_PER_WEIGHT * sum(weight for _, weight in seats)
        if count > MAX_POINTS:
            most = MAX_POINTS // POINTS_PER_WEIGHT
            hint = f"divide all weights by a common number; their sum may be {most}"
            raise FaultError("the weights are too large for a hash ring", hint)
        # Sorting bucket by bucket takes a fifth of the memory, and never holds the interpreter
        # lock for longer than one small sort while the event loop runs in another thread.
        shift = 32 - (count // _BUCKET_POINTS).bit_length()
        buckets = [array("Q") for _ in range(1 << (32 - shift))]
        put = [bucket.append for bucket in buckets]
        for seat, (address, weight) in enumerate(seats):
            start = _start(address)
            value = 0
            for _ in range(POINTS_PER_WEIGHT * weight):
                value = crc32(value.to_bytes(4, "little"), start)
                put[value >> shift](value << 32 | seat)
        self.points: Final = array("Q")
        for bucket in buckets:
            self.points.fromlist(sorted(bucket))

    def clockwise(self, key: bytes) -> Iterator[int]:
        """Give the seats of all points once, from the first at or behind the key's hash."""
        points = self.points
        count = len(points)
        start = bisect_left(points, crc32(key) << 32)
        for place in range(start, start + count):
            yield points[place % count] & 0xFFFFFFFF


def _start(address: str) -> int:
    """Return nginx's crc32(HOST NUL PORT), from which the points of an address go on."""
    if address.startswith("unix:"):
        return crc32(address.removeprefix("unix:").encode() + b"\0")
    host, _, port = address.rpartition(":")
    return crc32(f"{host}\0{port}".encode())


class ConsistentHash(Tier):
    """The member at the key's place on the ring, or the next one clockwise that is eligible.

    ``seats`` are all members on the ring, whatever their state, so that it stays as it is when one
    is drained.  An empty key is no key: round-robin then chooses, as in nginx.
    """

    __slots__ = ("_seats", "ring")

    hashes = "template"

    def __init__(
        self,
        members: tuple[Member, ...],
        standing: Standing,
        backup: Tier | None = None,
        max_ejected_percent: int = 100,
        *,
        seats: tuple[Member, ...] | None = None,
        rings: Iterable[Ring] = (),
    ) -> None:
        """Go on with that of ``rings`` which has the same seats, or build one."""
        super().__init__(members, standing, backup, max_ejected_percent)
        self._seats: Final = members if seats is None else seats
        wanted = tuple((seat.endpoint.address, seat.weight) for seat in self._seats)
        known = next((ring for ring in rings if ring.seats == wanted), None)
        self.ring: Final = Ring(wanted) if known is None else known

    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Hash ``key``.  O(log points) unless many of the next points' members are ineligible."""
        if not key or len(self._seats) < 2:
            return smooth(self.members, self.standing, now, barred)
        for step, seat in enumerate(self.ring.clockwise(key)):
            member = self._seats[seat]
            if eligible(member, barred):
                if member.endpoint.penalty:
                    give_back(member.endpoint, self.standing)
                health.picked(member, now)
                return member
            if step == _NEAR and not any(eligible(other, barred) for other in self.members):
                return None
        return None
