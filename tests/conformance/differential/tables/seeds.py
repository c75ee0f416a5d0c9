"""The two files that the project began with."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.differential.row import Row, row, table
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS, encode
from tests.peers.origin import websocket
from tests.unit.admin.nginx.conf import MAPPED, SIMPLE, http_of

_REQUESTS = {
    "plain": request(b"GET", b"/chat/"),
    "query": request(b"GET", b"/chat/room?a=b&c"),
    "escapes": request(b"GET", b"/chat/a%20b%2Fc"),
    "dots": request(b"GET", b"/chat/x/../y"),
    "body": request(b"POST", b"/chat/", b"Content-Type: text/plain", body=b"hello"),
    "fields": request(b"GET", b"/chat/", b"X-A: 1", b"X-A: 2", b"X-Forwarded-For: 1.2.3.4"),
    "kept": request(b"GET", b"/chat/", b"Connection: keep-alive", b"Keep-Alive: 5"),
    "underscore": request(b"GET", b"/chat/", b"X_A: 1"),
    "elsewhere": request(b"GET", b"/other"),
    "without-slash": request(b"GET", b"/chat?x"),
    "refused-upgrade": request(b"GET", b"/chat/ws", *HANDSHAKE_FIELDS),
}


def seeds() -> Iterator[Row]:
    """Plain requests and a WebSocket, for either."""
    for name, text in (("simple", SIMPLE), ("mapped", MAPPED)):
        yield from table(f"seed-{name}", http_of(text), _REQUESTS)
        yield row(
            f"seed-{name}-websocket",
            http_of(text),
            request(b"GET", b"/chat/ws?x=1", *HANDSHAKE_FIELDS),
            origin=websocket(),
            tunnel=encode(1, b"hello", mask=True),
        )
