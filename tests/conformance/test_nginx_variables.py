"""Every variable that both have, in requests of all kinds: nginx's value is ours."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

import pytest

from admin.nginx.values import words
from admin.nginx.variables import EMPTY
from tests.conformance.values_beside_nginx import Values, beside_nginx_with
from tests.peers import Stage, answers, reply, websocket
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.nginx import beside_nginx
from tests.peers.wire import chunked

pytestmark = beside_nginx

REQUEST: Final = words(
    """
    arg_a arg_a_b arg_b arg_x args binary_remote_addr connection_requests content_length
    content_type cookie_a cookie_b cookie_c_d document_uri host hostname http2 http_accept
    http_authorization http_connection http_content_length http_content_type http_cookie
    http_expect http_host http_range http_referer http_te http_transfer_encoding http_upgrade
    http_user_agent http_via http_x_a http_x_forwarded_for https is_args
    proxy_add_x_forwarded_for proxy_host proxy_port proxy_protocol_addr query_string
    realip_remote_addr realip_remote_port remote_addr remote_port remote_user request
    request_length request_method request_uri scheme server_addr server_name server_port
    server_protocol ssl_client_verify ssl_protocol upstream_cache_status uri
    """
)
"""Variables that a request has a value for."""


def basic(credentials: bytes) -> bytes:
    return b"Authorization: Basic " + b64encode(credentials)


def get(target: bytes, *fields: bytes, host: bytes = b"example.test") -> bytes:
    return request(b"GET", target, *fields, host=host)


REQUESTS: Final = {
    "plain": get(b"/"),
    "query": get(b"/a?a=1&b=2"),
    "empty query": get(b"/?"),
    "odd query": get(b"/?&=x&a&b=&&x=1?y=2#".rstrip(b"#")),
    "repeated argument": get(b"/?a=1&a=2&A=3&a_b=%20&a-b=1"),
    "argument in capitals": get(b"/?A=1&xa=2"),
    "escapes": get(b"/a%20b/%C3%A4%2Fc?a=%20+"),
    "dots": get(b"/a/./b/../c//d?a=/../x"),
    "percent": get(b"/%25%41?a=%"),
    "host in capitals": get(b"/", host=b"EXAMPLE.Test:8080"),
    "host with a dot": get(b"/", host=b"example.test."),
    "host of v6": get(b"/", host=b"[2001:DB8::1]:80"),
    "old": b"GET /a?b HTTP/1.0\r\nHost: old.test\r\n\r\n",
    "old and without a host": b"GET /a?b HTTP/1.0\r\n\r\n",
    "absolute": get(b"http://Abs.test/a?b", host=b"other.test"),
    "old and kept alive": b"GET / HTTP/1.0\r\nHost: old.test\r\nConnection: keep-alive\r\n\r\n",
    "body": request(b"POST", b"/", b"Content-Type: text/plain; charset=utf-8", body=b"hello"),
    "empty body": request(b"PUT", b"/", body=b""),
    "chunks": request(b"POST", b"/", b"Transfer-Encoding: chunked") + chunked(b"ab", b"c"),
    "options": request(b"OPTIONS", b"/a"),
    "delete": request(b"DELETE", b"/a"),
    "user": get(b"/", basic(b"joe:secret")),
    "user with colons": get(b"/", basic(b"joe:se:cret")),
    "user without password": get(b"/", basic(b"joe:")),
    "no user": get(b"/", basic(b":secret")),
    "no colon": get(b"/", basic(b"joe")),
    "user of other octets": get(b"/", basic("jö:x".encode())),
    "user in small letters": get(b"/", b"Authorization: basic   am9lOng="),
    "user without padding": get(b"/", b"Authorization: Basic am9lOnh5"),
    "user and dirt": get(b"/", b"Authorization: Basic am9lOng= dirt"),
    "no base64": get(b"/", b"Authorization: Basic am9!lOng="),
    "one letter too many": get(b"/", b"Authorization: Basic am9lO"),
    "no credentials": get(b"/", b"Authorization: Basic "),
    "bearer": get(b"/", b"Authorization: Bearer am9lOng="),
    "cookies": get(b"/", b"Cookie: a=1; b=2", b"Cookie: c_d=3; a=4"),
    "cookies with blanks": get(b"/", b"Cookie:  a = 1 ;b= 2;  c_d =x y ; d"),
    "cookies with commas": get(b"/", b'Cookie: x=1,a=2;b="q;r", c_d=5'),
    "cookies in capitals": get(b"/", b"Cookie: A=1; xb=2; B=3"),
    "cookies without value": get(b"/", b"Cookie: a; b=; =c; c_d"),
    "cookies of one name": get(b"/", b"Cookie: a=; a=2"),
    "forwarded": get(b"/", b"X-Forwarded-For: 1.1.1.1", b"x-forwarded-for: 2.2.2.2, 3.3.3.3"),
    "empty forwarded": get(b"/", b"X-Forwarded-For:"),
    "repeated field": get(b"/", b"X-A: 1", b"x-a: 2", b"X-A: 3"),
    "empty field": get(b"/", b"X-A:", b"Accept:  \t"),
    "padded field": get(b"/", b"X-A: \t a  b \t"),
    "field of other octets": get(b"/", b"X-A: \xc3\xa4\xff\x80"),
    "field with an underscore": get(b"/", b"X_A: 1"),
    "usual fields": get(
        b"/",
        b"User-Agent: x/1",
        b"Referer: http://a.test/?b",
        b"Accept: */*",
        b"Range: bytes=0-1",
        b"Via: 1.1 a",
        b"Via: 1.1 b",
        b"TE: trailers",
    ),
    "upgrade": get(b"/", b"Connection: Upgrade", b"Upgrade: websocket"),
    "connection": get(b"/", b"Connection: close"),
}


DIFFERENT: Final[dict[str, dict[str, tuple[bytes, bytes]]]] = {
    # Of a chunked body only the payload counts.
    "chunks": {"request_length": (b"70", b"85")},
    # Tabs around a value are no part of it (RFC 9110, 5.5).
    "empty field": {"http_accept": (b"", b"\t"), "request_length": (b"55", b"56")},
    "padded field": {"http_x_a": (b"a  b", b"\t a  b \t"), "request_length": (b"49", b"53")},
    # Fields count as if written without needless blanks, and as if those dropped never came.
    "no credentials": {"request_length": (b"60", b"61")},
    "cookies with blanks": {"request_length": (b"74", b"75")},
    "empty forwarded": {"request_length": (b"57", b"56")},
    "field with an underscore": {"request_length": (b"38", b"46")},
    # The authority of an absolute target is the Host (RFC 9112, 3.2.2), in every place.
    "absolute": {
        "http_host": (b"Abs.test", b"other.test"),
        "request_length": (b"52", b"54"),
    },
}
"""By kind of request: what is another value here, on purpose; ours first."""


@pytest.mark.parametrize("kind", REQUESTS)
async def test_variables_of_a_request_are_those_of_nginx(stage: Stage, kind: str) -> None:
    values = {name: f"${name}" for name in REQUEST}
    names = "server_name first.test second.test;"
    async with beside_nginx_with(stage, request=values, server=names) as both:
        mine, yours = await both.ask(REQUESTS[kind])
    assert mine.answer.status == yours.answer.status == 200
    assert mine.request.keys() == yours.request.keys() == REQUEST
    assert different(mine.request, yours.request) == DIFFERENT.get(kind, {})


async def test_variables_of_a_later_request_are_its_own(stage: Stage) -> None:
    values = {name: f"${name}" for name in REQUEST}
    async with beside_nginx_with(stage, request=values) as both:
        mine, yours = await both.ask(REQUESTS["usual fields"], REQUESTS["cookies"], get(b"/x?y"))
    assert mine.request["connection_requests"] == b"[3]"
    assert different(mine.request, yours.request) == {}


FORMS: Final = {
    "connection": r"\d+",
    "connection_time": r"\d\.\d{3}",
    "date_gmt": r"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d GMT",
    "date_local": r"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [A-Z]+",
    "msec": r"\d{10}\.\d{3}",
    "pid": r"\d+",
    "request_id": r"[0-9a-f]{32}",
    "request_time": r"\d\.\d{3}",
    "time_iso8601": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
    "time_local": r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
}
"""Variables that are never the same twice."""


async def test_what_differs_each_time_has_the_same_form(stage: Stage) -> None:
    values = {name: f"${name}" for name in FORMS}
    async with beside_nginx_with(stage, request=values) as both:
        mine, yours = await both.ask(get(b"/"))
    for name, form in FORMS.items():
        pattern = re.compile(rf"\[{form}\]")
        assert pattern.fullmatch(yours.request[name].decode()), name
        assert pattern.fullmatch(mine.request[name].decode()), name


# -- the response ---------------------------------------------------------------------------------

RESPONSE: Final = words(
    """
    body_bytes_sent bytes_sent request_completion sent_http_cache_control sent_http_connection
    sent_http_content_length sent_http_content_type sent_http_etag sent_http_keep_alive
    sent_http_last_modified sent_http_link sent_http_location sent_http_set_cookie
    sent_http_x_accel_expires sent_http_x_hidden sent_http_x_origin sent_trailer_x status
    upstream_addr upstream_cache_status upstream_cookie_a upstream_cookie_b upstream_cookie_c_d
    upstream_http_cache_control upstream_http_connection upstream_http_content_length
    upstream_http_content_type upstream_http_link upstream_http_location
    upstream_http_set_cookie upstream_http_transfer_encoding upstream_http_x_accel_expires
    upstream_http_x_hidden upstream_http_x_origin upstream_response_length upstream_status
    upstream_trailer_x
    """
)
"""Variables that a response has a value for."""

RESPONSES: Final = {
    "plain": reply(b"hello", b"Content-Type: text/plain"),
    "fields": reply(
        b"ok",
        b"X-Origin: a",
        b"x-origin: b",
        b"X-Hidden: c",
        b"X-Accel-Expires: 0",
        b'ETag: "x"',
        b"Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT",
        b"Location: http://elsewhere.test/x",
    ),
    "lists": reply(
        b"ok",
        b"Cache-Control: max-age=1",
        b"Cache-Control: public",
        b"Link: </a>; rel=x",
        b"Link: </b>; rel=y",
    ),
    "cookies": reply(b"ok", b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b = 2 ; HttpOnly"),
    "odd cookies": reply(b"ok", b"Set-Cookie: A=1", b"Set-Cookie: xb=2", b"Set-Cookie: c_d"),
    "cookies without values": reply(b"ok", b"Set-Cookie: a=", b"Set-Cookie: a=2; b=3"),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc"),
    "no body": b"HTTP/1.1 204 No Content\r\nX-Origin: a\r\n\r\n",
    "not modified": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
    "moved": reply(b"", b"Location: http://elsewhere.test/y", status=b"301 Moved Permanently"),
    "not found": reply(b"no", b"Content-Type: text/html", status=b"404 Not Found"),
    "unknown status": reply(b"no", status=b"299 Odd"),
    "failure": reply(b"no", status=b"500 Internal Server Error"),
    "other octets": reply(b"ok", b"X-Origin: \xc3\xa4\xff"),
    "empty field": reply(b"ok", b"X-Origin:", b"Content-Type:"),
    "closing": reply(b"ok", b"Connection: close"),
}


@pytest.mark.parametrize("kind", RESPONSES)
async def test_variables_of_a_response_are_those_of_nginx(stage: Stage, kind: str) -> None:
    values = {name: f"${name}" for name in RESPONSE}
    script = answers(RESPONSES[kind])
    location = "proxy_hide_header X-Hidden; proxy_redirect off;"
    async with beside_nginx_with(stage, script, response=values, location=location) as both:
        mine, yours = await both.ask(get(b"/"))
    assert mine.answer.status == yours.answer.status
    assert mine.response.keys() == yours.response.keys() == RESPONSE
    assert different(mine.response, yours.response) == {}


EARLY: Final = RESPONSE | {"limit_rate"}


@pytest.mark.parametrize("kind", ["plain", "old", "old and kept alive", "connection"])
async def test_variables_of_a_response_that_is_not_there_yet_are_those_of_nginx(
    stage: Stage, kind: str
) -> None:
    values = {name: f"${name}" for name in EARLY}
    values |= {"mapped": "$mapped", "set": "$set"}
    http = "map $status$upstream_status $mapped { 000 none; default $status; }"
    server = "set $set $status$upstream_addr$sent_http_x$bytes_sent;"
    async with beside_nginx_with(stage, request=values, http=http, server=server) as both:
        mine, yours = await both.ask(REQUESTS[kind])
    assert yours.request["status"] == b"[000]"
    assert yours.request["mapped"] == b"[none]"
    assert mine.request.keys() == yours.request.keys() == values.keys()
    assert different(mine.request, yours.request) == {}


PAGED: Final = {
    "own error": "deny all; error_page 403 @page;",
    "own error, by its path": "deny all; error_page 403 /page;",
    "answered otherwise": "deny all; error_page 403 =418 @page;",
    "answered by the page": "deny all; error_page 403 = @page;",
    "intercepted": "proxy_intercept_errors on; error_page 404 @page;",
    "intercepted and answered by the page": "proxy_intercept_errors on; error_page 404 = @page;",
    "nobody there": "error_page 502 @page;",
    "no error": "rewrite ^ /page last;",
}
SHOWN: Final = ("status", "upstream_addr", "upstream_status", "upstream_http_x_a", "bytes_sent")


@pytest.mark.parametrize("passes", [False, True])
@pytest.mark.parametrize("kind", PAGED)
async def test_page_of_an_error_is_told_of_it_as_nginx_does(
    stage: Stage, kind: str, passes: bool
) -> None:
    names = [name for name in SHOWN if not (passes and name.startswith("upstream_http_"))]
    texts = " ".join(f"{name}=[${name}]" for name in names)
    does = f'return 200 "{texts}";'
    if passes:
        fields = "".join(f'proxy_set_header V-{name} "[${name}]";' for name in names)
        does = f"proxy_pass http://backend; {fields}"
    server = f"location @page {{ {does} }} location /page {{ {does} }}"
    failing = answers(reply(b"no", b"X-A: a", status=b"404 Not Found"))
    scripts = [failing, answers(reply(b"ok"))] if "intercepted" in kind else [answers(reply(b"ok"))]
    http = f"upstream nobody {{ server {stage.refused()}; }}"
    async with beside_nginx_with(
        stage, *scripts, http=http, server=server, location=PAGED[kind],
        to="http://nobody" if kind == "nobody there" else "http://backend",
    ) as both:  # fmt: skip
        mine, yours = await both.ask(get(b"/"))
        assert mine.answer.status == yours.answer.status
        assert mine.request == yours.request
        assert _masked(mine.answer.body) == _masked(yours.answer.body)


def _masked(body: bytes) -> bytes:
    return re.sub(rb"127[.]0[.]0[.]1:[0-9]+", b"ADDRESS", body)


ASKED: Final = {
    "head": (request(b"HEAD", b"/"), b"HEAD"),
    "old": (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", b"GET"),
    "old and kept alive": (
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b"GET",
    ),
    "closing": (get(b"/", b"Connection: close"), b"GET"),
    "body": (request(b"POST", b"/", body=b"hello"), b"POST"),
}


@pytest.mark.parametrize("kind", ASKED)
async def test_variables_of_a_response_are_those_of_nginx_however_asked(
    stage: Stage, kind: str
) -> None:
    values = {name: f"${name}" for name in RESPONSE}
    script = answers(RESPONSES["plain"])
    raw, method = ASKED[kind]
    async with beside_nginx_with(stage, script, response=values) as both:
        mine, yours = await both.ask(raw, method=method)
    assert mine.response.keys() == yours.response.keys() == RESPONSE
    assert different(mine.response, yours.response) == {}


async def test_upgrade_is_told_as_nginx_does(stage: Stage) -> None:
    values = {name: f"${name}" for name in ("status", "sent_http_connection", "upstream_status")}
    location = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
    location += "proxy_set_header Connection upgrade;"
    async with beside_nginx_with(stage, websocket(), response=values, location=location) as both:
        mine, yours = await both.ask(get(b"/", *HANDSHAKE_FIELDS))
    assert yours.response["sent_http_connection"] == b"[upgrade]"
    assert mine.response == yours.response


RESPONSE_FORMS: Final = {
    "upstream_bytes_received": r"\d+",
    "upstream_bytes_sent": r"\d+",
    "upstream_connect_time": r"\d\.\d{3}",
    "upstream_header_time": r"\d\.\d{3}",
    "upstream_response_time": r"-|\d\.\d{3}",  # nginx only knows it when all is over
}


async def test_what_differs_in_each_response_has_the_same_form(stage: Stage) -> None:
    values = {name: f"${name}" for name in RESPONSE_FORMS}
    async with beside_nginx_with(stage, response=values) as both:
        mine, yours = await both.ask(get(b"/"))
    for name, form in RESPONSE_FORMS.items():
        pattern = re.compile(rf"\[(?:{form})\]")
        assert pattern.fullmatch(yours.response[name].decode()), name
        assert pattern.fullmatch(mine.response[name].decode()), name


async def test_attempts_are_told_one_by_one_as_nginx_does(stage: Stage) -> None:
    names = ("addr", "status", "connect_time", "header_time", "response_length")
    values = {name: f"$upstream_{name}" for name in names}
    refused, failing = stage.refused(), answers(reply(b"no", status=b"502 Bad Gateway"))
    http = f"upstream tries {{ server {refused}; server ORIGIN; }}"
    async with beside_nginx_with(
        stage, failing, response=values, http=http, to="http://tries"
    ) as both:
        mine, yours = await both.ask(get(b"/"))
    assert yours.response["addr"] == f"[{refused}, ORIGIN]".encode()
    shown = [_without_times(side.response) for side in (mine, yours)]
    assert shown[0] == shown[1]


def _without_times(values: Values) -> Values:
    return {name: re.sub(rb"\d\.\d{3}", b"TIME", value) for name, value in values.items()}


def different(mine: Values, yours: Values) -> dict[str, tuple[bytes, bytes]]:
    """Return what is not the same, without its brackets."""
    return {
        name: (mine[name][1:-1], value[1:-1])
        for name, value in yours.items()
        if mine[name] != value
    }


async def test_what_nothing_sets_is_empty_in_nginx_too(stage: Stage) -> None:
    values = {name: f"${name}" for name in EMPTY}
    async with beside_nginx_with(stage, request=values) as both:
        mine, yours = await both.ask(get(b"/"))
    assert mine.request == yours.request == dict.fromkeys(EMPTY, b"[]")
