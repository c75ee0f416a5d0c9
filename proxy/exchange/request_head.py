"""The head that goes upstream: what passes, what is forwarded, what the route's rules say.

Generated fields come first, in nginx's order (what rules set, in theirs; ours, the framing), then
what passes, in the order, case and repetition it came in, then what rules append.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.field_block import PASSAGES, Passage, Way
from proxy.headers.forwarded import forwarding_lines
from proxy.headers.hop_by_hop import named_by_connection
from proxy.headers.rules import Block
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
    body: bytes | None = None
    if route.holds_body and route.body is not None:
        body = route.body.render(request)
    way = (route.number, request.pool, peer_trusted)
    passage = request.block.passages.get(way)
    if passage is None or request.differs:
        passage = _found(request, route, body, way)
    method = request.method
    to_head = method == b"HEAD"
    if route.method is not None:
        method = route.sent_method(request)
        to_head = method.upper() == b"HEAD"
    forwarding = b""
    if route.forwarded:
        believed = peer_trusted and not route.request_rules.drops_all
        forwarding = forwarding_lines(request, believed, route.forwarding_replaced)
    if passage.set is None:
        blocks = [method, b" ", target, passage.before, passage.between, forwarding, passage.behind]
    else:
        ours = passage.set(request)
        blocks = [method, b" ", target, passage.before, ours, passage.between, forwarding]
        blocks.append(passage.behind)
    if passage.more is not None:
        blocks.append(passage.more(request))
    blocks.append(b"\r\n")
    data = b"".join(blocks)
    made = UpstreamHead(data, passage.upgrade, persistent=passage.persistent, to_head=to_head)
    if route.holds_body:
        made.body, made.target, made.peer_trusted = body, target, peer_trusted
    return made


def _found(request: Request, route: Route, body: bytes | None, way: Way) -> Passage:
    """Make the passage of a request, and keep it if others have come the same way."""
    passages = request.block.passages
    # Without an authority, $host is the listener's.
    if not route.settles or request.differs or not request.authority:
        return _passage(request, route, body, trusted=way[2], settle=False)
    again = way in passages
    passage = _passage(request, route, body, trusted=way[2], settle=again)
    if not again and len(passages) >= PASSAGES:
        passages.clear()
    passages[way] = passage if again else None
    return passage


def _passage(
    request: Request, route: Route, body: bytes | None, *, trusted: bool, settle: bool
) -> Passage:
    """Write the head but for its target and what tells who forwards.

    ``body`` is what goes upstream in place of the client's.  ``settle`` what depends on the way and
    the fields alone, so that it holds for other requests; else it holds for this one.
    """
    version = route.upstream_version
    chunked, length = request.chunked, request.content_length
    if body is not None:
        chunked, length = False, len(body)
        if route.body is not None and route.body.constant == b"":
            length = None
    if chunked:
        version = b"1.1"  # HTTP/1.0 has no framing for a body of unknown length
    rules = route.request_rules
    connection = upgrade = b""
    asks = request.upgrade
    if asks:
        connection, upgrade = _connection(request, route)
        request.sent_connection, request.sent_upgrade = connection, upgrade
    elif rules.connection is not None:
        connection = rules.connection.render(request)
        request.sent_connection, request.sent_upgrade = connection, b""
    if version == b"1.1":
        persistent = not connection or b"close" not in connection.lower()
    else:
        persistent = b"keep-alive" in connection.lower()
    passage = Passage(upgrade, persistent=persistent)
    passage.before = b" HTTP/%b\r\n" % version
    if route.sets_request:
        ours, passage.set = _text(rules.set if asks else rules.plain, request, settle=settle)
        passage.before += ours
    if upgrade:  # what no rule has a place for
        if rules.connection is None:
            passage.between += b"Connection: %b\r\n" % connection
        if rules.upgrade is None:
            passage.between += b"Upgrade: %b\r\n" % upgrade
    behind = []
    if chunked:
        behind.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        behind.append(b"Content-Length: %d\r\n" % length)
    if not request.authority and b"host" not in rules.dropped:
        # HTTP/1.0 may come without; HTTP/1.1 may not go on without (RFC 9112, 3.2).
        behind.append(b"Host: %b\r\n" % request.pool)
    starts = route.passes_trusted if trusted else route.passes_untrusted
    fields = request.fields
    if request.connection and request.connection.lower() not in _ORDINARY_CONNECTION:
        named = named_by_connection(fields)
        fields = tuple(field for field in fields if field[0].lower() not in named)
    passed = [start + value for name, value in fields if (start := starts[name])]
    if passed:
        passed.append(b"")
        behind.append(b"\r\n".join(passed))
    if route.appends_request:
        ours, passage.more = _text(rules.appended, request, settle=settle)
        behind.append(ours)
    passage.behind = b"".join(behind)
    return passage


def _text(
    block: Block, request: Request, *, settle: bool
) -> tuple[bytes, Callable[[Request], bytes] | None]:
    """Return what rules write, or nothing and what renders it."""
    if not settle:
        return block.render(request), None
    render, constant = block.settled(request)
    return (b"", render) if constant is None else (constant, None)


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
