"""A pool's understudy picks what the pool would pick next, and leaves the pool as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.explain import understudy as module
from proxy.explain.understudy import Understudies, understudy
from proxy.snapshot import Upstream
from proxy.spec import BalanceKind
from proxy.upstream.pool import PoolPlan
from tests.unit.upstream.pools import endpoint, pool_spec, serving

KINDS: list[BalanceKind] = ["round_robin", "least_connections", "ip_hash", "hash"]
KEY = b"203.0.113.9"

moves = st.lists(
    st.tuples(
        st.sampled_from(["pick", "pick", "pick", "fail", "succeed", "finish"]), st.integers(0, 4)
    ),
    max_size=60,
)


def play(plan: PoolPlan, script: list[tuple[str, int]], *, look: bool) -> list[str]:
    """Let things happen to a pool; with ``look``, ask before each pick what it will be."""
    picked: list[str] = []
    now = 100.0
    for move, number in script:
        now += 0.4 * number
        member = plan.members[number % len(plan.members)]
        if move == "fail":
            plan.failed(member, now)
        elif move == "succeed":
            plan.succeeded(member, now)
        elif move == "finish":
            member.endpoint.active = max(0, member.endpoint.active - 1)
        else:
            expected = understudy(plan).pick(now, KEY) if look else None
            got = plan.pick(now, KEY)
            if look:
                assert (expected and expected.name) == (got and got.name)
            if got is not None:
                got.endpoint.active += 1
            picked.append("-" if got is None else got.name)
    return picked


@given(
    kind=st.sampled_from(KINDS),
    weights=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    backup=st.booleans(),
    full=st.booleans(),
    percent=st.sampled_from([50, 100]),
    script=moves,
)
def test_understudy_foresees_every_pick_and_changes_none(
    kind: BalanceKind,
    weights: list[int],
    backup: bool,
    full: bool,
    percent: int,
    script: list[tuple[str, int]],
) -> None:
    def made() -> PoolPlan:
        endpoints = [
            endpoint("abcd"[at], weight=weight, max_connections=2 if full else None)
            for at, weight in enumerate(weights)
        ]
        if backup and len(endpoints) > 1:
            endpoints[-1] = replace(endpoints[-1], backup=True)
        return serving(pool_spec(*endpoints, kind=kind, max_ejected_percent=percent))

    assert play(made(), script, look=True) == play(made(), script, look=False)


def test_understudy_of_a_rotation_leaves_it_running() -> None:
    plan = serving(pool_spec(*[endpoint(name) for name in "abc"]))
    for _ in range(4):
        plan.pick(1.0)
    rotating = plan.pool.standing.rotating
    assert rotating is not None
    understudy(plan).pick(1.0)
    assert plan.pool.standing.rotating is rotating
    assert [member.endpoint.current for member in plan.members] == [0, 0, 0]


def test_hash_ring_is_not_built_anew() -> None:
    plan = serving(pool_spec(*[endpoint(name) for name in "abc"], kind="hash"))
    assert understudy(plan)._tiers[0].ring is plan._tiers[0].ring  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
async def test_large_pool_is_sketched_and_then_made_whole(
    kind: BalanceKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INLINE", 20)
    large = serving(pool_spec(*[endpoint(chr(200 + at)) for at in range(40)], kind=kind))
    small = serving(pool_spec(endpoint("a"), endpoint("b")))
    for _ in range(3):
        large.pick(1.0, KEY)
    pools = Understudies({"large": Upstream(large, None), "small": Upstream(small, None)})
    first = pools["small"].plan.pick(1.0)
    assert not pools.sketched
    assert len(pools["large"].plan.members) == module.SKETCHED
    assert pools.sketched
    await pools.complete()
    assert not pools.sketched
    foreseen = pools["large"].plan.pick(1.0, KEY)
    assert foreseen is not None
    assert not pools.sketched
    # What was played with a sketch is as if it had never been.
    again = pools["small"].plan.pick(1.0)
    assert (first and first.name) == (again and again.name)
    picked = large.pick(1.0, KEY)
    assert picked is not None
    assert foreseen.name == picked.name
