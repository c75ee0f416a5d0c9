"""Who the client is, and what an upstream is told about it (``X-Forwarded-*``).

Only a peer that is a trusted proxy is believed.  Everyone else's claims are replaced.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from multidict import istr

from proxy.message import Request
from proxy.networks import Networks, unmapped

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


def client_ip(request: Request, trusted: Networks) -> bytes:
    """Return the rightmost untrusted address of the way here (nginx ``real_ip_recursive on``).

    The way ends at an entry that is no address: the last one before it counts.  If all are
    trusted, the leftmost is the client.
    """
    address = request.peer.address
    if not trusted or not trusted.contains(address):
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
        if not trusted.contains(address):
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
        return str(unmapped(ip_address(host))).encode()
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
