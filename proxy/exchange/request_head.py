"""The head that goes upstream: what passes, what is forwarded, what the route's rules say.

Generated fields come first, in nginx's order (what rules set, ours, the framing), then what passes,
in the order, case and repetition it came in, then what rules append.
"""

from __future__ import annotations

from typing import Final

from proxy.headers.forwarded import forwarding_lines
from proxy.headers.hop_by_hop import named_by_connection
from proxy.message import Request
from proxy.route import Route

_ORDINARY_CONNECTION: Final = frozenset(
    {b"keep-alive", b"close", b"upgrade", b"keep-alive, upgrade", b"upgrade, keep-alive"}
)
"""``Connection`` values that name no field beyond those stripped anyway."""


class UpstreamHead:
    """The head, and what the final request says about its connection."""

    __slots__ = ("data", "persistent", "upgrade")

    def __init__(self, data: bytes, upgrade: bytes, *, persistent: bool) -> None:
        self.data: Final = data
        self.upgrade: Final = upgrade
        """Protocol the request asks to upgrade to, or empty."""
        self.persistent: Final = persistent
        """It does not ask for the end of the connection (RFC 9112, 9.3)."""


def upstream_head(
    request: Request, route: Route, target: bytes, *, peer_trusted: bool
) -> UpstreamHead:
    """Build the head that goes to any endpoint of the route's pool."""
    version = route.upstream_version
    if request.chunked:
        version = b"1.1"  # HTTP/1.0 has no framing for a body of unknown length
    lines = [b"%b %b HTTP/%b\r\n" % (request.method, target, version)]
    rules = route.request_rules
    if route.sets_request:
        lines.append(rules.set.render(request))
    upgrade = b""
    connection = b""
    if request.upgrade or route.touches_connection:
        connection, upgrade = _connection(request, route)
        if connection:
            lines.append(b"Connection: %b\r\n" % connection)
        if upgrade:
            lines.append(b"Upgrade: %b\r\n" % upgrade)
    if route.forwarded:
        lines.append(forwarding_lines(request, peer_trusted, route.forwarding_replaced))
    if request.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif request.content_length is not None:
        lines.append(b"Content-Length: %d\r\n" % request.content_length)
    passes = route.passes_trusted if peer_trusted else route.passes_untrusted
    fields = request.fields
    if request.connection and request.connection.lower() not in _ORDINARY_CONNECTION:
        named = named_by_connection(fields)
        lines += [b"%b: %b\r\n" % f for f in fields if passes[f[0]] and f[0].lower() not in named]
    else:
        lines += [b"%b: %b\r\n" % f for f in fields if passes[f[0]]]
    if route.appends_request:
        lines.append(rules.appended.render(request))
    lines.append(b"\r\n")
    if version == b"1.1":
        persistent = not connection or b"close" not in connection.lower()
    else:
        persistent = b"keep-alive" in connection.lower()
    return UpstreamHead(b"".join(lines), upgrade, persistent=persistent)


def _connection(request: Request, route: Route) -> tuple[bytes, bytes]:
    """Return the final ``Connection`` and ``Upgrade`` values; empty ones are not sent.

    A request is an upgrade if the client asked for it, the route allows the protocol, and the
    rules do not say otherwise.  One that asked and may not is forwarded as an ordinary request.
    """
    rules = route.request_rules
    asked = request.upgrade
    allowed = bool(asked) and route.allows_upgrade(asked)
    upgrade = asked if allowed and not rules.removes_upgrade else b""
    if rules.upgrade is not None:
        upgrade = rules.upgrade.render(request)
    connection = b"upgrade" if upgrade and not rules.removes_connection else b""
    if rules.connection is not None:
        connection = rules.connection.render(request)
    if allowed and upgrade and b"upgrade" in connection.lower():
        return connection, upgrade
    if asked and b"upgrade" in connection.lower():
        connection = b""
    return connection, b""
