"""Who the client is, and what an upstream is told about it (``X-Forwarded-*``).

Only a peer that is a trusted proxy is believed.  Everyone else's claims are replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from multidict import istr

from proxy.errors import FaultError
from proxy.message import Request

DECISIONS: Final = 4096
"""Addresses whose trust is remembered, per listener; one more and the memory begins anew."""

ADDRESSES: Final = 4096
"""Entries of ``X-Forwarded-For`` whose address is remembered."""

MAX_HOPS: Final = 32
"""Entries of ``X-Forwarded-For`` that are looked at, from the right."""

X_FORWARDED: Final = b"x-forwarded-"
"""What a client sends under a name that begins so is never passed on."""

FORWARDING_NAMES: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"}
)
"""The fields that ``forwarding_lines`` writes, in lower case."""

FORWARDING_DROPPED_TRUSTED: Final = frozenset({b"x-forwarded-for", b"x-request-id"})
"""What does not pass from a trusted proxy, because it is written anew."""

FORWARDING_DROPPED_UNTRUSTED: Final = FORWARDING_NAMES | {b"forwarded", b"x-real-ip"}
"""What does not pass from anyone else, beside all that begins with ``X_FORWARDED``."""

_FOR: Final = istr("X-Forwarded-For")
_PROTO: Final = istr("X-Forwarded-Proto")
_FORWARDED_HOST: Final = istr("X-Forwarded-Host")
_LONGEST_ENTRY: Final = 64  # characters of "[v6]:port", with room
_UNIX: Final = "unix:"


class TrustedProxies:
    """The peers whose ``X-Forwarded-*`` are believed; false if there are none."""

    __slots__ = ("_decisions", "_networks", "_unix")

    def __init__(self, cidrs: Iterable[str]) -> None:
        """Take addresses, CIDRs, and ``unix:`` for every Unix socket; ``FaultError`` otherwise."""
        self._decisions: Final[dict[bytes, bool]] = {}
        self._networks: Final[dict[tuple[int, int], set[int]]] = {}
        self._unix = False
        for cidr in cidrs:
            if cidr == _UNIX:
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

    def trusts(self, address: bytes) -> bool:
        """Tell whether a peer is believed; ``address`` as in ``Peer``."""
        decision = self._decisions.get(address)
        if decision is None:
            if len(self._decisions) >= DECISIONS:
                self._decisions.clear()
            decision = self._decisions[address] = self._decide(address)
        return decision

    def _decide(self, address: bytes) -> bool:
        text = address.decode("latin-1")
        if text.startswith(_UNIX):
            return self._unix
        try:
            ip = _unmapped(ip_address(text))
        except ValueError:
            return False
        number = int(ip)
        return any(
            version == ip.version and number >> shift in bases
            for (version, shift), bases in self._networks.items()
        )


def client_ip(request: Request, trusted: TrustedProxies) -> bytes:
    """Return the rightmost untrusted address of the way here (nginx ``real_ip_recursive on``).

    The way ends at an entry that is no address: the last one before it counts.  If all are
    trusted, the leftmost is the client.
    """
    address = request.peer.address
    if not trusted or not trusted.trusts(address):
        return address
    lines = request.headers.getall(_FOR, None)
    if lines is None:
        return address
    entries = ",".join(lines).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    for entry in reversed(entries):
        text = entry.strip(" \t")
        if not text:
            continue
        claimed = _address(text) if len(text) <= _LONGEST_ENTRY else None
        if claimed is None:
            break
        address = claimed
        if not trusted.trusts(address):
            break
    return address


@lru_cache(maxsize=ADDRESSES)
def _address(entry: str) -> bytes | None:
    """Read ``1.2.3.4``, ``1.2.3.4:567``, ``::1`` or ``[::1]:567``; ``None`` for anything else."""
    host, port = entry, ""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":") if rest else "1"
        if ":" not in host or (rest and not rest.startswith(":")):
            return None
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    else:
        port = "1"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536) or "%" in host:
        return None
    try:
        return str(_unmapped(ip_address(host))).encode()
    except ValueError:
        return None


def _unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address behind an IPv4-mapped one, as nginx does when it compares."""
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def forwarding_lines(
    request: Request, peer_trusted: bool, replaced: Collection[bytes] = ()
) -> bytes:
    """Return the ``X-Forwarded-*`` and ``X-Request-Id`` lines to send upstream, CRLF behind each.

    ``replaced`` are lower-case names that the route's rules remove or set: they get no line.  What
    a trusted proxy said of scheme and host passes by itself (``FORWARDING_DROPPED_TRUSTED``), and
    only its absence is filled in.
    """
    peer = request.peer
    host = request.authority
    if not host or peer_trusted or replaced:
        return _chosen_lines(request, peer_trusted, replaced)
    return peer.forwarding + host + b"\r\nX-Request-Id: " + request.request_id + b"\r\n"


def _chosen_lines(request: Request, peer_trusted: bool, replaced: Collection[bytes]) -> bytes:
    peer = request.peer
    headers = request.headers
    lines = b""
    if b"x-forwarded-for" not in replaced:
        before = headers.getall(_FOR, None) if peer_trusted else None
        way = ", ".join(line for line in before if line) if before else ""
        if way:
            way += ", "
        lines = b"X-Forwarded-For: %b%b\r\n" % (_encode(way), peer.address)
    if b"x-forwarded-proto" not in replaced and not (peer_trusted and _PROTO in headers):
        lines += b"X-Forwarded-Proto: %b\r\n" % peer.scheme
    if (
        request.authority
        and b"x-forwarded-host" not in replaced
        and not (peer_trusted and _FORWARDED_HOST in headers)
    ):
        lines += b"X-Forwarded-Host: %b\r\n" % request.authority
    if b"x-request-id" not in replaced:
        lines += b"X-Request-Id: %b\r\n" % request.request_id
    return lines


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
