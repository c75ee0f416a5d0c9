"""``set_real_ip_from`` and ``real_ip_header``: whose word on the client's address is believed."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from admin.nginx.report import Report
from admin.nginx.scope import Scope
from proxy.errors import FaultError

if TYPE_CHECKING:
    from admin.nginx.importing import Draft


def client_address(scope: Scope, report: Report) -> dict[str, Any]:
    """Return whose word on the client's address is believed, and where it is."""
    found = scope.all("set_real_ip_from")
    if not found:
        return {}
    name = _real_ip_header(scope, report)
    if name is None:
        return {}
    trusted: list[str] = []
    for directive in found:
        with report.judging(directive):
            trusted += _networks(directive.args[0])
    given: dict[str, Any] = {} if name.lower() == "x-forwarded-for" else {"header": name}
    if scope.word("real_ip_recursive", "off").lower() != "on":
        given["recursive"] = False
    made: dict[str, Any] = {"trusted_proxies": list(dict.fromkeys(trusted))}
    return made | ({"client_address": given} if given else {})


def believed(
    draft: Draft, scope: Scope, addresses: list[str], route: dict[str, Any]
) -> dict[str, Any]:
    """Return who is believed in a location, unless its listeners believe the same.

    nginx looks once more at who the client is when a location is found; what ``return`` answers is
    answered before.
    """
    if scope.own("return") and "respond" in route and not {"steps", "access"} & route.keys():
        return {}
    made = client_address(scope, draft.report)
    listeners = [draft.document["listeners"][draft.listeners[address]] for address in addresses]
    keys = ("trusted_proxies", "client_address")
    same = all(made.get(key) == one.get(key) for one in listeners for key in keys)
    return {} if same else made


def _real_ip_header(scope: Scope, report: Report) -> str | None:
    directive = scope.one("real_ip_header")
    if directive is None:
        return "X-Real-IP"
    name = directive.args[0]
    if name == "proxy_protocol":
        hint = "have the proxy in front send X-Forwarded-For"
        report.refused(directive, "the PROXY protocol is not supported", hint)
        return None
    if name != "X-Forwarded-For" and name.lower() == "x-forwarded-for":
        report.approximated(directive, "of several such fields all count, not only the first")
    return name


def _networks(text: str) -> list[str]:
    """Return the addresses and networks that an entry stands for.

    Those of a name are looked up when the file is read, as nginx does when it starts.
    """
    if text == "unix:":
        return ["unix"]
    try:
        return [str(ip_network(text, strict=False)) if "/" in text else str(ip_address(text))]
    except ValueError:
        if "/" in text:
            raise FaultError(f'invalid parameter "{text[:60]}"') from None
    try:
        found = socket.getaddrinfo(text, None, 0, socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # the latter: it cannot be the name of a host
        raise FaultError(f'host not found in "{text[:60]}"') from error
    return [str(each[4][0]) for each in found]
