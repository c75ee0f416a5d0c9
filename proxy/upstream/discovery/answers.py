"""What was found becomes endpoints: another spec of the pool, compiled as any other.

So balancing, health, overrides, drains and metrics know nothing of discovery.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from proxy.addresses import parse_address
from proxy.spec import DnsSpec, EndpointSpec, PoolSpec, Spec

MOST: Final = 1_000
"""Endpoints that a pool has of one answer; the first by name."""


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint as an answer has it."""

    name: str
    """Its address, or ``target:port`` of an SRV record."""
    address: str
    """Canonical, an IP address and a port."""
    weight: int = 1
    backup: bool = False


Answer = tuple[Found, ...]
"""Sorted by name and address; no address twice."""

NOTHING: Final[Answer] = ()


def expanded(spec: Spec, known: Callable[[DnsSpec], Answer]) -> Spec:
    """Return a spec with what is known in its pools; itself if that is so already."""
    pools = {
        name: with_found(pool, known(pool.discovery.dns))
        for name, pool in spec.pools.items()
        if pool.discovery is not None
    }
    if all(spec.pools[name] is pool for name, pool in pools.items()):
        return spec
    return replace(spec, pools={**spec.pools, **pools})


def with_found(pool: PoolSpec, answer: Answer) -> PoolSpec:
    """Return a pool with the endpoints of an answer in place of those found before.

    One that is written with its name or address is as it is written.
    """
    assert pool.discovery is not None
    written = tuple(one for one in pool.endpoints if not one.discovered)
    names = {one.name for one in written}
    addresses = {_canonical(one.address) for one in written}
    found = [one for one in answer if one.name not in names and one.address not in addresses]
    endpoints = written + tuple(
        EndpointSpec(
            name=one.name,
            address=one.address,
            weight=one.weight,
            backup=one.backup,
            passive_health=pool.discovery.passive_health,
            discovered=True,
        )
        for one in found[:MOST]
    )
    return pool if endpoints == pool.endpoints else replace(pool, endpoints=endpoints)


def _canonical(written: str) -> str:
    try:
        return parse_address(written).text
    except ValueError:
        return written  # the compiler says where it stands
