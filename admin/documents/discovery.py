"""``pools.NAME.discovery``: where endpoints are found that nobody writes down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from admin.documents.model import Maybe, Model
from admin.documents.scalars import Pattern, Whole
from proxy import spec
from proxy.addresses import parse_address
from proxy.errors import Fault, FaultError

DNS_PORT: Final = 53

NAME_CHARACTERS: Final = 253

_LABEL: Final = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"


class Dns(Model):
    """What DNS is asked.  Its answers hold for their TTL, from 1 s to 5 min."""

    name: Annotated[
        str,
        Pattern(
            rf"^{_LABEL}(\.{_LABEL})*\.?$",
            "a name in DNS",
            "letters, digits, `-` and `_`, parted by dots; a dot at its end: no search domains",
        ),
    ] = Field(
        description="Asked as `/etc/resolv.conf` says, with its search domains unless it ends with "
        "a dot.",
        examples=["backend.default.svc.cluster.local", "_http._tcp.backend"],
    )
    port: Maybe[Annotated[int, Whole(1, 65535)]] = Field(
        default=None,
        description="Of all endpoints; with `records: srv` the records say it.",
        examples=[8000],
    )
    records: Literal["addresses", "a", "aaaa", "srv"] = Field(
        default="addresses",
        description="`addresses` are A and AAAA. Of `srv`, weights count, and what has not the "
        "first priority is a backup.",
        examples=["addresses", "srv"],
    )
    resolver: Maybe[Annotated[str, Field(max_length=64)]] = Field(
        default=None,
        description="`IP` or `IP:port` of a server to ask in place of those of "
        "`/etc/resolv.conf`; search domains do not apply then.",
        examples=["10.96.0.10", "127.0.0.1:5353"],
    )

    def to_spec(self) -> spec.DnsSpec:
        """Translate; it is valid."""
        resolver = None if self.resolver is None else _server(self.resolver)
        return spec.DnsSpec(name=self.name, port=self.port, records=self.records, resolver=resolver)


class Discovery(Model):
    """Where endpoints are found, beside those that are written."""

    dns: Dns = Field(
        description="A headless Service, or whatever else DNS knows.",
        examples=[{"name": "backend.default.svc.cluster.local", "port": 8000}],
    )

    def to_spec(self, health: spec.PassiveHealthSpec | None) -> spec.DiscoverySpec:
        """Translate; it is valid, and ``health`` is its pool's passive health."""
        return spec.DiscoverySpec(dns=self.dns.to_spec(), passive_health=health)

    def faults(self, at: str, whole: bool) -> Iterator[Fault]:
        """Give what is wrong with its meaning; ``at`` is its place.

        ``whole``: nothing of it was cut out, so what is not there was not written.
        """
        dns = self.dns
        if dns.records == "srv" and dns.port is not None:
            yield Fault(f"{at}/dns/port", "SRV records say the port", "leave it out")
        if whole and dns.records != "srv" and dns.port is None:
            yield Fault(f"{at}/dns", "addresses need a port", "`port`, or `records: srv`")
        if len(dns.name) > NAME_CHARACTERS:
            yield Fault(f"{at}/dns/name", f"names in DNS have at most {NAME_CHARACTERS} characters")
        if dns.resolver is not None:
            try:
                _server(dns.resolver)
            except FaultError as fault:
                yield Fault(f"{at}/dns/resolver", fault.message, fault.hint)


def _server(text: str) -> str:
    """Return the address of a server of DNS with its port; ``FaultError``."""
    bare = text.count(":") != 1 and not text.startswith("[")
    with_port = text
    if bare:
        with_port = f"[{text}]:{DNS_PORT}" if ":" in text else f"{text}:{DNS_PORT}"
    address = parse_address(with_port)
    if address.kind != "tcp" or not address.is_literal:
        raise FaultError(f"{text!r} is not an IP address", "such as 10.96.0.10 or [::1]:5353")
    return address.text
