"""``routes``: which requests go where, and what is done to them on the way."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field

from admin.documents.access_log import AccessLog, logs_to_spec
from admin.documents.client_address import ClientAddress, TrustedProxies, trusted_to_spec
from admin.documents.header_map import HeaderMap, outcomes
from admin.documents.header_rules import HeaderRules, ResponseRules
from admin.documents.matching import HostPattern, RoutePath
from admin.documents.model import Maybe, Model, one_required
from admin.documents.retry import Retry
from admin.documents.route_limits import RouteLimits, RouteTimeouts, Tunnel
from admin.documents.scalars import Name, Pattern, PoolReference, SizeRule, Template, Whole
from admin.documents.steps import AccessRules, Answer, ErrorPages, Steps
from admin.documents.units import MIB, octets, octets_or_none, seconds, seconds_or_none
from proxy import spec
from proxy.steps.step import Defined, defined

MAX_HOSTS: Final = 1_000
MAX_SPLIT: Final = 100

DESTINATION_KEYS: Final = ("pool", "pools", "respond")

Protocol: TypeAlias = Annotated[
    str,
    Pattern(
        r"^(\*|[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64})$",
        "a protocol",
        "such as websocket, or * for any but h2c",
    ),
]


class Route(Model):
    """Which requests go to which pool, and what is done to them on the way.

    A route has exactly one of `pool`, `pools` and `respond`, and a `path`. Without a path, only
    error pages lead to it, by its name. With neither, its steps come before those of any other
    route of its hosts and listeners, whatever the path.
    """

    model_config = ConfigDict(
        json_schema_extra=one_required(
            DESTINATION_KEYS,
            {"not": {"anyOf": [{"required": [key]} for key in ("path", *DESTINATION_KEYS)]}},
        )
    )

    listeners: Maybe[Annotated[list[Name], Field(min_length=1, max_length=1_000)]] = Field(
        default=None, description="Names of listeners; left out: all.", examples=[["public"]]
    )
    hosts: Maybe[Annotated[list[HostPattern], Field(min_length=1, max_length=MAX_HOSTS)]] = Field(
        default=None,
        description="Host names, `*.suffix`, `prefix.*`, `.name` (itself and all below), or "
        "`~regex`; left out: any.",
        examples=[["chat.example.com", "*.example.org"]],
    )
    host_priority: Annotated[int, Whole(-1_000_000, 1_000_000)] = Field(
        default=0,
        description="With a `~regex` among `hosts`: the highest is tried first; ties in the order "
        "of names.",
        examples=[0],
    )
    path: Maybe[RoutePath] = Field(
        default=None, description="Which paths.", examples=[{"prefix": "/chat/"}]
    )
    steps: Steps = Field(
        default_factory=list,
        description="Done in order before the request is passed on.",
        examples=[[{"when": {"value": "$http_x_debug"}, "respond": {"status": 403}}]],
    )
    trusted_proxies: TrustedProxies = Field(
        default_factory=list,
        description="Peers that are believed on the client's address, as those of a listener, "
        "where the listener's have named none; after the steps, before `access`.",
        examples=[["10.1.0.0/16"]],
    )
    client_address: ClientAddress = Field(
        default=ClientAddress(),
        description="Where those say who the client is.",
        examples=[{"header": "X-Real-IP"}],
    )
    access: AccessRules = Field(
        default_factory=list,
        description="Who is let in: the first rule that names the client decides, after the "
        "steps; without one it is. A route without rules has those of the route without path and "
        "destination of its hosts, if there is one.",
        examples=[[{"allow": ["10.0.0.0/8"]}, {"deny": ["all"]}]],
    )
    respond: Maybe[Answer] = Field(
        default=None,
        description="An answer of our own, instead of a pool.",
        examples=[{"status": 200, "body": "ok\n"}],
    )
    error_pages: ErrorPages = Field(
        default_factory=list,
        description="What takes the place of our own errors; the first for a status.",
        examples=[[{"statuses": [502, 504], "path": "/sorry.html"}]],
    )
    intercept_errors: bool = Field(
        default=False,
        description="Error pages take the place of the upstream's errors too.",
        examples=[False],
    )
    pool: Maybe[PoolReference] = Field(
        default=None,
        description="Name of a pool, or a header map's variable whose every value names one.",
        examples=["backend", "$tier_pool"],
    )
    pools: Maybe[
        Annotated[
            dict[Name, Annotated[int, Whole(0, 1_000_000)]],
            Field(min_length=1, max_length=MAX_SPLIT),
        ]
    ] = Field(
        default=None,
        description="Several pools, each with its share of the requests; 0 gives it none.",
        examples=[{"stable": 95, "canary": 5}],
    )
    split_by: Maybe[Template] = Field(
        default=None,
        description="With `pools`: equal values meet one pool, so that a user stays; left out: "
        "at random.",
        examples=["$cookie_user"],
    )
    rewrite: Maybe[Template] = Field(
        default=None,
        description="Replaces the matched part of the path; with a regex it may use captures. "
        "Without variables it is written as it goes on the wire, escapes, a query and all. "
        "Left out: the path goes on as it came.",
        examples=["/", "/users/$1"],
    )
    target: Maybe[Template] = Field(
        default=None,
        description="In place of `rewrite`: all that goes upstream as the target, query included. "
        "An empty value: the target as it came.",
        examples=["/item?id=$1&$args"],
    )
    method: Maybe[Template] = Field(
        default=None,
        description="The method that goes upstream (nginx `proxy_method`); a value that is none "
        "leaves it as it came.",
        examples=["POST"],
    )
    body: Maybe[Annotated[str, Field(max_length=65536)]] = Field(
        default=None,
        description="What goes upstream in place of the client's body, with variables (nginx "
        '`proxy_set_body`); `""`: none.',
        examples=["", "user=$arg_user"],
    )
    request_buffer: Annotated[int | str, SizeRule(1, 64 * MIB, "off")] = Field(
        default="off",
        description="A request body of at most so much is read whole before the request goes on, "
        "and then has a length; a larger one goes on as it comes.",
        examples=["64KiB", "off"],
    )
    retry: Maybe[Retry] = Field(
        default=None,
        description="In place of the pool's, as a whole.",
        examples=[{"when": ["error", "timeout"]}],
    )
    chunked_responses: bool = Field(
        default=True,
        description="Responses of unknown length go to clients of HTTP/1.1 in chunks; else the "
        "connection ends with them.",
        examples=[True],
    )
    upgrades: list[Protocol] = Field(
        default_factory=lambda: ["websocket"],
        max_length=32,
        description="Protocols that a connection may be upgraded to; `*` is any but h2c.",
        examples=[["websocket"], [], ["*"]],
    )
    request_headers: HeaderRules = Field(
        default_factory=HeaderRules,
        description="What is done to the fields that go upstream.",
        examples=[{"set": {"X-Real-IP": "$client_ip"}}],
    )
    response_headers: ResponseRules = Field(
        default_factory=ResponseRules,
        description="What is done to the fields that go to the client.",
        examples=[{"remove": ["X-Powered-By"]}],
    )
    forwarded_headers: bool = Field(
        default=True,
        description="Send `X-Forwarded-For`, `-Proto`, `-Host` and `X-Request-Id` upstream.",
        examples=[True],
    )
    http_version: Literal["1.0", "1.1"] = Field(
        default="1.1",
        description="Of the requests that go upstream (nginx `proxy_http_version`); one with a "
        "chunked body is always 1.1.",
        examples=["1.1"],
    )
    timeouts: RouteTimeouts = Field(
        default=RouteTimeouts(), description="Over the pool's.", examples=[{"read": "5m"}]
    )
    limits: RouteLimits = Field(
        default=RouteLimits(), description="Over the listener's.", examples=[{"body_bytes": "1MiB"}]
    )
    tunnel: Tunnel = Field(
        default=Tunnel(),
        description="What holds after an upgrade.",
        examples=[{"idle_timeout": "1h"}],
    )

    access_log: Maybe[AccessLog] = Field(
        default=None,
        description="Where its requests are logged; left out: where the listener's are.",
        examples=["off", [{"to": "stdout", "format": "combined"}]],
    )

    @property
    def variable(self) -> str | None:
        """Name of the header map that names the pool, if one does."""
        if self.pool is None or not self.pool.startswith("$"):
            return None
        return self.pool[1:].strip("{}")

    @cached_property
    def defines(self) -> Defined:
        """What its steps define."""
        return defined(step.to_spec() for step in self.steps)

    def to_spec(self, name: str, header_maps: Mapping[str, HeaderMap]) -> spec.RouteSpec:
        """Translate; the route is valid."""
        timeouts, body_bytes = self.timeouts, self.limits.body_bytes
        return spec.RouteSpec(
            name=name,
            path=None if self.path is None else self.path.to_spec(),
            pools=self._pools(header_maps),
            answer=None if self.respond is None else self.respond.to_spec(),
            steps=tuple(step.to_spec() for step in self.steps),
            trusted_proxies=trusted_to_spec(self.trusted_proxies),
            client_address=self.client_address.to_spec(),
            access=tuple(rule.to_spec() for rule in self.access),
            error_pages=tuple(page.to_spec() for page in self.error_pages),
            intercept_errors=self.intercept_errors,
            pool_variable=None if self.variable is None else self.pool,
            split_by=self.split_by,
            listeners=None if self.listeners is None else tuple(self.listeners),
            hosts=None if self.hosts is None else tuple(map(_lower, self.hosts)),
            host_priority=self.host_priority,
            rewrite=self.rewrite,
            target=self.target,
            method=self.method,
            body=self.body,
            request_buffer_bytes=0 if self.request_buffer == "off" else octets(self.request_buffer),
            chunked_responses=self.chunked_responses,
            retry=None if self.retry is None else self.retry.to_spec(),
            upgrades=tuple(protocol.lower() for protocol in self.upgrades),
            request_headers=self.request_headers.to_spec(),
            response_headers=self.response_headers.to_spec(),
            forwarded_headers=self.forwarded_headers,
            upstream_http_version=self.http_version,
            timeouts=spec.RouteTimeouts(
                connect_s=_seconds(timeouts.connect),
                send_s=_seconds(timeouts.send),
                read_s=_seconds(timeouts.read),
            ),
            client_timeouts=spec.ClientTimeouts(
                body_s=_seconds(timeouts.body),
                write_s=_seconds(timeouts.write),
                idle_s=_seconds(timeouts.idle),
            ),
            requests_per_connection=self.limits.requests_per_connection or spec.INHERIT,
            body_bytes=spec.INHERIT if body_bytes is None else octets_or_none(body_bytes),
            tunnel=spec.TunnelSpec(
                idle_timeout_s=seconds_or_none(self.tunnel.idle_timeout),
                ping_interval_s=seconds_or_none(self.tunnel.ping_interval),
            ),
            access_log=logs_to_spec(self.access_log),
        )

    def _pools(self, header_maps: Mapping[str, HeaderMap]) -> tuple[tuple[str, int], ...]:
        if self.pools is not None:
            return tuple(self.pools.items())
        if self.variable is None:
            return ((self.pool, 1),) if self.pool else ()
        values = (value for _, _, value in outcomes(self.variable, header_maps))
        return tuple((pool, 1) for pool in dict.fromkeys(values))


def _lower(host: str) -> str:
    # Host names have no case (RFC 9110, 4.2.3), but the classes of a regex have.
    return host if host.startswith("~") else host.lower()


def _seconds(text: str | None) -> float | None:
    return None if text is None else seconds(text)
