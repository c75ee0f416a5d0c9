"""``location`` blocks become routes, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from admin.nginx.destination import destination
from admin.nginx.headers import request_headers, response_headers
from admin.nginx.listeners import body_bytes
from admin.nginx.logs import PROCESS_LOG
from admin.nginx.pools import MAX_REPLAY_BYTES, RetryRules, document_name
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.servers import Server
from admin.nginx.values import duration, milliseconds, octets, whole, words
from admin.nginx.variables import constant, pattern
from proxy.errors import FaultError, pointer

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

_CAUSES: Final = words(
    """error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404
    http_429"""
)
_MODIFIERS: Final = {"=": "exact", "^~": "prefix", "~": "regex", "~*": "regex"}


@dataclass(frozen=True, slots=True)
class Location:
    """A location that passes its requests on."""

    directive: Directive
    scope: Scope
    kind: str
    """exact, prefix or regex."""
    path: dict[str, Any]
    """As the document has it."""


def add_routes(draft: Draft, server: Server) -> None:
    """Add the routes of a server."""
    block = server.directive.block or ()
    found = list(_locations(draft, block, server.scope, None))
    regexes = [location for location in found if location.kind == "regex"]
    for location in found:
        if location.kind == "regex" and len(regexes) > 1:
            # nginx tries them in the order of the file.
            location.path["priority"] = len(regexes) - regexes.index(location)
        with draft.report.judging(location.scope.own("proxy_pass")[0]):
            _add(draft, server, location)
    if not any(location.path == {"prefix": "/"} for location in found):
        remark = "what no location takes is answered 404; nginx would look for a file"
        draft.report.approximated(server.directive, remark)


def _locations(
    draft: Draft, block: tuple[Directive, ...], outer: Scope, around: Location | None
) -> Iterator[Location]:
    for directive in block:
        if directive.name != "location":
            continue
        scope = Scope(draft.report, directive.block or (), outer)
        with draft.report.judging(directive):
            location = _location(directive, scope, around)
            if location is None:
                draft.report.kept(directive, "nothing leads to a named location")
                continue
            if scope.own("proxy_pass"):
                scope.one("proxy_pass")
                yield location
            elif not scope.own("location"):
                message = "it passes its requests nowhere, and hotsplice serves no files"
                draft.report.refused(directive, message, "proxy_pass to something that answers")
            yield from _locations(draft, directive.block or (), scope, location)


def _location(directive: Directive, scope: Scope, around: Location | None) -> Location | None:
    """Read modifier and path; ``None`` for a named location."""
    modifier, text = _modifier(directive.args)
    if modifier == "@":
        return None
    if around is not None and around.kind == "exact":
        raise FaultError("a location cannot be inside an exact location")
    kind = _MODIFIERS.get(modifier, "prefix")
    if kind == "regex":
        if around is not None:
            hint = "move it out of the location around it"
            raise RefusalError("a regular expression inside of a location", hint)
        path: dict[str, Any] = {"regex": pattern(text)}
        if modifier == "~*":
            path["ignore_case"] = True
        return Location(directive, scope, kind, path)
    if around is not None and around.kind == "regex":
        raise RefusalError("a location inside of a regular expression", "move it out of there")
    if around is not None and not text.startswith(around.path["prefix"]):
        raise FaultError(f'location "{text[:60]}" is outside the location around it')
    path = {kind: text}
    # Regular expressions stand beside the outermost location, so its modifier counts.
    final = modifier == "^~" if around is None else around.path.get("final", False)
    if kind == "prefix" and final:
        path["final"] = True
    return Location(directive, scope, kind, path)


def _modifier(args: tuple[str, ...]) -> tuple[str, str]:
    if len(args) == 2:
        if args[0] not in _MODIFIERS:
            raise FaultError(f'invalid location modifier "{args[0][:60]}"', "one of = ~ ~* ^~")
        return args[0], args[1]
    found = re.fullmatch(r"(=|\^~|~\*|~|@|)(.*)", args[0], re.DOTALL)
    return (found[1], found[2]) if found else ("", args[0])


def _add(draft: Draft, server: Server, location: Location) -> None:
    """Add a route for each set of hosts under which the server serves."""
    scope, proxy_pass = location.scope, location.scope.own("proxy_pass")[0]
    limit = body_bytes(scope, draft.report)
    made = destination(
        draft, proxy_pass, location.kind, _retry_rules(scope, draft.report), _replay(scope, limit)
    )
    local = made.local | {"server_name": constant(server.shown.removeprefix("."))}
    for hosts, addresses in server.exposures.items():
        name = document_name(_base_name(server, location), draft.document["routes"])
        at = pointer("routes", name)
        route: dict[str, Any] = {}
        if set(addresses) != draft.listeners.keys():
            route["listeners"] = [draft.listeners[address] for address in addresses]
        if hosts is not None:
            route["hosts"] = list(hosts)
        route |= {"path": location.path} | made.document
        headers = request_headers(draft, scope, local, at)
        upgradable = any(key.lower() == "upgrade" for key in headers["set"])
        route["upgrades"] = ["*"] if upgradable else []
        route["request_headers"] = headers
        route["response_headers"] = response_headers(draft, scope, local, at)
        route["forwarded_headers"] = False
        route |= _settings(draft, scope, addresses, limit)
        if upgradable:
            route["tunnel"] = {"idle_timeout": route.get("timeouts", {}).get("read", "60s")}
        _log(draft, scope, local, addresses, route, at)
        draft.document["routes"][name] = route
        draft.sources[at] = proxy_pass
        draft.sources[f"{at}/path"] = location.directive
        if hosts is not None:
            draft.sources[f"{at}/hosts"] = server.names.get(hosts[0], server.directive)
    _remark(draft, location)


def _log(
    draft: Draft,
    scope: Scope,
    local: dict[str, str],
    addresses: list[str],
    route: dict[str, Any],
    at: str,
) -> None:
    """Say where the requests of a route are logged, unless its listeners say the same."""
    logs, sources = draft.logs.of(scope, local)
    listeners = (draft.document["listeners"][draft.listeners[address]] for address in addresses)
    if all(listener.get("access_log") == logs for listener in listeners):
        return
    # Others of its address have logs, and this one would inherit them.
    route["access_log"] = [PROCESS_LOG] if logs is None else logs
    draft.locate_logs(at, sources)


def _base_name(server: Server, location: Location) -> str:
    name = server.shown.lstrip("*.")
    if name.startswith("~"):
        name = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    path = next(
        str(location.path[kind]) for kind in ("exact", "prefix", "regex") if kind in location.path
    )
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


def _remark(draft: Draft, location: Location) -> None:
    """Note what nginx does by default, and hotsplice does in another way."""
    scope, proxy_pass = location.scope, location.scope.own("proxy_pass")[0]
    report = draft.report
    if scope.word("proxy_redirect", "default") != "off" and "$" not in proxy_pass.args[0]:
        remark = "Location and Refresh go back as the upstream wrote them (proxy_redirect off)"
        report.approximated(proxy_pass, remark)
    if scope.word("proxy_http_version", "1.0") == "1.0":
        report.approximated(proxy_pass, "a request with a chunked body goes upstream as HTTP/1.1")
    if len(location.path.get("exact", "")) > 1 and location.path["exact"].endswith("/"):
        remark = "the path without its last slash is not redirected here"
        report.approximated(location.directive, remark)
    buffering = scope.one("proxy_request_buffering")
    if buffering is not None and buffering.args[0].lower() == "on":
        report.approximated(buffering, "bodies are streamed, and 1 MiB is kept for a retry")
