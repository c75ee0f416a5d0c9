"""Who reaches an address: this machine (or pod) alone, or others too."""

from __future__ import annotations

import ipaddress

from proxy.addresses import Address


def is_loopback(host: str) -> bool:
    """Tell whether a host, a name or an IP address, is this machine and no other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(address: Address) -> bool:
    """Tell whether a listener at an address is reached from this machine only."""
    return address.kind == "unix" or is_loopback(address.host)
