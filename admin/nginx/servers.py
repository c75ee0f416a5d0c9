"""``server`` blocks: the addresses they listen on become listeners, their names hosts of routes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Final

from admin.nginx.listen import listen_addresses
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.variables import pattern
from proxy.patterns import Pattern
from proxy.routing.table import check_host

Hosts = tuple[str, ...] | None
"""``hosts`` of a route; ``None`` is any."""

_NUMBER: Final = re.compile(r"\$\{?[1-9]")


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
    host_priority: int = 0
    """Of its regular expressions among the names."""

    @property
    def captures(self) -> frozenset[str]:
        """What its regular expressions capture; by number, if anything within asks for one."""
        patterns = [Pattern(name[1:]) for name in self.names if name.startswith("~")]
        found = frozenset(name for each in patterns for name in each.names)
        if any(map(str.isdecimal, found)) and not _asks_for_number(self.directive.block or ()):
            return frozenset(name for name in found if not name.isdecimal())
        return found

    @property
    def shown(self) -> str:
        """A name for people, and ``$server_name``: its first, or empty."""
        return next(iter(self.names), "")


def _asks_for_number(block: tuple[Directive, ...]) -> bool:
    return any(
        any(map(_NUMBER.search, each.args)) or _asks_for_number(each.block or ()) for each in block
    )


def read_server(directive: Directive, http: Scope, report: Report) -> Server:
    """Read where a server listens, and for whom."""
    scope = Scope(report, directive.block or (), http)
    server = Server(directive, scope)
    for listen in scope.own("listen"):
        with report.judging(listen):
            flags = {"default_server", "default"} & set(listen.args[1:])
            server.listens += [
                Listen(address, bool(flags), listen) for address in listen_addresses(listen, report)
            ]
    if not scope.own("listen"):
        port = 80 if os.getuid() == 0 else 8000
        server.listens.append(Listen(f"0.0.0.0:{port}", False, directive))
    for each in scope.own("server_name"):
        for name in each.args:
            with report.judging(each):
                server.names[_host(name)] = each
    return server


def _host(name: str) -> str:
    if name == "$hostname":
        return os.uname().nodename.lower()
    if "$" in name and not name.startswith("~"):
        raise RefusalError("variables in server_name", "write the name")
    host = name if name.startswith("~") else name.lower().removesuffix(".")
    if name.startswith("~"):
        pattern(name[1:])
    check_host(host)
    return host


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
    tried = [server for server in servers if any(name.startswith("~") for name in server.names)]
    for place, server in enumerate(reversed(tried)):
        server.host_priority = place  # nginx tries them in the order of the file
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
    for server, names in hosts:
        if server is default:
            server.exposures.setdefault(None, []).append(address)
            names = [name for name in names if name not in {"", "_"}]
            if not server.captures and not any(other is not server for other in patterned):
                continue  # nobody else could take its names, and nobody asks what they capture
        if names:
            server.exposures.setdefault(tuple(names), []).append(address)


def _claims(name: str) -> tuple[str, ...]:
    return (name[1:], f"*{name}") if name.startswith(".") else (name,)


def _is_pattern(name: str) -> bool:
    return name.startswith(("~", "*.", ".")) or name.endswith(".*")
