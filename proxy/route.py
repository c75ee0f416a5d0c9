"""A compiled route: what is done to a request that it takes, reduced to what it needs.

Whatever does not change from request to request is worked out here, once: the names that pass, the
constant header lines, the target of a rewritten path.  A route knows its pool by name only; which
endpoints that pool has right now is the snapshot's business, so a change of a pool leaves every
route as it is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random
from typing import Final

from proxy.errors import Fault, FaultError, pointer
from proxy.field_names import Memo, passing
from proxy.headers.forwarded import (
    FORWARDING_DROPPED_TRUSTED,
    FORWARDING_DROPPED_UNTRUSTED,
    FORWARDING_NAMES,
    X_FORWARDED,
)
from proxy.headers.hop_by_hop import HOP_BY_HOP
from proxy.headers.map import HeaderMap
from proxy.headers.rules import Rules, compile_rules
from proxy.headers.template import Scope, Template, compile_template
from proxy.message import Request
from proxy.routing.normalise import escape_path, escape_target
from proxy.routing.table import capture_names, check_host
from proxy.spec import INHERIT, ClientTimeouts, PathsMode, RouteSpec
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.balancing.split import Split
from proxy.upstream.retry_rules import RetryRules

REGENERATED: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})
"""Fields that frame a message; each side's are made anew."""

NEVER_SENT_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})
"""What is refused of clients is not made here either: a tunnel, and an echo of credentials."""

_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_AS_THE_LISTENER: Final = ClientTimeouts()
_CHANCE: Final = Random()


