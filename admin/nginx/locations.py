"""``location`` blocks become routes, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from admin.nginx.destination import Destination, destination
from admin.nginx.headers import request_headers, response_headers
from admin.nginx.listeners import USUAL, body_bytes, client_timeouts, requests
from admin.nginx.nesting import Location, read_locations
from admin.nginx.pools import MAX_REPLAY_BYTES, RetryRules, document_name
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.servers import Hosts, Server
from admin.nginx.values import duration, milliseconds, octets, whole, words
from admin.nginx.variables import constant
from proxy.errors import pointer

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

_CAUSES: Final = words(
    """error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404
    http_429"""
)


def scopes_within(server: Server, report: Report) -> Iterator[Scope]:
    """Give the scopes of a server and its locations."""
    yield server.scope
    for location in read_locations(server.directive.block or (), server.scope, report):
        yield from (each.scope for each in location.all())


def add_routes(draft: Draft, server: Server) -> None:
    """Add the routes of a server."""
    outermost = read_locations(server.directive.block or (), server.scope, draft.report)
    names: dict[tuple[int, Hosts], str] = {}
    for outer in outermost:
        for location in outer.all():
            if location.proxy_pass is None:
                _remark_nowhere(draft, location, outermost)
                continue
            location.scope.one("proxy_pass")
            with draft.report.judging(location.proxy_pass):
                _add(draft, server, location, names)
    if not any(location.path == {"prefix": "/"} for location in outermost):
        remark = "what no location takes is answered 404; nginx would look for a file"
        draft.report.approximated(server.directive, remark)


def _remark_nowhere(draft: Draft, location: Location, outermost: list[Location]) -> None:
    """Say what becomes of a location that passes its own requests nowhere."""
    if not location.inner:
        message = "it passes its requests nowhere, and hotsplice serves no files"
        hint = "proxy_pass to something that answers"
    elif any(each.stands_within for each in location.inner) or any(
        _would_take(other, location) for outer in outermost for other in outer.all()
    ):
        message = "it passes its own requests nowhere, and another location would get them"
        hint = "give it a proxy_pass"
    else:
        remark = "what no location in it takes is answered 404; nginx would look for a file"
        draft.report.approximated(location.directive, remark)
        return
    draft.report.refused(location.directive, message, hint)


def _would_take(other: Location, location: Location) -> bool:
    """Tell whether another location may get requests that nginx leaves to one without a route."""
    if other.proxy_pass is None or other.outer is location or other is location:
        return False
    return other.kind == "regex" or (
        other.kind == "prefix" and location.text.startswith(other.text)
    )


def _add(
    draft: Draft, server: Server, location: Location, names: dict[tuple[int, Hosts], str]
) -> None:
    """Add a route for each set of hosts under which the server serves."""
    proxy_pass = location.proxy_pass
    if proxy_pass is None:
        raise AssertionError
    made = destination(draft, proxy_pass, location.kind, _retry_rules(location.scope, draft.report))
    for hosts, addresses in server.exposures.items():
        name = document_name(_base_name(server, location), draft.document["routes"])
        names[id(location), hosts] = name
        path = dict(location.path)
        if location.stands_within:
            outer = names.get((id(location.outer), hosts))
            if outer is None:
                continue  # what is around it is refused
            path["within"] = outer
        route: dict[str, Any] = {}
        if set(addresses) != draft.listeners.keys():
            route["listeners"] = [draft.listeners[address] for address in addresses]
        if hosts is not None:
            route["hosts"] = list(hosts)
            if server.host_priority and any(host.startswith("~") for host in hosts):
                route["host_priority"] = server.host_priority
        route["path"] = path
        draft.document["routes"][name] = route | _rest(draft, server, location, made, hosts, name)
        at = pointer("routes", name)
        draft.sources[at] = proxy_pass
        draft.sources[f"{at}/path"] = location.directive
        if hosts is not None:
            draft.sources[f"{at}/hosts"] = server.names.get(hosts[0], server.directive)
    _remark(draft, location)


def _rest(
    draft: Draft, server: Server, location: Location, made: Destination, hosts: Hosts, name: str
) -> dict[str, Any]:
    """Return what a route says beside which requests it is for."""
    scope, at = location.scope, pointer("routes", name)
    limit = body_bytes(scope, draft.report)
    local = made.local | {"server_name": constant(server.shown.removeprefix("."))}
    if not any(host.startswith("~") for host in hosts or ()):
        local |= {name.lower(): "" for name in server.captures}
    route = made.document | _request(draft, scope, local, at, limit)
    headers = request_headers(draft, scope, local, at)
    upgradable = any(key.lower() == "upgrade" for key in headers["set"])
    route["upgrades"] = ["*"] if upgradable else []
    route["request_headers"] = headers
    route["response_headers"] = response_headers(draft, scope, local, at)
    route["forwarded_headers"] = False
    route |= _settings(draft, scope, server.exposures[hosts], limit)
    if upgradable:
        route["tunnel"] = {"idle_timeout": route.get("timeouts", {}).get("read", "60s")}
    return route


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
    listeners = [draft.document["listeners"][draft.listeners[address]] for address in addresses]
    timeouts |= {
        key: value
        for key, value in client_timeouts(scope, draft.report).items()
        if any(value != listener["timeouts"].get(key, USUAL[key]) for listener in listeners)
    }
    if timeouts:
        made["timeouts"] = timeouts
    limits: dict[str, Any] = {}
    if any(limit != listener["limits"]["body_bytes"] for listener in listeners):
        limits["body_bytes"] = limit
    most = requests(scope, draft.report)
    if any(most != listener["limits"]["requests_per_connection"] for listener in listeners):
        limits["requests_per_connection"] = most
    if limits:
        made["limits"] = limits
    if not _is_on(scope, "chunked_transfer_encoding"):
        made["chunked_responses"] = False
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
    buffered = _is_on(scope, "proxy_request_buffering")
    return RetryRules(tuple(when), attempts, budget, non_idempotent, buffered)


def _octets(text: str) -> int:
    """Return a document's size, which is a number and a unit of nginx, in octets."""
    return octets(text.removesuffix("iB").removesuffix("B"))


def _remark(draft: Draft, location: Location) -> None:
    """Note what nginx does by default, and hotsplice does in another way."""
    scope, proxy_pass = location.scope, location.proxy_pass
    report = draft.report
    if proxy_pass is None:
        return
    if scope.word("proxy_redirect", "default") != "off" and "$" not in proxy_pass.args[0]:
        remark = "Location and Refresh go back as the upstream wrote them (proxy_redirect off)"
        report.approximated(proxy_pass, remark)
    buffering = scope.one("proxy_request_buffering")
    streams = buffering is not None and not _is_on(scope, "proxy_request_buffering")
    if buffering is not None and streams and scope.word("proxy_http_version", "1.0") == "1.0":
        remark = "a request with a chunked body goes upstream as HTTP/1.1"
        report.approximated(buffering, remark)
