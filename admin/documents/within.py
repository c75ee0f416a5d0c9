"""``path.within``: routes that stand within others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from admin.documents.faults import shown
from admin.documents.route import Route
from proxy.errors import Fault, pointer

MAX_WITHIN: Final = 16
"""Routes within each other."""


def check_within(name: str, routes: Mapping[str, Route], faults: list[Fault]) -> None:
    """Add what is wrong with the place of a route within another one that exists."""
    route = routes[name]
    path, within = route.path, outer_name(route)
    outer = routes.get(within or "")
    if path is None or outer is None:
        return
    at = pointer("routes", name, "path", "within")
    if _depth(name, routes) > MAX_WITHIN:
        message = "it stands within itself, or too deep"
        faults.append(Fault(at, message, f"at most {MAX_WITHIN} routes within each other"))
    elif outer.path is None:
        faults.append(Fault(at, f"route {shown(within)} has no path"))
    elif outer.path.exact is not None:
        message = f"route {shown(within)} has an exact path, so nothing is within it"
        faults.append(Fault(at, message))
    elif (route.hosts, route.listeners) != (outer.hosts, outer.listeners):
        message = f"route {shown(within)} has other hosts or listeners"
        faults.append(Fault(at, message, "give both of them the same"))
    else:
        mine = path.exact or path.prefix
        prefix = outer.path.prefix
        if mine is not None and prefix is not None and not mine.startswith(prefix):
            message = f"{shown(mine)} does not begin with {shown(prefix)}"
            faults.append(Fault(at, message, "nothing that gets there could match"))


def outer_name(route: Route) -> str | None:
    """Return within which route a route stands."""
    return None if route.path is None else route.path.within


def _depth(name: str, routes: Mapping[str, Route]) -> int:
    """Return how many routes this one is within; more than ``MAX_WITHIN`` if it is in a circle."""
    depth = 0
    outer = outer_name(routes[name])
    while outer is not None and depth <= MAX_WITHIN:
        depth += 1
        outer = outer_name(routes[outer]) if outer in routes else None
    return depth
