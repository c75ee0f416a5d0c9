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
HttpVersion = Literal["1.0", "1.1"]
BalanceKind = Literal["round_robin", "least_connections", "random", "ip_hash", "hash"]
EndpointState = Literal["active", "drain", "down"]
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
class ListenerSpec:
    """One address that clients connect to."""

    name: str
    bind: str
    """``host:port``, ``[v6]:port`` or ``unix:/path``; port 0 lets the kernel choose."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDRs of peers whose ``X-Forwarded-*`` are believed; ``unix:`` trusts Unix-socket peers."""
    paths: PathsMode = "strict"
    timeouts: ListenerTimeouts = ListenerTimeouts()
    limits: ListenerLimits = ListenerLimits()
    underscores_in_headers: bool = False
    """Let field names with underscores through (nginx ``underscores_in_headers on``)."""
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
    weight: int = 1
    backup: bool = False
    max_connections: int | None = None
    """Requests and splices together."""
    state: EndpointState = "active"
    labels: Pairs = ()
    passive_health: PassiveHealthSpec | None = PassiveHealthSpec()
    """``None``: failures never take this endpoint out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSpec:
    """How a pool chooses among its eligible endpoints."""

    kind: BalanceKind = "round_robin"
    key: str | None = None
    """Template whose value is hashed; for ``hash`` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveSpec:
    """Idle connections kept to each endpoint."""

    max_idle: int = 32
    """Per endpoint; 0 keeps none."""
    idle_timeout_s: float = 4.0
    max_requests: int | None = None


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
    """A header map: a variable computed from others (nginx ``map``)."""

    name: str
    source: str
    default: str = ""
    exact: Pairs = ()
    hostnames: Pairs = ()
    regex: tuple[RegexEntry, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRulesSpec:
    """What a route does to the fields of one direction, in this order: remove, set, append."""

    remove: tuple[str, ...] = ()
    set: Pairs = ()
    append: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTimeouts:
    """Over the pool's; ``None`` inherits."""

    connect_s: float | None = None
    send_s: float | None = None
    read_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelSpec:
    """What holds after an upgrade."""

    idle_timeout_s: float | None = 3600.0


INHERIT: Final = "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """Which requests go to which pool, and what is done to them on the way."""

    name: str
    path: PathSpec
    pools: tuple[tuple[str, int], ...]
    """Pool names with weights; one pair for a plain route."""
    pool_variable: str | None = None
    """A header map whose value names the pool; ``pools`` then lists all it may name."""
    split_by: str | None = None
    """Template whose hash chooses among ``pools``, so that a user stays; ``None``: at random."""
    listeners: tuple[str, ...] | None = None
    """``None``: all."""
    hosts: tuple[str, ...] | None = None
    """Exact names, ``*.suffix``, ``prefix.*`` or ``~regex``; ``None``: any."""
    rewrite: str | None = None
    """Replaces the matched part of the path; a template for a regex route."""
    upgrades: tuple[str, ...] = ("websocket",)
    """Lower-case protocols that may be upgraded to; ``*`` is any but h2c."""
    request_headers: HeaderRulesSpec = HeaderRulesSpec()
    response_headers: HeaderRulesSpec = HeaderRulesSpec()
    forwarded_headers: bool = True
    upstream_http_version: HttpVersion = "1.1"
    """What requests say upstream (nginx ``proxy_http_version``).  A chunked body, which HTTP/1.0
    does not know, makes it 1.1."""
    timeouts: RouteTimeouts = RouteTimeouts()
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
