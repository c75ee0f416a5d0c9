"""What is said of routes: which requests they take, and what becomes of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from proxy.spec.header_rules import HeaderRulesSpec, ResponseRulesSpec
from proxy.spec.listener import ClientAddressSpec, LogSpec
from proxy.spec.pool import RetrySpec
from proxy.spec.steps import AccessRuleSpec, AnswerSpec, ErrorPageSpec, StepSpec

PathKind = Literal["exact", "prefix", "regex"]
HttpVersion = Literal["1.0", "1.1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSpec:
    """Which paths a route serves."""

    kind: PathKind
    value: str
    final: bool = False
    """A prefix that, as the longest match, keeps regexes from being tried (nginx ``^~``)."""
    priority: int = 0
    """Regexes are tried from the highest to the lowest, then by the route's name."""
    ignore_case: bool = False
    """For a regex (nginx ``~*``)."""
    within: str | None = None
    """A route whose path has to take the request first (nginx: a location inside of another)."""
    internal: bool = False
    """Only reroutes and error pages lead here (nginx ``internal``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTimeouts:
    """Over the pool's; ``None`` inherits."""

    connect_s: float | None = None
    send_s: float | None = None
    read_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTimeouts:
    """How long a client may take, over the listener's; ``None`` inherits."""

    body_s: float | None = None
    write_s: float | None = None
    idle_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelSpec:
    """What holds after an upgrade."""

    idle_timeout_s: float | None = 3600.0
    """Without an octet from either end but for what answers our own pings."""
    ping_interval_s: float | None = None
    """Silence of a WebSocket's client after which it is asked whether it is still there."""


INHERIT: Final = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """Which requests go to which pool, and what is done to them on the way.

    A route without a path has no requests of its own.  With a destination (pools or an answer) it
    is *named*: error pages lead there.  Without one it is a *prelude*: its steps are taken before
    a path is looked up, for every request to its hosts.
    """

    name: str
    path: PathSpec | None
    pools: tuple[tuple[str, int], ...] = ()
    """Pool names with weights; one pair for a plain route."""
    answer: AnswerSpec | None = None
    """Instead of pools."""
    steps: tuple[StepSpec, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    """Believed on who the client is, as a listener's, where that has found no client."""
    client_address: ClientAddressSpec = ClientAddressSpec()
    access: tuple[AccessRuleSpec, ...] = ()
    """The first that names the client decides, after the steps; without one it is let in.  A route
    without rules has those of its prelude."""
    error_pages: tuple[ErrorPageSpec, ...] = ()
    intercept_errors: bool = False
    """Error pages stand in for responses of upstreams too (nginx ``proxy_intercept_errors``)."""
    pool_variable: str | None = None
    """A header map whose value names the pool; ``pools`` then lists all it may name."""
    split_by: str | None = None
    """Template whose hash chooses among ``pools``, so that a user stays; ``None``: at random."""
    listeners: tuple[str, ...] | None = None
    """``None``: all."""
    hosts: tuple[str, ...] | None = None
    """Exact names, ``*.suffix``, ``prefix.*`` or ``~regex``; ``None``: any."""
    host_priority: int = 0
    """Regexes among hosts are tried from the highest to the lowest, then by the route's name."""
    rewrite: str | None = None
    """Replaces the matched part of the path; a template for a regex route.  Escapes stay as they
    are written, and behind a ``?`` is a query."""
    target: str | None = None
    """Template of all that goes upstream for a target, query included; in place of ``rewrite``."""
    method: str | None = None
    """Template of the method that goes upstream; ``None``: as it came."""
    body: str | None = None
    """Template of the body that goes upstream in place of the client's; an empty text: none."""
    request_buffer_bytes: int = 0
    """A request body of at most so many octets is read whole before the request goes on."""
    chunked_responses: bool = True
    """Responses of unknown length go out in chunks; else the connection's end is theirs."""
    retry: RetrySpec | None = None
    """In place of the pool's; ``None``: as the pool has it."""
    upgrades: tuple[str, ...] = ("websocket",)
    """Lower-case protocols that may be upgraded to; ``*`` is any but h2c."""
    request_headers: HeaderRulesSpec = HeaderRulesSpec()
    response_headers: ResponseRulesSpec = ResponseRulesSpec()
    forwarded_headers: bool = True
    upstream_http_version: HttpVersion = "1.1"
    """What requests say upstream (nginx ``proxy_http_version``).  A chunked body, which HTTP/1.0
    does not know, makes it 1.1."""
    timeouts: RouteTimeouts = RouteTimeouts()
    client_timeouts: ClientTimeouts = ClientTimeouts()
    requests_per_connection: int | Literal["inherit"] | None = INHERIT
    """Of the client's connection; ``None``: any number."""
    body_bytes: int | Literal["inherit"] | None = INHERIT
    """Limit of the request body; ``None``: unlimited."""
    tunnel: TunnelSpec = TunnelSpec()
    access_log: tuple[LogSpec, ...] | None = None
    """In place of the listener's; ``None`` inherits."""
