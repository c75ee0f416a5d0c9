"""``trusted_proxies`` and ``client_address``, of listeners and routes: who the client is."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from admin.documents.faults import shown
from admin.documents.model import Model
from admin.documents.scalars import Pattern
from proxy import spec
from proxy.errors import FaultError

MAX_TRUSTED_PROXIES: Final = 1_000

PRIVATE: Final = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
"""What ``private`` stands for: loopback, RFC 1918 and RFC 4193.  Link-local addresses are not in
it, because cloud metadata services answer there."""

NETWORK_HINT: Final = "a CIDR such as 10.0.0.0/8, an address, `private` or `unix`"

UNIX_PEERS: Final = "unix:"

_CIDR: Final = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?")
"""Neither zones nor netmasks, which ``ipaddress`` would take."""


def trusted_cidrs(text: str) -> tuple[str, ...]:
    """Return what an entry of ``trusted_proxies`` stands for, as ``proxy.spec`` has it.

    Raises:
        FaultError: it is neither a network nor an address nor a known word.
    """
    if text == "private":
        return PRIVATE
    if text == "unix":
        return (UNIX_PEERS,)
    try:
        if not _CIDR.fullmatch(text):
            raise ValueError(text)
        network = ip_network(text, strict=False)
    except ValueError:
        raise FaultError(f"{shown(text)} is not a network", NETWORK_HINT) from None
    if "/" in text and str(network.network_address) != str(ip_network(text.split("/")[0])[0]):
        raise FaultError(f"{shown(text)} has bits set beyond its prefix", f"write {network}")
    return (str(network),)


def _trusted(text: str) -> str:
    trusted_cidrs(text)
    return text


TrustedProxies: TypeAlias = Annotated[
    list[Annotated[str, AfterValidator(_trusted)]], Field(max_length=MAX_TRUSTED_PROXIES)
]


class ClientAddress(Model):
    """Where a trusted proxy says who the client is."""

    header: Annotated[
        str,
        Pattern(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$", "the name of a field", "X-Forwarded-For"),
    ] = Field(
        default="X-Forwarded-For",
        description="The field that has the addresses, the nearest last (nginx `real_ip_header`). "
        "Of several `X-Forwarded-For` all count, of another field the first.",
        examples=["X-Forwarded-For", "X-Real-IP"],
    )
    recursive: bool = Field(
        default=True,
        description="The client is the rightmost address that is not trusted; if false, the "
        "rightmost of all (nginx `real_ip_recursive`).",
        examples=[True],
    )

    def to_spec(self) -> spec.ClientAddressSpec:
        """Translate."""
        return spec.ClientAddressSpec(header=self.header, recursive=self.recursive)


def trusted_to_spec(entries: list[str]) -> tuple[str, ...]:
    """Return the networks that ``trusted_proxies`` stand for."""
    return tuple(dict.fromkeys(cidr for text in entries for cidr in trusted_cidrs(text)))
