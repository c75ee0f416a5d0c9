"""A compiled route: what is done to a request that it takes, reduced to what it needs.

Whatever does not change from request to request is worked out here, once: the names that pass, the
constant header lines, the target of a rewritten path.  A route knows its pool by name only; which
endpoints that pool has right now is the snapshot's business, so a change of a pool leaves every
route as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from random import Random
from typing import Final, Literal

from proxy.errors import Fault, FaultError, pointer
from proxy.field_names import Memo, passing
from proxy.headers.forwarded import (
    FORWARDING_DROPPED_TRUSTED,
    FORWARDING_DROPPED_UNTRUSTED,
    FORWARDING_NAMES,
    X_FORWARDED,
    Trust,
    compile_trust,
)
from proxy.headers.hop_by_hop import HOP_BY_HOP
from proxy.headers.rewriting import Rewriting, compile_rewriting
from proxy.headers.rules import SUCCESSES, Rules, compile_response_rules, compile_rules
from proxy.headers.secrets import ANY, Secrets
from proxy.headers.template import Scope, Template, compile_template
from proxy.logs.access import Logs, compile_logs
from proxy.message import Request
from proxy.patterns import captured_names
from proxy.routing.normalise import escape_path, escape_target
from proxy.routing.table import capture_names, check_host
from proxy.spec import INHERIT, ClientTimeouts, PathsMode, RouteSpec
from proxy.steps.access import Access, compile_access
from proxy.steps.answer import AnswerPlan, compile_answer
from proxy.steps.error_page import ErrorPage, compile_error_pages
from proxy.steps.step import Step, compile_steps, defined
from proxy.telemetry.counters import RouteCounters
from proxy.telemetry.log_sink import LogSink
from proxy.upstream.balancing.split import Split
from proxy.upstream.retry_rules import RetryRules

REGENERATED: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})
"""Fields that frame a message; each side's are made anew."""

NEVER_SENT_METHODS: Final = frozenset({b"CONNECT", b"TRACE"})
"""What is refused of clients is not made here either: a tunnel, and an echo of credentials."""

_NUMBERS: Final = count(1)
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_AS_THE_LISTENER: Final = ClientTimeouts()
InheritedLogs = Literal["none", "some", "asking"]
"""Whether a listener of a route has logs (being switched off counts), and of them some that say
what has to be taken down when a response begins."""

_CHANCE: Final = Random()
_NO_SINKS: Final[Mapping[str, LogSink]] = {}


