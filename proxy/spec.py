"""What to run: the configuration as frozen plain data.

This is the middle of the three representations of a configuration.  ``admin`` translates its
documents into these dataclasses, ``proxy.snapshot`` compiles them, and whoever embeds
``proxy.Server`` writes them by hand.  They are picklable, compare by value (a swap reuses whatever
compares equal), hold no behaviour and import nothing of ours.

Durations are seconds (``_s``), sizes are octets (``_bytes``), and ``None`` where it is allowed
means "no limit" or "off"; the number 0 never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Pairs = tuple[tuple[str, str], ...]

PathsMode = Literal["strict", "nginx"]
PathKind = Literal["exact", "prefix", "regex"]
ConditionTest = Literal["truth", "equals", "matches"]
RewriteThen = Literal["next", "route", "stop"]
HttpVersion = Literal["1.0", "1.1"]
BalanceKind = Literal["round_robin", "least_connections", "random", "random_one", "ip_hash", "hash"]
EndpointState = Literal["active", "drain", "down"]
SubstitutionKind = Literal["prefix", "exact", "match"]
OnRemoval = Literal["keep", "drain", "close"]
LogEscape = Literal["default", "json", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSpec:
    """One access log (nginx ``access_log`` and ``log_format``)."""

    to: str = "stderr"
    """``stderr``, ``stdout``, or the absolute path of a file whose name ends in ``.log``."""
    format: str = "json"
    """``json``, ``combined``, or a template for lines of one's own."""
    escape: LogEscape = "default"
    """What becomes of values in a template that a line could be misread by."""
    when: str | None = None
    """Template; a request for which it is empty or ``0`` is not logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTimeouts:
    """How long a client may take, in seconds."""

    header_s: float = 10.0
    """From the first byte of a request head (or from the accept) to its end."""
    body_s: float = 60.0
    """Between two reads of a request body."""
    write_s: float = 60.0
    """Without the client taking a byte of what we have for it."""
    idle_s: float = 75.0
    """Between two requests of a kept-alive connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How much a client may send."""

    connections: int | None = 10_000
    header_bytes: int = 32 * 1024
    """The whole request head, request line included."""
    headers: int = 100
    body_bytes: int | None = None
    requests_per_connection: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAddressSpec:
    """Where a trusted proxy says who the client is (nginx ``real_ip_header``)."""

    header: str = "X-Forwarded-For"
    """Of several ``X-Forwarded-For`` all count, of another field the first."""
    recursive: bool = True
    """The rightmost address that is not trusted is the client; otherwise the rightmost of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSpec:
    """One address that clients connect to."""

    name: str
    bind: str
    """``host:port``, ``[v6]:port`` or ``unix:/path``; port 0 lets the kernel choose."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDRs of peers whose ``X-Forwarded-*`` are believed; ``unix:`` trusts Unix-socket peers."""
    client_address: ClientAddressSpec = ClientAddressSpec()
    default_host: str = ""
    """Of requests that name none, as HTTP/1.0 lets them; lower case."""
    paths: PathsMode = "strict"
    timeouts: ListenerTimeouts = ListenerTimeouts()
    limits: ListenerLimits = ListenerLimits()
    underscores_in_headers: bool = False
    """Let field names with underscores through (nginx ``underscores_in_headers on``)."""
    odd_header_names: bool = True
    """Let field names through that have other characters than letters, digits, hyphens and
    underscores (nginx ``ignore_invalid_headers off``)."""
    merge_slashes: bool = True
    """Read repeated slashes in a path as one (nginx ``merge_slashes``)."""
    access_log: tuple[LogSpec, ...] | None = None
    """Where its requests are logged, nowhere if empty; ``None``: as the process has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassiveHealthSpec:
    """nginx ``max_fails`` and ``fail_timeout``."""

    max_fails: int = 3
    fail_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """One server of a pool."""

    name: str
    address: str
    """``host:port``, ``[v6]:port`` or ``unix:/path``.  A host that is a name stands for all of
    its addresses, each an endpoint of its own."""
    seat: int = 1
    """Tells endpoints of one address apart."""
    weight: int = 1
    backup: bool = False
    max_connections: int | None = None
    """Requests and splices together."""
    state: EndpointState = "active"
    labels: Pairs = ()
    passive_health: PassiveHealthSpec | None = PassiveHealthSpec()
    """``None``: failures never take this endpoint out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideSpec:
    """What an operator says of an endpoint, apart from the configuration, which it beats."""

    state: EndpointState
    weight: int | None = None
    """``None``: as the configuration has it."""


