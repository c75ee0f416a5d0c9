"""Every built-in variable, against what nginx makes of the same request."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.field_block import FieldBlock
from proxy.headers.response_variables import RESPONSE
from proxy.headers.template import Scope, compile_template, is_reserved
from proxy.headers.variables import BUILT_IN
from proxy.message import Peer, Request
from tests.unit.headers.samples import Lines, headers, request, response


def value(name: str, of: Request) -> bytes:
    return compile_template(f"${name}", Scope(response=True)).render(of)


SAMPLE: Lines = (
    ("Host", "App.Example.org:8080"),
    ("Content-Length", "12"),
    ("Content-Type", "text/plain"),
    ("X-Forwarded-For", "10.0.0.1"),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("args", b"a=1&b=2"),
        ("binary_remote_addr", bytes([203, 0, 113, 9])),
        ("client_ip", b"203.0.113.9"),
        ("connection", b"17"),
        ("connection_requests", b"3"),
        ("content_length", b"12"),
        ("content_type", b"text/plain"),
        ("document_uri", b"/a b"),
        ("host", b"app.example.org"),
        ("hostname", os.uname().nodename.lower().encode()),
        ("http_host", b"App.Example.org:8080"),
        ("https", b""),
        ("is_args", b"?"),
        ("pid", str(os.getpid()).encode()),
        ("proxy_add_x_forwarded_for", b"10.0.0.1, 203.0.113.9"),
        ("proxy_host", b"backend"),
        ("proxy_port", b"80"),
        ("query_string", b"a=1&b=2"),
        ("realip_remote_addr", b"192.0.2.1"),
        ("realip_remote_port", b"40000"),
        ("remote_addr", b"203.0.113.9"),
        ("remote_port", b"40000"),
        ("request", b"GET /a%20b?a=1&b=2 HTTP/1.1"),
        ("request_id", b"id-1"),
        ("request_length", b"132"),
        ("request_method", b"GET"),
        ("request_uri", b"/a%20b?a=1&b=2"),
        ("scheme", b"http"),
        ("server_addr", b"198.51.100.7"),
        ("server_port", b"8080"),
        ("server_protocol", b"HTTP/1.1"),
        ("uri", b"/a b"),
        ("arg_b", b"2"),
    ],
)
def test_variable_of_a_full_request_has_nginx_value(name: str, expected: bytes) -> None:
    made = request(*SAMPLE, target=b"/a%20b?a=1&b=2")
    made.uri = b"/a b"
    made.client_ip = b"203.0.113.9"
    assert value(name, made) == expected


NOT_EMPTY = {"status": b"000", "body_bytes_sent": b"0", "bytes_sent": b"0"}


@pytest.mark.parametrize("name", [*sorted(RESPONSE), "upstream_http_x", "sent_http_x"])
def test_response_variable_without_response_is_empty_or_zero(name: str) -> None:
    assert value(name, request()) == NOT_EMPTY.get(name, b"")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("body_bytes_sent", b"12"),
        ("bytes_sent", b"112"),
        ("request_completion", b"OK"),
        ("sent_http_absent", b""),
        ("sent_http_cache_control", b"a, b"),
        ("sent_http_connection", b"keep-alive"),
        ("sent_http_x_kind", b"three"),
        ("status", b"201"),
        ("upstream_addr", b"10.0.0.1:80, 10.0.0.2:80"),
        ("upstream_bytes_received", b"0, 40"),
        ("upstream_bytes_sent", b"7, 30"),
        ("upstream_connect_time", b"-, 0.000"),
        ("upstream_cookie_a", b"1 "),
        ("upstream_cookie_absent", b""),
        ("upstream_cookie_b", b""),
        ("upstream_header_time", b"-, 0.125"),
        ("upstream_http_absent", b""),
        ("upstream_http_set_cookie", b"xa=0"),
        ("upstream_http_x_kind", b"one"),
        ("upstream_response_length", b"0, 12"),
        ("upstream_response_time", b"0.001, 0.250"),
        ("upstream_status", b"502, 201"),
    ],
)
def test_response_variable_with_response_has_its_value(name: str, expected: bytes) -> None:
    lines = (("X-Kind", "one"), ("x-kind", "two"))
    cookies = (("Set-Cookie", "xa=0"), ("Set-Cookie", "A = 1 ; Path=/"), ("Set-Cookie", "b=; b=2"))
    made = request()
    made.response = answered = response(*lines, *cookies, status=201)
    answered.sent = b"HTTP/1.1 201 Created\r\nx-KIND: three\r\nX-Kind: four\r\n"
    answered.sent += b"Cache-Control: a\r\ncache_control: b\r\nX-Connection: c\r\n\r\n"
    answered.head_bytes, answered.body_bytes, answered.complete = 100, 12, True
    assert value(name, made) == expected


def test_connection_that_was_sent_is_told() -> None:
    made = request()
    assert value("sent_http_connection", made) == b"keep-alive"
    made.keep_alive = False
    assert value("sent_http_connection", made) == b"close"
    made.keep_alive = True
    made.response = response()
    assert value("sent_http_connection", made) == b"keep-alive"
    made.response.sent = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
    assert value("sent_http_connection", made) == b"close"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (b"192.0.2.1", b"\xc0\x00\x02\x01"),
        (b"2001:db8::1", bytes.fromhex("20010db8000000000000000000000001")),
        (b"unix:", b"unix:"),
    ],
)
def test_binary_address_is_what_nginx_hashes(address: bytes, expected: bytes) -> None:
    assert value("binary_remote_addr", request(address=address)) == expected


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ("Basic am9lOnNlY3JldA==", b"joe"),
        ("basic  am9lOnNlY3JldA", b"joe"),
        ("Basic am9l", b""),
        ("Basic OnNlY3JldA==", b""),
        ("Basic am9lOnN", b"joe"),
        ("Basic am9lO", b""),
        ("Basic am9l\u00e9", b""),
        ("Basic", b""),
        ("Bearer am9lOnNlY3JldA==", b""),
        ("", b""),
    ],
)
def test_user_is_that_of_basic_credentials(credentials: str, expected: bytes) -> None:
    assert value("remote_user", request(("Authorization", credentials))) == expected


def test_port_of_the_client_is_what_a_proxy_said() -> None:
    made = request()
    made.client_port = 567
    assert (value("remote_port", made), value("realip_remote_port", made)) == (b"567", b"40000")
    made.client_port = 0
    assert value("remote_port", made) == b""


def test_request_length_has_the_body_that_came() -> None:
    made = request(("Host", "a"))
    head = value("request_length", made)
    assert head == str(len(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).encode()
    made.content_length = 5
    assert int(value("request_length", made)) == int(head) + 5
    made.response = response()
    made.response.request_body_bytes = 3
    assert int(value("request_length", made)) == int(head) + 3


def test_times_count_from_their_beginnings() -> None:
    made = request()
    made.started = time.monotonic() - 61.5
    assert 61.5 <= float(value("request_time", made)) < 62
    assert float(value("connection_time", made)) > 0


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("time_local", r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"),
        ("date_gmt", r"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d GMT"),
        ("date_local", r"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d \S+"),
    ],
)
def test_time_is_written_as_nginx_does(name: str, form: str) -> None:
    assert re.fullmatch(form, value(name, request()).decode())


@pytest.mark.parametrize("name", ["args", "content_length", "http_x", "arg_x", "cookie_x"])
def test_variable_that_is_absent_is_empty(name: str) -> None:
    assert value(name, request()) == b""


def test_is_args_of_an_empty_query_is_empty() -> None:
    assert value("is_args", request(target=b"/?")) == b""


def test_ports_of_a_unix_socket_are_empty() -> None:
    block = FieldBlock((), headers(()), 1, keep_alive=True)
    of = Request(Peer(b"unix:", 0, b"unix:/run/s", 0, 1), b"GET", b"/", block)
    assert value("remote_port", of) == value("server_port", of) == b""


def test_server_protocol_of_an_old_request_is_1_0() -> None:
    assert value("server_protocol", request(version_minor=0)) == b"HTTP/1.0"


def test_msec_is_the_time_with_milliseconds() -> None:
    before = time.time()
    shown = value("msec", request())
    assert re.fullmatch(rb"[0-9]+\.[0-9]{3}", shown)
    assert before - 0.001 <= float(shown) <= time.time() + 0.001


def test_time_iso8601_is_the_time_with_its_zone() -> None:
    shown = datetime.fromisoformat(value("time_iso8601", request()).decode())
    assert shown.utcoffset() is not None
    assert abs(shown.timestamp() - time.time()) < 2


def test_repeated_field_gives_its_first_occurrence() -> None:
    assert value("http_x_a", request(("X-A", "1"), ("x-a", "2"))) == b"1"


def test_repeated_cookie_and_forwarded_fields_are_joined() -> None:
    made = request(
        ("Cookie", "a=1"), ("X-Forwarded-For", "1.1.1.1"), ("cookie", "b=2"),
        ("x-forwarded-for", "2.2.2.2"),
    )  # fmt: skip
    assert value("http_cookie", made) == b"a=1; b=2"
    assert value("http_x_forwarded_for", made) == b"1.1.1.1, 2.2.2.2"


def test_field_spelled_with_an_underscore_is_found_too() -> None:
    assert value("http_x_a", request(("X_A", "1"))) == b"1"


@given(st.binary().map(lambda raw: raw.translate(None, b"\r\n\0")))
def test_field_of_any_octets_comes_out_as_it_came_in(raw: bytes) -> None:
    assert value("http_x", request(("X", raw.decode("utf-8", "surrogateescape")))) == raw


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"x=1", b"1"),
        (b"X=1", b"1"),
        (b"ax=0&x=%20+1&x=2", b"%20+1"),
        (b"x&x=2", b"2"),
        (b"x=", b""),
        (b"y=x=1", b""),
        (b"x=a=b?c", b"a=b?c"),
    ],
)
def test_argument_is_found_as_nginx_finds_it(query: bytes, expected: bytes) -> None:
    assert value("arg_x", request(target=b"/?" + query)) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("user=1",), b"1"),
        (("xuser=0; user=1; user=2",), b"1"),
        (("USER=1",), b"1"),
        (("a=b", "user = 1 2 "), b"1 2 "),
        (("a=user=3",), b""),
        (("a=1,user=2",), b"2"),
        (("user",), b""),
    ],
)
def test_cookie_is_found_as_nginx_finds_it(lines: tuple[str, ...], expected: bytes) -> None:
    assert value("cookie_user", request(*(("Cookie", line) for line in lines))) == expected


def test_long_cookie_of_separators_is_searched_in_linear_time() -> None:
    made = request(("Cookie", "; " * 200_000))
    began = time.process_time()
    assert value("cookie_user", made) == b""
    assert time.process_time() - began < 1


def test_names_of_built_ins_are_reserved() -> None:
    names = [*BUILT_IN, *RESPONSE, "http_x", "arg_x", "cookie_x", "upstream_http_x", "sent_http_x"]
    assert all(is_reserved(name) for name in [*names, "secret_key"])
    assert not is_reserved("connection_upgrade")
