"""A listener's part of a snapshot: which route takes a request, and what holds before one does."""

from __future__ import annotations

from typing import Final

from proxy.headers.forwarded import Trust
from proxy.logs.access import Logs
from proxy.route import Route
from proxy.routing.normalise import Target, normalise, target_of
from proxy.routing.table import Entry, Found, Table
from proxy.spec import ListenerSpec, RouteSpec

PATH_MEMO: Final = 1024
"""Paths per listener whose route is remembered; more begin the memory anew."""

PATH_MEMO_BYTES: Final = 256
"""Longer paths are looked up anew each time."""


class Resolution:
    """Where a path leads: all that depends on host and path alone."""

    __slots__ = ("captures", "forward", "matched", "raw", "redirect", "route", "target", "uri")

    def __init__(
        self,
        target: Target,
        route: Route | None,
        captures: dict[str, bytes] | None = None,
        matched: int = 0,
        *,
        redirect: bool = False,
    ) -> None:
        self.target: Final = target
        self.uri: Final = target.path
        self.raw: Final = target.raw_path
        self.forward: Final = target.forward
        """Path that goes upstream unless the route rewrites it."""
        self.route: Final = route
        self.captures: Final = captures
        self.matched: Final = matched
        self.redirect: Final = redirect


class Site:
    """A listener's part of a snapshot: its limits, and its table of routes."""

    __slots__ = (
        "_memo", "_table", "default_host", "has_preludes", "logs", "routes", "spec", "trust",
    )  # fmt: skip

    def __init__(
        self,
        spec: ListenerSpec,
        routes: tuple[Route, ...],
        trust: Trust | None = None,
        logs: Logs | None = None,
    ) -> None:
        self.spec: Final = spec
        self.routes: Final = routes
        self.logs: Final = logs
        """Where requests are logged that no route says it of; ``None``: as the process has it."""
        self.trust: Final = trust
        self.default_host: Final = spec.default_host.encode()
        self._table: Final = Table(entries(routes))
        self.has_preludes: Final = any(is_prelude(route.spec) for route in routes)
        self._memo: Final[dict[tuple[bytes, bytes], Resolution]] = {}

    def resolve(self, host: bytes, path: bytes) -> Resolution:
        """Find the route for a path without its query.  Raise ``BadTarget``."""
        key = (host, path)
        known = self._memo.get(key)
        if known is not None:
            return known
        target = normalise(path, self.spec.paths, merge=self.spec.merge_slashes)
        resolution = self._found(host, target)
        if len(path) > PATH_MEMO_BYTES:
            return resolution
        if len(self._memo) >= PATH_MEMO:
            self._memo.clear()
        self._memo[key] = resolution
        return resolution

    def prelude(self, host: bytes) -> Found[Route] | None:
        """Return the route whose steps precede every path of a host, if there is one."""
        return self._table.prelude(host)

    def target(self, uri: bytes) -> Target:
        """Return the target that means a decoded path, which no client has sent so.

        Raise ``BadTarget`` in ``strict`` mode for one that leads above the root.
        """
        return target_of(uri, self.spec.paths)

    def find(self, host: bytes, target: Target) -> Resolution:
        """Find the route for a target that no client has sent so."""
        return self._found(host, target)

    def _found(self, host: bytes, target: Target) -> Resolution:
        found = self._table.lookup(host, target.path)
        if found is None:
            return Resolution(target, None)
        return Resolution(
            target, found.payload, found.captures, found.matched, redirect=found.redirect
        )


def entries(routes: tuple[Route, ...]) -> list[Entry[Route]]:
    """Return the routing table's view of some routes; named ones are not in it."""
    return [
        Entry(
            name=route.name,
            hosts=route.spec.hosts,
            path=route.spec.path,
            payload=route,
            host_priority=route.spec.host_priority,
            redirects=bool(route.pools),
        )
        for route in routes
        if route.spec.path is not None or is_prelude(route.spec)
    ]


def is_prelude(route: RouteSpec) -> bool:
    """Tell whether a route has neither path nor destination."""
    return route.path is None and not route.pools and route.answer is None