class Route:
    """See the module's docstring.  Immutable but for its counters."""

    __slots__ = (
        "access",
        "alters_response",
        "answer",
        "appends_request",
        "asks_response",
        "body",
        "body_bytes",
        "client_timeouts",
        "counters",
        "defines",
        "differs_on_success",
        "direct",
        "error_pages",
        "forwarded",
        "forwarding_replaced",
        "governs",
        "holds_body",
        "inherited_logs",
        "inherits_body_bytes",
        "intercepted",
        "internal",
        "keeps_body",
        "logged",
        "logs",
        "method",
        "name",
        "number",
        "only_pool",
        "passes_response",
        "passes_success",
        "passes_trusted",
        "passes_untrusted",
        "pool_map",
        "pools",
        "request_rules",
        "response_decides",
        "response_rules",
        "retry",
        "rewrite",
        "rewrites",
        "rewriting",
        "sets_request",
        "settles",
        "spec",
        "split",
        "split_key",
        "steps",
        "success_rules",
        "target",
        "trust",
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
        self.number: Final = next(_NUMBERS)
        """What no other compiled route has."""
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
        self.settles = False
        """What goes upstream may be settled by the client's fields; see ``field_block``."""
        self.sets_request = False
        self.appends_request = False
        self.forwarding_replaced: frozenset[bytes] = frozenset()
        """Forwarding fields that the request rules remove or set."""
        self.response_rules: Rules
        self.success_rules: Rules
        """The response rules for a status of ``SUCCESSES``."""
        self.differs_on_success = False
        self.rewriting: Rewriting | None = None
        """What is done to the values of response fields."""
        self.alters_response = False
        """Values are rewritten, or rules depend on the status."""
        self.writes_response = False
        self.response_decides = False
        """The lines that response rules write are the same for every response of a status."""
        self.asks_response = False
        """The response rules or a log ask for facts of the response."""
        self.logs: Logs | None = None
        """Where its requests are logged; ``None``: where the listener's are."""
        self.logged = False
        """A document says where its requests are logged."""
        self.passes_untrusted: Memo[bytes]
        """How the line of a request field begins that goes on; from a peer that is no trusted
        proxy."""
        self.passes_trusted: Memo[bytes]
        self.passes_response: Memo[bytes]
        self.passes_success: Memo[bytes]
        self.rewrite: Template | None = None
        self.target: Template | None = None
        self.rewrites: Final = spec.rewrite is not None or spec.target is not None
        """What goes upstream is not the target as it came."""
        self.method: Template | None = None
        """What goes upstream in place of the client's method."""
        self.body: Template | None = None
        """What goes upstream in place of the client's body."""
        self.holds_body: Final = spec.body is not None or spec.request_buffer_bytes > 0
        """The client's body is read before the request goes upstream, if it is not too long."""
        over = spec.client_timeouts
        self.client_timeouts: Final = None if over == _AS_THE_LISTENER else over
        self.governs: Final = self.client_timeouts is not None or isinstance(
            spec.requests_per_connection, int
        )
        """It has a say in what holds for the client's connection."""
        self.retry: Final = None if spec.retry is None else RetryRules(spec.retry)
        self.pool_map: Template | None = None
        self.split: Split[str] | None = None
        self.split_key: Template | None = None
        self.internal: Final = spec.path is not None and spec.path.internal
        self.direct: Final = not (
            spec.steps or spec.access or spec.answer or spec.trusted_proxies or self.internal
        )
        """It does nothing but pass requests on."""
        self.defines: Final = defined(spec.steps)
        """What its steps define."""
        self.steps: tuple[Step, ...] = ()
        self.trust: Trust | None = None
        self.access: Access | None = None
        self.answer: AnswerPlan | None = None
        self.error_pages: dict[int, ErrorPage] = {}
        self.intercepted: frozenset[int] = frozenset()
        """Statuses of upstreams that an error page stands in for."""
        self.keeps_body = False
        """An error page may send the request's body again."""

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

    def rules_for(self, status: int) -> Rules:
        """Return the response rules for an answer of this status, ours or not."""
        if self.differs_on_success and status in SUCCESSES:
            return self.success_rules
        return self.response_rules

    def choose_pool(self, request: Request) -> str:
        """Return the name of the pool that serves ``request``; empty if its map names none."""
        if self.split is not None:
            if self.split_key is not None:
                return self.split.by_key(self.split_key.render(request))
            return self.split.by_chance(_CHANCE)
        if self.pool_map is not None:
            return self.pool_map.render(request).decode("utf-8", "surrogateescape")
        return self.only_pool

    def rewritten(
        self, request: Request, matched: int, mode: PathsMode, *, moved: bool = False
    ) -> bytes:
        """Return the target that goes upstream; empty if that is the request's.

        ``matched`` is how much of ``request.uri`` the route's prefix took, unless that ``moved``:
        then it is another path, which stays as it is.  What came is escaped as nginx does; a
        constant is written as it goes on the wire.
        """
        template = self.target
        if template is not None:
            target = template.render(request)
            if target and not target.startswith(b"/"):
                target = b"/" + target
            return escape_target(target)
        template = self.rewrite
        if template is None or moved:
            return b""
        rest = request.uri[matched:]
        if self.spec.path is not None and self.spec.path.kind == "regex":
            rest = b""
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
    names: Scope,
    counters: RouteCounters,
    faults: list[Fault],
    sinks: Mapping[str, LogSink] = _NO_SINKS,
    inherited_logs: InheritedLogs = "none",
    secrets: Secrets = ANY,
) -> Route:
    """Compile one route; what is wrong with it is added to ``faults``.

    ``names`` are the maps, variables and captures of steps that there are, ``sinks`` are where logs
    go, by target; ``secrets`` may be named in what goes upstream.
    """
    at = pointer("routes", spec.name)
    route = Route(spec, counters, inherited_logs)
    captures = _captures(spec, at, faults) | names.captures
    # The route may be the page of an error, of which the variables of responses tell.
    scope = replace(names, captures=captures, response=True)
    headers = spec.request_headers
    if "*" in headers.remove and not any(name.lower() == "host" for name, _ in headers.set):
        # A request needs its Host, and the client's does not pass.
        headers = replace(headers, set=(*headers.set, ("Host", "$proxy_host")))
    sent = replace(scope, secrets=secrets)
    route.request_rules = compile_rules(
        headers, sent, f"{at}/request_headers", faults, counters, response=False
    )
    _add_response_rules(route, scope, f"{at}/response_headers", faults)
    _add_logs(route, compile_logs(spec.access_log, scope, sinks, at, faults))
    rules = route.request_rules
    route.settles = spec.body is None and rules.settles
    route.sets_request = bool(rules.set)
    route.appends_request = bool(rules.appended)
    route.forwarding_replaced = rules.dropped & FORWARDING_NAMES
    dropped = HOP_BY_HOP | REGENERATED | rules.dropped
    if rules.drops_all:
        route.passes_untrusted = route.passes_trusted = Memo(lambda name: b"")
    elif spec.forwarded_headers:
        route.passes_untrusted = passing(dropped | FORWARDING_DROPPED_UNTRUSTED, X_FORWARDED)
        route.passes_trusted = passing(dropped | FORWARDING_DROPPED_TRUSTED)
    else:
        route.passes_untrusted = route.passes_trusted = passing(dropped)

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
    if not route.direct or spec.error_pages:
        _compile_course(route, scope, at, faults)
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


