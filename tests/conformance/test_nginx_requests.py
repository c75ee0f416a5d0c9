"""Requests through the importer, nginx beside it with the same file: what the upstream receives.

Each file below goes to both; each of its requests, too, over a connection of its own.  Compared are
the status, ``Location``, the body that comes back, and of what the upstream got the request line,
every field and the body.  Where the two differ on purpose, ``ON_PURPOSE`` says so with its reason,
and the test fails if they no longer do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.peers import Origin, RawClient, Recorded, Reply, Stage, answers, echo, reply
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, connect, nginx
from tests.peers.origin import then
from tests.unit.admin.nginx.conf import write

pytestmark = beside_nginx

Requests = tuple[bytes, ...]


def gets(*targets: str) -> Requests:
    """Write a GET for each target."""
    return tuple(request(b"GET", target.encode("latin-1")) for target in targets)


def post(target: str, *pieces: bytes, chunked: bool = False, fields: Requests = ()) -> bytes:
    """Write a POST; ``chunked`` makes a chunk of each piece."""
    if not chunked:
        return request(b"POST", target.encode(), *fields, body=b"".join(pieces))
    head = request(b"POST", target.encode(), b"Transfer-Encoding: chunked", *fields)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def at(path: str, name: str, *more: str, to: str = "http://backend") -> str:
    """Write a location that tells the upstream its name; ``more`` may hold others."""
    inner = " ".join(more)
    return f"location {path} {{ proxy_pass {to}; proxy_set_header X-At {name}; {inner} }}"


@dataclass(frozen=True)
class Case:
    """A file's server, and requests to it."""

    server: str
    requests: Requests
    http: str = ""


