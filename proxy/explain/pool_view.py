"""Why a pool was chosen, and how its endpoints stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.explain.explanation import EndpointView, PoolChoice, shown
from proxy.upstream.balancing.tier import eligible

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.route import Route
    from proxy.snapshot import Snapshot
    from proxy.spec import OverrideSpec
    from proxy.upstream.pool import PoolPlan

ENDPOINTS: Final = 100
"""Endpoints of a pool told of at most; the one that is picked always is."""


def pool_choice(exchange: Exchange, snapshot: Snapshot) -> PoolChoice | None:
    """Tell of the pool that a request came to, if it came to one.

    ``snapshot`` has it as it lives, without the request.
    """
    route, pool = exchange.route, getattr(exchange, "pool", None)
    if route is None or pool is None:
        return None
    name = pool.name
    plan, picked = snapshot.pools[name].plan, exchange.member
    overrides = snapshot.overrides.get(name, {})
    views, left_out = _endpoints(plan, overrides, picked.name if picked else "", monotonic())
    drawn = plan.spec.balance.kind == "random" and plan.in_service > 1
    return PoolChoice(
        name=name,
        why=_why(exchange, route),
        balance=plan.spec.balance.kind,
        key=_key(exchange),
        chance=drawn or (route.split is not None and route.split_key is None),
        endpoints=views,
        endpoints_left_out=left_out,
    )


def _why(exchange: Exchange, route: Route) -> str:
    spec = route.spec
    if exchange.pool.name not in route.pools:
        return "that of the route whose error page this is"
    if route.split is not None:
        shares = ", ".join(f"{name} {weight}" for name, weight in spec.pools)
        if route.split_key is None:
            return f"drawn by chance, by weight: {shares}"
        key = shown(route.split_key.render(exchange.request))
        return f"chosen by {spec.split_by}, which is {key!r}, by weight: {shares}"
    if route.pool_map is not None:
        return f"{spec.pool_variable} names it"
    return "the route's only pool"


def _key(exchange: Exchange) -> str | None:
    plan, key = exchange.pool.plan, exchange.pool.key
    if plan.key_kind == "client_ip":
        return shown(exchange.request.client_ip)
    return None if plan.key_kind == "none" or key is None else shown(key.render(exchange.request))


def _endpoints(
    plan: PoolPlan, overrides: Mapping[str, OverrideSpec], picked: str, now: float
) -> tuple[list[EndpointView], dict[str, int]]:
    """Look at a pool's endpoints for a request that has been to none of them yet.

    Return those that are told of, and how many there are beside them, by state.
    """
    barred = plan.ejected(now)
    primaries = any(not member.backup and eligible(member, barred) for member in plan.members)
    views: list[EndpointView] = []
    left_out: Counter[str] = Counter()
    for at, (member, state, why) in enumerate(plan.states(now)):
        if at >= ENDPOINTS and member.name != picked:
            left_out[state] += 1
            continue
        views.append(
            EndpointView(
                name=member.name,
                address=member.endpoint.address,
                state=state,
                why=why,
                eligible=eligible(member, barred) and not (member.backup and primaries),
                weight=member.weight,
                backup=member.backup,
                active=member.endpoint.active,
                labels=dict(member.labels),
                override=_override(overrides, member.name),
            )
        )
    room = max(0, ENDPOINTS - len(plan.members))
    views += [
        EndpointView(
            one.name, one.address, "unresolved", "its name does not resolve", False, one.weight,
            one.backup, 0, dict(one.labels), _override(overrides, one.name),
        )
        for one in plan.unresolved[:room]
    ]  # fmt: skip
    if plan.unresolved[room:]:
        left_out["unresolved"] = len(plan.unresolved[room:])
    return views, dict(left_out)


def _override(overrides: Mapping[str, OverrideSpec], name: str) -> str | None:
    """Say what is overridden; ``name`` may be that of one of several addresses of an endpoint."""
    by = overrides.get(name) or overrides.get(name.rpartition("@")[0])
    if by is None:
        return None
    return by.state if by.weight is None else f"{by.state}, weight {by.weight}"
