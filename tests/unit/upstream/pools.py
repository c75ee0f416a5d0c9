"""Pools in few words, for the tests of balancing."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.spec import BalanceKind, BalanceSpec, EndpointSpec, PassiveHealthSpec, PoolSpec
from proxy.upstream.endpoint import Member
from proxy.upstream.pool import PoolPlan, compile_pool

NGINX_HEALTH = PassiveHealthSpec(max_fails=1, fail_timeout_s=10.0)
"""nginx's own defaults."""


def endpoint(
    name: str,
    *,
    weight: int = 1,
    backup: bool = False,
    max_connections: int | None = None,
    passive_health: PassiveHealthSpec | None = NGINX_HEALTH,
) -> EndpointSpec:
    """Describe an endpoint on the port that its one-letter name stands for."""
    return EndpointSpec(
        name=name,
        address=address(name),
        weight=weight,
        backup=backup,
        max_connections=max_connections,
        passive_health=passive_health,
    )


def address(name: str) -> str:
    return f"10.0.0.1:{ord(name)}"


def pool_spec(
    *endpoints: EndpointSpec, kind: BalanceKind = "round_robin", max_ejected_percent: int = 100
) -> PoolSpec:
    """Describe a pool that does nginx's way about ejections, unless told otherwise."""
    return PoolSpec(
        name="p",
        balance=BalanceSpec(kind=kind, key="$arg_k" if kind == "hash" else None),
        endpoints=endpoints,
        max_ejected_percent=max_ejected_percent,
    )


def serving(spec: PoolSpec, previous: PoolPlan | None = None) -> PoolPlan:
    """Compile and publish."""
    plan = compile_pool(spec, {}, previous, None if previous is None else previous.pool)
    plan.publish()
    return plan


def names(members: Iterable[Member | None]) -> str:
    """Join the one-letter names; ``-`` where nobody was picked."""
    return "".join("-" if member is None else member.name for member in members)


def member(plan: PoolPlan, name: str) -> Member:
    return next(member for member in plan.members if member.name == name)


def picked(plan: PoolPlan, count: int, now: float = 0.0) -> str:
    """Pick so many times with nothing in flight."""
    return names(plan.pick(now) for _ in range(count))


def distinct(plan: PoolPlan, keys: Iterable[bytes]) -> dict[bytes, str]:
    """Return who serves each key."""
    return {key: names([plan.pick(0.0, key)]) for key in keys}


def sticky_keys(count: int) -> list[bytes]:
    return [b"user%d" % number for number in range(count)]
