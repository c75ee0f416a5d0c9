"""What is said of upstream pools and their endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proxy.spec.pairs import Pairs

BalanceKind = Literal["round_robin", "least_connections", "random", "random_one", "ip_hash", "hash"]
EndpointState = Literal["active", "drain", "down"]
OnRemoval = Literal["keep", "drain", "close"]
DnsRecords = Literal["addresses", "a", "aaaa", "srv"]


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
    discovered: bool = False
    """It is not written anywhere, but was found (``DiscoverySpec``)."""


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
class DnsSpec:
    """What DNS is asked for endpoints."""

    name: str
    """Search domains of ``/etc/resolv.conf`` apply, unless it ends with a dot."""
    records: DnsRecords = "addresses"
    """``addresses`` are A and AAAA records; what ``srv`` records name is asked for these."""
    port: int | None = None
    """Of all endpoints; with ``srv`` the records say it."""
    resolver: str | None = None
    """``host:port`` of a server to ask in place of those of ``/etc/resolv.conf``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySpec:
    """Where endpoints are found, beside those that are written."""

    dns: DnsSpec
    passive_health: PassiveHealthSpec | None = PassiveHealthSpec()
    """Of endpoints that are found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """An upstream pool."""

    name: str
    balance: BalanceSpec = BalanceSpec()
    endpoints: tuple[EndpointSpec, ...] = ()
    discovery: DiscoverySpec | None = None
    max_ejected_percent: int = 50
    """Passive marks are ignored when they would take out a greater share; 100 is nginx's way."""
    keepalive: KeepaliveSpec = KeepaliveSpec()
    timeouts: PoolTimeouts = PoolTimeouts()
    retry: RetrySpec = RetrySpec()
    header_bytes: int = 64 * 1024
    """The whole response head, at most."""
    on_removal: OnRemoval = "keep"
    drain: DrainSpec = DrainSpec()
