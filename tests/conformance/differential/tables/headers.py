"""Header rules of both directions, their inheritance, and the variables in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, numbered, row, server, table
from tests.peers import answers, reply
from tests.peers.client import request

_UPSTREAM: Final = f"upstream backend {{ server {ORIGINS[0]}; }}\n"

_REQUEST: Final = _UPSTREAM + server(
    """
    proxy_set_header X-Outer outer;
    proxy_set_header Host $http_host;
    proxy_http_version 1.1;
    location /kept/ { proxy_pass http://backend; }
    location /replaced/ { proxy_pass http://backend; proxy_set_header X-Inner $host; }
    location /twice/ {
        proxy_pass http://backend;
        proxy_set_header X-Twice 1;
        proxy_set_header X-Twice 2;
        proxy_set_header Accept-Encoding "";
        proxy_set_header X-Names "${server_name}/$document_uri/$request";
    }
    location /old/ { proxy_pass http://backend; proxy_http_version 1.0; }
    location /facts/ {
        proxy_pass http://backend;
        proxy_set_header Host $host;
        proxy_set_header X-Facts "$scheme $request_method $server_protocol $content_length";
        proxy_set_header X-More "$content_type|$query_string|$args|$arg_a|$cookie_a|$http_x_a";
        proxy_set_header X-Proxy "$proxy_host:$proxy_port";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Empty $http_nothing;
        proxy_set_header User-Agent "";
        proxy_set_header x-lower "mixed ${http_host}x";
    }
    location /literal/ {
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header X-Proxy "$proxy_host $proxy_port";
    }
    location /connection/ {
        proxy_pass http://backend;
        proxy_set_header Connection "keep-alive, x-a";
    }
    """
)
_PATHS: Final = (b"/kept/", b"/replaced/", b"/twice/x?y", b"/old/", b"/facts/", b"/literal/",
               b"/connection/")  # fmt: skip
_FIELDS: Final[tuple[tuple[bytes, ...], ...]] = (
    (),
    (b"Accept-Encoding: br", b"User-Agent: me", b"Accept: */*"),
    (b"X-Outer: mine", b"X-Inner: mine", b"X-Twice: mine", b"x-twice: again", b"X-Lower: up"),
    (b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-For: 5.6.7.8", b"Cookie: a=b; c=d", b"X-A: 1"),
    (b"Keep-Alive: timeout=5", b"TE: trailers", b"Connection: keep-alive", b"X-A:", b"X-B:   x  "),
    (b"Content-Type: text/plain", b"X-A: \xc3\xa4", b"Referer: http://x/", b"If-Match: *"),
)

_RESPONSE: Final = _UPSTREAM + server(
    """
    proxy_hide_header X-Outer;
    add_header X-From server;
    location / { proxy_pass http://backend; }
    location /hide/ {
        proxy_pass http://backend;
        proxy_hide_header X-Gone;
        proxy_hide_header content-type;
    }
    location /pass/ {
        proxy_pass http://backend;
        proxy_pass_header X-Accel-Charset;
        proxy_pass_header x-pad;
    }
    location /add/ {
        proxy_pass http://backend;
        add_header X-Added $upstream_http_x_origin;
        add_header X-More a;
        add_header X-Always $status always;
        add_header X-None $upstream_http_nothing;
    }
    location /replace/ {
        proxy_pass http://backend;
        add_header ETag '"ours"' always;
        add_header Last-Modified "Thu, 01 Jan 1970 00:00:00 GMT";
    }
    """
)
_ANSWERS: Final = {
    "usual": reply(
        b"ok",
        b"Content-Type: text/plain",
        b"X-Origin: o",
        b"X-Gone: 1",
        b"X-Outer: 1",
        b"X-Accel-Charset: utf-8",
        b"X-Pad: 1",
    ),
    "named-twice": reply(b"ok", b"X-Gone: 1", b"x-gone: 2", b"X-Origin: a", b"X-Origin: b"),
    "bare": reply(b""),
    "dated": reply(b"ok", b'ETag: "a"', b"X-Origin: o", b"Last-Modified: today", b"X-Gone: 1"),
}


def headers() -> Iterator[Row]:
    """Each location with each set of fields."""
    octets = [request(b"GET", path, *fields) for path in _PATHS for fields in _FIELDS]
    octets += [request(b"POST", path, body=b"hello") for path in _PATHS]
    yield from table("request-fields", _REQUEST, numbered(octets))
    for name, answer in _ANSWERS.items():
        for path in (b"/", b"/hide/", b"/pass/", b"/add/", b"/replace/"):
            topic = f"response-fields{path.decode()}{name}"
            yield row(topic, _RESPONSE, request(b"GET", path), origin=answers(answer))