CASES: Final[dict[str, Case]] = {
    "modifiers against odd paths": Case(
        at("/", "root")
        + at("/a", "a")
        + at("= /a", "exact")
        + at("/a/b/", "ab")
        + at("= /x/", "exact-slash")
        + at("^~ /final", "final")
        + at("~ [.]png$", "first")
        + at("~* ^/(a|x)/.*[.](png|gif)$", "second")
        + at('"/sp ace/"', "space")
        + at("/%41/", "escape"),
        gets(
            "/",
            "/a",
            "/a?",
            "/a?q",
            "/a/",
            "/a/b",
            "/a/b?",
            "/a/b?q=1",
            "/a/b/",
            "/a/b/c",
            "/A",
            "/%61",
            "/a%2Fb/",
            "/a/./b/",
            "/a/x/../b/",
            "//a//b//",
            "/x",
            "/x?y",
            "/x/",
            "/x/y",
            "/final",
            "/final.png",
            "/finally/a.png",
            "/a/i.png",
            "/a/i.PNG",
            "/a/i.gif",
            "/X/i.GIF",
            "/b/i.png",
            "/i.png/",
            "/sp%20ace",
            "/sp%20ace/",
            "/sp+ace/",
            "/A/",
            "/%41/",
            "/%2541/",
            "/%2541",
            "/..",
            "/%2e%2e/a",
            "/a/..",
            "/a%00b",
            "/a%zz",
        ),
    ),
    "regular expressions within prefixes": Case(
        at("/", "root", at("~ ^/a/only", "root-regex"))
        + at(
            "/a/",
            "a",
            at("~ x", "a-x"),
            at("/a/b/", "a-b", at("~ z$", "a-b-z"), at("= /a/b/exact", "a-b-exact")),
            at("^~ /a/c/", "a-c"),
            at("= /a/xyz", "a-exact"),
            at("~ ^/a/y(?<rest>.*)$", "a-y-$rest"),
        )
        + at("^~ /f/", "f", at("~ in", "f-in"), at("/f/g/", "f-g"))
        + at("~ z", "outer-z", at("~ ^/q", "outer-z-q"), at("~ w$", "outer-z-w"))
        + at("~ [.]png$", "png"),
        gets(
            "/",
            "/a",
            "/a/",
            "/a/x",
            "/a/xyz",
            "/a/b",
            "/a/b/",
            "/a/b/x",
            "/a/b/z",
            "/a/b/xz",
            "/a/b/zx",
            "/a/b/q",
            "/a/b/exact",
            "/a/c",
            "/a/c/",
            "/a/c/x",
            "/a/c/z",
            "/a/y1",
            "/a/yx",
            "/a/only",
            "/f/in",
            "/f/z",
            "/f/a.png",
            "/f/g/in",
            "/f/g/z",
            "/f/g",
            "/z",
            "/qz",
            "/qz/w",
            "/zw",
            "/qzw.png",
            "/i.png",
            "/a/i.png",
        ),
    ),
    "prefixes that take from each other": Case(
        at("/", "root")
        + at("/a", "a", at("/ab/c", "hidden"), at("/a/x", "a-x"), at("= /ab/d", "hidden-exact"))
        + at("/ab", "ab")
        + at("= /a/x/y", "exact"),
        gets("/a", "/ab", "/ab/c", "/ab/c/d", "/ab/d", "/a/x", "/a/x/y", "/a/x/y/z", "/abc"),
    ),
    "groups and answers": Case(
        at("/", "root")
        + "location /g/ { "
        + at("/g/a/", "g-a")
        + at("~ x", "g-x")
        + "location /g/r/ { return 201 g-r; } }"
        + at("~ z", "z")
        + "location /n/ { location /n/o/ { deny 192.0.2.1; "
        + at("/n/o/p/", "n-o-p")
        + "} }"
        + "location /r/ { return 200 r; }"
        + "location = /e/ { return 202 e; }"
        + at("/e/", "e-all")
        + at("= /f/", "f")
        + "location /f/ { return 203 f-all; }",
        gets(
            *("/g", "/g/", "/g/q", "/g/a", "/g/a/", "/g/a/x", "/g/a/z", "/g/xz", "/g/z"),
            *("/g/r", "/g/r/", "/g/r/x", "/n", "/n/", "/n/o", "/n/o/", "/n/o/p", "/n/o/p/q"),
            *("/r", "/r/", "/rz", "/e", "/e/", "/e/x", "/f", "/f?q", "/f/", "/f/x"),
        ),
    ),
    "internal paths with others within": Case(
        at("/", "root")
        + at("/i/", "i", "internal;", at("/i/n", "i-n"), at("~ x$", "i-x"))
        + "location /to/ { rewrite ^/to(.*)$ /i$1 last; }"
        + "location /back/ { rewrite ^/back(.*)$ $1 last; }",
        gets(
            *("/i", "/i/", "/i/n", "/i/x", "/i/nx", "/to/", "/to/n", "/to/x?y", "/to/nx"),
            *("/back/i/n?a", "/back/to/i/x", "/back/q", "/to"),
        ),
    ),
    "paths that steps have made": Case(
        'location /rw/ { rewrite ^/rw/(.*)$ "/x y/$1" break; proxy_pass http://backend/p/; }'
        "location /rv/ { rewrite ^/rv/ /other?b=2 break; proxy_pass http://backend/v$uri?$args; }"
        "location /q/ { set $args a=b; proxy_pass http://backend/p/; }"
        "location /qv/ { set $args a=b; proxy_pass http://backend/v$is_args$args; }"
        "location /qr/ { set $args a=b; rewrite ^ /x?c=d break; proxy_pass http://backend/$args; }"
        "location /on/ { rewrite ^/on/(.*)$ /q/$1; }",
        gets(
            *("/rw/a", "/rw/a%20b?c", "/rw/?", "/rv/a", "/rv/a?c", "/q/a%20b", "/q/?c", "/qv/x"),
            *("/on/a?c", "/on/a%2Fb", "/qr/", "/qr/?e"),
        ),
    ),
    "requests that errors lead elsewhere": Case(
        "location /body/ { proxy_pass http://unix:UNIX.none; proxy_set_body ours; "
        "    error_page 502 = @plain; }"
        "location /kept/ { proxy_pass http://unix:UNIX.none; error_page 502 = @plain; }"
        "location /both/ { proxy_pass http://unix:UNIX.none; proxy_set_body ours; "
        "    proxy_method PUT; error_page 502 = @own; }"
        "location /page/ { proxy_pass http://unix:UNIX.none; error_page 502 = /error?of=page; }"
        "location = /error { proxy_pass http://backend; proxy_set_body '$arg_of'; }"
        "location @plain { proxy_pass http://backend; proxy_set_header X-At plain; }"
        "location @own { proxy_pass http://backend; proxy_set_body '$request_method own'; "
        "    proxy_method $arg_m; }",
        (
            *(
                raw
                for path in ("/body/", "/kept/?q", "/both/?m=DELETE", "/page/x")
                for raw in (
                    *gets(path),
                    post(path, b"hello"),
                    post(path, b"hel", b"lo", chunked=True),
                )
            ),
        ),
    ),
    "slashes kept": Case(
        "merge_slashes off;"
        + at("/", "root")
        + at("/a/", "a", to="http://backend/n/")
        + at("//b", "b")
        + at("= /c//d", "exact")
        + at("~ ^/e//(.*)$", "regex-$1"),
        gets(
            "//",
            "/a//b",
            "/a///",
            "//a/b",
            "//b",
            "/b",
            "//b//c",
            "/c//d",
            "/c/d",
            "/e//f",
            "/e/f",
            "/a//../b",
            "/a/.//b",
            "//../b",
            "/a/%2F/b",
            "/a//..",
        ),
    ),
    "uris of proxy_pass": Case(
        at("/keep/", "1")
        + at("/root/", "2", to="http://backend/")
        + at("/to/", "3", to="http://backend/other/")
        + at("/cut", "4", to="http://backend/o")
        + at("/query/", "5", to="http://backend/q?a=b&c=")
        + at("/escape/", "6", to="http://backend/e%20%2Fe/")
        + at("= /exact", "7", to="http://backend/x")
        + at("= /exact/", "8", to="http://backend/y?z=")
        + at("~ ^/re/([^/]*)/(.*)$", "9", to="http://backend/r/$2/$1$is_args$args")
        + at("~ ^/plain", "10")
        + at("/fixed/", "11", to="http://backend/f$is_args$args")
        + at("/uri/", "12", to="http://backend$uri")
        + at("/doc/", "13", to="http://backend${document_uri}.html?$args")
        + at("/all/", "14", to="http://backend$request_uri")
        + at("/behind/", "15", to="http://backend/p$request_uri")
        + at("/arg/", "16", to="http://backend/$arg_a/$arg_b")
        + at("/only/", "17", to="http://backend/?u=$uri&$args")
        + at("/outer/", "18", at("/outer/inner/", "19", to="http://backend/i/")),
        gets(
            *(
                f"/{first}{rest}"
                for first in ("keep/", "root/", "to/", "cut", "query/", "escape/")
                for rest in ("", "?", "?q=1", "a%20b/c%2Fd?x=%20", "a%25b", "a%3Fb", "//a/../b;c")
            ),
            "/exact",
            "/exact?q",
            "/exact/",
            "/exact/?q",
            "/exactly",
            "/re/a/b",
            "/re/a/b?c=d",
            "/re/a/b?",
            "/re/a%2541/b%3Fc",
            "/re//",
            "/re/%C3%A4/x",
            "/re/a%20b/x",
            "/re/a%23b/x",
            "/plain/a%20b?c",
            "/fixed/x",
            "/fixed/?a=b",
            "/fixed/x?",
            "/uri/a?b",
            "/uri/a%2Fb",
            "/uri/a//b",
            "/doc/x?y",
            "/doc/x",
            "/all/a%20b?c",
            "/all//x",
            "/behind/x?y",
            "/arg/?a=1&b=2",
            "/arg/",
            "/arg/?b=%2F",
            "/only/x?y=z",
            "/outer/x",
            "/outer/inner/x",
            "/outer/inner",
        ),
    ),
    "chosen upstreams": Case(
        "location /u/ { proxy_pass http://$upstream; }"
        "location /a/ { proxy_pass http://$address/x$is_args$args; }"
        "location /p/ { proxy_pass http://127.0.0.1:$port; proxy_set_header X-P $proxy_port; }"
        "location /url/ { proxy_pass $url; }"
        "location /braced/ { proxy_pass http://${upstream}/y; }"
        "location /literal { proxy_pass http://ORIGIN/z/; }"
        "location /unix/ { proxy_pass http://unix:UNIX:/w/; }",
        (
            *(
                request(b"GET", path.encode(), b"X-To: " + to)
                for path in ("/u/x?y", "/a/x?y", "/a/x", "/p/x?y", "/url/x", "/braced/x")
                for to in (b"", b"o")
            ),
            *gets("/literal", "/literal/a?b", "/unix/a%20b", "/unix/"),
        ),
        http="upstream other { server ORIGIN; }"
        "map $http_x_to $upstream { default backend; o other; }"
        "map $http_x_to $address { default backend; o ORIGIN; }"
        "map $http_x_to $port { default PORT; }"
        "map $http_x_to $url { default http://backend; o http://ORIGIN; }",
    ),
    "fields over three levels": Case(
        "proxy_set_header X-Server $host; proxy_set_header Host $http_host;"
        "location /inherits/ { proxy_pass http://backend; }"
        "location /replaces/ { proxy_pass http://backend; proxy_set_header X-Location 1; "
        "    location /replaces/inherits/ { proxy_pass http://backend; }"
        "    location /replaces/again/ { proxy_pass http://backend; proxy_set_header X-Inner 2; }"
        "}"
        "location /empty/ { proxy_pass http://backend; proxy_set_header Accept ''; "
        "    proxy_set_header X-None $arg_none; proxy_set_header Connection ''; }"
        "location /host/ { proxy_pass http://backend; proxy_set_header Host a.$host; }"
        "location /none/ { proxy_pass http://backend; proxy_pass_request_headers off; "
        "    proxy_set_header X-Kept $http_x_a;"
        "    location /none/but/ { proxy_pass http://backend; proxy_pass_request_headers on; } }",
        (
            *(
                request(b"GET", path, b"Accept: */*", b"X-A: 1", b"x-a: 2", b"Cookie: a=b")
                for path in (
                    b"/inherits/",
                    b"/replaces/",
                    b"/replaces/inherits/",
                    b"/replaces/again/",
                    b"/empty/",
                    b"/empty/?none=1",
                    b"/host/",
                    b"/none/",
                    b"/none/but/",
                )
            ),
            request(b"GET", b"/none/", b"Connection: upgrade", b"Upgrade: websocket"),
            b"GET /none/ HTTP/1.0\r\n\r\n",
            b"GET /inherits/ HTTP/1.0\r\nX-A: 1\r\n\r\n",
            post("/none/", b"hello"),
            request(b"GET", b"/inherits/", b"X.Y: 1", b"X_Y: 2", b"X-Y: 3", b"X~Y: 4"),
        ),
        http="proxy_set_header X-Http top;",
    ),
    "odd names let in": Case(
        "ignore_invalid_headers off;" + at("/", "root"),
        (request(b"GET", b"/", b"X.Y: 1", b"X_Y: 2", b"X-Y: 3", b"X~Y: 4"),),
    ),
    "underscores let in": Case(
        "underscores_in_headers on; location / { proxy_pass http://backend; "
        "proxy_set_header X-Seen $http_x_y; }",
        (request(b"GET", b"/", b"X.Y: 1", b"X_Y: 2"), request(b"GET", b"/", b"X-Y: 3")),
    ),
    "underscores dropped": Case(
        "location / { proxy_pass http://backend; proxy_set_header X-Seen $http_x_y; }",
        (request(b"GET", b"/", b"X_Y: 2"), request(b"GET", b"/", b"X-Y: 3", b"X_Y: 2")),
    ),
    "methods": Case(
        "location /post/ { proxy_pass http://backend; proxy_method POST; }"
        "location /get/ { proxy_pass http://backend; proxy_method GET; }"
        "location /head/ { proxy_pass http://backend; proxy_method head; }"
        "location /arg/ { proxy_pass http://backend; proxy_method $arg_m; "
        "    proxy_set_header X-Method $request_method; }",
        (
            *(
                request(method, path)
                for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PURGE")
                for path in (b"/post/", b"/get/", b"/arg/?m=PUT")
            ),
            post("/get/", b"hello"),
            post("/arg/?m=PATCH", b"a", b"b", chunked=True),
            request(b"HEAD", b"/head/"),
            *gets("/arg/?m=M-SEARCH", "/arg/?m=", "/arg/?m=a,b"),
        ),
    ),
    "bodies": Case(
        "client_max_body_size 20;"
        "location /pass/ { proxy_pass http://backend; }"
        "location /new/ { proxy_pass http://backend; proxy_http_version 1.1; }"
        "location /stream/ { proxy_pass http://backend; proxy_request_buffering off; "
        "    proxy_http_version 1.1; }"
        "location /set/ { proxy_pass http://backend; proxy_set_body 'a=$arg_a&m=$request_method'; }"
        'location /lines/ { proxy_pass http://backend; proxy_set_body "a\\r\\nb\\n$arg_a"; }'
        "location /varies/ { proxy_pass http://backend; proxy_set_body $arg_a; }"
        "location /off/ { proxy_pass http://backend; proxy_pass_request_body off; "
        "    proxy_set_header Content-Length ''; }"
        "location /both/ { proxy_pass http://backend; proxy_pass_request_body off; "
        "    proxy_set_body both; }"
        "location /large/ { proxy_pass http://backend; client_max_body_size 1m; }",
        (
            *(
                raw
                for path in (
                    "/pass/",
                    "/new/",
                    "/set/?a=1",
                    "/lines/?a=%0A",
                    "/varies/?a=x",
                    "/varies/",
                    "/off/",
                    "/both/",
                )
                for raw in (
                    request(b"GET", path.encode()),
                    request(b"HEAD", path.encode()),
                    post(path),
                    post(path, b"hello"),
                    post(path, b"hello", b" ", b"world", chunked=True),
                    post(path, chunked=True),
                    post(path, b"x" * 21),
                )
            ),
            post("/stream/", b"hello"),
            post("/stream/", b"hello", chunked=True),
            post("/large/", b"y" * 200_000),
            post("/large/", *[b"z" * 1000] * 100, chunked=True),
            post("/set/?a=1", b"x" * 25, chunked=True),
            post("/pass/", b"x" * 25, chunked=True),
            b"POST /pass/ HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
            b"POST /set/?a=2 HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
            b"POST /off/ HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
            b"GET /pass/ HTTP/1.0\r\n\r\n",
            b"GET /new/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ),
    ),
    "versions": Case(
        "location /old/ { proxy_pass http://backend; proxy_http_version 1.0; }"
        "location /new/ { proxy_pass http://backend; proxy_http_version 1.1; }"
        "location /kept/ { proxy_pass http://backend; proxy_http_version 1.1; "
        "    proxy_set_header Connection ''; }"
        "location /said/ { proxy_pass http://backend; proxy_set_header Connection keep-alive; }",
        tuple(
            raw
            for path in (b"/old/", b"/new/", b"/kept/", b"/said/")
            for raw in (
                request(b"GET", path),
                b"GET " + path + b" HTTP/1.0\r\n\r\n",
                request(b"GET", path, b"Connection: close", b"Keep-Alive: 5", b"TE: trailers"),
                post(path.decode(), b"a", b"b", chunked=True),
            )
        ),
    ),
}

ON_PURPOSE: Final[dict[tuple[str, bytes], tuple[bytes, bytes]]] = {
    # RFC 3986, 2: no octets beyond ASCII in a target.
    ("uris of proxy_pass", b"GET /re/%C3%A4/x "): (b"GET /r/x/%C3%A4 ", b"GET /r/x/\xc3\xa4 "),
    # RFC 9112, 3: no space in a target; 3.2: no fragment.
    ("uris of proxy_pass", b"GET /re/a%20b/x "): (b"GET /r/x/a%20b ", b"GET /r/x/a b "),
    ("uris of proxy_pass", b"GET /re/a%23b/x "): (b"GET /r/x/a%23b ", b"GET /r/x/a#b "),
    # nginx knows the length of what it has read by then, which is a matter of luck.
    ("bodies", b"POST /stream/ HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding"): (
        b"Transfer-Encoding: chunked",
        b"Content-Length: 5",
    ),
    # RFC 9110, 9.1: a method is a token; the client's is sent.
    ("methods", b"GET /arg/?m= "): (b"GET /arg/?m= ", b" /arg/?m= "),
    ("methods", b"GET /arg/?m=a,b "): (b"GET /arg/?m=a,b ", b"a,b /arg/?m=a,b "),
}
"""Requests, by their beginning, of which a part goes upstream in another way than from nginx: how
ours begins a line, and what nginx writes there."""


def placed(text: str, listen: Path, origin: Origin, other: Origin) -> str:
    """Put real addresses into a file."""
    port = origin.address.rpartition(":")[2]
    made = text.replace("ORIGIN", origin.address).replace("PORT", port)
    return made.replace("UNIX", other.address.removeprefix("unix:")).replace("LISTEN", str(listen))


Seen = tuple[bytes, list[bytes], bytes]


def facts(one: Recorded, *origins: Origin) -> Seen:
    """Return request line, fields and body."""
    lines = one.head.raw.rstrip(b"\r\n").split(b"\r\n")
    for origin in origins:
        port = origin.address.rpartition(":")[2].encode()
        lines = [line.replace(port, b"port") for line in lines]
    return lines[0], lines[1:], one.body


def as_nginx(one: Seen, mine: bytes, yours: bytes) -> Seen:
    """Write in the place of a part of ours what nginx writes."""
    start, fields, body = one
    lines = [
        yours + line.removeprefix(mine) if line.startswith(mine) else line
        for line in (start, *fields)
    ]
    return lines[0], lines[1:], body


def shown(one: Reply) -> tuple[Any, ...]:
    """Return what of an answer the two have in common."""
    body = one.body if one.status == 200 else b""
    return one.status, one.get(b"location"), body


async def ask(address: Path, raw: bytes) -> Reply:
    """Send a request over a connection of its own."""
    client = await RawClient.connect(f"unix:{address}")
    try:
        await client.send(raw)
        return await client.read_response(raw.partition(b" ")[0])
    finally:
        client.close()


@pytest.mark.parametrize("name", CASES)
async def test_upstream_receives_what_nginx_sends(stage: Stage, name: str) -> None:
    case = CASES[name]
    server = f"server {{ listen unix:LISTEN; {case.server} }}"
    text = f"upstream backend {{ server ORIGIN; }} {case.http} {server}"
    addresses: list[Path] = []
    seen: list[tuple[Origin, Origin]] = []
    for _ in range(2):
        origins = (stage.origin(echo), stage.origin(echo, family="unix"))
        addresses.append(stage.path(f"listen{len(addresses)}.sock"))
        seen.append(origins)
    files = [placed(text, where, *pair) for where, pair in zip(addresses, seen, strict=True)]
    imported = import_nginx(write("events {} http {" + files[0] + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(addresses[1].parent, files[1]):
        for raw in case.requests:
            counts = [[len(origin.requests) for origin in origins] for origins in seen]
            replies = [await ask(address, raw) for address in addresses]
            got = [
                [
                    facts(one, *origins)
                    for origin, count in zip(origins, numbers, strict=True)
                    for one in origin.requests[count:]
                ]
                for origins, numbers in zip(seen, counts, strict=True)
            ]
            assert shown(replies[0]) == shown(replies[1]), raw[:200]
            parts = [p for (n, s), p in ON_PURPOSE.items() if n == name and raw.startswith(s)]
            if parts:
                assert got[0] != got[1], f"{parts} does not differ any more"
                got[0] = [as_nginx(one, *parts[0]) for one in got[0]]
            assert got[0] == got[1], raw[:200]


# -- which server ---------------------------------------------------------------------------------

SERVERS: Final = """
    proxy_set_header Host $http_host;
    server { listen unix:LISTEN; server_name exact.test $hostname;
        location / { proxy_pass http://backend; proxy_set_header X-At exact-$server_name; } }
    server { listen unix:LISTEN default_server; server_name _ ~^(?<who>d[a-z]*)[.]default$;
        location / { proxy_pass http://backend; proxy_set_header X-At default-$who; } }
    server { listen unix:LISTEN; server_name .dot.test;
        location / { proxy_pass http://backend; proxy_set_header X-At dot; } }
    server { listen unix:LISTEN; server_name *.a.test www.*;
        location / { proxy_pass http://backend; proxy_set_header X-At wild; } }
    server { listen unix:LISTEN; server_name *.b.a.test www.long.*;
        location / { proxy_pass http://backend; proxy_set_header X-At longer; } }
    server { listen unix:LISTEN; server_name ~^z(?<rest>.*)$ ~^(?<user>[a-z]+)[.]users[.]test$;
        location / { proxy_pass http://backend; proxy_set_header X-At z-$user; }
        location ~ ^/(?<page>[a-z]+)$ {
            proxy_pass http://backend; proxy_set_header X-At z-$user-$page-$rest; } }
    server { listen unix:LISTEN; server_name ~users ~^a;
        location / { proxy_pass http://backend; proxy_set_header X-At a; } }
    server { listen unix:LISTEN; server_name ~test$ exact.test;
        location / { proxy_pass http://backend; proxy_set_header X-At last; } }
    server { listen unix:LISTEN; server_name "" empty.test;
        location / { proxy_pass http://backend; proxy_set_header X-At nameless; } }
"""
HOSTS: Final = (
    "exact.test", "EXACT.test", "exact.test.", "exact.test:8080", "HOSTNAME", "x.exact.test",
    "dot.test", "x.dot.test", "x.y.dot.test", "xdot.test", "a.test", "x.a.test", "b.a.test",
    "x.b.a.test", "www.org", "www.long.org", "www.a.test", "www.", "zoo", "zoo.users.test",
    "joe.users.test", "users.org", "ape", "ape.test", "last.test", "empty.test", "nobody.org",
    "dan.default", "127.0.0.1", "[::1]:80", "_",
)  # fmt: skip


async def test_server_is_chosen_as_nginx_does(stage: Stage) -> None:
    mine, yours = stage.origin(), stage.origin()
    addresses = stage.path("own.sock"), stage.path("nginx.sock")
    text = "upstream backend { server ORIGIN; }" + SERVERS
    files = [
        placed(text, where, origin, origin)
        for where, origin in zip(addresses, (mine, yours), strict=True)
    ]
    imported = import_nginx(write("events {} http {" + files[0] + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    name = os.uname().nodename.encode()
    raws = [
        request(b"GET", path, host=host.encode().replace(b"HOSTNAME", name))
        for host in HOSTS
        for path in (b"/", b"/page")
    ]
    raws += [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\nHost: zoo\r\n\r\n"]
    async with nginx(addresses[1].parent, files[1]):
        for raw in raws:
            replies = [await ask(address, raw) for address in addresses]
            assert [one.status for one in replies] == [200, 200], raw
            assert facts(mine.requests[-1]) == facts(yours.requests[-1]), raw


# -- which endpoint -------------------------------------------------------------------------------

UPSTREAMS: Final = {
    "hash": "hash $arg_k; server A; server B; server C;",
    "hash weighted": "hash $arg_k; server A weight=3; server B; server C weight=5;",
    "hash with one down": "hash $arg_k; server A weight=2; server B down; server C;",
    "hash with one that fails": "hash $arg_k; server A; server NOBODY weight=4; server B;",
    "hash of one": "hash $arg_k; server A;",
    "hash with a twin": "hash $arg_k; server A; server B; server A; server C;",
    "twins": "server A; server A; server B; server C;",
    "weighted twins": "server A weight=2; server B weight=3; server A; server C;",
    "a twin as backup": "server A down; server B; server A backup; server C;",
    "two names of one address": "server localhost:A_PORT; server A; server B;",
}


@pytest.mark.parametrize("name", UPSTREAMS)
async def test_endpoint_is_chosen_as_nginx_does(stage: Stage, name: str) -> None:
    origins = [stage.origin(answers(reply(letter))) for letter in (b"a", b"b", b"c")]
    own, socket = stage.path("own.sock"), stage.path("nginx.sock")
    servers = UPSTREAMS[name].replace("A_PORT", origins[0].address.rpartition(":")[2])
    servers = servers.replace("NOBODY", stage.refused())
    for letter, origin in zip("ABC", origins, strict=True):
        servers = servers.replace(f"server {letter}", f"server {origin.address}")
    text = (
        f"upstream backend {{ {servers} }}"
        "server { listen unix:LISTEN; location / { proxy_pass http://backend; } }"
    )
    imported = import_nginx(write("events {} http {" + text.replace("LISTEN", str(own)) + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    chosen: list[bytes] = []
    keys = ["", *(f"user-{number}" for number in range(100)), "", "x" * 300, "%20"]
    async with nginx(socket.parent, text.replace("LISTEN", str(socket))):
        for address in (own, socket):
            client = await connect(address)
            chosen.append(b"".join([(await client.get(f"/?k={k}".encode())).body for k in keys]))
            client.close()
    assert chosen[0] == chosen[1]


# -- whether another one is tried -----------------------------------------------------------------

OUTCOMES: Final = {
    "closes": then("fin"),
    "resets": then("rst"),
    "no header": then("fin", b"HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n"),
    **{
        str(status): answers(reply(b"no", status=b"%d No" % status))
        for status in (403, 404, 429, 500, 502, 503, 504)
    },
}
WORDS: Final = {
    "default": "",
    "off": "proxy_next_upstream off;",
    "some": "proxy_next_upstream error http_503 http_404;",
    "all": "proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504 "
    "http_403 http_404 http_429 non_idempotent;",
    "one try": "proxy_next_upstream error http_503 non_idempotent; proxy_next_upstream_tries 1;",
    "streamed": "proxy_next_upstream error http_503; proxy_request_buffering off;",
    "another method": "proxy_next_upstream error http_503; proxy_method PUT;",
    "another body": "proxy_next_upstream error http_503; proxy_set_body x;",
}


@pytest.mark.parametrize("words", WORDS)
async def test_next_upstream_is_tried_where_nginx_tries_it(stage: Stage, words: str) -> None:
    locations: list[list[str]] = [[], []]
    counted: list[list[tuple[Origin, Origin]]] = [[], []]
    for number, script in enumerate(OUTCOMES.values()):
        for side in range(2):
            bad, good = stage.origin(script), stage.origin(answers(reply(b"good")))
            counted[side].append((bad, good))
            locations[side].append(
                f"upstream u{number} {{ server {bad.address} max_fails=0; "
                f"server {good.address} max_fails=0 backup; }}"
            )
    server = "".join(
        f"location /{number} {{ proxy_pass http://u{number}; {WORDS[words]} }}"
        for number in range(len(OUTCOMES))
    )
    addresses = [stage.path("own.sock"), stage.path("nginx.sock")]
    files = [
        "".join(made) + f"server {{ listen unix:{where}; {server} }}"
        for made, where in zip(locations, addresses, strict=True)
    ]
    imported = import_nginx(write("events {} http {" + files[0] + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(addresses[1].parent, files[1]):
        for number, outcome in enumerate(OUTCOMES):
            path = b"/%d" % number
            for raw in (request(b"GET", path), request(b"POST", path, body=b"hello")):
                statuses = [(await ask(address, raw)).status for address in addresses]
                tries = [tuple(len(o.requests) for o in side[number]) for side in counted]
                method = raw.partition(b" ")[0]
                assert statuses[0] == statuses[1], (outcome, method)
                assert tries[0] == tries[1], (outcome, method)
