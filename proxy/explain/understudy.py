"""Understudies of pools: what they would pick, without the state of their balancing being touched.

The understudy of a pool is the same plan over copies of its endpoints, in the state they are in.
What is picked there is what the pool itself would pick next.

That of a large pool takes too long for the event loop.  Which pool a request comes to is known only
once it was played, so a *sketch* with the first few endpoints stands in for a large one: if one was
used, the play is repeated when its understudy has been made in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from proxy.background import in_background
from proxy.snapshot import Upstream
from proxy.spec import BalanceSpec, PoolSpec
from proxy.telemetry.counters import EndpointCounters
from proxy.upstream.endpoint import Endpoint, Member
from proxy.upstream.pool import Pool, PoolPlan

INLINE: Final = 200
"""Endpoints of a pool that is copied on the event loop, up to."""

SKETCHED: Final = 8
"""Endpoints of a sketch, up to."""

T = TypeVar("T")

Booked = Mapping[Endpoint, int]
"""The ``current`` of endpoints, where a rotation has yet to book it."""


class Understudies(Mapping[str, Upstream]):
    """The pools of a snapshot, each replaced when it is asked for."""

    def __init__(self, pools: Mapping[str, Upstream]) -> None:
        self._pools: Final = pools
        self._made: Final[dict[str, Upstream]] = {}
        self._large: Final[set[str]] = set()
        self.sketched = False
        """What was played is not what would be."""

    def __getitem__(self, name: str) -> Upstream:
        if name not in self._made:
            upstream = self._pools[name]
            if len(upstream.plan.members) <= INLINE:
                plan = understudy(upstream.plan)
            else:
                plan = _sketch(upstream.plan)
                self._large.add(name)
                self.sketched = True
            self._made[name] = Upstream(plan, upstream.key)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)

    async def complete(self) -> None:
        """Forget what was played, and make whole what was sketched."""
        self.forget()
        self.sketched = False
        for name in self._large:
            upstream = self._pools[name]
            plan = upstream.plan
            made = await in_background(understudy, plan, _booked(plan))
            self._made[name] = Upstream(made, upstream.key)

    def forget(self) -> None:
        """Let go of all that was made: thousands of objects, not to be left to the collector."""
        for upstream in self._made.values():
            standing = upstream.plan.pool.standing
            standing.first = standing.rotating = None  # they refer back
        self._made.clear()


def understudy(plan: PoolPlan, booked: Booked | None = None) -> PoolPlan:
    """Return a plan that picks as ``plan`` would, and changes nothing of it.  O(endpoints).

    May be made in a thread, if ``booked`` was asked for on the event loop's.
    """
    made = _stand_in(plan, plan.spec, plan.members, _booked(plan) if booked is None else booked)
    made.pool.standing.suspects.update(
        member.endpoint for member in made.members if member.endpoint.suspect and not plan.single
    )
    return made


def _sketch(plan: PoolPlan) -> PoolPlan:
    """Return a plan that can be asked like ``plan``, and knows a few of its members."""
    return _stand_in(plan, replace(plan.spec, balance=BalanceSpec()), plan.members[:SKETCHED], {})


def _stand_in(
    plan: PoolPlan, spec: PoolSpec, members: tuple[Member, ...], booked: Booked
) -> PoolPlan:
    alike: dict[str, object] = {
        "idle": None, "idle_count": 0, "others": EndpointCounters().others, "splice_set": set(),
    }  # fmt: skip
    copies = tuple(_member(member, booked, alike) for member in members)
    made = PoolPlan(Pool(plan.pool.name), spec, plan.given, plan.resolved, copies, plan)
    made.publish()
    return made


def _booked(plan: PoolPlan) -> Booked:
    """Tell how far a rotation has come, which only the event loop may ask."""
    rotating = plan.pool.standing.rotating
    return {} if rotating is None else {one.endpoint: current for one, current in rotating.booked()}


def _member(member: Member, booked: Booked, alike: Mapping[str, object]) -> Member:
    endpoint = member.endpoint
    current = booked.get(endpoint, endpoint.current)
    return _copied(member, endpoint=_copied(endpoint, current=current, **alike))


def _copied(one: T, **changed: object) -> T:
    """Copy a slotted object; ``copy.copy`` takes three times as long."""
    made = object.__new__(type(one))
    for kind in type(one).__mro__[:-1]:
        for name in kind.__slots__:  # type: ignore[attr-defined]
            setattr(made, name, changed[name] if name in changed else getattr(one, name))
    return made
