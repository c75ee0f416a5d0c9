"""``listeners``: the addresses that clients connect to."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from admin.documents.access_log import AccessLog, logs_to_spec
from admin.documents.client_address import ClientAddress, TrustedProxies, trusted_to_spec
from admin.documents.faults import shown
from admin.documents.model import Maybe, Model
from admin.documents.scalars import Count, Duration, HeadSize, SizeOrUnlimited, Whole
from admin.documents.units import limit, octets, octets_or_none, seconds
from proxy import spec
from proxy.addresses import parse_address
from proxy.errors import FaultError
from proxy.patterns import host_keys


def _default_host(text: str) -> str:
    host_keys(text)
    if text.startswith(".") or "*" in text:
        raise FaultError(f"{shown(text)} is not one host", "no wildcard")
    return text


def _bind(text: str) -> str:
    parse_address(text, any_port=True)
    return text


Bind: TypeAlias = Annotated[str, AfterValidator(_bind)]


class ListenerTimeouts(Model):
    """How long a client may take."""

    header: Duration = Field(
        default="10s",
        description="From the first byte of a request head, or from the accept, to its end.",
        examples=["10s"],
    )
    body: Duration = Field(
        default="60s", description="Between two reads of a request body.", examples=["60s"]
    )
    write: Duration = Field(
        default="60s",
        description="Without the client taking a byte of what there is for it.",
        examples=["60s"],
    )
    idle: Duration = Field(
        default="75s",
        description="Between two requests of a kept-alive connection.",
        examples=["75s"],
    )


class ListenerLimits(Model):
    """How much a client may send."""

    connections: Count = Field(
        default=10_000,
        description="Client connections open at once.",
        examples=[10_000, "unlimited"],
    )
    header_bytes: HeadSize = Field(
        default="32KiB",
        description="The whole request head, request line included.",
        examples=["32KiB"],
    )
    headers: Annotated[int, Whole(1, 10_000)] = Field(
        default=100, description="Header fields of one request.", examples=[100]
    )
    body_bytes: SizeOrUnlimited = Field(
        default="unlimited",
        description="A request body (nginx `client_max_body_size`); routes may differ.",
        examples=["1MiB", "unlimited"],
    )
    requests_per_connection: Count = Field(
        default="unlimited",
        description="Requests on one connection before it is closed.",
        examples=[1000, "unlimited"],
    )


class Listener(Model):
    """One address that clients connect to."""

    bind: Bind = Field(
        description="`host:port`, `[v6]:port` or `unix:/path`; port 0 lets the kernel choose. "
        "Beside `0.0.0.0` or `[::]`, an address of the same port takes what is made to it.",
        examples=["0.0.0.0:8080", "[::]:8080", "unix:/run/hotsplice/data.sock"],
    )
    trusted_proxies: TrustedProxies = Field(
        default_factory=list,
        description="Peers whose `X-Forwarded-*` fields are believed: CIDRs, addresses, `private` "
        "(loopback and private networks), `unix` (whoever connects over a Unix socket).",
        examples=[["private"], ["10.1.0.0/16", "192.0.2.7"]],
    )
    client_address: ClientAddress = Field(
        default=ClientAddress(),
        description="Where trusted proxies say who the client is.",
        examples=[{"header": "X-Real-IP"}],
    )
    default_host: Annotated[str, Field(max_length=255), AfterValidator(_default_host)] = Field(
        default="",
        description="Host of requests that name none, as HTTP/1.0 lets them.",
        examples=["www.example.com"],
    )
    paths: Literal["strict", "nginx"] = Field(
        default="strict",
        description="How request paths are read. `strict` refuses what two servers may read "
        "differently and forwards what was matched; `nginx` does as nginx does.",
        examples=["strict"],
    )
    merge_slashes: bool = Field(
        default=True,
        description="Repeated slashes in a path are read as one (nginx `merge_slashes`).",
        examples=[True],
    )
    timeouts: ListenerTimeouts = Field(
        default=ListenerTimeouts(),
        description="How long a client may take.",
        examples=[{"idle": "75s"}],
    )
    limits: ListenerLimits = Field(
        default=ListenerLimits(),
        description="How much a client may send.",
        examples=[{"body_bytes": "1MiB"}],
    )
    underscores_in_headers: Literal["drop", "allow"] = Field(
        default="drop",
        description="What happens to request fields with an underscore in their name.",
        examples=["drop"],
    )
    odd_header_names: Literal["drop", "allow"] = Field(
        default="allow",
        description="What happens to request fields whose name has other characters than letters, "
        "digits, `-` and `_` (nginx `ignore_invalid_headers`).",
        examples=["allow"],
    )

    access_log: Maybe[AccessLog] = Field(
        default=None,
        description="Where its requests are logged, unless a route says it of its own; left out: "
        "on standard error, those that `--access-log` names.",
        examples=[[{"to": "/var/log/hotsplice/access.log", "format": "combined"}], "off"],
    )

    def to_spec(self, name: str) -> spec.ListenerSpec:
        """Translate; the listener is valid."""
        timeouts, limits = self.timeouts, self.limits
        return spec.ListenerSpec(
            name=name,
            bind=self.bind,
            trusted_proxies=trusted_to_spec(self.trusted_proxies),
            client_address=self.client_address.to_spec(),
            default_host=self.default_host.lower(),
            paths=self.paths,
            timeouts=spec.ListenerTimeouts(
                header_s=seconds(timeouts.header),
                body_s=seconds(timeouts.body),
                write_s=seconds(timeouts.write),
                idle_s=seconds(timeouts.idle),
            ),
            limits=spec.ListenerLimits(
                connections=limit(limits.connections),
                header_bytes=octets(limits.header_bytes),
                headers=limits.headers,
                body_bytes=octets_or_none(limits.body_bytes),
                requests_per_connection=limit(limits.requests_per_connection),
            ),
            underscores_in_headers=self.underscores_in_headers == "allow",
            odd_header_names=self.odd_header_names == "allow",
            merge_slashes=self.merge_slashes,
            access_log=logs_to_spec(self.access_log),
        )
