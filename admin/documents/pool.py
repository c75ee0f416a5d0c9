"""``pools``: groups of endpoints that do the same work."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from admin.documents.discovery import Discovery
from admin.documents.endpoint import Endpoint, MaxFails
from admin.documents.goodbye import CLOSE_REASON_BYTES, sendable_code, sendable_reason
from admin.documents.model import Maybe, Model, OrWord
from admin.documents.retry import Retry
from admin.documents.scalars import (
    Count,
    Duration,
    DurationOrUnlimited,
    EndpointName,
    HeadSize,
    Template,
    Whole,
)
from admin.documents.units import limit, octets, seconds, seconds_or_none
from proxy import spec

MAX_ENDPOINTS: Final = 20_000


class HashBalance(Model):
    """Balance by the hash of a value, so that equal values meet one endpoint."""

    hash: Template = Field(
        description="What is hashed, with variables.", examples=["$http_x_user", "$cookie_session"]
    )
    consistent: bool = Field(
        default=True,
        description="Most values stay where they are when endpoints come and go; else most move "
        "(nginx `hash` without `consistent`).",
        examples=[True],
    )


class PassiveHealth(Model):
    """What takes an endpoint out for a while (nginx `max_fails`, `fail_timeout`)."""

    max_fails: MaxFails = Field(
        default=3,
        description="Failures within `fail_timeout` that take an endpoint out.",
        examples=[3],
    )
    fail_timeout: Duration = Field(
        default="10s",
        description="The time they are counted in, and it is out for.",
        examples=["10s"],
    )
    max_ejected_percent: Annotated[int, Whole(0, 100)] = Field(
        default=50,
        description="Marks are ignored when they would take out a greater share of the pool; "
        "100 is nginx's way.",
        examples=[50],
    )


class Keepalive(Model):
    """Idle connections kept to each endpoint."""

    max_idle: Annotated[int, Whole(0, 100_000)] = Field(
        default=32, description="Per endpoint; 0 keeps none.", examples=[32]
    )
    max_idle_total: Count = Field(
        default="unlimited",
        description="Over all endpoints together (nginx `keepalive`).",
        examples=[64, "unlimited"],
    )
    idle_timeout: Duration = Field(
        default="4s",
        description="An idle connection is closed after this; an upstream's "
        "`Keep-Alive: timeout` is honoured.",
        examples=["4s"],
    )
    max_requests: Count = Field(
        default="unlimited",
        description="Requests on one connection before it is closed.",
        examples=[1000, "unlimited"],
    )
    max_age: DurationOrUnlimited = Field(
        default="unlimited",
        description="A connection that is older is closed after its request (nginx "
        "`keepalive_time`).",
        examples=["1h"],
    )


class PoolTimeouts(Model):
    """How long an upstream may take."""

    connect: Duration = Field(default="5s", description="To accept a connection.", examples=["5s"])
    send: Duration = Field(
        default="60s", description="Without taking a byte of the request.", examples=["60s"]
    )
    read: Duration = Field(
        default="60s",
        description="Between two reads of the response, its first byte included.",
        examples=["60s"],
    )


class Drain(Model):
    """How the spliced connections of a removed endpoint end under `on_removal: drain`."""

    timeout: Duration = Field(
        default="30s", description="What is still open after this is cut.", examples=["30s"]
    )
    rate: Annotated[int, Whole(1, 1_000_000)] = Field(
        default=100, description="Connections closed per second.", examples=[100]
    )
    close_code: Annotated[int, Whole(1000, 4999), AfterValidator(sendable_code)] = Field(
        default=1012, description="WebSocket close code.", examples=[1001, 1012]
    )
    reason: Annotated[
        str, Field(max_length=CLOSE_REASON_BYTES), AfterValidator(sendable_reason)
    ] = Field(
        default="service restart",
        description="WebSocket close reason.",
        examples=["service restart"],
    )


class PoolLimits(Model):
    """How much an upstream may send."""

    header_bytes: HeadSize = Field(
        default="64KiB", description="The whole response head.", examples=["64KiB"]
    )


class Pool(Model):
    """Endpoints that do the same work, and how it is shared out among them."""

    balance: Annotated[
        HashBalance
        | Literal["round_robin", "least_connections", "random", "random_one", "ip_hash"],
        OrWord(),
    ] = Field(
        default="round_robin",
        description="How an endpoint is chosen for a request; `random` is the better of two.",
        examples=["round_robin", "least_connections", {"hash": "$http_x_user"}],
    )
    endpoints: dict[EndpointName, Endpoint] = Field(
        default_factory=dict,
        max_length=MAX_ENDPOINTS,
        description="By name. An endpoint's name is its address unless it gives one.",
        examples=[{"blue-0": {"address": "10.0.0.7:8000"}, "127.0.0.1:8000": {}}],
    )
    discovery: Maybe[Discovery] = Field(
        default=None,
        description="Where more endpoints are found; they come and go without a revision.",
        examples=[{"dns": {"name": "backend.default.svc.cluster.local", "port": 8000}}],
    )
    passive_health: Annotated[PassiveHealth | Literal["off"], OrWord()] = Field(
        default=PassiveHealth(),
        description="What takes an endpoint out for a while; `off`: nothing does.",
        examples=[{"max_fails": 3, "fail_timeout": "10s"}, "off"],
    )
    keepalive: Keepalive = Field(
        default=Keepalive(),
        description="Idle connections kept to each endpoint.",
        examples=[{"max_idle": 32}],
    )
    timeouts: PoolTimeouts = Field(
        default=PoolTimeouts(),
        description="How long an upstream may take.",
        examples=[{"read": "60s"}],
    )
    limits: PoolLimits = Field(
        default=PoolLimits(),
        description="How much an upstream may send.",
        examples=[{"header_bytes": "64KiB"}],
    )
    retry: Retry = Field(
        default_factory=Retry,
        description="When a request may be tried on another endpoint.",
        examples=[{"when": ["error", "timeout"], "max_attempts": 3}],
    )
    on_removal: Literal["keep", "drain", "close"] = Field(
        default="keep",
        description="What happens to the spliced connections of an endpoint that is removed: "
        "they stay, are drained, or are closed at once.",
        examples=["keep"],
    )
    drain: Drain = Field(
        default=Drain(),
        description="How they are drained.",
        examples=[{"timeout": "30s", "rate": 100}],
    )

    def to_spec(self, name: str) -> spec.PoolSpec:
        """Translate; the pool is valid."""
        health, ejected_percent = None, spec.PoolSpec(name="").max_ejected_percent
        if self.passive_health != "off":
            health = spec.PassiveHealthSpec(
                max_fails=self.passive_health.max_fails,
                fail_timeout_s=seconds(self.passive_health.fail_timeout),
            )
            ejected_percent = self.passive_health.max_ejected_percent
        return spec.PoolSpec(
            name=name,
            balance=self._balance(),
            endpoints=tuple(
                endpoint.to_spec(each, health) for each, endpoint in self.endpoints.items()
            ),
            discovery=None if self.discovery is None else self.discovery.to_spec(health),
            max_ejected_percent=ejected_percent,
            keepalive=spec.KeepaliveSpec(
                max_idle=self.keepalive.max_idle,
                idle_timeout_s=seconds(self.keepalive.idle_timeout),
                max_idle_total=limit(self.keepalive.max_idle_total),
                max_requests=limit(self.keepalive.max_requests),
                max_age_s=seconds_or_none(self.keepalive.max_age),
            ),
            timeouts=spec.PoolTimeouts(
                connect_s=seconds(self.timeouts.connect),
                send_s=seconds(self.timeouts.send),
                read_s=seconds(self.timeouts.read),
            ),
            retry=self.retry.to_spec(),
            header_bytes=octets(self.limits.header_bytes),
            on_removal=self.on_removal,
            drain=spec.DrainSpec(
                timeout_s=seconds(self.drain.timeout),
                rate=self.drain.rate,
                close_code=self.drain.close_code,
                reason=self.drain.reason,
            ),
        )

    def _balance(self) -> spec.BalanceSpec:
        if isinstance(self.balance, HashBalance):
            return spec.BalanceSpec(
                kind="hash", key=self.balance.hash, consistent=self.balance.consistent
            )
        return spec.BalanceSpec(kind=self.balance)
