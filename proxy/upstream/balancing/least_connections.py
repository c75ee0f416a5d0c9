"""Fewest connections for the weight (nginx ``least_conn``)."""

from __future__ import annotations

from collections.abc import Collection

from proxy.upstream import health
from proxy.upstream.balancing.round_robin import smooth
from proxy.upstream.balancing.tier import Tier
from proxy.upstream.endpoint import Endpoint, Member


class LeastConnections(Tier):
    """The member with the fewest requests and splices per weight; ties by smooth round-robin."""

    __slots__ = ()

    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Compare all members.  O(members)."""
        best: Member | None = None
        ties: list[Member] = []
        for member in self.members:
            endpoint = member.endpoint
            active = endpoint.active
            if endpoint in barred or active >= member.capacity:
                continue
            # The ratios are cross-multiplied, as in nginx, to compare them exactly.
            excess = active * best.weight - best.endpoint.active * member.weight if best else -1
            if excess < 0:
                best = member
                ties = [member]
            elif excess == 0:
                ties.append(member)
        if len(ties) > 1:
            return smooth(ties, self.standing, now, ())
        if best is not None:
            health.picked(best, now)
        return best
