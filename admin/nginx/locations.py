"""``location`` blocks become routes, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from admin.nginx.answers import Setting
from admin.nginx.course import add_prelude, answered, course, here
from admin.nginx.destination import destination
from admin.nginx.error_pages import NO_FILE, plain_paths, references
from admin.nginx.headers import added_headers, request_headers, response_headers
from admin.nginx.listeners import body_bytes
from admin.nginx.logs import log_route
from admin.nginx.pools import MAX_REPLAY_BYTES, RetryRules, document_name
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.rewriting import NAMES
from admin.nginx.scope import Scope
from admin.nginx.servers import Hosts, Server
from admin.nginx.values import duration, milliseconds, octets, whole, words
from admin.nginx.variables import pattern
from proxy.errors import FaultError, pointer
from proxy.patterns import Pattern

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

_CAUSES: Final = words(
    """error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404
    http_429"""
)
_ABOUT_A_FILE: Final = words("root internal index etag add_header access_log log_not_found")
_MODIFIERS: Final = {"=": "exact", "^~": "prefix", "~": "regex", "~*": "regex"}


NAMED: Final = "named"


@dataclass(frozen=True, slots=True)
class Location:
    """A location that does something with its requests."""

    directive: Directive
    scope: Scope
    kind: str
    """exact, prefix, regex or named."""
    path: dict[str, Any]
    """As the document has it; of a named location, nothing."""
    name: str = ""
    """Of a named location, with its ``@``."""

    @property
    def proxy_pass(self) -> Directive | None:
        """Where it passes its requests on to, if it does."""
        return next(iter(self.scope.own("proxy_pass")), None)


def add_routes(draft: Draft, server: Server) -> None:
    """Add the routes of a server."""
    block = server.directive.block or ()
    server.files.update(_files(server))
    found = list(_locations(draft, server, block, server.scope, None))
    regexes = [location for location in found if location.kind == "regex"]
    scopes = (server.scope, *(location.scope for location in found))
    wanted = set(references(scopes))
    named = _named_routes(draft, server, found, wanted)
    for location in found:
        if location.kind == "regex" and len(regexes) > 1:
            # nginx tries them in the order of the file.
            location.path["priority"] = len(regexes) - regexes.index(location)
        if location.kind == NAMED and location.name not in wanted:
            draft.report.kept(location.directive, "nothing leads to it")
            continue
        with draft.report.judging(location.proxy_pass or location.directive):
            _add(draft, server, location, named)
    whole = any(location.path == {"prefix": "/"} for location in found)
    add_prelude(draft, server, named, whole=whole)
    if not whole and not server.scope.own("return"):
        remark = "what no location takes is answered 404; nginx would look for a file"
        draft.report.approximated(server.directive, remark)


def _named_routes(
    draft: Draft, server: Server, found: list[Location], wanted: set[str]
) -> dict[str, str]:
    """Return what the routes of named locations are called that error pages lead to."""
    named: dict[str, str] = {}
    for location in found:
        if location.kind == NAMED and location.name in wanted:
            if location.name in named:
                draft.report.fault(location.directive, f'duplicate location "{location.name}"')
            taken = {*draft.document["routes"], *named.values()}
            named[location.name] = document_name(_base_name(server, location), taken)
    return named


def _locations(
    draft: Draft,
    server: Server,
    block: tuple[Directive, ...],
    outer: Scope,
    around: Location | None,
) -> Iterator[Location]:
    for directive in block:
        if directive.name != "location":
            continue
        with draft.report.judging(directive):
            path = _modifier(directive.args)[1]
            scope = Scope(draft.report, directive.block or (), outer, path)
            location = _location(directive, scope, around)
            if _does_something(scope):
                scope.one("proxy_pass")
                yield location
            elif location.path.get("exact") in server.files:
                draft.report.approximated(directive, NO_FILE)
            elif not scope.own("location"):
                message = "it passes its requests nowhere, and hotsplice serves no files"
                draft.report.refused(directive, message, "proxy_pass to something that answers")
            yield from _locations(draft, server, directive.block or (), scope, location)


def _files(server: Server) -> Iterator[str]:
    """Give the paths of error pages for which there is a location that has but a file."""
    block = server.directive.block or ()
    pages = set(plain_paths(server.scope, block))
    for directive in block:
        words = "".join(directive.args) if directive.name == "location" else ""
        names = {each.name for each in directive.block or ()}
        if words.startswith("=") and words[1:] in pages and names <= _ABOUT_A_FILE:
            yield words[1:]


def _does_something(scope: Scope) -> bool:
    return any(scope.own(name) for name in ("proxy_pass", "allow", "deny", *NAMES))


def _location(directive: Directive, scope: Scope, around: Location | None) -> Location:
    """Read modifier and path."""
    modifier, text = _modifier(directive.args)
    if modifier == "@":
        if around is not None:
            raise FaultError("a named location cannot be inside another location")
        return Location(directive, scope, NAMED, {}, f"@{text}")
    if around is not None and around.kind in {"exact", NAMED}:
        raise FaultError(f"a location cannot be inside this {around.kind} location")
    kind = _MODIFIERS.get(modifier, "prefix")
    if kind == "regex":
        if around is not None:
            hint = "move it out of the location around it"
            raise RefusalError("a regular expression inside of a location", hint)
        path: dict[str, Any] = {"regex": pattern(text)}
        if modifier == "~*":
            path["ignore_case"] = True
        return Location(directive, scope, kind, path | _internal(scope))
    if around is not None and around.kind == "regex":
        raise RefusalError("a location inside of a regular expression", "move it out of there")
    if around is not None and not text.startswith(around.path["prefix"]):
        raise FaultError(f'location "{text[:60]}" is outside the location around it')
    path = {kind: text}
    # Regular expressions stand beside the outermost location, so its modifier counts.
    final = modifier == "^~" if around is None else around.path.get("final", False)
    if kind == "prefix" and final:
        path["final"] = True
    return Location(directive, scope, kind, path | _internal(scope))


def _internal(scope: Scope) -> dict[str, bool]:
    return {"internal": True} if scope.own("internal") else {}


def _modifier(args: tuple[str, ...]) -> tuple[str, str]:
    if len(args) == 2:
        if args[0] not in _MODIFIERS:
            raise FaultError(f'invalid location modifier "{args[0][:60]}"', "one of = ~ ~* ^~")
        return args[0], args[1]
    found = re.fullmatch(r"(=|\^~|~\*|~|@|)(.*)", args[0], re.DOTALL)
    return (found[1], found[2]) if found else ("", args[0])


def _add(draft: Draft, server: Server, location: Location, named: dict[str, str]) -> None:
    """Add a route for each set of hosts under which the server serves."""
    regex = location.path.get("regex")
    captures = frozenset[str]() if regex is None else Pattern(regex).names
    local = here(draft, server, captures)
    limit = body_bytes(location.scope, draft.report)
    made: dict[str, Any] = {}
    if location.proxy_pass is not None:
        to = destination(
            draft,
            location.proxy_pass,
            (server.scope, location.scope),
            location.kind,
            _retry_rules(location.scope, draft.report),
            _replay(location.scope, limit),
        )
        made, local = to.document, to.local | local
    at = Setting(draft, server, location.scope, local, location.path.get("exact"))
    before, sources = course(at, location.directive, named, captures)
    if location.kind == NAMED:
        exposures: dict[Hosts, list[str]] = {None: list(draft.listeners)}
    else:
        exposures = server.exposures
    for hosts, addresses in exposures.items():
        name = named.get(location.name)
        if name is None:
            taken = {*draft.document["routes"], *named.values()}
            name = document_name(_base_name(server, location), taken)
        place = pointer("routes", name)
        route: dict[str, Any] = {}
        if set(addresses) != draft.listeners.keys():
            route["listeners"] = [draft.listeners[address] for address in addresses]
        if hosts is not None:
            route["hosts"] = list(hosts)
        if location.kind != NAMED:
            route["path"] = location.path
        route |= before | made
        if location.proxy_pass is not None:
            route |= _passed_on(draft, location.scope, local, place)
        else:
            answered(route, at, location.directive)
            route |= added_headers(draft, location.scope, local, place)
        route |= _settings(draft, location.scope, addresses, limit)
        if route.get("upgrades"):
            route["tunnel"] = {"idle_timeout": route.get("timeouts", {}).get("read", "60s")}
        log_route(draft, location.scope, local, addresses, route, place)
        draft.document["routes"][name] = route
        draft.sources[place] = location.proxy_pass or location.directive
        draft.sources[f"{place}/path"] = location.directive
        draft.sources.update({f"{place}{pointed}": each for pointed, each in sources.items()})
        if hosts is not None:
            draft.sources[f"{place}/hosts"] = server.names.get(hosts[0], server.directive)
    if location.proxy_pass is not None:
        _remark(draft, location, location.proxy_pass)


def _passed_on(draft: Draft, scope: Scope, local: dict[str, str], place: str) -> dict[str, Any]:
    """Return what is done to a request that goes upstream, and to its response."""
    headers = request_headers(draft, scope, local, place)
    upgradable = any(key.lower() == "upgrade" for key in headers["set"])
    return {
        "upgrades": ["*"] if upgradable else [],
        "request_headers": headers,
        "response_headers": response_headers(draft, scope, local, place),
        "forwarded_headers": False,
    }


def _base_name(server: Server, location: Location) -> str:
    name = server.shown.lstrip("*.")
    if name.startswith("~"):
        name = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    kinds = ("exact", "prefix", "regex")
    path = next((str(location.path[k]) for k in kinds if k in location.path), location.name)
    path = re.sub(r"[^A-Za-z0-9_.]+", "-", path).strip("-.") or "root"
    return f"{name}-{path}" if name not in {"", "_", "localhost"} else path


def _settings(draft: Draft, scope: Scope, addresses: list[str], limit: str) -> dict[str, Any]:
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
    listeners = (draft.document["listeners"][draft.listeners[address]] for address in addresses)
    if any(limit != listener["limits"]["body_bytes"] for listener in listeners):
        made["limits"] = {"body_bytes": limit}
    return made


def _retry_rules(scope: Scope, report: Report) -> RetryRules:
    when, non_idempotent = ["error", "timeout"], False
    directive = scope.one("proxy_next_upstream")
    if directive is not None:
        words = list(dict.fromkeys(directive.args))
        with report.judging(directive):
            unknown = [word for word in words if word not in _CAUSES | {"off", "non_idempotent"}]
            if unknown:
                raise RefusalError(f"{unknown[0][:60]} is no cause to retry", "leave it out")
            non_idempotent = "non_idempotent" in words
            when = [] if "off" in words else [word for word in words if word in _CAUSES]
    attempts: int | str = "unlimited"
    tries = scope.one("proxy_next_upstream_tries")
    if tries is not None:
        with report.judging(tries):
            attempts = whole(tries.args[0]) or "unlimited"
    budget = "unlimited"
    time = scope.one("proxy_next_upstream_timeout")
    if time is not None:
        with report.judging(time):
            budget = duration(time.args[0]) if milliseconds(time.args[0]) else "unlimited"
    return RetryRules(tuple(when), attempts, budget, non_idempotent)


def _replay(scope: Scope, limit: str) -> int:
    """Return how much of a body nginx could send again: all of it, unless it streams."""
    if scope.word("proxy_request_buffering", "on").lower() == "off":
        return 0
    return MAX_REPLAY_BYTES if limit == "unlimited" else _octets(limit)


def _octets(text: str) -> int:
    """Return a document's size, which is a number and a unit of nginx, in octets."""
    return octets(text.removesuffix("iB").removesuffix("B"))


def _remark(draft: Draft, location: Location, proxy_pass: Directive) -> None:
    """Note what nginx does by default, and hotsplice does in another way."""
    scope, report = location.scope, draft.report
    if scope.word("proxy_http_version", "1.0") == "1.0":
        report.approximated(proxy_pass, "a request with a chunked body goes upstream as HTTP/1.1")
    if len(location.path.get("exact", "")) > 1 and location.path["exact"].endswith("/"):
        remark = "the path without its last slash is not redirected here"
        report.approximated(location.directive, remark)
    buffering = scope.one("proxy_request_buffering")
    if buffering is not None and buffering.args[0].lower() == "on":
        report.approximated(buffering, "bodies are streamed, and 1 MiB is kept for a retry")
