"""A random choice, or the better of two (nginx ``random``, ``random two least_conn``)."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Collection
from itertools import accumulate
from typing import Final

from proxy.upstream import health
from proxy.upstream.balancing.round_robin import smooth
from proxy.upstream.balancing.tier import Standing, Tier
from proxy.upstream.endpoint import Endpoint, Member

TRIES: Final = 20
"""Draws of somebody ineligible after which round-robin chooses; nginx's number."""


class RandomChoice(Tier):
    """Draws by weight; of two different members the one with fewer active per weight serves."""

    __slots__ = ("_bounds", "_choices", "_uniform")

    def __init__(
        self,
        members: tuple[Member, ...],
        standing: Standing,
        backup: Tier | None = None,
        max_ejected_percent: int = 100,
        uniform: Callable[[], float] = random.random,
        choices: int = 2,
    ) -> None:
        """``uniform`` gives numbers from 0 up to, not including, 1; ``choices`` is 1 or 2."""
        super().__init__(members, standing, backup, max_ejected_percent)
        self._bounds: Final = tuple(accumulate(member.weight for member in members))
        self._choices: Final = choices
        self._uniform: Final = uniform

    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Draw; O(log members), or one step of round-robin where the draws find nobody."""
        member = self._draw(barred)
        if member is None:
            return smooth(self.members, self.standing, now, barred)
        health.picked(member, now)
        return member

    def _draw(self, barred: Collection[Endpoint]) -> Member | None:
        members, bounds, uniform = self.members, self._bounds, self._uniform
        if len(members) < 2:
            return None
        total = bounds[-1]
        first: Member | None = None
        for _ in range(TRIES + 1):
            member = members[bisect_right(bounds, int(uniform() * total))]
            endpoint = member.endpoint
            if member is first or endpoint in barred or endpoint.active >= member.capacity:
                continue
            if self._choices == 1:
                return member
            if first is None:
                first = member
            elif endpoint.active * first.weight > first.endpoint.active * member.weight:
                return first
            else:
                return member
        return None
