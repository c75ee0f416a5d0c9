"""Overrides: what operators say of endpoints, apart from the configuration, which they beat.

Pure: an override makes another spec of the pool, and that is compiled as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from proxy.spec import EndpointSpec, OverrideSpec, PoolSpec


def overridden(pool: PoolSpec, overrides: Mapping[str, OverrideSpec] | None) -> PoolSpec:
    """Return the pool as its endpoints' overrides make it; itself if there are none.

    An override of an endpoint that the pool does not have waits for it.
    """
    if not overrides:
        return pool
    endpoints = tuple(_overridden(one, overrides.get(one.name)) for one in pool.endpoints)
    return replace(pool, endpoints=endpoints)


def _overridden(endpoint: EndpointSpec, by: OverrideSpec | None) -> EndpointSpec:
    if by is None:
        return endpoint
    weight = endpoint.weight if by.weight is None else by.weight
    return replace(endpoint, state=by.state, weight=weight)