Overrides = Mapping[str, Mapping[str, OverrideSpec]]
"""By pool, by the name of the endpoint; either may be one that the configuration does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSpec:
    """How a pool chooses among its eligible endpoints."""

    kind: BalanceKind = "round_robin"
    key: str | None = None
    """Template whose value is hashed; for ``hash`` only."""
    consistent: bool = True
    """Keep most keys where they are when endpoints come and go; for ``hash`` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveSpec:
    """Idle connections kept to each endpoint."""

    max_idle: int = 32
    """Per endpoint; 0 keeps none."""
    max_idle_total: int | None = None
    """Over all endpoints of the pool; the one that was idle for longest makes room."""
    idle_timeout_s: float = 4.0
    max_requests: int | None = None
    max_age_s: float | None = None
    """A connection that is older is closed behind its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTimeouts:
    """How long an upstream may take, in seconds."""

    connect_s: float = 5.0
    send_s: float = 60.0
    """Without the upstream taking a byte of the request."""
    read_s: float = 60.0
    """Between two reads of the response, the head's first byte included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySpec:
    """When a request may be tried on another endpoint (nginx ``proxy_next_upstream``)."""

    when: frozenset[str] = frozenset({"error"})
    """``error``, ``timeout``, ``invalid_header``, ``http_500`` … ``http_504``, ``http_403``,
    ``http_404``, ``http_429``."""
    max_attempts: int | None = 3
    budget_s: float | None = 10.0
    """No new attempt later than this after the first."""
    non_idempotent: bool = False
    replay_bytes: int = 64 * 1024
    """How much of a request body is kept for a retry, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainSpec:
    """How the splices of a removed endpoint end under ``on_removal: drain``."""

    timeout_s: float = 30.0
    rate: int = 100
    """Splices closed per second."""
    close_code: int = 1012
    reason: str = "service restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """An upstream pool."""

    name: str
    balance: BalanceSpec = BalanceSpec()
    endpoints: tuple[EndpointSpec, ...] = ()
    max_ejected_percent: int = 50
    """Passive marks are ignored when they would take out a greater share; 100 is nginx's way."""
    keepalive: KeepaliveSpec = KeepaliveSpec()
    timeouts: PoolTimeouts = PoolTimeouts()
    retry: RetrySpec = RetrySpec()
    header_bytes: int = 64 * 1024
    """The whole response head, at most."""
    on_removal: OnRemoval = "keep"
    drain: DrainSpec = DrainSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexEntry:
    """One ``regex`` entry of a header map."""

    match: str
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMapSpec:
    """A header map: a variable computed from others (nginx ``map`` and ``split_clients``)."""

    name: str
    source: str
    default: str = ""
    exact: Pairs = ()
    hostnames: Pairs = ()
    regex: tuple[RegexEntry, ...] = ()
    shares: tuple[tuple[str, int], ...] = ()
    """Values with their shares in hundredths of a per cent: a hash of the source chooses, and what
    is left over gets the default.  Excludes ``exact``, ``hostnames`` and ``regex``."""
    volatile: bool = False
    """Computed each time it is asked for, not once per request."""


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
class ConditionSpec:
    """Whether a step is taken (nginx ``if``)."""

    value: str
    """Template."""
    test: ConditionTest = "truth"
    """``truth``: anything but empty and ``0``."""
    operand: str = ""
    """Template that ``value`` equals, or regex that it matches."""
    ignore_case: bool = False
    """For a regex."""
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteSpec:
    """Another path for the request (nginx ``rewrite``)."""

    match: str
    """Regex, looked for in the normalised path."""
    to: str
    """Template of the new path, with captures.  What follows a ``?`` is its query; the present
    query is put behind it unless ``to`` ends with ``?``."""
    ignore_case: bool = False
    then: RewriteThen = "next"
    """Go on with the next step, look for a route at once, or stay at this route."""
    redirect: int | None = None
    """Send the client there instead, with this status; ``to`` is then a ``Location``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpec:
    """An answer of the proxy itself (nginx ``return``)."""

    status: int
    """From 200 to 599; 444 closes the connection without an answer."""
    body: str | None = None
    """Template; ``None`` is the usual short text for an error, and nothing for anything else."""
    content_type: str = "text/plain"
    location: str | None = None
    """Template of the ``Location`` field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """What is done to a request before it is passed on, in the order of the fields."""

    when: ConditionSpec | None = None
    set: Pairs = ()
    """Variables of the request, and templates of their values; ``args`` is the query."""
    rewrite: RewriteSpec | None = None
    answer: AnswerSpec | None = None
    stop: bool = False
    """Take no further step of this route, and stay at it (nginx ``break``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRuleSpec:
    """Clients that are let in, or turned away."""

    allows: bool
    networks: tuple[str, ...]
    """CIDRs; ``unix:`` for whoever connects over a Unix socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPageSpec:
    """What takes the place of an error (nginx ``error_page``); one of path, route and location."""

    statuses: tuple[int, ...]
    path: str | None = None
    """Template of a path, with a query if need be, that is routed as a GET."""
    route: str | None = None
    """Name of a route that the request goes to as it is."""
    location: str | None = None
    """Template of where the client is sent."""
    status: int | Literal["page"] | None = None
    """What the client sees; ``page``: what the page answers with; ``None``: the error's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRulesSpec:
    """What a route does to the fields of one direction, in this order: remove, set, append."""

    remove: tuple[str, ...] = ()
    """Names; of a request, ``*`` is all that the client sent."""
    set: Pairs = ()
    append: Pairs = ()
    """A name with several values stands here once for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstitutionSpec:
    """One way to replace a value, or how it begins."""

    kind: SubstitutionKind
    """``prefix``: the value begins so, and the rest of it stays; ``exact``: it is this, in any
    case and with or without a leading dot; ``match``: a regular expression finds something in it,
    and all of it is replaced."""
    value: str
    """A template, or the regular expression."""
    to: str
    """A template, with the captures of the regular expression."""
    ignore_case: bool = False
    """For a regular expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRulesSpec:
    """What is written only into a response that is no failure (nginx ``add_header``)."""

    set: Pairs = ()
    append: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRulesSpec(HeaderRulesSpec):
    """What a route does to the fields of a response.

    Of each list of substitutions the first that applies wins.
    """

    on_success: SuccessRulesSpec = SuccessRulesSpec()
    rewrite_location: tuple[SubstitutionSpec, ...] = ()
    """For ``Location``, and what follows ``url=`` in ``Refresh``."""
    absolute_location: bool = False
    """A ``Location`` that was rewritten and begins with ``/`` gets scheme, host and port."""
    rewrite_cookie_domain: tuple[SubstitutionSpec, ...] = ()
    """For the ``Domain`` of every ``Set-Cookie``."""
    rewrite_cookie_path: tuple[SubstitutionSpec, ...] = ()


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

SILENCE: Final = 444
"""The status of an answer that is none: the connection is closed (nginx)."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A whole configuration: named objects, each under its own name."""

    listeners: Mapping[str, ListenerSpec] = field(default_factory=dict)
    pools: Mapping[str, PoolSpec] = field(default_factory=dict)
    header_maps: Mapping[str, HeaderMapSpec] = field(default_factory=dict)
    routes: Mapping[str, RouteSpec] = field(default_factory=dict)


EMPTY: Final = Spec()
