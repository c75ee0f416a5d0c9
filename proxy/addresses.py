"""Socket addresses as text: ``host:port``, ``[v6]:port``, ``unix:/path``.

One address has one canonical text, so that text can stand for identity: hosts are lower case, IPv6
is written as RFC 5952 says, an IPv4-mapped IPv6 address is the IPv4 address it maps, and a path has
no empty or ``.`` segments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal, NoReturn

from proxy.errors import FaultError

ADDRESSES: Final = 4096
"""Addresses that are remembered as they were read: a change names the old ones again."""

UNIX_PATH_BYTES: Final = 107
"""What ``sockaddr_un`` holds beside its NUL, on Linux."""

_NAME_CHARACTERS: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_V4: Final = re.compile(
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    r"(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}"
)
"""An IPv4 address as it is written canonically; there may be thousands in a change."""
_PORT: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address; made by ``parse_address``."""

    kind: Literal["tcp", "unix"]
    host: str
    """IP address (IPv6 without brackets) or name; empty for a Unix socket."""
    port: int
    """0 for a Unix socket, and where the kernel is to choose."""
    path: str
    """Of a Unix socket; else empty."""
    is_literal: bool
    """Whether it can be connected to as it is; if not, ``host`` is a name to be resolved."""
    text: str
    """The canonical text."""

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=ADDRESSES)
def parse_address(text: str, *, any_port: bool = False) -> Address:
    """Parse and canonicalise an address.

    ``any_port`` allows port 0, for listeners.  Raise ``FaultError`` with a hint for anything that
    cannot be connected or bound to.
    """
    if text.startswith("unix:"):
        return _unix(text)
    if "/" in text:
        hint = "no scheme and no path: host:port, or unix:/path for a Unix socket"
        raise FaultError(f"not an address: {text!r}", hint)
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or not port.startswith(":"):
            raise FaultError(f"not an address: {text!r}", "[v6]:port, as in [::1]:8080")
        return _tcp_v6(text, host, _port(text, port[1:], any_port))
    host, colon, port = text.rpartition(":")
    if ":" in host:
        _refuse_bare_v6(text)
    if not colon or not host:
        _refuse_half(text, host or port)
    return _tcp(text, host.lower(), _port(text, port, any_port))


def _unix(text: str) -> Address:
    path = text.removeprefix("unix:")
    if not path.startswith("/"):
        hint = "an absolute path, as in unix:/run/app.sock"
        raise FaultError(f"not a path of a Unix socket: {path!r}", hint)
    if not path.isprintable():
        raise FaultError(f"a path with control characters: {path!r}")
    path = "/" + "/".join(segment for segment in path.split("/") if segment not in ("", "."))
    if path == "/":
        raise FaultError("the path names no socket", "an absolute path, as in unix:/run/app.sock")
    if len(path.encode()) > UNIX_PATH_BYTES:
        hint = f"at most {UNIX_PATH_BYTES} bytes; put the socket into a shorter folder"
        raise FaultError(f"the path of a Unix socket is too long: {path!r}", hint)
    return Address("unix", "", 0, path, True, f"unix:{path}")


def _port(text: str, port: str, any_port: bool) -> int:
    least = 0 if any_port else 1
    if _PORT.fullmatch(port) and least <= int(port) <= 65535:
        return int(port)
    raise FaultError(f"not a port in {text!r}: {port!r}", f"a number from {least} to 65535")


def _tcp_v6(text: str, host: str, port: int) -> Address:
    if "%" in host:
        hint = "use an address that is not link-local"
        raise FaultError(f"IPv6 zones are not supported: {text!r}", hint)
    try:
        v6 = IPv6Address(host)
    except AddressValueError:
        raise FaultError(f"not an IPv6 address: {host!r}", "as in [::1]:8080") from None
    mapped = v6.ipv4_mapped
    if mapped is not None:
        return Address("tcp", str(mapped), port, "", True, f"{mapped}:{port}")
    return Address("tcp", str(v6), port, "", True, f"[{v6}]:{port}")


def _tcp(text: str, host: str, port: int) -> Address:
    if _V4.fullmatch(host):
        return Address("tcp", host, port, "", True, f"{host}:{port}")
    labels = host.removesuffix(".").split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # Such a host is never a name: resolvers would read 010.1 or 0x7f.1 as IPv4 in disguise.
        hint = "four decimal numbers from 0 to 255 without leading zeros"
        raise FaultError(f"not an IPv4 address: {host!r}", hint)
    if len(host) > _NAME_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        hint = "letters, digits, hyphens and dots" + ("" if host.isascii() else ", in Punycode")
        raise FaultError(f"not a host name in {text!r}: {host!r}", hint)
    return Address("tcp", host, port, "", False, f"{host}:{port}")


def _refuse_bare_v6(text: str) -> NoReturn:
    raise FaultError(f"not an address: {text!r}", "an IPv6 address stands in brackets: [::1]:8080")


def _refuse_half(text: str, half: str) -> NoReturn:
    if not half:
        raise FaultError(f"not an address: {text!r}", "host:port, [v6]:port or unix:/path")
    if half.isdigit():
        raise FaultError(f"an address without a host: {text!r}", f"127.0.0.1:{half}")
    raise FaultError(f"an address without a port: {text!r}", f"{half}:80")
