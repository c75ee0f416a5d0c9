"""Every built-in variable, against what nginx makes of the same request."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers.template import Scope, compile_template
from proxy.headers.variables import BUILT_IN, RESPONSE, is_reserved
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
        ("client_ip", b"203.0.113.9"),
        ("connection", b"17"),
        ("connection_requests", b"3"),
        ("content_length", b"12"),
        ("content_type", b"text/plain"),
        ("host", b"app.example.org"),
        ("hostname", os.uname().nodename.lower().encode()),
        ("http_host", b"App.Example.org:8080"),
        ("is_args", b"?"),
        ("proxy_add_x_forwarded_for", b"10.0.0.1, 203.0.113.9"),
        ("proxy_host", b"backend"),
        ("proxy_port", b"80"),
        ("query_string", b"a=1&b=2"),
        ("realip_remote_addr", b"192.0.2.1"),
        ("remote_addr", b"203.0.113.9"),
        ("remote_port", b"40000"),
        ("request_id", b"id-1"),
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


@pytest.mark.parametrize("name", [*sorted(RESPONSE), "upstream_http_x", "sent_http_x"])
def test_response_variable_without_response_is_empty(name: str) -> None:
    assert value(name, request()) == b""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("status", b"201"),
        ("upstream_addr", b"10.0.0.1:80, 10.0.0.2:80"),
        ("upstream_status", b"502, 200"),
        ("upstream_response_time", b"0.001"),
        ("upstream_http_x_kind", b"one"),
        ("sent_http_x_kind", b"one"),
        ("sent_http_absent", b""),
    ],
)
def test_response_variable_with_response_has_its_value(name: str, expected: bytes) -> None:
    made = request()
    made.response = response(("X-Kind", "one"), ("x-kind", "two"), status=201)
    assert value(name, made) == expected


@pytest.mark.parametrize("name", ["args", "content_length", "http_x", "arg_x", "cookie_x"])
def test_variable_that_is_absent_is_empty(name: str) -> None:
    assert value(name, request()) == b""


def test_is_args_of_an_empty_query_is_empty() -> None:
    assert value("is_args", request(target=b"/?")) == b""


def test_ports_of_a_unix_socket_are_empty() -> None:
    of = Request(Peer(b"unix:", 0, b"unix:/run/s", 0, 1), b"GET", b"/", 1, (), headers(()), b"x")
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