class Route:
    """See the module's docstring.  Immutable but for its counters."""

    __slots__ = (
        "appends_request",
        "asks_response",
        "body",
        "body_bytes",
        "client_timeouts",
        "counters",
        "escaped_path",
        "forwarded",
        "forwarding_replaced",
        "holds_body",
        "inherits_body_bytes",
        "method",
        "name",
        "only_pool",
        "passes_response",
        "passes_trusted",
        "passes_untrusted",
        "pool_map",
        "pools",
        "prepares",
        "request_rules",
        "response_rules",
        "retry",
        "rewrite",
        "rewrites",
        "sets_request",
        "spec",
        "split",
        "split_key",
        "target",
        "touches_connection",
        "upgrades",
        "upstream_version",
        "writes_response",
    )  # fmt: skip

    def __init__(self, spec: RouteSpec, counters: RouteCounters) -> None:
        self.spec: Final = spec
        self.name: Final = spec.name
        self.counters: Final = counters
        self.forwarded: Final = spec.forwarded_headers
        self.upgrades: Final = frozenset(name.encode() for name in spec.upgrades)
        self.upstream_version: Final = spec.upstream_http_version.encode()
        self.inherits_body_bytes: Final = spec.body_bytes == INHERIT
        self.body_bytes: int | None = spec.body_bytes if isinstance(spec.body_bytes, int) else None
        self.pools: tuple[str, ...] = tuple(name for name, _ in spec.pools)
        self.only_pool = ""
        """The pool, if there is no choice to make."""
        self.request_rules: Rules
        self.sets_request = False
        self.appends_request = False
        self.touches_connection = False
        """The request rules have to do with ``Connection`` or ``Upgrade``."""
        self.forwarding_replaced: frozenset[bytes] = frozenset()
        """Forwarding fields that the request rules remove or set."""
        self.response_rules: Rules
        self.writes_response = False
        self.asks_response = False
        """The response rules render something that may differ from response to response."""
        self.passes_untrusted: Memo[bytes]
        """How the line of a request field begins that goes on; from a peer that is no trusted
        proxy."""
        self.passes_trusted: Memo[bytes]
        self.passes_response: Memo[bytes]
        self.rewrite: Template | None = None
        self.target: Template | None = None
        self.rewrites: Final = spec.rewrite is not None or spec.target is not None
        """What goes upstream is not the target as it came."""
        self.escaped_path: Final = escape_path(spec.path.value.encode("utf-8", "replace"))
        """An exact path or a prefix as targets have it."""
        self.method: Template | None = None
        """What goes upstream in place of the client's method."""
        self.body: Template | None = None
        """What goes upstream in place of the client's body."""
        self.holds_body: Final = spec.body is not None or spec.request_buffer_bytes > 0
        """The client's body is read before the request goes upstream, if it is not too long."""
        over = spec.client_timeouts
        self.client_timeouts: Final = None if over == _AS_THE_LISTENER else over
        self.prepares: Final = (
            self.holds_body
            or self.client_timeouts is not None
            or isinstance(spec.requests_per_connection, int)
        )
        """There is something to do between routing and dispatch: see ``exchange.intake``."""
        self.retry: Final = None if spec.retry is None else RetryRules(spec.retry)
        self.pool_map: Template | None = None
        self.split: Split[str] | None = None
        self.split_key: Template | None = None

    def __repr__(self) -> str:
        return f"<Route {self.name}>"

    def allows_upgrade(self, protocol: bytes) -> bool:
        """Tell whether a request may upgrade to ``protocol``, or to each of a list of them.

        ``*`` stands for any but h2c.
        """
        names = [name.strip(b" \t") for name in protocol.lower().split(b",")]
        if b"*" in self.upgrades:
            return b"h2c" not in names
        return all(name in self.upgrades for name in names)

    def choose_pool(self, request: Request) -> str:
        """Return the name of the pool that serves ``request``; empty if its map names none."""
        if self.split is not None:
            if self.split_key is not None:
                return self.split.by_key(self.split_key.render(request))
            return self.split.by_chance(_CHANCE)
        if self.pool_map is not None:
            return self.pool_map.render(request).decode("utf-8", "surrogateescape")
        return self.only_pool

    def rewritten(self, request: Request, matched: int, mode: PathsMode) -> bytes:
        """Return the target that goes upstream; empty if that is the one that came.

        ``matched`` is how much of ``request.uri`` the route's prefix took.  What came is escaped
        as nginx does; a constant is written as it goes on the wire.
        """
        template = self.target
        if template is not None:
            target = template.render(request)
            if target and not target.startswith(b"/"):
                target = b"/" + target
            return escape_target(target)
        template = self.rewrite
        if template is None:
            raise AssertionError
        rest = b"" if self.spec.path.kind == "regex" else request.uri[matched:]
        if template.constant is not None:
            path = escape_target(template.constant) + escape_path(rest, mode)
        else:
            path = escape_path(template.render(request) + rest, mode)
        if not path.startswith(b"/"):
            path = b"/" + path
        return b"%b?%b" % (path, request.query) if request.query else path

    def sent_method(self, request: Request) -> bytes:
        """Return the method that goes upstream: the client's, if the route's is none."""
        method = request.method if self.method is None else self.method.render(request)
        if _METHOD.fullmatch(method) and method.upper() not in NEVER_SENT_METHODS:
            return method
        self.counters.header_rule_failures += 1
        return request.method


