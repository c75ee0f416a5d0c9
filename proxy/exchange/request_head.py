"""The head that goes upstream: what passes, what is forwarded, what the route's rules say.

Generated fields come first, in nginx's order (what rules set, in theirs; ours, the framing), then
what passes, in the order, case and repetition it came in, then what rules append.
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

    __slots__ = ("body", "data", "peer_trusted", "persistent", "target", "to_head", "upgrade")

    target: bytes
    """Only for routes that hold bodies, as is:"""
    peer_trusted: bool

    def __init__(self, data: bytes, upgrade: bytes, *, persistent: bool, to_head: bool) -> None:
        self.data: Final = data
        self.upgrade: Final = upgrade
        """Protocol the request asks to upgrade to, or empty."""
        self.persistent: Final = persistent
        """It does not ask for the end of the connection (RFC 9112, 9.3)."""
        self.to_head: Final = to_head
        """The method is HEAD, so the response has no body."""
        self.body: bytes | None = None
        """What goes upstream in place of the client's body, if something does."""


def upstream_head(
    request: Request, route: Route, target: bytes, *, peer_trusted: bool
) -> UpstreamHead:
    """Build the head that goes to any endpoint of the route's pool."""
    version = route.upstream_version
    chunked, length = request.chunked, request.content_length
    body: bytes | None = None
    if route.holds_body and route.body is not None:
        body = route.body.render(request)
        chunked, length = False, len(body) if route.body.constant != b"" else None
    if chunked:
        version = b"1.1"  # HTTP/1.0 has no framing for a body of unknown length
    method = request.method
    to_head = method == b"HEAD"
    if route.method is not None:
        method = route.sent_method(request)
        to_head = method.upper() == b"HEAD"
    blocks = [b"%b %b HTTP/%b\r\n" % (method, target, version)]
    rules = route.request_rules
    connection = upgrade = b""
    asks = request.upgrade
    if asks:
        connection, upgrade = _connection(request, route)
        request.sent_connection, request.sent_upgrade = connection, upgrade
    elif rules.connection is not None:
        connection = rules.connection.render(request)
        request.sent_connection, request.sent_upgrade = connection, b""
    if route.sets_request:
        blocks.append((rules.set if asks else rules.plain).render(request))
    if upgrade:  # what no rule has a place for
        if rules.connection is None:
            blocks.append(b"Connection: %b\r\n" % connection)
        if rules.upgrade is None:
            blocks.append(b"Upgrade: %b\r\n" % upgrade)
    if route.forwarded:
        believed = peer_trusted and not rules.drops_all
        blocks.append(forwarding_lines(request, believed, route.forwarding_replaced))
    if chunked:
        blocks.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        blocks.append(b"Content-Length: %d\r\n" % length)
    if not request.authority and b"host" not in rules.dropped:
        # HTTP/1.0 may come without; HTTP/1.1 may not go on without (RFC 9112, 3.2).
        blocks.append(b"Host: %b\r\n" % request.pool)
    starts = route.passes_trusted if peer_trusted else route.passes_untrusted
    fields = request.fields
    if request.connection and request.connection.lower() not in _ORDINARY_CONNECTION:
        named = named_by_connection(fields)
        fields = tuple(field for field in fields if field[0].lower() not in named)
    passed = b"\r\n".join([starts[name] + value for name, value in fields if starts[name]])
    if passed:
        blocks.append(passed)
        blocks.append(b"\r\n")
    if route.appends_request:
        blocks.append(rules.appended.render(request))
    blocks.append(b"\r\n")
    if version == b"1.1":
        persistent = not connection or b"close" not in connection.lower()
    else:
        persistent = b"keep-alive" in connection.lower()
    made = UpstreamHead(b"".join(blocks), upgrade, persistent=persistent, to_head=to_head)
    if route.holds_body:
        made.body, made.target, made.peer_trusted = body, target, peer_trusted
    return made


def _connection(request: Request, route: Route) -> tuple[bytes, bytes]:
    """Return ``Connection`` and ``Upgrade`` of a request that asks; empty ones are not sent.

    It is an upgrade if the route allows the protocol, and the rules do not say otherwise.  One that
    may not is forwarded as an ordinary request.
    """
    rules = route.request_rules
    asked = request.upgrade
    upgrade = b""
    if route.allows_upgrade(asked):
        if rules.upgrade is not None:
            upgrade = rules.upgrade.render(request)
        elif not rules.removes_upgrade:
            upgrade = asked
    if rules.connection is not None:
        connection = rules.connection.render(request)
    else:
        connection = b"upgrade" if upgrade and not rules.removes_connection else b""
    if upgrade and b"upgrade" in connection.lower():
        return connection, upgrade
    if b"upgrade" in connection.lower():
        connection = b""
    return connection, b""
