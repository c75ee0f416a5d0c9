"""Attempts with wrong tokens, limited by address and in all.

What is limited is guessing.  So beyond the limit a token is not even looked up, or the answer would
still tell whether it is right.  But whoever shares an address with one who guesses, as all
containers of a pod share loopback, must not be locked out by that: a token that was right from an
address before is looked up from there whatever else comes from it.  Over a Unix socket there are no
tokens, and no limit.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from proxy.networks import unmapped

BURST: Final = 10
"""Wrong tokens from one address in a row; of IPv6, from one network of 64 bits."""

EVERY_S: Final = 6.0
"""Seconds after which one more is let in."""

BURST_IN_ALL: Final = 200
EVERY_S_IN_ALL: Final = 0.1
"""The same for all addresses together."""

ADDRESSES: Final = 1_024
"""Addresses remembered; of more, those are forgotten that were quiet for the longest time."""

PROVEN: Final = 1_024
"""Tokens remembered with the address from which they were right."""

PROVEN_S: Final = 3_600.0
"""How long that is remembered after the last time, in seconds."""


class Allowance:
    """So many at once, and one more each so many seconds."""

    __slots__ = ("_burst", "_every_s", "_free_at")

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst: Final = burst
        self._every_s: Final = every_s
        self._free_at = 0.0
        """When all of it will have come back."""

    def wait_s(self, now: float) -> float:
        """Return after how many seconds there will be one; 0 if there is one now."""
        return max(self._free_at - now - (self._burst - 1) * self._every_s, 0.0)

    def spend(self, now: float) -> None:
        """Take one."""
        self._free_at = max(self._free_at, now) + self._every_s


class _Proven(NamedTuple):
    address: str
    digest: str


class Attempts:
    """What is remembered of addresses; ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._in_all: Final = Allowance(BURST_IN_ALL, EVERY_S_IN_ALL)
        self._addresses: Final[OrderedDict[str, Allowance]] = OrderedDict()
        self._proven: Final[OrderedDict[_Proven, float]] = OrderedDict()

    def wait_s(self, peer: str, digest: str) -> float:
        """Return for how many seconds a token is not looked up; 0: it is now."""
        now, address = self._clock(), _network(peer)
        if now - self._proven.get(_Proven(address, digest), -PROVEN_S) < PROVEN_S:
            return 0.0
        mine = self._addresses.get(address)
        return max(self._in_all.wait_s(now), 0.0 if mine is None else mine.wait_s(now))

    def failed(self, peer: str, digest: str) -> None:
        """Take note of a wrong token."""
        now, address = self._clock(), _network(peer)
        self._proven.pop(_Proven(address, digest), None)  # it was taken back meanwhile
        mine = self._addresses.get(address)
        if mine is None:
            mine = self._addresses[address] = Allowance(BURST, EVERY_S)
            if len(self._addresses) > ADDRESSES:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(address)
        mine.spend(now)
        self._in_all.spend(now)

    def succeeded(self, peer: str, digest: str) -> None:
        """Take note of a right one."""
        proven = _Proven(_network(peer), digest)
        self._proven[proven] = self._clock()
        self._proven.move_to_end(proven)
        if len(self._proven) > PROVEN:
            self._proven.popitem(last=False)


def _network(peer: str) -> str:
    """Return what stands for an address: of IPv6, whoever has one has its 64 bits."""
    try:
        ip = unmapped(ip_address(peer.partition("%")[0]))
    except ValueError:
        return peer
    return str(IPv6Address(int(ip) >> 64 << 64)) if isinstance(ip, IPv6Address) else str(ip)
