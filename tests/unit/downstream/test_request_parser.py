"""The contract with aiohttp's request parser: every fact about it that the proxy relies on.

The parser is driven as ``RequestHeadParser`` does: one instance for all connections of a listener,
one complete head per call, no bodies.  A failure here after an upgrade of aiohttp means that the
proxy would admit, refuse or mix up requests; nothing else in the project would say so as plainly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import HttpVersion10, HttpVersion11, http_parser
from aiohttp.http_parser import RawRequestMessage
from hypothesis import given
from hypothesis import strategies as st

from proxy import errors
from proxy.downstream import request_parser
from proxy.downstream.request_parser import MalformedHeadError, RequestHeadParser
from proxy.errors import Failure

GOOD = b"GET /after HTTP/1.1\r\nHost: after\r\n\r\n"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def parser(loop: asyncio.AbstractEventLoop) -> RequestHeadParser:
    """Return the one parser that every test of this module uses, as all connections do."""
    return RequestHeadParser(loop)


@pytest.fixture(autouse=True)
def still_good(parser: RequestHeadParser) -> Iterator[None]:
    """Check after each test that the next client finds the parser as if it were new."""
    yield
    message = parser.parse(GOOD)
    assert message.path == "/after"
    assert message.raw_headers == ((b"Host", b"after"),)


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes | None = b"Host: h") -> bytes:
    fields = lines if host is None else (host, *lines)
    return b"\r\n".join([start, *fields]) + b"\r\n\r\n"


def refusal(parser: RequestHeadParser, data: bytes) -> Failure:
    with pytest.raises(MalformedHeadError) as caught:
        parser.parse(data)
    return caught.value.failure


def facts(message: RawRequestMessage) -> tuple[object, ...]:
    return (
        message.method, message.path, message.version, message.raw_headers, message.should_close,
        message.upgrade, message.chunked,
    )  # fmt: skip


def test_the_parser_in_use_is_the_one_written_in_c() -> None:
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


def test_fields_keep_order_case_repetition_and_octets(parser: RequestHeadParser) -> None:
    message = parser.parse(
        head(b"x-B: 1", b"X-a:2", b"x-b:  3 \t", b"Empty:", b"Octets: caf\xc3\xa9 \xff\x80")
    )
    assert message.raw_headers == (
        (b"Host", b"h"), (b"x-B", b"1"), (b"X-a", b"2"), (b"x-b", b"3"), (b"Empty", b""),
        (b"Octets", b"caf\xc3\xa9 \xff\x80"),
    )  # fmt: skip
    assert message.headers.getall("X-B") == ["1", "3"]
    octets = message.headers["octets"]
    assert octets.encode("utf-8", "surrogateescape") == b"caf\xc3\xa9 \xff\x80"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5", b"Content-Length: 0", b"Transfer-Encoding: chunked"]
)
def test_message_ends_with_its_head_whatever_body_it_announces(
    parser: RequestHeadParser, framing: bytes
) -> None:
    for _ in range(3):
        message = parser.parse(head(framing, start=b"POST / HTTP/1.1"))
        assert (message.method, message.should_close) == ("POST", False)
        assert facts(parser.parse(GOOD))[:2] == ("GET", "/after")


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        ((b"Connection: upgrade", b"Upgrade: websocket"), True),
        ((b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"), True),
        ((b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"), True),
        ((b"Connection: upgrade", b"Upgrade: anything/1.0"), True),
        ((b"Upgrade: websocket",), False),
        ((b"Connection: upgrade",), False),
    ],
)
def test_upgrade_is_seen_where_both_fields_ask_for_it(
    parser: RequestHeadParser, fields: tuple[bytes, ...], upgrade: bool
) -> None:
    assert parser.parse(head(*fields)).upgrade is upgrade


def test_upgrade_with_a_body_is_still_one_message(parser: RequestHeadParser) -> None:
    message = parser.parse(
        head(b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 3")
    )
    assert message.upgrade


@pytest.mark.parametrize(
    ("start", "fields", "closes"),
    [
        (b"GET / HTTP/1.1", (), False),
        (b"GET / HTTP/1.1", (b"Connection: close",), True),
        (b"GET / HTTP/1.1", (b"Connection: Keep-Alive, CLOSE",), True),
        (b"GET / HTTP/1.0", (), True),
        (b"GET / HTTP/1.0", (b"Connection: keep-alive",), False),
        (b"POST / HTTP/1.0", (b"Connection: keep-alive", b"Content-Length: 3"), False),
    ],
)
def test_should_close_is_right_for_requests(
    parser: RequestHeadParser, start: bytes, fields: tuple[bytes, ...], closes: bool
) -> None:
    assert parser.parse(head(*fields, start=start)).should_close is closes


def test_versions_are_the_singletons_that_admission_compares_with(
    parser: RequestHeadParser,
) -> None:
    assert parser.parse(head()).version is HttpVersion11
    assert parser.parse(head(start=b"GET / HTTP/1.0")).version is HttpVersion10


@pytest.mark.parametrize("version", [b"0.9", b"2.0"])
def test_some_other_versions_arrive_as_messages(parser: RequestHeadParser, version: bytes) -> None:
    message = parser.parse(head(start=b"GET / HTTP/" + version))
    assert message.version not in (HttpVersion10, HttpVersion11)


@pytest.mark.parametrize("version", [b"1.2", b"3.0", b"9.9", b"0.0"])
def test_versions_the_parser_refuses_are_505(parser: RequestHeadParser, version: bytes) -> None:
    assert refusal(parser, head(start=b"GET / HTTP/" + version)) is errors.VERSION_UNKNOWN


@pytest.mark.parametrize("version", [b"1", b"11", b"1.10", b"1.1.1", b"x.y", b""])
def test_what_is_no_version_is_400(parser: RequestHeadParser, version: bytes) -> None:
    assert refusal(parser, head(start=b"GET / HTTP/" + version)) is errors.BAD_REQUEST


@pytest.mark.parametrize("method", sorted(request_parser._KNOWN_METHODS - {"CONNECT"}))
def test_known_methods_are_taken(parser: RequestHeadParser, method: str) -> None:
    assert parser.parse(head(start=method.encode() + b" / HTTP/1.1")).method == method


@pytest.mark.parametrize("method", [b"FOO", b"GETX", b"X-MINE", b"BREW", b"get", b"Get"])
def test_unknown_methods_are_501(parser: RequestHeadParser, method: bytes) -> None:
    assert refusal(parser, head(start=method + b" / HTTP/1.1")) is errors.METHOD_UNKNOWN


@pytest.mark.parametrize("method", [b"G(T", b"", b"GE\tT", b"G\xc3\x89T"])
def test_what_is_no_method_is_400(parser: RequestHeadParser, method: bytes) -> None:
    assert refusal(parser, head(start=method + b" / HTTP/1.1")) is errors.BAD_REQUEST


REFUSED = {
    "bare LF behind the request line": b"GET / HTTP/1.1\nHost: h\r\n\r\n",
    "bare LF behind a field": head(b"A: b\nC: d"),
    "bare CR in a value": head(b"A: b\rC: d"),
    "bare CR behind the request line": b"GET / HTTP/1.1\rHost: h\r\n\r\n",
    "NUL in a value": head(b"A: b\x00c"),
    "NUL in a name": head(b"A\x00: b"),
    "obs-fold": head(b"A: b\r\n c"),
    "obs-fold with a tab": head(b"A: b\r\n\tc"),
    "white space before the first field": b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "space before a colon": head(b"A : b"),
    "tab before a colon": head(b"A\t: b"),
    "no colon": head(b"A"),
    "no name": head(b": b"),
    "name that is no token": head(b"A(b): c"),
    "name beyond ASCII": head(b"caf\xc3\xa9: c"),
    "two lengths": head(b"Content-Length: 5", b"Content-Length: 5"),
    "two different lengths": head(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths in one": head(b"Content-Length: 5, 5"),
    "signed length": head(b"Content-Length: +5"),
    "negative length": head(b"Content-Length: -5"),
    "hexadecimal length": head(b"Content-Length: 0x5"),
    "empty length": head(b"Content-Length:"),
    "length with an underscore": head(b"Content-Length: 1_0"),
    "length beyond 64 bits": head(b"Content-Length: 18446744073709551616"),
    "length and coding": head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "coding and length": head(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "chunked not final": head(b"Transfer-Encoding: chunked, gzip"),
    "no Host": head(host=None),
    "two Hosts": head(b"Host: h"),
    "two User-Agents": head(b"User-Agent: a", b"User-Agent: b"),
    "two Content-Types": head(b"Content-Type: a/b", b"Content-Type: a/b"),
    "space in the target": head(start=b"GET /a b HTTP/1.1"),
    "control octet in the target": head(start=b"GET /a\x01 HTTP/1.1"),
    "tab in the target": head(start=b"GET /?a\tb HTTP/1.1"),
    "form feed in the target": head(start=b"GET /\x0c HTTP/1.1"),
    "DEL in the target": head(start=b"GET /\x7f HTTP/1.1"),
    "octet beyond ASCII in the target": head(start=b"GET /caf\xc3\xa9 HTTP/1.1"),
    "no target": head(start=b"GET HTTP/1.1"),
    "asterisk with GET": head(start=b"GET * HTTP/1.1"),
    "authority form with GET": head(start=b"GET a:80 HTTP/1.1"),
    "absolute form without an authority": head(start=b"GET http:///x HTTP/1.1"),
    "absolute form with a bad bracket": head(start=b"GET http://[::1/ HTTP/1.1"),
    "absolute form with a bad port": head(start=b"GET http://a:b/ HTTP/1.1"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_parser_refuses_by_itself(parser: RequestHeadParser, case: str) -> None:
    assert refusal(parser, REFUSED[case]) is errors.BAD_REQUEST


ACCEPTED = {
    "no version, as in HTTP/0.9": head(start=b"GET /"),
    "coding without chunked": head(b"Transfer-Encoding: identity"),
    "several codings, chunked last": head(b"Transfer-Encoding: gzip, chunked"),
    "empty element before chunked": head(b"Transfer-Encoding: , chunked"),
    "empty coding": head(b"Transfer-Encoding:"),
    "coding in HTTP/1.0": head(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0"),
    "malformed Host": head(host=b"Host: a b"),
    "empty Host": head(host=b"Host:"),
    "fragment": head(start=b"GET /#a HTTP/1.1"),
    "CONNECT": head(start=b"CONNECT a:443 HTTP/1.1"),
    "CONNECT with a path": head(start=b"CONNECT / HTTP/1.1"),
    "several spaces": head(start=b"GET  / HTTP/1.1"),
    "no Host in HTTP/1.0": head(host=None, start=b"GET / HTTP/1.0"),
    "asterisk with OPTIONS": head(start=b"OPTIONS * HTTP/1.1"),
}
"""What the parser lets through, and admission has to judge."""


@pytest.mark.parametrize("form", [b"/%b", b"/?%b", b"http://h/%b", b"http://h%b/", b"/#%b"])
def test_targets_are_printable_ascii(parser: RequestHeadParser, form: bytes) -> None:
    for octet in (*range(10), 11, 12, *range(14, 32), *range(127, 256)):
        target = form % bytes((octet,))
        assert refusal(parser, head(start=b"GET " + target + b" HTTP/1.1")) is errors.BAD_REQUEST


@pytest.mark.parametrize("case", sorted(ACCEPTED))
def test_parser_leaves_to_admission(parser: RequestHeadParser, case: str) -> None:
    message = parser.parse(ACCEPTED[case])
    assert message.method in ("GET", "POST", "CONNECT", "OPTIONS")


def test_two_heads_in_one_call_are_refused_rather_than_one_lost(parser: RequestHeadParser) -> None:
    assert refusal(parser, GOOD + GOOD) is errors.BAD_REQUEST


@pytest.mark.parametrize("end", range(len(GOOD)))
def test_part_of_a_head_is_refused_rather_than_remembered(
    parser: RequestHeadParser, end: int
) -> None:
    assert refusal(parser, GOOD[:end]) is errors.BAD_REQUEST


def test_limits_of_the_parser_stand_above_every_listeners(parser: RequestHeadParser) -> None:
    size = request_parser.MAX_HEAD_BYTES - 100
    assert len(parser.parse(head(b"A: " + b"b" * size)).raw_headers[1][1]) == size
    assert len(parser.parse(head(start=b"GET /" + b"a" * size + b" HTTP/1.1")).path) == size + 1
    assert len(parser.parse(head(*[b"A: b"] * 10_000)).raw_headers) == 10_001


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Draw a head, mostly well-formed, sometimes with some octets exchanged."""
    lines = [
        draw(st.sampled_from([b"GET / HTTP/1.1", b"POST /x?y HTTP/1.1", b"GET /a HTTP/1.0"])),
        *draw(
            st.lists(
                st.sampled_from(
                    [b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"A: b",
                     b"Connection: close", b"Connection: upgrade", b"Upgrade: websocket",
                     b"Upgrade: h2c", b"Expect: 100-continue", b"User-Agent: x"]
                ),
                max_size=6,
            )
        ),
    ]  # fmt: skip
    data = b"\r\n".join(lines)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]
    return data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@given(st.lists(heads(), min_size=1, max_size=8))
def test_shared_parser_reads_every_head_as_a_new_one_would(sequence: list[bytes]) -> None:
    loop = asyncio.new_event_loop()
    try:
        shared = RequestHeadParser(loop)
        for data in sequence:
            assert outcome(shared, data) == outcome(RequestHeadParser(loop), data)
    finally:
        loop.close()


def outcome(parser: RequestHeadParser, data: bytes) -> tuple[object, ...]:
    try:
        return facts(parser.parse(data))
    except MalformedHeadError as error:
        return (error.failure,)
