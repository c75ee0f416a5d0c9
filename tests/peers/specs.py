"""A small builder: a configuration with one listener, one pool and one route, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

from proxy.spec import (
    EndpointSpec,
    HeaderMapSpec,
    ListenerSpec,
    PathKind,
    PathSpec,
    PoolSpec,
    RouteSpec,
    Spec,
)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def listener(name: str = "public", bind: str = "127.0.0.1:0", **differs: Any) -> ListenerSpec:
    """Write a listener on a loopback port of the kernel's choice."""
    return replace(ListenerSpec(name=name, bind=bind), **differs)


def endpoint(address: str, name: str | None = None, **differs: Any) -> EndpointSpec:
    """Write an endpoint; its name defaults to its address."""
    return replace(EndpointSpec(name=name or address, address=address), **differs)


def pool(*endpoints: str | EndpointSpec, name: str = "backend", **differs: Any) -> PoolSpec:
    """Write a pool of endpoints, given as addresses or in full."""
    written = tuple(endpoint(one) if isinstance(one, str) else one for one in endpoints)
    return replace(PoolSpec(name=name, endpoints=written), **differs)


def route(
    name: str,
    path: str | None = "/",
    *,
    kind: PathKind = "prefix",
    to: str = "backend",
    internal: bool = False,
    **differs: Any,
) -> RouteSpec:
    """Write a route from a path to one pool, or to an answer of its own if it has one."""
    where = None if path is None else PathSpec(kind=kind, value=path, internal=internal)
    pools = ((to, 1),) if "answer" not in differs else ()
    return replace(RouteSpec(name=name, path=where, pools=pools), **differs)


def everything(**differs: Any) -> RouteSpec:
    """Write the route that takes every path to the pool ``backend``."""
    return route("everything", **differs)


def build_spec(
    *endpoints: str | EndpointSpec,
    listeners: Sequence[ListenerSpec] | None = None,
    pools: Sequence[PoolSpec] | None = None,
    routes: Sequence[RouteSpec] | None = None,
    header_maps: Sequence[HeaderMapSpec] = (),
) -> Spec:
    """Put a configuration together.

    Without more it is one listener ``public``, one pool ``backend`` of ``endpoints``, and one
    route ``everything``; ``listeners``, ``pools`` and ``routes`` stand in for those.
    """
    return Spec(
        listeners=_by_name([listener()] if listeners is None else listeners),
        pools=_by_name([pool(*endpoints)] if pools is None else pools),
        routes=_by_name([everything()] if routes is None else routes),
        header_maps=_by_name(header_maps),
    )


def _by_name(items: Sequence[N]) -> dict[str, N]:
    named: Final = {item.name: item for item in items}
    assert len(named) == len(items), "two objects of the same name"
    return named
