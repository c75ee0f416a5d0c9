"""Which endpoints have changed their state since the last look.

Nothing on a request's way reports a change.  Failures are rare, and an endpoint with any is a
suspect of its pool; so only pools with suspects are looked into, and those that a configuration or
an override has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.upstream.endpoint import Member
from proxy.upstream.pool import PoolPlan

MOST: Final = 100
"""Transitions told at one look; a change of more than that is told by its configuration."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One endpoint in another state than before."""

    pool: str
    endpoint: str
    """The member's name."""
    address: str
    was: str
    """``active``, ``drain``, ``down`` or ``ejected``."""
    state: str
    why: str
    """For people."""


class Transitions:
    """Remembers the states seen last, as far as they are not what the plan says."""

    __slots__ = ("_ejected", "_plans")

    def __init__(self) -> None:
        self._plans: dict[str, PoolPlan] = {}
        self._ejected: dict[str, frozenset[str]] = {}
        """By pool, the addresses of those that are ejected; no pool without."""

    def look(self, plans: Iterable[PoolPlan], now: float) -> list[Transition]:
        """Return what has changed since the last look; at the first, who is ejected."""
        seen: dict[str, PoolPlan] = {}
        found: list[Transition] = []
        for plan in plans:
            name = plan.pool.name
            seen[name] = plan
            before = self._plans.get(name)
            if before is plan and not plan.pool.standing.suspects and name not in self._ejected:
                continue
            moved = self._moved(before, plan, now)
            found += [
                Transition(name, one.name, one.endpoint.address, was, *_state(plan, one, now))
                for one, was in moved[: MOST - len(found)]
            ]
        for name in self._ejected.keys() - seen.keys():
            del self._ejected[name]
        self._plans = seen
        return found

    def _moved(
        self, before: PoolPlan | None, plan: PoolPlan, now: float
    ) -> list[tuple[Member, str]]:
        """Return whose state is not what it was, with that."""
        name = plan.pool.name
        was_out = self._ejected.pop(name, frozenset())
        out = frozenset(endpoint.address for endpoint in plan.ejected(now))
        if out:
            self._ejected[name] = out
        if before is plan and was_out == out:
            return []
        if not was_out and not out and plan.all_active and (before is None or before.all_active):
            return []
        old = {} if before is None else {one.endpoint.address: one for one in before.members}
        moved: list[tuple[Member, str]] = []
        for member in plan.members:
            address = member.endpoint.address
            # An endpoint that is new has not changed its state, but for the worse.
            was = "ejected" if address in was_out else old.get(address, member).state
            if was != ("ejected" if address in out else member.state):
                moved.append((member, was))
        return moved


def _state(plan: PoolPlan, member: Member, now: float) -> tuple[str, str]:
    state, why = plan.state_of(member, now)
    return ("active" if state == "full" else state), why
