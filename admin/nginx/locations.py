"""``location`` blocks become routes, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from admin.nginx.answers import Setting
from admin.nginx.client_address import believed
from admin.nginx.course import add_prelude, answered, captured, course, for_whom, here
from admin.nginx.destination import destination
from admin.nginx.error_pages import NO_FILE, plain_paths, references
from admin.nginx.headers import added_headers, request_headers, response_headers
from admin.nginx.listeners import USUAL, body_bytes, client_timeouts, requests
from admin.nginx.logs import log_route
from admin.nginx.nesting import NAMED, Location, read_locations
from admin.nginx.pools import MAX_REPLAY_BYTES, document_name, retry_rules
from admin.nginx.report import Report
from admin.nginx.rewriting import NAMES
from admin.nginx.scope import Scope
from admin.nginx.servers import Hosts, Server
from admin.nginx.values import duration, octets, words
from proxy.errors import pointer
from proxy.patterns import Pattern

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

_UNREACHED: Final = "nothing leads to it"
_ABOUT_A_FILE: Final = words("root internal index etag add_header access_log log_not_found")


def scopes_within(server: Server, report: Report) -> Iterator[Scope]:
    """Give the scopes of a server and its locations."""
    yield server.scope
    for location in read_locations(server.directive.block or (), server.scope, report):
        yield from (each.scope for each in location.all())


def add_routes(draft: Draft, server: Server) -> None:
    """Add the routes of a server."""
    server.files.update(_files(server))
    outermost = read_locations(server.directive.block or (), server.scope, draft.report)
    found = [location for outer in outermost for location in outer.all()]
    scopes = (server.scope, *(location.scope for location in found))
    named = _named_routes(draft, server, found, set(references(scopes)))
    names: dict[tuple[int, Hosts], str] = {}
    for location in found:
        if location.kind == NAMED and location.text not in named:
            draft.report.kept(location.directive, _UNREACHED)
        elif location.closed or location.inner or _does_something(location.scope):
            location.scope.one("proxy_pass")
            with draft.report.judging(location.proxy_pass or location.directive):
                _add(draft, server, location, named, names)
        elif location.path.get("exact") in server.files:
            draft.report.approximated(location.directive, NO_FILE)
        else:
            message = "it passes its requests nowhere, and hotsplice serves no files"
            hint = "proxy_pass to something that answers"
            draft.report.refused(location.directive, message, hint)
    whole = any(location.path == {"prefix": "/"} for location in outermost)
    add_prelude(draft, server, named, whole=whole)
    _drop_unreached(draft, named, found)
    if not whole and not server.scope.own("return"):
        remark = "what no location takes is answered 404; nginx would look for a file"
        draft.report.approximated(server.directive, remark)


def _does_something(scope: Scope) -> bool:
    return any(scope.own(name) for name in ("proxy_pass", "allow", "deny", *NAMES))


def _named_routes(
    draft: Draft, server: Server, found: list[Location], wanted: set[str]
) -> dict[str, str]:
    """Return what the routes of named locations are called that error pages lead to."""
    named: dict[str, str] = {}
    for location in found:
        if location.kind == NAMED and location.text in wanted:
            taken = {*draft.document["routes"], *named.values()}
            named[location.text] = document_name(_base_name(server, location), taken)
    return named


def _drop_unreached(draft: Draft, named: dict[str, str], found: list[Location]) -> None:
    """Leave out the named locations that only error pages lead to which hold nowhere."""
    routes, left = draft.document["routes"], dict(named)
    reached = [route for name, route in routes.items() if name not in named.values()]
    while reached:
        led_to = {page.get("route") for page in reached.pop().get("error_pages", ())}
        for text, name in tuple(left.items()):
            if name in led_to and name in routes:
                reached.append(routes[left.pop(text)])
    for location in found:
        if routes.pop(left.get(location.text), None) is not None:
            draft.report.kept(location.directive, _UNREACHED)


def _files(server: Server) -> Iterator[str]:
    """Give the paths of error pages for which there is a location that has but a file."""
    block = server.directive.block or ()
    pages = set(plain_paths(server.scope, block))
    for directive in block:
        words = "".join(directive.args) if directive.name == "location" else ""
        names = {each.name for each in directive.block or ()}
        if words.startswith("=") and words[1:] in pages and names <= _ABOUT_A_FILE:
            yield words[1:]


def _add(
    draft: Draft,
    server: Server,
    location: Location,
    named: dict[str, str],
    names: dict[tuple[int, Hosts], str],
) -> None:
    """Add a route for each set of hosts under which the server serves."""
    for hosts, addresses in _exposures(draft, server, location).items():
        name = named.get(location.text)
        if name is None:
            taken = {*draft.document["routes"], *named.values()}
            name = document_name(_base_name(server, location), taken)
        path = dict(location.path)
        if location.stands_within:
            outer = names.get((id(location.outer), hosts))
            if outer is None:
                continue  # what is around it is refused
            path["within"] = outer
        route = for_whom(draft, server, hosts, addresses)
        if location.kind != NAMED:
            route["path"] = path
        place = pointer("routes", name)
        draft.document["routes"][name] = route | _rest(
            draft, server, location, named, hosts, addresses, place
        )
        names[id(location), hosts] = name
        draft.sources[place] = location.proxy_pass or location.directive
        draft.sources[f"{place}/path"] = location.directive
        if hosts is not None:
            draft.sources[f"{place}/hosts"] = server.names.get(hosts[0], server.directive)
    if location.proxy_pass is not None:
        _remark(draft, location.scope)


def _exposures(draft: Draft, server: Server, location: Location) -> dict[Hosts, list[str]]:
    """Return under which hosts a location serves, and where."""
    if location.kind != NAMED:
        return server.exposures
    patterns = tuple(name for name in server.names if name.startswith("~"))
    # It is reached by name; its hosts only tell what they capture.
    return {patterns if server.captures else None: list(draft.listeners)}


def _rest(
    draft: Draft,
    server: Server,
    location: Location,
    named: dict[str, str],
    hosts: Hosts,
    addresses: list[str],
    place: str,
) -> dict[str, Any]:
    """Return what a route says beside which requests it is for."""
    scope, proxy_pass = location.scope, location.proxy_pass
    if location.closed:
        return {"respond": {"status": 403}}
    limit = body_bytes(scope, draft.report)
    regex = location.path.get("regex")
    captures = captured(server, hosts)
    if regex:  # it matches after those of the hosts, so numbers are its own
        captures = frozenset(name for name in captures if not name.isdecimal())
        captures |= Pattern(regex).names
    local = here(draft, server, captures)
    made: dict[str, Any] = {}
    if proxy_pass is not None:
        rules = retry_rules(scope, draft.report)
        to = destination(draft, proxy_pass, (server.scope, scope), location.kind, rules)
        made, local = to.document, to.local | local
    at = Setting(draft, server, scope, local, location.path.get("exact"))
    before, sources = course(at, location.directive, named, captures)
    draft.sources.update({f"{place}{pointed}": each for pointed, each in sources.items()})
    route = before | made
    if proxy_pass is not None:
        route |= _request(draft, scope, local, place, limit)
        route |= _passed_on(draft, scope, local, place)
    elif _does_something(scope):
        answered(route, at, location.directive)
        route |= added_headers(draft, scope, local, place)
    else:
        route["respond"] = {"status": 404}
        route |= added_headers(draft, scope, local, place)
        remark = "what no location in it takes is answered 404; nginx would look for a file"
        draft.report.approximated(location.directive, remark)
    if proxy_pass is not None:
        route |= _towards_upstream(draft, scope)
    route |= believed(draft, scope, addresses, route)
    timeouts, limits = _towards_client(draft, scope, addresses, limit)
    if timeouts:
        route["timeouts"] = route.get("timeouts", {}) | timeouts
    if limits:
        route["limits"] = limits
    if route.get("upgrades"):
        route["tunnel"] = {"idle_timeout": route.get("timeouts", {}).get("read", "60s")}
    log_route(draft, scope, local, addresses, route, place)
    return route


def _passed_on(draft: Draft, scope: Scope, local: dict[str, str], place: str) -> dict[str, Any]:
    """Return what is done to the fields of a request that goes upstream, and of its response."""
    headers = request_headers(draft, scope, local, place)
    upgradable = any(key.lower() == "upgrade" for key in headers["set"])
    return {
        "upgrades": ["*"] if upgradable else [],
        "request_headers": headers,
        "response_headers": response_headers(draft, scope, local, place),
        "forwarded_headers": False,
    }


def _request(
    draft: Draft, scope: Scope, local: dict[str, str], at: str, limit: str
) -> dict[str, Any]:
    """Return what becomes of method and body."""
    made: dict[str, Any] = {}
    for key, name in (("method", "proxy_method"), ("body", "proxy_set_body")):
        directive = scope.one(name)
        if directive is not None:
            with draft.report.judging(directive):
                made[key] = draft.variables.template(directive.args[0], local)
                draft.sources[f"{at}/{key}"] = directive
    switch = scope.one("proxy_pass_request_body")
    if made.get("body") == "":
        directive = scope.one("proxy_set_body")
        if directive is not None:
            draft.report.approximated(directive, "no Content-Length says that there is no body")
    elif "body" not in made and switch is not None and switch.args[0].lower() == "off":
        made["body"] = ""
        names = {each.args[0].lower() for each in scope.all("proxy_set_header")}
        if "content-length" not in names:
            draft.report.approximated(switch, "no Content-Length goes upstream either")
    if "body" not in made and _is_on(scope, "proxy_request_buffering"):
        made["request_buffer"] = "1MiB"
        if limit == "unlimited" or _octets(limit) > MAX_REPLAY_BYTES:
            directive = scope.one("client_max_body_size")
            if directive is not None:
                remark = "a body of more than 1 MiB is streamed, rather than read whole first"
                draft.report.approximated(directive, remark)
    return made


def _is_on(scope: Scope, name: str) -> bool:
    return scope.word(name, "on").lower() == "on"


def _base_name(server: Server, location: Location) -> str:
    name = server.shown.lstrip("*.")
    if name.startswith("~"):
        name = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    path = re.sub(r"[^A-Za-z0-9_.]+", "-", location.text).strip("-.") or "root"
    return f"{name}-{path}" if name not in {"", "_", "localhost"} else path


def _towards_upstream(draft: Draft, scope: Scope) -> dict[str, Any]:
    """Return the version and the times of requests that go upstream, and how answers end."""
    made: dict[str, Any] = {}
    version = scope.word("proxy_http_version", "1.0")
    if version != "1.1":
        made["http_version"] = version
    timeouts = {}
    for key in ("connect", "send", "read"):
        directive = scope.one(f"proxy_{key}_timeout")
        if directive is not None:
            with draft.report.judging(directive):
                value = duration(directive.args[0])
                if value != "60s":
                    timeouts[key] = value
    if timeouts:
        made["timeouts"] = timeouts
    if not _is_on(scope, "chunked_transfer_encoding"):
        made["chunked_responses"] = False
    return made


def _towards_client(
    draft: Draft, scope: Scope, addresses: list[str], limit: str
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the times and limits of clients, as far as one of the listeners has others."""
    listeners = [draft.document["listeners"][draft.listeners[address]] for address in addresses]
    timeouts = {
        key: value
        for key, value in client_timeouts(scope, draft.report).items()
        if any(value != listener["timeouts"].get(key, USUAL[key]) for listener in listeners)
    }
    limits: dict[str, Any] = {}
    if any(limit != listener["limits"]["body_bytes"] for listener in listeners):
        limits["body_bytes"] = limit
    most = requests(scope, draft.report)
    if any(most != listener["limits"]["requests_per_connection"] for listener in listeners):
        limits["requests_per_connection"] = most
    return timeouts, limits


def _octets(text: str) -> int:
    """Return a document's size, which is a number and a unit of nginx, in octets."""
    return octets(text.removesuffix("iB").removesuffix("B"))


def _remark(draft: Draft, scope: Scope) -> None:
    """Note what nginx does by default, and hotsplice does in another way."""
    buffering = scope.one("proxy_request_buffering")
    streams = buffering is not None and not _is_on(scope, "proxy_request_buffering")
    if buffering is not None and streams and scope.word("proxy_http_version", "1.0") == "1.0":
        remark = "a request with a chunked body goes upstream as HTTP/1.1"
        draft.report.approximated(buffering, remark)
