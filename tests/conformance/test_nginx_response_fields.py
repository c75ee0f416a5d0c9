"""What becomes of response fields, beside nginx with the same file and the same upstream.

Compared is all of the response to the octet, but for the differences that are declared with their
reasons in ``differential``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.conformance.differential import reconcile
from tests.conformance.differential.observation import Message, Side
from tests.conformance.differential.row import Row
from tests.peers import Origin, RawClient, Reply, Stage
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, connect, nginx
from tests.peers.origin import Conn, Script
from tests.unit.admin.nginx.conf import write

HTTP: Final = """
    upstream backend { server ORIGIN; }
    map $http_x_kind $kind { default none; ~^(?<x>.)a$ "kind-$x"; }
    %s
    server {
        listen unix:SOCKET;
        server_name www.test;
        %s
    }
"""

OK: Final = b"200 OK"


@dataclass(frozen=True)
class Case:
    """A request, and what the upstream answers to it."""

    target: bytes
    fields: tuple[bytes, ...] = ()
    """Of the answer; ``ORIGIN`` is the upstream's address."""
    status: bytes = OK
    asking: tuple[bytes, ...] = ()
    """Fields of the request."""
    host: bytes = b"H.test:99"


def location(target: bytes, value: bytes, status: bytes = b"302 Found") -> Case:
    return Case(target, (b"X-Before: 1", b"Location: " + value, b"X-After: 2"), status)


def cookie(target: bytes, *values: bytes) -> Case:
    return Case(target, tuple(b"Set-Cookie: " + value for value in values))


@dataclass(frozen=True)
class Conf:
    """Directives of a server, and the cases that are tried on it."""

    directives: str
    cases: Sequence[Case]
    outer: str = ""
    """Directives of the ``http`` block."""


LOCATIONS: Final = (
    b"http://ORIGIN/",
    b"http://ORIGIN/a/b?c=d#e",
    b"http://ORIGIN",
    b"http://ORIGIN/sub/x",
    b"http://origin.test/x",
    b"HTTP://ORIGIN/x",
    b"https://ORIGIN/x",
    b"/plain",
    b"//host/x",
    b"relative",
    b"",
    b"http://backend/x",
)

STATUSES: Final = (
    b"200 OK", b"201 Created", b"202 Accepted", b"204 No Content", b"206 Partial Content",
    b"301 Moved Permanently", b"302 Found", b"303 See Other", b"304 Not Modified",
    b"307 Temporary Redirect", b"308 Permanent Redirect", b"400 Bad Request", b"401 Unauthorized",
    b"404 Not Found", b"500 Internal Server Error", b"503 Service Unavailable",
)  # fmt: skip

COOKIES: Final = (
    b"a=b; Domain=backend.test; Path=/app/; HttpOnly",
    b"a=b;domain=.BACKEND.test;path=/app/x;Secure",
    b"a=b ;  DOMAIN = backend.test ; pAtH = /app ; Max-Age=5",
    b"a=b; Domain=other.test; Path=/",
    b"a=b; Domain=; Path=",
    b"a=b; Domain; Path",
    b"a=b; Domain=backend.test; Domain=backend.test; Path=/app/1; Path=/app/2",
    b'a="b; Path=/app/"; Path="/app/"',
    b"a; Path=/app/; Domain=backend.test",
    b"=v; Path=/app/; Domain=backend.test",
    b"Path=/app/; Domain=backend.test",
    b"a=b; Path=/app/;",
    b"a=b;; Path=/app/; ;Domain=backend.test",
    b"a=b=c; Path=/app/=x; Domain=x=backend.test",
    b"a=b; XPath=/app/; Path2=/app/; Domains=backend.test",
    b"a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/app/",
    b"a=b;\tPath=/app/;\tDomain=backend.test",
    b"a=b; Domain=.; Path=/APP/",
)

