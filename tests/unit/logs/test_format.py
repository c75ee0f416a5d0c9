"""Log formats: lines with variables, and what stands for a value that is not there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import FaultError
from proxy.headers.template import Scope
from proxy.logs.escape import ESCAPES
from proxy.logs.format import COMBINED, LINE_BYTES, compile_format
from proxy.message import Request
from proxy.spec import LogEscape
from tests.unit.headers.samples import request, response

SCOPE = Scope(response=True)


def line(text: str, one: Request, escape: LogEscape = "default", scope: Scope = SCOPE) -> bytes:
    return compile_format(text, scope, ESCAPES[escape]).render(one)


def test_combined_is_a_line_of_nginx() -> None:
    one = request(("User-Agent", 'a"b'), ("Authorization", "Basic dXNlcjpwdw=="), target=b"/x?y")
    one.response = response(status=404)
    one.response.body_bytes = 153
    before, _, after = line(COMBINED, one).partition(b"] ")
    assert before.startswith(b"192.0.2.1 - user [")
    assert after == b'"GET /x?y HTTP/1.1" 404 153 "-" "a\\x22b"\n'


@pytest.mark.parametrize(
    ("text", "absent", "empty"),
    [
        ("$http_x|", request(), request(("X", ""))),
        ("$http_x_y|", request(), request(("X_Y", ""))),
        ("$arg_q|", request(target=b"/?a"), request(target=b"/?a&Q=")),
        ("$cookie_c|", request(("Cookie", "d=1")), request(("Cookie", "d=1; C="))),
    ],
)
def test_value_that_was_not_sent_is_a_dash_and_an_empty_one_is_nothing(
    text: str, absent: Request, empty: Request
) -> None:
    assert (line(text, absent), line(text, empty)) == (b"-|\n", b"|\n")
    assert (line(text, absent, "json"), line(text, empty, "json")) == (b"|\n", b"|\n")


@pytest.mark.parametrize("name", ["upstream_http_x", "sent_http_x"])
def test_response_field_that_is_not_there_is_a_dash(name: str) -> None:
    one = request()
    assert line(f"${name}|", one) == b"-|\n"
    one.response = response(("Y", "1"))
    assert line(f"${name}|", one) == b"-|\n"
    one.response = response(("X", ""))
    one.response.sent = b"HTTP/1.1 200 OK\r\nX: \r\n\r\n"
    assert line(f"${name}|", one) == b"|\n"


def test_variable_that_nginx_lacks_where_it_is_empty_is_a_dash() -> None:
    assert line("$args|$remote_user|$content_length|$is_args", request()) == b"-|-|-|\n"


def test_header_map_that_is_empty_is_nothing() -> None:
    named = SimpleNamespace(evaluate=lambda request: b"", volatile=False, response=False)
    assert line("$m|", request(), scope=Scope(maps={"m": named}, response=True)) == b"|\n"


def test_capture_is_escaped_like_any_value() -> None:
    scope = Scope(captures=frozenset({"1"}), response=True)
    assert line("<$1>", request(captures={"1": b'"\n'}), scope=scope) == b"<\\x22\\x0A>\n"


def test_constant_text_is_not_escaped() -> None:
    assert line('"é"%d $host', request()) == '"é"%d app.example.org\n'.encode()


@given(value=st.binary(max_size=400), escape=st.sampled_from(["default", "json", "none"]))
def test_any_octets_make_exactly_one_line(value: bytes, escape: LogEscape) -> None:
    one = request(captures={"1": value})
    made = line("<$1>", one, escape, Scope(captures=frozenset({"1"}), response=True))
    assert made.startswith(b"<")
    assert made.endswith(b">\n")
    assert made.count(b"\n") == 1


def test_line_that_is_too_long_is_cut_and_still_ends() -> None:
    made = line("$host $1", request(captures={"1": b'"' * LINE_BYTES}),
                scope=Scope(captures=frozenset({"1"}), response=True))  # fmt: skip
    assert len(made) == LINE_BYTES
    assert made.startswith(b"app.example.org \\x22")
    assert made.endswith(b"\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jsn", "is not a log format"),
        ("", "is not a log format"),
        ("$nope", "unknown variable $nope"),
        ("$body_byte_sent", "unknown variable"),
        ("a $", "a dollar sign without a name"),
        ("$host\n", "cannot hold CR, LF or NUL"),
    ],
)
def test_format_that_cannot_be_is_a_fault(text: str, said: str) -> None:
    with pytest.raises(FaultError, match=said.replace("$", r"\$")):
        line(text, request())


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        (COMBINED, False),
        ("$request_time $request_id", False),
        ("$bytes_sent ", True),
        ("$upstream_addr ", True),
        ("$sent_http_x ", True),
        ("$upstream_http_x ", True),
    ],
)
def test_format_tells_whether_a_response_has_to_be_taken_down(text: str, asks: bool) -> None:
    assert compile_format(text, SCOPE, ESCAPES["default"]).asks_response is asks
