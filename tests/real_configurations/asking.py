"""What is asked of each configuration, by hotsplice and nginx alike.

A line is a method, a host, a target, and fields behind bars.  ``Answer`` is what the server behind
answers with, ``Answer-Field`` one of its fields; ``80`` is where is asked, unless a line says
``@`` and another.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from tests.conformance.differential.row import Row
from tests.peers import EndedError
from tests.peers.origin import Conn, accept_key, reply
from tests.real_configurations.placing import FILES, SERVERS

WEBSOCKET: Final = (
    "Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Version: 13"
    "|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
FRAME: Final = b"\x82\x05octet"

TABLES: Final = {
    "canary": """
        GET any.test /
        GET any.test /?page=2 | X-Forwarded-For: 203.0.113.1
        GET any.test / | X-Forwarded-For: 203.0.113.2
        GET any.test / | X-Forwarded-For: 203.0.113.3
        GET any.test / | X-Forwarded-For: 203.0.113.4
        GET any.test / | X-Forwarded-For: 203.0.113.5
        GET any.test / | X-Forwarded-For: 203.0.113.6
        GET any.test / | X-Forwarded-For: 203.0.113.7
        GET any.test / | X-Forwarded-For: 2001:db8::7
        GET any.test /a | Cookie: theme=dark; canary=always
        GET any.test /b | Cookie: canary=never
        GET any.test /c | Cookie: canary=NEVER
        GET any.test /d | Cookie: canary=perhaps | X-Forwarded-For: 203.0.113.3
        GET any.test /e | Cookie: canary=always | Answer: 500
        POST any.test /f | Cookie: canary=always
        GET any.test /try-canary
        GET any.test /leave-canary | Cookie: canary=always
        GET any.test /try-canary/ | Cookie: canary=never
        GET any.test /live | Cookie: canary=always | WEBSOCKET
        GET any.test /live | Cookie: canary=never | WEBSOCKET
    """,
    "chat": """
        GET chat.example.com /healthz
        HEAD chat.example.com /healthz
        GET chat.example.com /healthz | X-Forwarded-Proto: http
        GET chat.example.com / | X-Forwarded-Proto: https
        GET chat.example.com /ws
        GET chat.example.com /api/rooms?since=5 | X-Forwarded-Proto: https
        GET chat.example.com /api | X-Forwarded-Proto: https
        GET chat.example.com /api// a=b
        GET chat.example.com /api/%2e%2e/ws/
        POST chat.example.com /api/rooms | X-Forwarded-For: 198.51.100.9, 10.3.0.1
        GET chat.example.com /api/rooms | X-Forwarded-For: 198.51.100.9
        GET chat.example.com /api/rooms | Upgrade: websocket | Connection: Upgrade
        GET chat.example.com /api/rooms | Answer: 503
        GET chat.example.com /api/rooms | Answer: 404
        GET chat.example.com:8443 /api/rooms | Connection: close
        GET chat.example.com /ws/lobby
        GET chat.example.com /ws/lobby | WEBSOCKET
        GET chat.example.com /ws/lobby?token=x | X-Forwarded-For: 198.51.100.9 | WEBSOCKET
        GET chat.example.com /ws/lobby | Answer: 403 | WEBSOCKET
        GET other.test /api/rooms
        GET chat.example.com /ws/lobby | X-Forwarded-Proto: http | WEBSOCKET
    """,
    "grafana": """
        GET monitoring.example.org /
        GET monitoring.example.org /?orgId=1
        GET monitoring.example.org /grafana
        GET monitoring.example.org /grafana/
        GET monitoring.example.org /grafana/d/abc/some%20board?orgId=1&from=now-6h
        GET monitoring.example.org /grafana/d/a%2Fb/x?q=%2F
        GET monitoring.example.org /grafana/login | Answer: 302 | Answer-Field: Location: /grafana/
        POST monitoring.example.org /grafana/api/ds/query
        GET monitoring.example.org /grafana/api/live/
        GET monitoring.example.org /grafana/api/live/ws
        GET monitoring.example.org /grafana/api/live/ws | WEBSOCKET
        GET monitoring.example.org /grafana/api/live/ws?x=%20y | WEBSOCKET
        GET monitoring.example.org /grafana/other | WEBSOCKET
        GET monitoring.example.org /prometheus/graph
        GET monitoring.example.org /nothing/here
    """,
    "home": """
        GET home.example.org /
        GET home.example.org /lovelace/0?edit=1
        GET home.example.org / | Answer: 302 | Answer-Field: Location: http://home.example.org/auth
        GET home.example.org /api/websocket
        GET home.example.org /api/websocket | WEBSOCKET
        GET home.example.org /api/websocket?x=1 | WEBSOCKET
        GET home.example.org /other | WEBSOCKET
        GET vault.example.org /
        POST vault.example.org /identity/connect/token
        GET vault.example.org /notifications/hub?access_token=x | WEBSOCKET
        GET vault.example.org /admin
        GET vault.example.org /admin/users
        GET code.example.org /
        GET code.example.org:8080 /static/out%20of/here?q=a+b
        GET code.example.org / | Answer: 302 | Answer-Field: Location: http://localhost:8443/login
        GET code.example.org /stable-abc?type=terminal | WEBSOCKET
        GET code.example.org /reports
        GET code.example.org /reports/
        GET code.example.org /reports/page%20one?x=y
        GET code.example.org /reports/_stcore/stream | WEBSOCKET
        GET unknown.test /where
    """,
    "hosts": """
        GET 192.0.2.1 /
        GET scanner.test /admin.php
        GET example.net /
        GET www.example.net /page?x=1
        GET deep.old.example.net /page
        GET EXAMPLE.NET. /upper
        GET example.net /.well-known/acme-challenge/token
        GET app.example.net /
        GET app.example.net /path/to?x=1 | X-Real-IP: 198.51.100.4
        GET app.example.net /.git/config
        GET app.example.net /backup.env
        GET app.example.net /x/INDEX.PHP
        GET app.example.net /.hidden
        POST app.example.net /form
        GET acme.apps.example.net /
        GET beta-one.apps.example.net /
        GET initech.apps.example.net /?a=b
        GET initech.apps.example.net /live | WEBSOCKET
        GET acme.apps.example.net /live | WEBSOCKET
        GET a.b.apps.example.net /
        GET 127.0.0.1:8081 /health @127.0.0.1:8081
        GET 127.0.0.1:8081 /app/ @127.0.0.1:8081
        GET 127.0.0.1:8081 /other @127.0.0.1:8081
    """,
    "jupyter": """
        GET notebooks.example.edu /
        GET notebooks.example.edu /hub/login?next=%2Fhub%2F
        GET notebooks.example.edu /user/ada/tree
        POST notebooks.example.edu /user/ada/api/kernels
        GET notebooks.example.edu /user/ada/api/kernels/7f3c/channels?session_id=1
        GET notebooks.example.edu /user/ada/api/kernels/7f3c/channels?session_id=1 | WEBSOCKET
        GET notebooks.example.edu /USER/ada/API/kernels/7f3c/STDIN | WEBSOCKET
        GET notebooks.example.edu /user/ada/terminals/websocket/1 | WEBSOCKET
        GET notebooks.example.edu /user/ada/api/kernels/7f3c/channels | Answer: 403 | WEBSOCKET
        GET notebooks.example.edu /user/ada/lab | WEBSOCKET
        GET notebooks.example.edu /.well-known/acme-challenge/x
        GET notebooks.example.edu / | Answer: 302 | Answer-Field: Location: http://notebook/hub/
        GET notebooks.example.edu / | Answer: 302 | Answer-Field: Location: /hub/
    """,
    "shop": """
        GET www.shop.example /
        GET www.shop.example /product/5?ref=mail
        GET shop.example /
        GET shop.example /product/5?ref=mail
        GET shop.example /static/app.3f2a.js | Answer-Field: Set-Cookie: a=b
        GET shop.example /static/app.3f2a.js | Answer-Field: Cache-Control: no-cache
        GET shop.example /static/../api/secret
        GET shop.example /static/gone.js | Answer: 404
        GET shop.example /static
        GET shop.example /logo.svg | Answer-Field: Content-Type: image/svg+xml
        GET shop.example /IMG/Logo.PNG | Answer-Field: Content-Type: image/png
        GET shop.example /main.css | Answer-Field: Content-Type: text/css
        GET shop.example /main.js?v=2 | Answer-Field: Content-Type: text/plain
        GET shop.example /gone.css | Answer: 404
        GET shop.example /robots.txt
        GET shop.example /api/items
        GET shop.example /api/items | Answer: 404
        GET shop.example /api/items | Answer: 502
        GET shop.example /api/items | Answer: 503
        GET shop.example /api/items | Answer: close
        POST shop.example /api/items | Answer: close
        GET shop.example / | Answer: 502
        GET shop.example / | Answer: close
        GET shop.example /logo.gif | Answer: close
        POST shop.example /api/upload/photo
        GET shop.example /catalogue/item-17.html
        GET shop.example /catalogue/item-17.html?x=1
        GET shop.example /catalogue/toys/wood.html?x=1
        GET shop.example /catalogue/
        GET shop.example /cart | Answer: 302 | Answer-Field: Location: http://shop.internal/checkout?a=b
        GET shop.example /cart | Answer: 302 | Answer-Field: Location: https://pay.test/
        GET shop.example /login | Answer-Field: Set-Cookie: id=1; Domain=shop.internal; Path=/
        HEAD shop.example /login
    """,
    "socketio": """
        GET io.example.com /
        GET io.example.com /socket.io/?EIO=4&transport=polling
        GET io.example.com /socket.io/?EIO=4&transport=polling | X-Forwarded-For: 203.0.113.1
        GET io.example.com /socket.io/?EIO=4&transport=polling | X-Forwarded-For: 203.0.114.1
        GET io.example.com /socket.io/?EIO=4&transport=polling | X-Forwarded-For: 203.0.115.1
        GET io.example.com /socket.io/?EIO=4&transport=polling | X-Forwarded-For: 203.0.115.99
        GET io.example.com /socket.io/?EIO=4&transport=polling | X-Forwarded-For: 198.51.100.1
        POST io.example.com /socket.io/?EIO=4&transport=polling&sid=x | X-Forwarded-For: 203.0.115.1
        GET io.example.com /socket.io/?EIO=4&transport=websocket&sid=x | WEBSOCKET
        GET io.example.com /socket.io/?EIO=4 | X-Forwarded-For: 203.0.114.1 | WEBSOCKET
        GET io.example.com /socket.io/?EIO=4 | Answer: 502
        GET io.example.com /socket.io | Answer: 200
    """,
    "spa": """
        OPTIONS app.example.com /api/items | Origin: https://www.example.com
        OPTIONS app.example.com /api/items | Origin: https://evil.test
        OPTIONS app.example.com /api/items
        GET app.example.com /api/items
        GET app.example.com /api/items | Origin: http://localhost:5173
        GET app.example.com /api/items | Authorization: Bearer abc | Origin: http://localhost:5173
        GET app.example.com /api/items | Cookie: token=xyz; other=1
        GET app.example.com /api/items | Cookie: token=xyz | Authorization: Basic Zm9v
        DELETE app.example.com /api/items/7?hard=1 | Authorization: Bearer abc
        GET app.example.com /api/items | Authorization: Bearer abc | Answer: 500 | Origin: https://example.com
        GET app.example.com /live
        GET app.example.com /live | WEBSOCKET
        GET app.example.com /live?room=1 | Cookie: token=xyz | WEBSOCKET
        GET app.example.com /live | Authorization: Bearer abc | WEBSOCKET
        GET app.example.com /
        GET app.example.com /deep/link?x=1
        GET app.example.com /assets/app.js
        GET app.example.com /favicon.ico
        GET app.example.com /index.html
        GET app.example.com /index.html | Answer: 304
    """,
}


def rows(name: str) -> Iterator[tuple[str, Row]]:
    """Give the requests to a configuration, each with what it is sent to."""
    conf = "".join(path.read_text() for path in sorted((FILES / name).rglob("*.conf")))
    for line in filter(None, map(str.strip, TABLES[name].splitlines())):
        words, *fields = (part.strip() for part in line.replace("WEBSOCKET", WEBSOCKET).split("|"))
        words, _, listen = words.partition(" @")
        method, host, target = words.split(" ", 2)
        target = target.replace(" ", "?")
        body = b"some=form&data=1" if method == "POST" else b""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        lines += [f"Content-Length: {len(body)}"] if body else []
        octets = "\r\n".join([*lines, "", ""]).encode() + body
        tunnel = FRAME if WEBSOCKET in line.replace("WEBSOCKET", WEBSOCKET) else b""
        row = Row(f"{name}: {line}", conf, (octets,), (method.encode(),), as_told, tunnel=tunnel)
        yield listen or "80", row


async def as_told(conn: Conn) -> None:
    """Answer each request with what it says."""
    while True:
        head = await conn.next_head()
        body = await conn.read_body(head)
        told = (head.get(b"answer") or b"200").decode()
        fields = head.all(b"answer-field")
        if told == "close":
            conn.vanish("fin")
            raise EndedError("as told")
        key = head.get(b"sec-websocket-key")
        if told == "200" and key is not None and head.get(b"upgrade") == b"websocket":
            accepted = b"Sec-WebSocket-Accept: " + accept_key(key)
            lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", accepted)
            await conn.send(b"\r\n".join((*lines, b"Connection: Upgrade", b"", b"")))
            await conn.echo()
            return
        fields += [] if any(b"Content-Type" in each for each in fields) else [b"Content-Type: a/b"]
        content = b"" if told == "304" or head.method == b"HEAD" else b"you said " + body
        status = f"{told} {HTTPStatus(int(told)).phrase}".encode()
        answer = reply(content, *fields, status=status, length=told != "304")
        await conn.send(answer)


REQUESTS: Final = [(name, listen, row) for name in SERVERS for listen, row in rows(name)]