CONFS: Final = {
    "default redirects": Conf(
        """
        location / { proxy_pass http://ORIGIN; }
        location /uri/ { proxy_pass http://ORIGIN/sub/; }
        location = /exact { proxy_pass http://ORIGIN/sub; }
        location ~ ^/regex { proxy_pass http://ORIGIN; }
        location /named/ { proxy_pass http://backend; }
        location /variable/ { proxy_pass http://backend$request_uri; }
        location /outer/ {
            proxy_pass http://ORIGIN/sub/;
            location /outer/in/ { proxy_pass http://backend; }
            location /outer/off/ { proxy_redirect off; proxy_pass http://backend; }
            location /outer/own/ { proxy_pass http://backend; proxy_redirect default; }
            location /outer/variable/ { proxy_pass http://backend$request_uri; }
        }
        """,
        [
            location(target, value)
            for target in (
                b"/", b"/uri/", b"/exact", b"/regex", b"/named/", b"/variable/", b"/outer/",
                b"/outer/in/", b"/outer/off/", b"/outer/own/", b"/outer/variable/",
            )
            for value in LOCATIONS
        ]
        + [location(b"/", b"http://ORIGIN/x", status) for status in STATUSES]
        + [
            Case(b"/", (b"Location: http://ORIGIN/x",), OK, (b"X-Kind: a",), b"[::1]:80"),
            Case(b"/", (b"lOCATION: http://ORIGIN/x",), host=b"UPPER.test."),
        ],
    ),
    "redirects by prefix": Conf(
        """
        proxy_redirect http://ORIGIN/ https://www.example.org/;
        location / { proxy_pass http://backend; }
        location /more/ {
            proxy_pass http://ORIGIN/;
            proxy_redirect default;
            proxy_redirect http://origin.test/ /o/;
            proxy_redirect / /slash/;
            proxy_redirect http://ORIGIN https://never;
        }
        location /off/ { proxy_redirect off; proxy_pass http://ORIGIN; }
        location /variables/ {
            proxy_redirect http://$http_x_from/ $scheme://$host/$arg_to/$kind/;
            proxy_pass http://backend;
        }
        location /empty/ { proxy_redirect "" before-; proxy_pass http://backend; }
        location /gone/ { proxy_redirect http://ORIGIN/ ""; proxy_pass http://backend; }
        """,
        [
            location(target, value)
            for target in (b"/", b"/more/", b"/off/", b"/empty/", b"/gone/")
            for value in LOCATIONS
        ]
        + [
            Case(
                b"/variables/?to=" + to,
                (b"Location: http://origin.test/x",),
                asking=(b"X-From: " + source, b"X-Kind: ba"),
            )
            for to in (b"", b"there")
            for source in (b"origin.test", b"other.test", b"origin.test/x")
        ],
    ),
    "redirects by pattern": Conf(
        r"""
        location / {
            proxy_redirect ~^http://[^/]+(/.*)$ $1;
            proxy_redirect ~*^HTTPS://(?<name>[^/]+)/ "http://$name.example.org/$scheme";
            proxy_redirect ~relative absolute-$arg_none-;
            proxy_pass http://backend;
        }
        location ~ ^/(?<user>[a-z]+)/(\d+) {
            proxy_redirect ~^http://([^/]+)/(.*)$ /$user/$1/$2;
            proxy_redirect /pla /$2-$user-;
            proxy_pass http://backend;
        }
        location /chosen/ {
            proxy_redirect ~^.*$ "";
            proxy_pass http://backend;
        }
        """,
        [
            location(target, value)
            for target in (b"/", b"/joe/7", b"/chosen/")
            for value in LOCATIONS
        ],
    ),
    "refresh": Conf(
        """
        location / { proxy_pass http://ORIGIN; }
        location /off/ { proxy_redirect off; proxy_pass http://ORIGIN; }
        location /regex/ { proxy_redirect ~^(.*)$ <$1>; proxy_pass http://ORIGIN; }
        """,
        [
            Case(target, (b"Refresh: " + value,))
            for target in (b"/", b"/off/", b"/regex/")
            for value in (
                b"5; url=http://ORIGIN/x",
                b"5; URL=http://ORIGIN/x; url=http://ORIGIN/y",
                b"5;uRl=http://ORIGIN/",
                b'5; url="http://ORIGIN/x"',
                b"5; url=/x",
                b"5; url=",
                b"5; url = http://ORIGIN/x",
                b"http://ORIGIN/x",
                b"5",
            )
        ],
    ),
    "cookies": Conf(
        r"""
        location / {
            proxy_pass http://backend;
            proxy_cookie_domain backend.test example.org;
            proxy_cookie_path /app/ /;
        }
        location /dots/ {
            proxy_pass http://backend;
            proxy_cookie_domain .backend.test .example.org;
            proxy_cookie_domain "" empty.test;
            proxy_cookie_path / /prefix/;
        }
        location /regex/ {
            proxy_pass http://backend;
            proxy_cookie_domain ~^\.?([a-z]+)\.test$ $1.example.org;
            proxy_cookie_path ~*^/app/(.*)$ /$1;
            proxy_cookie_path ~^(?<all>.*)$ /any$all;
        }
        location /variables/ {
            proxy_pass http://backend;
            proxy_cookie_domain $http_x_domain $host;
            proxy_cookie_path /$http_x_path/ /$kind/;
        }
        location /path/ { proxy_pass http://backend; proxy_cookie_path /app /; }
        location /off/ {
            proxy_pass http://backend;
            proxy_cookie_domain off;
            proxy_cookie_path off;
        }
        location /inherited/ { proxy_pass http://backend; }
        """,
        [
            cookie(target, value)
            for target in (b"/", b"/dots/", b"/regex/", b"/path/", b"/off/", b"/inherited/")
            for value in COOKIES
        ]
        + [
            cookie(b"/", *COOKIES),
            Case(
                b"/variables/",
                (b"set-cookie: a=b; Path=/app/x; Domain=backend.test",),
                asking=(b"X-Domain: BACKEND.test", b"X-Path: app", b"X-Kind: aa"),
            ),
            Case(b"/variables/", (b"set-cookie: a=b; Path=//x; Domain=",)),
        ],
        outer="proxy_cookie_domain backend.test http.test; proxy_cookie_path /app/ /http/;",
    ),
    "added": Conf(
        """
        add_header X-Outer outer;
        location / {
            proxy_pass http://backend;
            add_header X-Success $status;
            add_header X-Twice 1;
            add_header X-Between "$upstream_http_x_origin, $kind";
            add_header X-Twice 2;
            add_header x-twice 3;
            add_header X-Empty $arg_none;
            add_header X-Nothing "";
            add_header Set-Cookie a=b;
            add_header Set-Cookie c=d;
            add_header Cache-Control no-store;
            add_header Link "</a>";
        }
        location /always/ {
            proxy_pass http://backend;
            add_header X-Always $status always;
            add_header X-Always again always;
            add_header Vary b always;
        }
        location /both/ {
            proxy_pass http://backend;
            add_header X-Both always always;
            add_header X-Success 1;
            add_header X-Both success;
        }
        location /inherited/ { proxy_pass http://backend; }
        """,
        [
            Case(target, (b"X-Origin: o", b"Vary: a", b"Cache-Control: public"), status)
            for target in (b"/", b"/always/", b"/both/", b"/inherited/")
            for status in STATUSES
        ],
    ),
    "replaced": Conf(
        """
        location / {
            proxy_pass http://backend;
            add_header ETag '"mine"';
            add_header Last-Modified "Thu, 01 Jan 1970 00:00:00 GMT" always;
        }
        location /removed/ {
            proxy_pass http://backend;
            add_header etag "" always;
            add_header LAST-MODIFIED "";
        }
        location /twice/ {
            proxy_pass http://backend;
            add_header ETag '"always"' always;
            add_header etag '"success"';
            add_header Last-Modified success;
            add_header Last-Modified always always;
        }
        """,
        [
            Case(target, fields, status)
            for target in (b"/", b"/removed/", b"/twice/")
            for fields in (
                (b'ETag: "theirs"', b"Last-Modified: Fri, 02 Jan 1970 00:00:00 GMT", b"X-A: 1"),
                (b"X-A: 1",),
            )
            for status in (OK, b"301 Moved Permanently", b"404 Not Found", b"500 Error")
        ],
    ),
    "hidden and passed": Conf(
        """
        location / { proxy_pass http://backend; }
        location /hide/ {
            proxy_pass http://backend;
            proxy_hide_header X-Gone;
            proxy_hide_header x-other;
            proxy_hide_header Set-Cookie;
            proxy_hide_header Content-Length;
            proxy_hide_header Content-Type;
        }
        location /pass/ {
            proxy_pass http://backend;
            proxy_pass_header X-Accel-Buffering;
            proxy_pass_header x-pad;
            proxy_pass_header X-Gone;
            proxy_hide_header X-Gone;
            proxy_hide_header X-Other;
        }
        location /ignored/ {
            proxy_pass http://backend;
            proxy_ignore_headers X-Accel-Buffering X-Accel-Charset Set-Cookie;
        }
        """,
        [
            Case(
                target,
                (
                    b"X-Gone: 1", b"X-Other: 2", b"X-GONE: 3", b"X-Pad: x", b"X-Kept: y",
                    b"X-Accel-Expires: 5", b"X-Accel-Limit-Rate: 0", b"X-Accel-Buffering: no",
                    b"X-Accel-Charset: utf-8", b"Set-Cookie: a=b", b"Content-Type: text/plain",
                ),
                status,
            )
            for target in (b"/", b"/hide/", b"/pass/", b"/ignored/")
            for status in (OK, b"404 Not Found")
        ],
    ),
}  # fmt: skip


