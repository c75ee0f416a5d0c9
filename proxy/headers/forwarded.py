"""Who the client is, and what an upstream is told about it (``X-Forwarded-*``).

Only a peer that is a trusted proxy is believed.  Everyone else's claims are replaced.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from multidict import istr

from proxy.errors import Fault, FaultError
from proxy.message import Request
from proxy.networks import Networks, unmapped
from proxy.spec import ClientAddressSpec

ADDRESSES: Final = 4096
"""Entries of such fields whose address is remembered."""

MAX_HOPS: Final = 32
"""Addresses on the way here that are looked at, from the right."""

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


class Trust:
    """Which peers are believed on who the client is, and where they say it."""

    __slots__ = ("_field", "_networks", "_recursive")

    def __init__(self, networks: Networks, where: ClientAddressSpec) -> None:
        self._networks: Final = networks
        self._field: Final = istr(where.header)
        self._recursive: Final = where.recursive

    def holds_for(self, address: bytes) -> bool:
        """Tell whether a peer is believed; ``address`` as in ``Peer``."""
        return self._networks.contains(address)

    def identify(self, request: Request) -> bool:
        """Take over what the peer says of the client; return whether it is believed."""
        if not self._networks.contains(request.peer.address):
            return False
        client = claimed_client(request, self._networks, self._field, recursive=self._recursive)
        if client is not None:
            request.client_ip, request.client_port = client
        return True


def compile_trust(
    cidrs: tuple[str, ...], where: ClientAddressSpec, path: str, faults: list[Fault]
) -> Trust | None:
    """Compile what a listener or a route says of it; ``None``: nobody is believed.

    Networks that are none, found at ``path``, are added to ``faults``.
    """
    try:
        networks = Networks(cidrs)
    except FaultError as error:
        faults.append(Fault(path, error.message, error.hint))
        return None
    return Trust(networks, where) if networks else None


def claimed_client(
    request: Request, trusted: Networks, field: istr, *, recursive: bool
) -> tuple[bytes, int] | None:
    """Return the client's address and port (0: unknown) as a trusted peer gives them in ``field``.

    ``None``: it gives none.  The rules are nginx's (``ngx_http_get_forwarded_addr``): addresses are
    read from the right.  The first is the client, or with ``recursive`` the first that is not
    trusted.  The way ends at an entry that is no address: the last one before it counts.
    """
    lines = request.headers.getall(field, ())
    if len(lines) > 1 and field.lower() != _FOR.lower():
        lines = lines[:1]
    client = None
    left = MAX_HOPS
    for line in reversed(lines):
        entries = line.replace(",", " ").rsplit(None, left)[-left:]
        for entry in reversed(entries):
            claimed = _address(entry) if len(entry) <= _LONGEST_ENTRY else None
            if claimed is None:
                return client
            client = claimed
            if not recursive or not trusted.contains(client[0]):
                return client
        left -= len(entries)
        if not entries or not left:
            break
    return client


@lru_cache(maxsize=ADDRESSES)
def _address(entry: str) -> tuple[bytes, int] | None:
    """Read ``1.2.3.4``, ``1.2.3.4:567``, ``::1`` or ``[::1]:567``; ``None`` for anything else."""
    host, port = entry, "1"
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        if ":" not in host or (rest and not rest.startswith(":")):
            return None
        port = rest[1:] if rest else port
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536) or "%" in host:
        return None
    said = entry not in {host, f"[{host}]"}
    try:
        return str(unmapped(ip_address(host))).encode(), int(port) if said else 0
    except ValueError:
        return None


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
