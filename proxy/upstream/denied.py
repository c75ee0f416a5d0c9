"""Addresses that are never connected to, whatever a configuration or a name server says.

What is asked about is the address that a connection is about to be made to, so no name and no way
of writing it leads around.  Beside networks there are our own listeners for operators: whoever may
send requests through the proxy is not to reach them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from proxy.addresses import Address
from proxy.networks import Networks

METADATA: Final = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254")
"""Where clouds have their metadata services: link-local, and where AWS has it beside that."""

NAT64: Final = ip_network("64:ff9b::/96")
"""A translator leads from here to the IPv4 address in the last four octets (RFC 6052, 2.1)."""


class EndpointDeniedError(OSError):
    """A connection is not to be made."""


class Denied:
    """What is denied."""

    __slots__ = ("_networks", "_own")

    def __init__(self, networks: Iterable[str] = (), own: Iterable[Address] = ()) -> None:
        """Take CIDRs, and where our own listeners are; ``FaultError`` for what is no network."""
        self._networks: Final = Networks(networks)
        self._own = tuple(own)

    def protect(self, own: Iterable[Address]) -> None:
        """Have our own listeners be these from now on."""
        self._own = tuple(own)

    def why(self, target: Address) -> str | None:
        """Say why an address is denied; ``None`` if it is not."""
        if target.kind == "tcp":
            if self._networks and self._in_networks(target.host):
                return "its network is denied"
            mine = any(one.port == target.port and _reaches(target, one) for one in self._own)
        else:
            mine = any(
                one.kind == "unix" and _same_file(one.path, target.path) for one in self._own
            )
        return "it is a listener of ours for operators" if mine else None

    def _in_networks(self, host: str) -> bool:
        if self._networks.contains(host.encode()):
            return True
        behind = _behind_nat64(host) if ":" in host else None
        return behind is not None and self._networks.contains(behind.encode())


def _reaches(target: Address, own: Address) -> bool:
    """Tell whether an address is one at which our listener is bound, both having one port."""
    if own.kind != "tcp":
        return False
    if own.host == target.host:
        return True
    here = _ip(own.host)
    # One that is bound to no certain address answers at every address of this machine; and one
    # that is bound to a name, at whichever that is.
    if here is not None and not here.is_unspecified and not _unspecified(target):
        return False
    return _is_local(target.host)


def _unspecified(target: Address) -> bool:
    ip = _ip(target.host)
    return ip is not None and ip.is_unspecified  # which leads to loopback


def _is_local(host: str) -> bool:
    """Tell whether an address is one of this machine's: only those can be bound to."""
    ip = _ip(host)
    if ip is None or ip.is_loopback or ip.is_unspecified:
        return True
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _behind_nat64(host: str) -> str | None:
    ip = _ip(host)
    if ip is None or ip not in NAT64:
        return None
    return str(IPv4Address(int(ip) & 0xFFFF_FFFF))


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - no objects for two calls
    except OSError:
        return one == other
