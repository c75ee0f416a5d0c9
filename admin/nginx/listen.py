"""``listen``: which addresses a directive stands for."""

from __future__ import annotations

import re
import socket
from typing import Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.values import duration, octets, whole, words
from proxy.addresses import parse_address
from proxy.errors import FaultError

MAX_PORTS: Final = 1_000
"""Ports of one range."""

_PORT: Final = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?")
_RANGE: Final = re.compile(r"(.*):([0-9]{1,5})-([0-9]{1,5})")
_KEPT: Final = words("bind reuseport default_server default ipv6only=on so_keepalive=off")
_DIFFERENT: Final = {
    "backlog": "up to 4,096 connections wait to be accepted, as far as the kernel lets them",
    "deferred": "a connection is accepted before it has sent anything",
    "fastopen": "TCP Fast Open is not used",
    "rcvbuf": "the kernel sizes the buffers of sockets",
    "sndbuf": "the kernel sizes the buffers of sockets",
    "so_keepalive": "TCP keep-alive is on in tunnels alone, with the times of the system",
}
"""Options of sockets that nothing here sets, and what there is instead."""
_OTHERS: Final = words("ssl http2 proxy_protocol spdy quic")


def listen_addresses(listen: Directive, report: Report) -> list[str]:
    """Return the addresses that a ``listen`` stands for.

    Raises:
        FaultError: nginx would not take it.
        RefusalError: nginx would, and nothing here does the same.
    """
    both = False
    for option in listen.args[1:]:
        if option in _OTHERS:
            hint = "put what speaks it in front of hotsplice"
            raise RefusalError(f"{option} is not supported yet", hint)
        if option == "ipv6only=off":
            both = True
        elif option not in _KEPT and not option.startswith("accept_filter="):  # BSD's alone
            _check_option(option)
            report.approximated(listen, _DIFFERENT[option.partition("=")[0]])
    found = [each for text in _texts(listen.args[0]) for each in _resolved(text)]
    if both:
        report.approximated(listen, "clients of IPv4 show as 1.2.3.4, and not as ::ffff:1.2.3.4")
        found += ["0.0.0.0" + each[4:] for each in found if each.startswith("[::]:")]
    return list(dict.fromkeys(found))


def _check_option(option: str) -> None:
    """Raise ``FaultError`` for an option that nginx would not take."""
    key, equals, value = option.partition("=")
    if key not in _DIFFERENT or bool(equals) == (key == "deferred"):
        raise FaultError(f'invalid parameter "{option[:60]}"')
    if key in {"backlog", "fastopen"}:
        if whole(value) == 0 and key == "backlog":
            raise FaultError(f'invalid backlog "{option[:60]}"')
    elif key in {"rcvbuf", "sndbuf"}:
        octets(value)
    elif key == "so_keepalive":
        parts = value.split(":")
        if value not in {"on", "off"} and not (len(parts) <= 3 and any(parts)):
            raise FaultError(f'invalid so_keepalive value: "{value[:60]}"')
        if value not in {"on", "off"}:
            for part in parts[:2]:
                duration(part or "1s")
            whole("".join(parts[2:]) or "1")


def _texts(text: str) -> list[str]:
    """Write an address out, as ``HOST:PORT``; a range of ports is several."""
    if text.startswith("unix:"):
        return [text]
    if _PORT.fullmatch(text):
        text = f"0.0.0.0:{text}"
    elif text.startswith("*"):
        text = "0.0.0.0" + text[1:]
    if not re.search(r":[^:\]]*$", text):
        text += ":80"
    ports = _RANGE.fullmatch(text)
    if ports is None:
        return [text]
    first, last = int(ports[2]), int(ports[3])
    if not 0 < first <= last <= 65535:
        raise FaultError(f'invalid port range in "{text[:60]}"')
    if last - first >= MAX_PORTS:
        raise RefusalError(f"a range of more than {MAX_PORTS:,} ports", "write smaller ranges")
    return [f"{ports[1]}:{port}" for port in range(first, last + 1)]


def _resolved(text: str) -> list[str]:
    """Return the canonical addresses; of a name all that it has, as nginx when it starts."""
    address = parse_address(text)
    if address.is_literal:
        return [address.text]
    try:
        found = socket.getaddrinfo(address.host, address.port, 0, socket.SOCK_STREAM)
    except OSError as error:
        raise FaultError(f'host not found in "{text[:60]}"') from error
    hosts = [str(each[4][0]) for each in found]
    texts = [
        f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}" for host in hosts
    ]
    return list(dict.fromkeys(parse_address(each).text for each in texts))