def _compile_course(route: Route, scope: Scope, at: str, faults: list[Fault]) -> None:
    """Compile what a route does beside passing requests on."""
    spec = route.spec
    route.steps = compile_steps(spec.steps, scope, f"{at}/steps", faults)
    place = f"{at}/trusted_proxies"
    route.trust = compile_trust(spec.trusted_proxies, spec.client_address, place, faults)
    if spec.access:
        route.access = compile_access(spec.access, f"{at}/access", faults)
    if spec.answer is not None:
        route.answer = compile_answer(spec.answer, scope, f"{at}/respond", faults)
    pages = compile_error_pages(spec.error_pages, scope, f"{at}/error_pages", faults)
    route.error_pages = pages
    if spec.intercept_errors:
        route.intercepted = frozenset(pages)
    route.keeps_body = any(page.route is not None for page in pages.values())


def _add_response_rules(route: Route, scope: Scope, at: str, faults: list[Fault]) -> None:
    spec, counters = route.spec.response_headers, route.counters
    rules, on_success = compile_response_rules(spec, scope, at, faults, counters)
    route.response_rules, route.success_rules = rules, on_success
    route.differs_on_success = on_success is not rules
    blocks = (rules.set, rules.appended, on_success.set, on_success.appended)
    route.writes_response = any(blocks)
    constant = all(block.constant is not None for block in blocks)
    route.rewriting = compile_rewriting(spec, scope, at, faults, counters)
    route.alters_response = route.rewriting is not None or route.differs_on_success
    asks = route.rewriting is not None and route.rewriting.asks_response
    route.asks_response = asks or rules.asks_response or on_success.asks_response
    route.response_decides = constant
    # A response's Content-Length is dropped where it would not be true: see response_head.
    dropped = HOP_BY_HOP | {b"transfer-encoding"}
    route.passes_response = route.passes_success = passing(dropped | rules.dropped)
    if route.differs_on_success:
        route.passes_success = passing(dropped | on_success.dropped)


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
        place = f"path/{spec.path.kind}" if spec.path is not None else "hosts"
        faults.append(Fault(f"{at}/{place}", error.message, error.hint))
        regex = spec.path is not None and spec.path.kind == "regex"
        return captured_names(spec.path.value) if spec.path is not None and regex else frozenset()


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
