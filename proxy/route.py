"""A compiled route: what is done to a request that it takes, reduced to what it needs.

Whatever does not change from request to request is worked out here, once: the names that pass, the
constant header lines, the target of a rewritten path.  A route knows its pool by name only; which
endpoints that pool has right now is the snapshot's business, so a change of a pool leaves every
route as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final, Literal

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
from proxy.logs.access import Logs, compile_logs
from proxy.message import Request
from proxy.routing.normalise import escape_path
from proxy.routing.table import capture_names, check_host
from proxy.spec import INHERIT, PathsMode, RouteSpec
from proxy.telemetry.counters import RouteCounters
from proxy.telemetry.log_sink import LogSink
from proxy.upstream.balancing.split import Split

REGENERATED: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})
"""Fields that frame a message; each side's are made anew."""

InheritedLogs = Literal["none", "some", "asking"]
"""Whether a listener of a route has logs (being switched off counts), and of them some that say
what has to be taken down when a response begins."""

_CHANCE: Final = Random()
_NO_SINKS: Final[Mapping[str, LogSink]] = {}


class Route:
    """See the module's docstring.  Immutable but for its counters."""

    __slots__ = (
        "appends_request",
        "asks_response",
        "body_bytes",
        "counters",
        "forwarded",
        "forwarding_replaced",
        "inherited_logs",
        "inherits_body_bytes",
        "logged",
        "logs",
        "name",
        "only_pool",
        "passes_response",
        "passes_trusted",
        "passes_untrusted",
        "pool_map",
        "pools",
        "request_rules",
        "response_rules",
        "rewrite",
        "sets_request",
        "spec",
        "split",
        "split_key",
        "touches_connection",
        "upgrades",
        "upstream_version",
        "writes_response",
    )  # fmt: skip

    def __init__(
        self, spec: RouteSpec, counters: RouteCounters, inherited_logs: InheritedLogs
    ) -> None:
        self.spec: Final = spec
        self.inherited_logs: Final = inherited_logs
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
        """The response rules or a log say something that may differ from response to response."""
        self.logs: Logs | None = None
        """Where its requests are logged; ``None``: where the listener's are."""
        self.logged = False
        """A document says where its requests are logged."""
        self.passes_untrusted: Memo[bytes]
        """How the line of a request field begins that goes on; from a peer that is no trusted
        proxy."""
        self.passes_trusted: Memo[bytes]
        self.passes_response: Memo[bytes]
        self.rewrite: Template | None = None
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
        """Return the path that goes upstream for ``request.uri``, escaped as nginx does.

        ``matched`` is how much of it the route's prefix took.
        """
        template = self.rewrite
        if template is None:
            raise AssertionError
        path = template.render(request)
        if self.spec.path.kind != "regex":
            path += request.uri[matched:]
        if not path.startswith(b"/"):
            path = b"/" + path
        return escape_path(path, mode)


def compile_route(
    spec: RouteSpec,
    maps: dict[str, HeaderMap],
    counters: RouteCounters,
    faults: list[Fault],
    sinks: Mapping[str, LogSink] = _NO_SINKS,
    inherited_logs: InheritedLogs = "none",
) -> Route:
    """Compile one route; what is wrong with it is added to ``faults``.

    ``sinks`` are where logs go, by target.
    """
    at = pointer("routes", spec.name)
    route = Route(spec, counters, inherited_logs)
    captures = _captures(spec, at, faults)
    scope = Scope(maps=maps, captures=captures, response=False)
    after = Scope(maps=maps, captures=captures, response=True)
    route.request_rules = compile_rules(
        spec.request_headers, scope, f"{at}/request_headers", faults, counters, response=False
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
    _add_logs(route, compile_logs(spec.access_log, after, sinks, at, faults))
    route.touches_connection = (
        rules.connection is not None
        or rules.upgrade is not None
        or rules.removes_connection
        or rules.removes_upgrade
    )
    route.forwarding_replaced = rules.dropped & FORWARDING_NAMES
    dropped = HOP_BY_HOP | REGENERATED | rules.dropped
    if spec.forwarded_headers:
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
    route.split_key = template(spec.split_by, "split_by")
    route.pool_map = template(spec.pool_variable, "pool")
    if spec.pool_variable is None and len(spec.pools) > 1:
        route.split = Split(spec.pools)
    elif spec.pool_variable is None and spec.pools:
        route.only_pool = spec.pools[0][0]
    _check_rewrite(route, at, faults)
    return route


def _add_logs(route: Route, logs: Logs | None) -> None:
    route.logs = logs
    if logs is None:
        route.logged = route.inherited_logs != "none"
        asks = route.inherited_logs == "asking"
    else:
        route.logged = True
        asks = any(log.asks_response for log in logs)
    route.asks_response = route.asks_response or asks


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


def _template(text: str, scope: Scope, path: str, faults: list[Fault]) -> Template | None:
    try:
        return compile_template(text, scope)
    except FaultError as error:
        faults.append(Fault(path, error.message, error.hint))
        return None


def _check_rewrite(route: Route, at: str, faults: list[Fault]) -> None:
    rewrite = route.rewrite
    constant = None if rewrite is None else rewrite.constant
    if constant is not None and not constant.startswith(b"/"):
        faults.append(Fault(f"{at}/rewrite", "a rewritten path begins with a slash", "/"))
