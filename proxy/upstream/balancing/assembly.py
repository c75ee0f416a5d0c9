"""Puts the tiers of a pool together: which way of balancing for whom."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.spec import BalanceSpec
from proxy.upstream.balancing.consistent_hash import ConsistentHash, Ring
from proxy.upstream.balancing.ip_hash import IpHash
from proxy.upstream.balancing.least_connections import LeastConnections
from proxy.upstream.balancing.modulo_hash import ModuloHash
from proxy.upstream.balancing.random_choice import RandomChoice
from proxy.upstream.balancing.round_robin import RoundRobin
from proxy.upstream.balancing.tier import Standing, Tier
from proxy.upstream.endpoint import Member


def assemble(
    members: Sequence[Member],
    balance: BalanceSpec,
    standing: Standing,
    max_ejected_percent: int,
    previous: Sequence[Tier] = (),
) -> list[Tier]:
    """Make the tiers, the one to ask first in front; there is always one, if only an empty one.

    Hash rings of ``previous`` tiers are used again where they fit.  Raise ``FaultError`` if a ring
    would be too large.
    """
    rings = [tier.ring for tier in previous if isinstance(tier, ConsistentHash)]
    first: Tier | None = None
    tiers: list[Tier] = []
    for backup in (True, False):
        seats = tuple(member for member in members if member.backup is backup)
        if any(member.state == "active" for member in seats):
            first = _tier(seats, balance, standing, first, max_ejected_percent, rings)
            tiers.insert(0, first)
    return tiers or [RoundRobin((), standing)]


def _tier(
    seats: tuple[Member, ...],
    balance: BalanceSpec,
    standing: Standing,
    backup: Tier | None,
    percent: int,
    rings: Sequence[Ring],
) -> Tier:
    kind = balance.kind
    members = tuple(member for member in seats if member.state == "active")
    if len(members) == 1 or kind == "round_robin":
        return RoundRobin(members, standing, backup, percent)
    if kind == "least_connections":
        return LeastConnections(members, standing, backup, percent)
    if kind in ("random", "random_one"):
        choices = 2 if kind == "random" else 1
        return RandomChoice(members, standing, backup, percent, choices=choices)
    if kind == "ip_hash":
        return IpHash(members, standing, backup, percent, seats=seats)
    if not balance.consistent:
        return ModuloHash(members, standing, backup, percent, seats=seats)
    return ConsistentHash(members, standing, backup, percent, seats=seats, rings=rings)
