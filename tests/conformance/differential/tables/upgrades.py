"""Handshakes that are accepted, refused, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, row, server, table
from tests.peers import Script, answers, reply, websocket
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS, encode
from tests.peers.origin import then

_CONF: Final = (
    'map $http_upgrade $connection_upgrade { default upgrade; "" close; }\n'
    f"upstream backend {{ server {ORIGINS[0]}; }}\n"
    + server(
        """
        proxy_http_version 1.1;
        location /fixed/ {
            proxy_pass http://backend;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
        location /mapped/ {
            proxy_pass http://backend;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $host;
        }
        location /as-sent/ {
            proxy_pass http://backend;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
        }
        location /alone/ { proxy_pass http://backend; proxy_set_header Upgrade $http_upgrade; }
        location /plain/ { proxy_pass http://backend; }
        location /always/ {
            proxy_pass http://backend;
            proxy_set_header Upgrade websocket;
            proxy_set_header Connection upgrade;
        }
        """
    )
)
_PATHS: Final = (b"/fixed/", b"/mapped/", b"/as-sent/", b"/alone/", b"/plain/", b"/always/")
_ASKS: Final[dict[str, tuple[bytes, ...]]] = {
    "asked": HANDSHAKE_FIELDS,
    "not-asked": (),
    "upgrade-only": (b"Upgrade: websocket",),
    "connection-only": (b"Connection: upgrade",),
    "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"),
    "other": (b"Connection: upgrade", b"Upgrade: other/1"),
    "several": (b"Connection: keep-alive, Upgrade", b"Upgrade: a, websocket"),
    "upper": (b"CONNECTION: UPGRADE", b"UPGRADE: WEBSOCKET"),
    "close": (b"Connection: close", b"Upgrade: websocket"),
}
_FRAME: Final = encode(1, b"hello", mask=True)


def _switch(*fields: bytes, body: bytes = b"") -> Script:
    head = b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *fields]) + b"\r\n\r\n"
    return then("fin", head + body)


_REFUSALS: Final[dict[str, Script]] = {
    "ok": answers(reply(b"no socket here")),
    "bad-request": answers(reply(b"no", status=b"400 Bad Request")),
    "upgrade-required": answers(
        reply(b"no", b"Upgrade: websocket", b"Connection: Upgrade", status=b"426 Upgrade Required")
    ),
    "forbidden-closing": then("fin", reply(b"no", b"Connection: close", status=b"403 Forbidden")),
    "nothing": then("fin"),
}
_SWITCHES: Final[dict[str, Script]] = {
    "bare": _switch(b"Connection: Upgrade", b"Upgrade: websocket"),
    "fields": _switch(
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"Sec-WebSocket-Protocol: chat",
        b"Server: origin/1",
        b"Set-Cookie: a=b",
    ),
    "other-protocol": _switch(b"Connection: Upgrade", b"Upgrade: other"),
    "no-connection": _switch(b"Upgrade: websocket"),
    "no-upgrade": _switch(b"Connection: Upgrade"),
    "neither": _switch(b"X-A: 1"),
}


def upgrades() -> Iterator[Row]:
    """Who asks how where, who is refused how, and what is joined."""
    for path in _PATHS:
        octets = {
            f"{path.decode().strip('/')}-{name}": request(b"GET", path, *fields)
            for name, fields in _ASKS.items()
        }
        yield from table("upgrade", _CONF, octets)
    asked = request(b"GET", b"/mapped/ws", *HANDSHAKE_FIELDS)
    for name, script in _REFUSALS.items():
        yield row(f"upgrade-refused-{name}", _CONF, asked, origin=script)
    for name, script in _SWITCHES.items():
        yield row(f"upgrade-switch-{name}", _CONF, asked, origin=script)
    for path in (b"/fixed/", b"/mapped/", b"/as-sent/"):
        name = f"tunnel-{path.decode().strip('/')}"
        raw = request(b"GET", path, *HANDSHAKE_FIELDS)
        yield row(name, _CONF, raw, origin=websocket(), tunnel=_FRAME)
    behind = encode(1, b"from the origin")
    early = websocket(behind=behind)
    yield row("tunnel-origin-speaks-at-once", _CONF, asked, origin=early, tunnel=_FRAME,
              drawn=len(behind))  # fmt: skip
    yield row("tunnel-client-speaks-at-once", _CONF, asked + _FRAME, origin=websocket(),
              tunnel=_FRAME, drawn=len(_FRAME))  # fmt: skip
    post = request(b"POST", b"/mapped/", *HANDSHAKE_FIELDS, body=b"hi")
    yield row("upgrade-post-refused", _CONF, post, origin=answers(reply(b"ok")))
    bad = answers(reply(b"no", status=b"400 Bad Request"))
    yield row("upgrade-refused-with-octets-behind", _CONF, asked + _FRAME, origin=bad)
    yield row("upgrade-old-version", _CONF, asked.replace(b"HTTP/1.1", b"HTTP/1.0"))
