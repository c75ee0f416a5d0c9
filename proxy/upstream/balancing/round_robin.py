"""Smooth weighted round-robin, as nginx 1.22 does it (``ngx_http_upstream_get_peer``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import cycle, islice
from typing import Final

from proxy.upstream import health
from proxy.upstream.balancing.tier import Standing, Tier
from proxy.upstream.endpoint import Endpoint, Member

EXACT_MEMBERS: Final = 64
"""Up to so many members, the sequence is nginx's also when a rotation is resumed."""


def smooth(
    members: Sequence[Member], standing: Standing, now: float, barred: Collection[Endpoint]
) -> Member | None:
    """Take one step of the algorithm.  O(members).

    Every eligible member gains its effective weight, the one with most wins (the first of several)
    and pays what all have gained; a member that failures made lighter gets 1 back.
    """
    best: Member | None = None
    most = total = 0
    for member in members:
        endpoint = member.endpoint
        if endpoint in barred or endpoint.active >= member.capacity:
            continue
        weight = member.weight
        if endpoint.penalty:
            weight = max(0, weight - endpoint.penalty)
            give_back(endpoint, standing)
        endpoint.current += weight
        total += weight
        if best is None or endpoint.current > most:
            best = member
            most = endpoint.current
    if best is not None:
        best.endpoint.current -= total
        health.picked(best, now)
    return best


def give_back(endpoint: Endpoint, standing: Standing) -> None:
    """Give an endpoint 1 of what failures took off its weight."""
    endpoint.penalty -= 1
    if not endpoint.suspect:
        standing.suspects.discard(endpoint)


class RoundRobin(Tier):
    """Round-robin by steps, or by rotation where that gives the same sequence.

    With equal weights, nobody suspect and nobody barred, the steps repeat: whoever has most wins,
    and has least from then on.  So the members in the order of their ``current`` (ties: of the
    configuration) are a cycle, and a pick is O(1).  This holds once nobody is more than a round
    ahead of another, which the steps themselves bring about after failures and changes of
    configuration; with more than ``EXACT_MEMBERS`` that would be too dear, and the lead is cut.

    ``settle`` turns the place within the cycle back into ``current``s.  The next pick is then a
    step, O(members); so are all picks while a member is suspect, and all if the weights differ.

    In a rotation a full member loses its turn; in steps it also gains nothing meanwhile.
    """

    __slots__ = ("_order", "_round", "_turns", "_weight")

    def __init__(
        self,
        members: tuple[Member, ...],
        standing: Standing,
        backup: Tier | None = None,
        max_ejected_percent: int = 100,
    ) -> None:
        super().__init__(members, standing, backup, max_ejected_percent)
        weights = {member.weight for member in members}
        self._weight: Final = weights.pop() if len(weights) == 1 else 0
        """What all members weigh; 0 if they differ."""
        self._round: Final = self._weight * len(members)
        self._order: list[Member] = []
        self._turns: Iterator[Member] | None = None

    def pick(self, now: float, key: bytes = b"", tried: Collection[Endpoint] = ()) -> Member | None:
        """Pick a member; O(1) in a rotation."""
        turns = self._turns
        if turns is None or tried:
            return super().pick(now, key, tried)
        member = next(turns)
        if member.endpoint.active < member.capacity:
            return member
        return self._next_free(turns) or self._elsewhere(now, key, (), ())

    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Start to rotate if nothing speaks against it, else take a step."""
        standing = self.standing
        standing.settle()
        if self._weight and not barred and standing.first is self:
            turns = self._rotate()
            if turns is not None:
                return self._next_free(turns)
        return smooth(self.members, standing, now, barred)

    def _next_free(self, turns: Iterator[Member]) -> Member | None:
        for member in islice(turns, len(self.members)):
            if member.endpoint.active < member.capacity:
                return member
        return None

    def _rotate(self) -> Iterator[Member] | None:
        if not self._by_endpoint.keys().isdisjoint(self.standing.suspects):
            return None
        order = sorted(self.members, key=lambda member: -member.endpoint.current)
        if not self._is_cycle(order):
            if len(order) <= EXACT_MEMBERS:
                return None
            for place, member in enumerate(order):
                member.endpoint.current = -place * self._weight
        self._order = order
        self._turns = cycle(order)
        self.standing.rotating = self
        return self._turns

    def _is_cycle(self, order: list[Member]) -> bool:
        first, last = order[0], order[-1]
        lead = first.endpoint.current - last.endpoint.current
        if lead == self._round:
            # The first, having paid, is level with the last; then who stands before the other wins.
            return self.members.index(first) > self.members.index(last)
        return lead < self._round

    def settle(self) -> None:
        """End the rotation: book what its picks have gained and paid since it began."""
        if self._turns is None:
            return
        order = self._order
        picks = order.index(next(self._turns))
        gained = picks * self._weight
        for member in order[:picks]:
            member.endpoint.current += gained - self._round
        for member in order[picks:]:
            member.endpoint.current += gained
        self._turns = None
        self._order = []

    def booked(self) -> list[tuple[Member, int]]:
        """Return what each ``current`` would be, were the rotation to end now; it goes on."""
        order, turns = self._order, self._turns
        if turns is None:
            return [(member, member.endpoint.current) for member in self.members]
        picks = order.index(next(turns))
        self._turns = cycle([*order[picks:], *order[:picks]])  # that turn was not taken
        gained = picks * self._weight
        return [
            (member, member.endpoint.current + gained - (self._round if place < picks else 0))
            for place, member in enumerate(order)
        ]
