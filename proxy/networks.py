"""Sets of networks, asked whether an address is in one of them.

An IPv4-mapped address is the IPv4 address behind it, as in nginx.  Each look-up is one hash per
distinct prefix length, and the decisions are remembered: the same peers come again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from proxy.errors import FaultError

DECISIONS: Final = 4096
"""Addresses remembered per set; one more and the memory begins anew."""

UNIX: Final = "unix:"
"""Stands for every Unix socket, as an entry and as the address of a peer (``Peer.address``)."""


class Networks:
    """A set of networks; false if it is empty."""

    __slots__ = ("_decisions", "_networks", "_unix")

    def __init__(self, cidrs: Iterable[str]) -> None:
        """Take addresses, CIDRs, and ``unix:`` for every Unix socket; ``FaultError`` otherwise."""
        self._decisions: Final[dict[bytes, bool]] = {}
        self._networks: Final[dict[tuple[int, int], set[int]]] = {}
        self._unix = False
        for cidr in cidrs:
            if cidr == UNIX:
                self._unix = True
                continue
            try:
                network = ip_network(cidr, strict=False)
            except ValueError:
                hint = "as in 10.0.0.0/8, fd00::/8, 192.0.2.7 or unix:"
                raise FaultError(f"{cidr!r} is not a network", hint) from None
            shift = network.max_prefixlen - network.prefixlen
            base = int(network.network_address) >> shift
            self._networks.setdefault((network.version, shift), set()).add(base)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def contains(self, address: bytes) -> bool:
        """Tell whether an address, textual as in ``Peer``, is in one of the networks.

        Text that is no address is in none.
        """
        decision = self._decisions.get(address)
        if decision is None:
            if len(self._decisions) >= DECISIONS:
                self._decisions.clear()
            decision = self._decisions[address] = self.find(address)
        return decision

    def find(self, address: bytes) -> bool:
        """Return what ``contains`` does, for a caller that does the remembering."""
        text = address.decode("latin-1")
        if text.startswith(UNIX):
            return self._unix
        try:
            ip = unmapped(ip_address(text))
        except ValueError:
            return False
        number = int(ip)
        return any(
            version == ip.version and number >> shift in bases
            for (version, shift), bases in self._networks.items()
        )


def unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address behind an IPv4-mapped one, as nginx does when it compares."""
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