def compile_route(
    spec: RouteSpec,
    maps: dict[str, HeaderMap],
    counters: RouteCounters,
    faults: list[Fault],
) -> Route:
    """Compile one route; what is wrong with it is added to ``faults``."""
    at = pointer("routes", spec.name)
    route = Route(spec, counters)
    captures = _captures(spec, at, faults)
    scope = Scope(maps=maps, captures=captures, response=False)
    headers = spec.request_headers
    if "*" in headers.remove and not any(name.lower() == "host" for name, _ in headers.set):
        # A request needs its Host, and the client's does not pass.
        headers = replace(headers, set=(*headers.set, ("Host", "$proxy_host")))
    after = Scope(maps=maps, captures=captures, response=True)
    route.request_rules = compile_rules(
        headers, scope, f"{at}/request_headers", faults, counters, response=False
    )
    route.response_rules = compile_rules(
        spec.response_headers, after, f"{at}/response_headers", faults, counters, response=True
    )
    rules = route.request_rules
    route.sets_request = bool(rules.set)
    route.appends_request = bool(rules.appended)
    written = (route.response_rules.set, route.response_rules.appended)
    route.writes_response = any(written)
    route.asks_response = any(block.constant is None for block in written)
    route.touches_connection = (
        rules.connection is not None
        or rules.upgrade is not None
        or rules.removes_connection
        or rules.removes_upgrade
    )
    route.forwarding_replaced = rules.dropped & FORWARDING_NAMES
    dropped = HOP_BY_HOP | REGENERATED | rules.dropped
    if rules.drops_all:
        route.passes_untrusted = route.passes_trusted = Memo(lambda name: b"")
    elif spec.forwarded_headers:
        route.passes_untrusted = passing(dropped | FORWARDING_DROPPED_UNTRUSTED, X_FORWARDED)
        route.passes_trusted = passing(dropped | FORWARDING_DROPPED_TRUSTED)
    else:
        route.passes_untrusted = route.passes_trusted = passing(dropped)
    # A response's Content-Length is dropped where it would not be true: see response_head.
    route.passes_response = passing(
        HOP_BY_HOP | {b"transfer-encoding"} | route.response_rules.dropped
    )

    def template(text: str | None, place: str) -> Template | None:
        return None if text is None else _template(text, scope, f"{at}/{place}", faults)

    route.rewrite = template(spec.rewrite, "rewrite")
    route.target = template(spec.target, "target")
    route.method = template(spec.method, "method")
    if spec.body is not None:
        route.body = _template(spec.body, scope, f"{at}/body", faults, lines=True)
    route.split_key = template(spec.split_by, "split_by")
    route.pool_map = template(spec.pool_variable, "pool")
    if spec.pool_variable is None and len(spec.pools) > 1:
        route.split = Split(spec.pools)
    elif spec.pool_variable is None and spec.pools:
        route.only_pool = spec.pools[0][0]
    _check_target(route, at, faults)
    return route


def _captures(spec: RouteSpec, at: str, faults: list[Fault]) -> frozenset[str]:
    """Check hosts and path; return the names that their patterns capture."""
    sound = True
    for index, host in enumerate(spec.hosts or ()):
        try:
            check_host(host)
        except FaultError as error:
            sound = False
            faults.append(Fault(f"{at}/hosts/{index}", error.message, error.hint))
    try:
        return capture_names(spec.path, spec.hosts if sound else None)
    except FaultError as error:
        faults.append(Fault(f"{at}/path/{spec.path.kind}", error.message, error.hint))
        return frozenset()


def _template(
    text: str, scope: Scope, path: str, faults: list[Fault], *, lines: bool = False
) -> Template | None:
    try:
        return compile_template(text, scope, lines=lines)
    except FaultError as error:
        faults.append(Fault(path, error.message, error.hint))
        return None


def _check_target(route: Route, at: str, faults: list[Fault]) -> None:
    for place, template in (("rewrite", route.rewrite), ("target", route.target)):
        constant = None if template is None else template.constant
        if constant is not None and not constant.startswith(b"/"):
            faults.append(Fault(f"{at}/{place}", "a target begins with a slash", "/"))
    if route.rewrite is not None and route.target is not None:
        faults.append(
            Fault(f"{at}/target", "stands in place of `rewrite`", "leave one of them out")
        )
    method = None if route.method is None else route.method.constant
    if method is None:
        return
    if not _METHOD.fullmatch(method):
        faults.append(Fault(f"{at}/method", "not a method (RFC 9110, 9.1)", "such as POST"))
    elif method.upper() in NEVER_SENT_METHODS:
        hint = "any method but CONNECT and TRACE"
        faults.append(Fault(f"{at}/method", f"{method.decode()} is never sent upstream", hint))