def answering(cases: Sequence[Case]) -> Script:
    """Answer each request as the case says whose number it names."""

    async def script(conn: Conn) -> None:
        while True:
            asked = await conn.next_request()
            case = cases[int(asked.get(b"x-case") or b"")]
            lines = [b"HTTP/1.1 " + case.status, *case.fields]
            if case.status[:3] not in {b"204", b"304"}:
                lines.append(b"Content-Length: 0")
            head = b"\r\n".join([*lines, b"", b""])
            await conn.send(head.replace(b"ORIGIN", conn.origin.address.encode()))

    return script


def seen(answer: Reply, origin: Origin) -> Side:
    """Return what the client got; the upstream's address is ``ORIGIN`` again."""
    address, head = origin.address.encode(), answer.head
    fields = [(name, value.replace(address, b"ORIGIN")) for name, value in head.fields]
    return Side([Message(head.start, fields, answer.body)])


@dataclass
class Pair:
    ours: RawClient
    theirs: RawClient
    our_origin: Origin
    their_origin: Origin


@asynccontextmanager
async def both(stage: Stage, conf: Conf) -> AsyncIterator[Pair]:
    """Serve a configuration by both, an upstream behind each."""
    ours, theirs = stage.origin(answering(conf.cases)), stage.origin(answering(conf.cases))
    own, socket = stage.path("own.sock"), stage.path("nginx.sock")

    def placed(origin: Origin, listen: Path) -> str:
        text = HTTP % (conf.outer, conf.directives)
        return text.replace("ORIGIN", origin.address).replace("SOCKET", str(listen))

    imported = import_nginx(write("events {} http {" + placed(ours, own) + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(socket.parent, placed(theirs, socket)):
        client = await RawClient.connect(f"unix:{own}")
        other = await connect(socket)
        yield Pair(client, other, ours, theirs)
        client.close()
        other.close()


@beside_nginx
@pytest.mark.parametrize("name", CONFS)
async def test_response_fields_become_what_they_become_in_nginx(stage: Stage, name: str) -> None:
    conf = CONFS[name]
    different = []
    async with both(stage, conf) as pair:
        for number, case in enumerate(conf.cases):
            raw = request(b"GET", case.target, b"X-Case: %d" % number, *case.asking, host=case.host)
            answers = []
            for client in (pair.ours, pair.theirs):
                await client.send(raw)
                answers.append(await client.read_response())
            mine = seen(answers[0], pair.our_origin)
            yours = seen(answers[1], pair.their_origin)
            row = Row(name, conf.directives, (raw,), (b"GET",))
            reconcile(row, mine, yours)
            if mine != yours:
                different.append(f"{case}\n-- ours\n{mine}\n-- nginx\n{yours}")
    assert not different, "\n".join(different)


def test_there_are_enough_cases() -> None:
    assert sum(len(conf.cases) for conf in CONFS.values()) >= 60
