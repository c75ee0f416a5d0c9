"""``return`` in all its forms, error pages, and who is let in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import (
    ORIGINS,
    Row,
    numbered,
    passing,
    row,
    server,
    table,
)
from tests.peers import Conn, Script, reply
from tests.peers.client import request

_UPSTREAM: Final = f"upstream backend {{ server {ORIGINS[0]}; }}\n"


def _returns(number: int, *args: str) -> str:
    return f"location = /r{number} {{ return {' '.join(args)}; }}\n"


_FORMS: Final = (
    "200", "200 text", "'200' 'a b\n c'", "200 $arg_x-$host", "201 made", "204", "204 ignored",
    "206 part", "301 /there", "302 /there?x=$arg_x", "303 http://o.test/", "307 $request_uri",
    "308 https://$host$uri", "301 //o.test/", "400", "400 bad", "403", "404 none", "404", "405",
    "410", "413", "418", "418 teapot", "429 slow", "444", "499", "500", "500 oops", "502", "503",
    "504", "599 odd", "http://o.test/$arg_x", "https://o.test/", "$scheme://o.test/",
)  # fmt: skip
_RETURNS: Final = server(
    *(_returns(number, form) for number, form in enumerate(_FORMS)),
    "location = /typed { default_type application/json; return 200 '{}'; }",
    "location = /a.html { return 200 '<p>'; }",
    "location = /a.gif { default_type text/css; return 200 x; }",
    "location = /nt { types { } default_type text/x-y; return 200 x; }",
    "location = /fields { add_header X-A b always; add_header X-B c; return 200 x; }",
    "location = /relative { absolute_redirect off; return 301 /x; }",
    "location = /server-name { server_name_in_redirect on; return 301 /x; }",
    name="h.test",
)

_PAGES: Final = _UPSTREAM + server(
    "error_page 404 /not-found; error_page 403 =200 /hidden-page?why=forbidden;",
    "location = /not-found { return 200 'nothing at $request_uri, $uri'; }",
    passing("proxy_set_header X-Why $arg_why;", path="/hidden-page"),
    passing(path="/proxied/"),
    passing("proxy_intercept_errors on;", path="/intercepted/"),
    passing(
        "proxy_intercept_errors on; error_page 404 500 502 =503 /sorry; error_page 401 /login;",
        path="/own/",
    ),
    passing("proxy_set_header X-Page $request_method;", path="/sorry"),
    passing("proxy_set_header X-Page login;", path="/login"),
    passing(
        "proxy_intercept_errors on; error_page 404 = @named; error_page 500 =299 @named;",
        "error_page 502 @named;",
        path="/named/",
    ),
    passing("proxy_set_header X-Page named;", path="@named"),
    "location /forbidden/ { return 403; }",
    "location /missing/ { return 404; }",
    "location /spoken/ { return 404 'said here'; }",
    "location /elsewhere/ { error_page 404 http://o.test/$arg_x; return 404; }",
    "location /elsewhere2/ { error_page 404 =301 /x.html; error_page 410 =301 http://o.test/; "
    "return 410; }",
    "location /page-fails/ { error_page 404 /forbidden/; return 404; }",
    "location /own-status/ { error_page 404 = /teapot; return 404; }",
    "location /given/ { error_page 404 =201 /teapot; return 404; }",
    "location = /teapot { return 418 teapot; }",
    "location /down/ { proxy_pass http://127.0.0.1:1; error_page 502 =200 @named; }",
    "location /down-path/ { proxy_pass http://127.0.0.1:1; error_page 502 /sorry; }",
    "location /small/ { client_max_body_size 3; error_page 413 /teapot; "
    "proxy_pass http://backend; }",
    name="h.test",
)
_PAGED: Final = [
    b"/nowhere", b"/forbidden/?a=b", b"/missing/x", b"/spoken/", b"/elsewhere/?x=1",
    b"/elsewhere2/", b"/page-fails/", b"/own-status/", b"/given/", b"/down/a?b", b"/down-path/a?b",
    b"/not-found", b"/hidden-page", b"/proxied/x",
]  # fmt: skip
_STATUSES: Final = (200, 301, 302, 304, 400, 401, 403, 404, 410, 500, 502, 503)

_ACCESS: Final = (
    "set_real_ip_from unix:; real_ip_header X-Forwarded-For;\n"
    + _UPSTREAM
    + server(
        passing("allow 10.0.0.0/8; deny all;", path="/ten/"),
        passing("deny 10.1.0.0/16; allow 10.0.0.0/8; deny 10.0.0.0/7;", path="/mixed/"),
        passing("allow 2001:db8::/32; allow 192.0.2.1; deny all;", path="/six/"),
        passing("deny all;", path="/none/"),
        passing("allow all;", path="/all/"),
        passing("allow 10.2.3.4/8; deny 0.0.0.0/0;", path="/bits/"),
        passing("deny 10.9.9.9; return 200 first;", path="/answered/"),
        passing("deny 10.9.9.9; rewrite ^ /ten/x last;", path="/moved/"),
        passing("error_page 403 = /all/denied; deny 10.9.9.9;", path="/paged/"),
        "location /only/ { deny all; }",
    )
)
_CLIENTS: Final = (
    b"10.0.0.1", b"10.1.2.3", b"10.9.9.9", b"11.0.0.1", b"192.0.2.1", b"2001:db8::1", b"::1",
    b"::ffff:10.0.0.1",
)  # fmt: skip
_DOORS: Final = (
    b"/ten/", b"/mixed/", b"/six/", b"/none/", b"/all/", b"/bits/", b"/answered/", b"/moved/",
    b"/paged/",
)  # fmt: skip


def own_answers() -> Iterator[Row]:
    """Answers, errors, clients."""
    paths = [f"/r{number}?x=1".encode() for number in range(len(_FORMS))]
    paths += [b"/typed", b"/a.html", b"/a.gif", b"/nt", b"/fields", b"/relative", b"/server-name"]
    octets = [request(b"GET", path, host=b"h.test") for path in paths]
    octets += [request(b"HEAD", path, host=b"h.test") for path in (b"/r1", b"/r8", b"/r15")]
    octets += [request(b"POST", b"/r1", host=b"h.test", body=b"hello")]
    octets += [b"GET /r1 HTTP/1.0\r\nHost: h.test\r\n\r\n", b"GET /r8 HTTP/1.0\r\n\r\n"]
    yield from table("return", _RETURNS, numbered(octets))
    yield from error_pages()
    for door in _DOORS:
        asked = {
            client.decode(): request(b"GET", door, b"X-Forwarded-For: " + client, host=b"h.test")
            for client in _CLIENTS
        }
        yield from table(f"access-{door.decode().strip('/')}", _ACCESS, asked)
    yield from table("access-only", _ACCESS, {"get": request(b"GET", b"/only/x", host=b"h.test")})


def error_pages() -> Iterator[Row]:
    """Errors of our own, and of the upstream."""
    octets = [request(b"GET", path, host=b"h.test") for path in _PAGED]
    octets += [request(b"HEAD", path, host=b"h.test") for path in (b"/missing/x", b"/down/a")]
    octets += [
        request(b"POST", path, host=b"h.test", body=b"hello")
        for path in (b"/missing/", b"/down/a", b"/small/a", b"/given/", b"/down-path/")
    ]
    yield from table("error", _PAGES, numbered(octets))
    for place in (b"/proxied/", b"/intercepted/", b"/own/", b"/named/"):
        for status in _STATUSES:
            fields = (b"X-Up: 1", b"WWW-Authenticate: Basic", b"Location: /l")
            body = b"" if status == 304 else b"upstream"
            yield row(
                f"intercept-{place.decode().strip('/')}-{status}",
                _PAGES,
                request(b"GET", place, host=b"h.test"),
                origin=_unless_a_page(reply(body, *fields, status=b"%d Said" % status)),
            )


def _unless_a_page(answer: bytes) -> Script:
    """Answer so, but for a request that a location for errors passes on."""

    async def script(conn: Conn) -> None:
        while True:
            asked = await conn.next_request()
            page = asked.get(b"x-page") is not None
            await conn.send(reply(b"page") if page else answer)

    return script
