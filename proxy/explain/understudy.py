"""Understudies of pools: what they would pick, without the state of their balancing being touched.

The understudy of a pool is the same plan over copies of its endpoints, in the state they are in.
What is picked there is what the pool itself would pick next.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from proxy.snapshot import Upstream
from proxy.telemetry.counters import EndpointCounters
from proxy.upstream.endpoint import Endpoint, Member
from proxy.upstream.pool import Pool, PoolPlan


class Understudies(Mapping[str, Upstream]):
    """The pools of a snapshot, each replaced when it is asked for."""

    def __init__(self, pools: Mapping[str, Upstream]) -> None:
        self._pools: Final = pools
        self._made: Final[dict[str, Upstream]] = {}

    def __getitem__(self, name: str) -> Upstream:
        if name not in self._made:
            upstream = self._pools[name]
            self._made[name] = Upstream(understudy(upstream.plan), upstream.key)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)


def understudy(plan: PoolPlan) -> PoolPlan:
    """Return a plan that picks as ``plan`` would, and changes nothing of it.  O(endpoints)."""
    live = plan.pool
    rotating = live.standing.rotating
    booked = (
        {}
        if rotating is None
        else {member.endpoint: current for member, current in rotating.booked()}
    )
    members = tuple(_member(member, booked) for member in plan.members)
    pool = Pool(live.name)
    made = PoolPlan(pool, plan.spec, plan.given, plan.resolved, members, plan)
    made.publish()
    pool.standing.suspects.update(
        member.endpoint for member in members if member.endpoint.suspect and not plan.single
    )
    return made


def _member(member: Member, booked: Mapping[Endpoint, int]) -> Member:
    endpoint = copy.copy(member.endpoint)
    current = booked.get(member.endpoint, endpoint.current)
    _set(endpoint, current=current, counters=EndpointCounters(), idle=deque(), splice_set=set())
    copied = copy.copy(member)
    _set(copied, endpoint=endpoint)
    return copied


def _set(target: object, **values: object) -> None:
    for name, value in values.items():
        setattr(target, name, value)
