"""What a location or a server does with requests beside passing them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admin.nginx.access import access_rules
from admin.nginx.answers import Setting
from admin.nginx.error_pages import error_pages
from admin.nginx.headers import added_headers
from admin.nginx.logs import log_route
from admin.nginx.pools import document_name
from admin.nginx.reading import Directive
from admin.nginx.rewriting import NAMES, Steps, ends
from admin.nginx.variables import constant
from proxy.errors import pointer

if TYPE_CHECKING:
    from admin.nginx.importing import Draft
    from admin.nginx.servers import Hosts, Server

Sources = dict[str, Directive]
"""The directive behind each place of a route, as a pointer within it."""


def captured(server: Server, hosts: Hosts) -> frozenset[str]:
    """Return what the names of a server capture for a route with these hosts."""
    named = any(host.startswith("~") for host in hosts or ())
    return server.captures if named else frozenset()


def here(draft: Draft, server: Server, captures: frozenset[str]) -> dict[str, str]:
    """Return the variables that have a value in a block of a server, as templates.

    ``captures`` are what regular expressions of the route capture.  What nothing captures is empty,
    as in nginx.
    """
    known = captures | draft.variables.numbers
    empty = {str(number): "" for number in range(1, 10) if str(number) not in known}
    gone = server.captures - captures
    empty |= {name.lower(): "" for name in gone if not name.isdecimal()}
    return {"server_name": constant(server.shown.removeprefix("."))} | empty


def for_whom(draft: Draft, server: Server, hosts: Hosts, addresses: list[str]) -> dict[str, Any]:
    """Return what a route says of listeners and hosts."""
    route: dict[str, Any] = {}
    if set(addresses) != draft.listeners.keys():
        route["listeners"] = [draft.listeners[address] for address in addresses]
    if hosts is not None:
        route["hosts"] = list(hosts)
        if server.host_priority and any(host.startswith("~") for host in hosts):
            route["host_priority"] = server.host_priority
    return route


def course(
    at: Setting,
    directive: Directive,
    named: dict[str, str],
    captures: frozenset[str],
) -> tuple[dict[str, Any], Sources]:
    """Return the steps, access rules and error pages of a block, as a route has them.

    ``captures`` are what regular expressions of the route capture.
    """
    steps = Steps(at)
    steps.remember(_wanted(at, captures), directive)
    steps.read(directive.block or ())
    made: dict[str, Any] = {"steps": steps.document} if steps.document else {}
    sources = {pointer("steps", number): each for number, each in enumerate(steps.sources)}
    made |= access_rules(at.scope, at.draft.report) | error_pages(at, named)
    for number, each in enumerate(at.scope.all("error_page")):
        sources[pointer("error_pages", number)] = each
    for each in at.scope.together("allow", "deny")[:1]:
        sources["/access"] = each
    return made, sources


def _wanted(at: Setting, captures: frozenset[str]) -> dict[str, str]:
    """Return what regular expressions have captured here and maps ask for, as variables.

    In nginx it is a variable anyway; in a document it is one of the route only.
    """
    asked = at.draft.asked_by_maps
    return {name.lower(): f"${name}" for name in sorted(captures) if name.lower() in asked}


def answered(route: dict[str, Any], at: Setting, directive: Directive) -> None:
    """Let a route that passes nothing on answer by itself."""
    steps = route.get("steps", [])
    if len(steps) == 1 and steps[0].keys() == {"respond"} and "access" not in route:
        del route["steps"]
        route["respond"] = steps[0]["respond"]
        return
    route["respond"] = {"status": 404}
    if not ends(steps) and route.get("access", [])[:1] != [{"deny": ["all"]}]:
        remark = "what gets past it is answered 404; nginx would look for a file"
        at.draft.report.approximated(directive, remark)


def add_prelude(draft: Draft, server: Server, named: dict[str, str], *, whole: bool) -> None:
    """Add what a server does before it looks for a location, or if it has none for a request.

    ``whole`` if there is a location for every request.
    """
    base = f"{server.shown.strip('*.~^') or 'server'}-rules"
    for hosts, addresses in server.exposures.items():
        captures = captured(server, hosts)
        local = here(draft, server, captures)
        at = Setting(draft, server, server.scope, local)
        made, sources = course(at, server.directive, named, captures)
        if not any(each.name in NAMES for each in server.directive.block or ()):
            made.pop("steps", None)  # there is nothing but what is remembered
        if "steps" not in made and (whole or not made):
            return
        taken = {*draft.document["routes"], *named.values()}
        name = document_name(base, taken)
        place = pointer("routes", name)
        route = for_whom(draft, server, hosts, addresses)
        route |= made | added_headers(draft, server.scope, local, place)
        log_route(draft, server.scope, local, addresses, route, place)
        draft.document["routes"][name] = route
        draft.sources[place] = server.directive
        draft.sources.update({f"{place}{pointed}": each for pointed, each in sources.items()})
