"""``server`` blocks: the addresses they listen on become listeners, their names hosts of routes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.variables import pattern
from proxy.addresses import parse_address
from proxy.errors import FaultError
from proxy.routing.table import check_host

Hosts = tuple[str, ...] | None
"""``hosts`` of a route; ``None`` is any."""

_PORT: Final = re.compile(r"[0-9]{1,5}")
_SOCKET_OPTIONS: Final = (
    "backlog=", "bind", "deferred", "fastopen=", "ipv6only=on", "rcvbuf=", "reuseport", "setfib=",
    "sndbuf=", "so_keepalive=",
)  # fmt: skip


@dataclass(slots=True)
class Listen:
    """An address of a server."""

    address: str
    is_default: bool
    directive: Directive


@dataclass(slots=True)
class Server:
    """A ``server`` block."""

    directive: Directive
    scope: Scope
    listens: list[Listen] = field(default_factory=list)
    names: dict[str, Directive] = field(default_factory=dict)
    """``server_name``; none at all is the empty name."""
    files: set[str] = field(default_factory=set)
    """Paths of error pages that nginx would find on disk."""
    exposures: dict[Hosts, list[str]] = field(default_factory=dict)
    """Under which hosts it serves, with the addresses where."""

    @property
    def shown(self) -> str:
        """A name for people, and ``$server_name``: its first, or empty."""
        return next(iter(self.names), "")


def read_server(directive: Directive, http: Scope, report: Report) -> Server:
    """Read where a server listens, and for whom."""
    scope = Scope(report, directive.block or (), http)
    server = Server(directive, scope)
    for listen in scope.own("listen"):
        with report.judging(listen):
            address = _listen_address(listen, report)
            flags = {"default_server", "default"} & set(listen.args[1:])
            server.listens.append(Listen(address, bool(flags), listen))
    if not scope.own("listen"):
        port = 80 if os.getuid() == 0 else 8000
        server.listens.append(Listen(f"0.0.0.0:{port}", False, directive))
    for each in scope.own("server_name"):
        for name in each.args:
            with report.judging(each):
                server.names[_host(name)] = each
    return server


def _host(name: str) -> str:
    if "$" in name and not name.startswith("~"):
        raise RefusalError("variables in server_name", "write the name")
    host = name if name.startswith("~") else name.lower().removesuffix(".")
    if name.startswith("~"):
        pattern(name[1:])
    check_host(host)
    return host


def _listen_address(listen: Directive, report: Report) -> str:
    text = listen.args[0]
    for option in listen.args[1:]:
        if option in {"ssl", "http2", "proxy_protocol", "spdy", "quic"}:
            hint = "put what speaks it in front of hotsplice"
            raise RefusalError(f"{option} is not supported yet", hint)
        if option == "ipv6only=off":
            raise RefusalError("an IPv6 socket serves IPv6 only", "listen on IPv4 too")
        if option.startswith(_SOCKET_OPTIONS):
            report.kept(listen, "sockets are set up by hotsplice")
        elif option not in {"default_server", "default"}:
            raise FaultError(f'invalid parameter "{option[:60]}"')
    if re.fullmatch(r"(.*:)?\d+-\d+", text):
        raise RefusalError("a range of ports", "write a listen for each port")
    if _PORT.fullmatch(text):
        text = f"0.0.0.0:{text}"
    elif text.startswith("*"):
        text = "0.0.0.0" + text[1:]
    if not text.startswith("unix:") and not re.search(r":[^:\]]*$", text):
        text += ":80"
    address = parse_address(text)
    if not address.is_literal:
        report.approximated(listen, "of the addresses of a name the first")
    return address.text


def expose(servers: list[Server], report: Report) -> dict[str, Server]:
    """Decide which server takes which hosts where; return the default server of each address."""
    defaults: dict[str, Server] = {}
    members: dict[str, list[tuple[Server, Listen]]] = {}
    for server in servers:
        for listen in server.listens:
            others = members.setdefault(listen.address, [])
            if any(other is server for other, _ in others):
                report.fault(listen.directive, f"a duplicate listen {listen.address}")
                continue
            others.append((server, listen))
    for address, some in members.items():
        marked = [(server, listen) for server, listen in some if listen.is_default]
        for _, listen in marked[1:]:
            report.fault(listen.directive, f"a duplicate default server for {address}")
        defaults[address] = (marked or some)[0][0]
        _share_hosts(address, [server for server, _ in some], defaults[address], report)
    _check_wildcards(members, report)
    return defaults


def _share_hosts(address: str, servers: list[Server], default: Server, report: Report) -> None:
    taken: dict[str, Server] = {}
    hosts: list[tuple[Server, list[str]]] = []
    for server in servers:
        mine: list[str] = []
        for name in server.names or {"": server.directive}:
            if all(taken.setdefault(key, server) is server for key in _claims(name)):
                mine.append(name)
            elif name in server.names:
                remark = f"{name or '(empty)'} on {address} is another server's, as in nginx"
                report.kept(server.names[name], remark)
        hosts.append((server, mine))
    patterned = [server for server, names in hosts if any(map(_is_pattern, names))]
    if sum(any(name.startswith("~") for name in names) for _, names in hosts) > 1:
        for server, names in hosts:
            for name in names:
                if name.startswith("~"):
                    remark = "regular expressions of several servers go by the names of routes"
                    report.approximated(server.names[name], remark)
    for server, names in hosts:
        if server is default:
            server.exposures.setdefault(None, []).append(address)
            names = [name for name in names if name not in {"", "_"}]
            if not any(other is not server for other in patterned):
                continue  # nobody else could take its names
        if names:
            server.exposures.setdefault(tuple(names), []).append(address)


def _claims(name: str) -> tuple[str, ...]:
    return (name[1:], f"*{name}") if name.startswith(".") else (name,)


def _is_pattern(name: str) -> bool:
    return name.startswith(("~", "*.", ".")) or name.endswith(".*")


def _check_wildcards(members: dict[str, list[tuple[Server, Listen]]], report: Report) -> None:
    """Refuse an address beside the wildcard of its port, which nginx serves from one socket."""
    for address, some in members.items():
        host, _, port = address.rpartition(":")
        wildcard = f"[::]:{port}" if host.startswith("[") else f"0.0.0.0:{port}"
        if address != wildcard and wildcard in members and not address.startswith("unix:"):
            for _, listen in some:
                hint = f"listen on {wildcard} only, and tell servers apart by name"
                report.refused(listen.directive, f"{wildcard} is listened on too", hint)
