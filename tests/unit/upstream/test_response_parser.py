"""The contract with aiohttp's response parser, and what is refused beyond it.

One instance parses the heads of all upstream connections, one complete head per call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream import response_parser
from proxy.upstream.response_parser import (
    CHUNKED,
    UNTIL_EOF,
    MalformedResponseError,
    ResponseHead,
    ResponseHeadParser,
)

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nAfter: all\r\n\r\n"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def parser(loop: asyncio.AbstractEventLoop) -> ResponseHeadParser:
    return ResponseHeadParser(loop)


@pytest.fixture(autouse=True)
def still_good(parser: ResponseHeadParser) -> Iterator[None]:
    """Check after each test that the next response finds the parser as if it were new."""
    yield
    head = parser.parse(GOOD, to_head=False)
    assert (head.status, head.body, head.persistent) == (200, 7, True)
    assert head.fields == ((b"Content-Length", b"7"), (b"After", b"all"))


def response(*fields: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *fields]) + b"\r\n\r\n"


def parse(
    parser: ResponseHeadParser,
    *fields: bytes,
    start: bytes = b"HTTP/1.1 200 OK",
    to_head: bool = False,
) -> ResponseHead:
    return parser.parse(response(*fields, start=start), to_head=to_head)


def test_fields_keep_order_case_repetition_and_octets(parser: ResponseHeadParser) -> None:
    head = parse(parser, b"b-B: 1", b"A:2", b"b-b: 3\t", b"Empty:", b"Octets: \xff\xc3\xa9")
    assert head.fields == (
        (b"b-B", b"1"), (b"A", b"2"), (b"b-b", b"3"), (b"Empty", b""), (b"Octets", b"\xff\xc3\xa9"),
    )  # fmt: skip
    assert head.headers.getall("B-B") == ["1", "3"]


def test_two_cookies_stay_two(parser: ResponseHeadParser) -> None:
    head = parse(parser, b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 0")
    assert [value for name, value in head.fields if name == b"Set-Cookie"] == [b"a=1", b"b=2"]


BODIES = [
    ((b"Content-Length: 5",), b"200 OK", False, 5),
    ((b"Content-Length: 0",), b"200 OK", False, 0),
    ((b"Transfer-Encoding: chunked",), b"200 OK", False, CHUNKED),
    ((b"Transfer-Encoding: CHUNKED",), b"200 OK", False, CHUNKED),
    ((), b"200 OK", False, UNTIL_EOF),
    ((b"Content-Length: 5",), b"200 OK", True, 0),
    ((b"Transfer-Encoding: chunked",), b"200 OK", True, 0),
    ((), b"200 OK", True, 0),
    ((b"Content-Length: 5",), b"304 Not Modified", False, 0),
    ((b"Transfer-Encoding: chunked",), b"304 Not Modified", False, 0),
    ((), b"304 Not Modified", False, 0),
    ((), b"204 No Content", False, 0),
    ((b"Content-Length: 5",), b"204 No Content", False, 0),
    ((), b"100 Continue", False, 0),
    ((b"Link: </a>",), b"103 Early Hints", False, 0),
    ((), b"500 Oh", False, UNTIL_EOF),
    ((), b"999 Odd", False, UNTIL_EOF),
]


@pytest.mark.parametrize(("fields", "status", "to_head", "body"), BODIES)
def test_body_ends_where_rfc_9112_says(
    parser: ResponseHeadParser, fields: tuple[bytes, ...], status: bytes, to_head: bool, body: int
) -> None:
    head = parse(parser, *fields, start=b"HTTP/1.1 " + status, to_head=to_head)
    assert head.body == body
    assert head.status == int(status[:3])
    if body == UNTIL_EOF:
        assert not head.persistent


def test_length_of_a_204_does_not_pass(parser: ResponseHeadParser) -> None:
    head = parse(parser, b"A: b", b"content-length: 5", start=b"HTTP/1.1 204 No Content")
    assert head.fields == ((b"A", b"b"),)


def test_length_of_a_304_and_of_an_answer_to_head_passes(parser: ResponseHeadParser) -> None:
    for start, to_head in ((b"HTTP/1.1 304 Not Modified", False), (b"HTTP/1.1 200 OK", True)):
        head = parse(parser, b"Content-Length: 5", start=start, to_head=to_head)
        assert head.fields == ((b"Content-Length", b"5"),)


@pytest.mark.parametrize(
    ("version", "fields", "persistent"),
    [
        (b"1.1", (), True),
        (b"1.1", (b"Connection: keep-alive",), True),
        (b"1.1", (b"Connection: close",), False),
        (b"1.1", (b"Connection: Close, foo",), False),
        (b"1.1", (b"Connection: foo", b"Connection: close"), False),
        (b"1.0", (), False),
        (b"1.0", (b"Connection: Keep-Alive",), True),
        (b"1.0", (b"Connection: close",), False),
    ],
)
@pytest.mark.parametrize("to_head", [False, True])
def test_connection_persists_as_version_and_field_say(
    parser: ResponseHeadParser,
    version: bytes,
    fields: tuple[bytes, ...],
    persistent: bool,
    to_head: bool,
) -> None:
    start = b"HTTP/" + version + b" 200 OK"
    head = parse(parser, b"Content-Length: 0", *fields, start=start, to_head=to_head)
    assert head.persistent is persistent


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=5", 5.0),
        (b"max=10, Timeout = 7", 7.0),
        (b"timeout=5, max=3", 5.0),
        (b"timeout=0", 0.0),
        (b"mytimeout=5", None),
        (b"timeout=soon", None),
        (b"", None),
    ],
)
def test_timeout_of_keep_alive_is_read(
    parser: ResponseHeadParser, value: bytes, seconds: float | None
) -> None:
    assert parse(parser, b"Keep-Alive: " + value).keep_alive_s == seconds


@pytest.mark.parametrize(
    ("fields", "upgraded"),
    [
        ((b"Connection: upgrade", b"Upgrade: websocket"), True),
        ((b"Connection: keep-alive, Upgrade", b"Upgrade: foo"), True),
        ((b"Upgrade: websocket",), False),
        ((b"Connection: upgrade",), False),
        ((), False),
    ],
)
def test_101_is_an_upgrade_only_with_both_fields(
    parser: ResponseHeadParser, fields: tuple[bytes, ...], upgraded: bool
) -> None:
    head = parse(parser, *fields, start=b"HTTP/1.1 101 Switching Protocols")
    assert (head.status, head.upgraded) == (101, upgraded)


def test_other_statuses_are_no_upgrade_whatever_they_say(parser: ResponseHeadParser) -> None:
    head = parse(parser, b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 3")
    assert (head.upgraded, head.body) == (False, 3)
    head = parse(parser, b"Upgrade: h2c", b"Connection: upgrade", start=b"HTTP/1.1 426 U")
    assert not head.upgraded


def test_heads_of_all_kinds_follow_each_other_in_one_parser(parser: ResponseHeadParser) -> None:
    for _ in range(3):
        for fields, status, to_head, body in BODIES:
            start = b"HTTP/1.1 " + status
            assert parse(parser, *fields, start=start, to_head=to_head).body == body


REFUSED = {
    "HTTP/2.0": response(start=b"HTTP/2.0 200 OK"),
    "HTTP/0.9": response(start=b"HTTP/0.9 200 OK"),
    "HTTP/1.2": response(start=b"HTTP/1.2 200 OK"),
    "lower-case http": response(start=b"http/1.1 200 OK"),
    "ICY": response(start=b"ICY 200 OK"),
    "no status": response(start=b"HTTP/1.1 OK"),
    "status of two digits": response(start=b"HTTP/1.1 20 OK"),
    "status of four digits": response(start=b"HTTP/1.1 2000 OK"),
    "status below 100": response(start=b"HTTP/1.1 099 OK"),
    "two lengths": response(b"Content-Length: 5", b"Content-Length: 5"),
    "two different lengths": response(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths in one": response(b"Content-Length: 5, 5"),
    "signed length": response(b"Content-Length: +5"),
    "negative length": response(b"Content-Length: -1"),
    "empty length": response(b"Content-Length:"),
    "length beyond 64 bits": response(b"Content-Length: 18446744073709551616"),
    "length and coding": response(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "coding and length": response(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two codings": response(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "gzip, chunked": response(b"Transfer-Encoding: gzip, chunked"),
    "chunked, identity": response(b"Transfer-Encoding: chunked, identity"),
    "chunked not final": response(b"Transfer-Encoding: chunked, gzip"),
    "gzip alone": response(b"Transfer-Encoding: gzip"),
    "empty coding": response(b"Transfer-Encoding:"),
    "coding in HTTP/1.0": response(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK"),
    "bare CR in a value": response(b"A: b\rC: d"),
    "NUL in a value": response(b"A: b\x00"),
    "space before a colon": response(b"A : b"),
    "no colon": response(b"A"),
    "no name": response(b": b"),
    "folded length": response(b"Content-Length: 5\r\n 6"),
    "head ended by LF alone": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + GOOD,
    "two heads": GOOD + GOOD,
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_response_is_refused(parser: ResponseHeadParser, case: str) -> None:
    with pytest.raises(MalformedResponseError):
        parser.parse(REFUSED[case], to_head=False)


def test_folded_value_arrives_unfolded(parser: ResponseHeadParser) -> None:
    """RFC 9112, 5.2, lets a proxy replace a fold by spaces; its CRLF must not be passed on."""
    head = parse(parser, b"A: b\r\n  c", b"Content-Length: 0")
    assert head.fields[1] == (b"Content-Length", b"0")
    assert head.fields[0][1].split() == [b"b", b"c"]
    assert not {10, 13} & set(head.fields[0][1])


@pytest.mark.parametrize("end", range(len(GOOD)))
def test_part_of_a_head_is_refused_rather_than_remembered(
    parser: ResponseHeadParser, end: int
) -> None:
    with pytest.raises(MalformedResponseError):
        parser.parse(GOOD[:end], to_head=False)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 ", b"HTTP/1.1 200"])
def test_reason_may_be_empty(parser: ResponseHeadParser, start: bytes) -> None:
    assert parse(parser, start=start).reason == ""


def test_limits_of_the_parser_stand_above_every_pools(parser: ResponseHeadParser) -> None:
    size = response_parser.MAX_HEAD_BYTES - 100
    assert len(parse(parser, b"A: " + b"b" * size).fields[0][1]) == size
    assert len(parse(parser, *[b"A: b"] * 10_000).fields) == 10_000


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Draw a head, mostly well-formed, sometimes with some octets exchanged."""
    lines = [
        draw(
            st.sampled_from(
                [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 N", b"HTTP/1.1 101 S",
                 b"HTTP/1.1 100 C", b"HTTP/1.1 304 N"]
            )
        ),
        *draw(
            st.lists(
                st.sampled_from(
                    [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"A: b",
                     b"Connection: close", b"Connection: upgrade", b"Upgrade: websocket"]
                ),
                max_size=5,
            )
        ),
    ]  # fmt: skip
    data = b"\r\n".join(lines)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]
    return data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@given(st.lists(st.tuples(heads(), st.booleans()), min_size=1, max_size=8))
def test_shared_parser_reads_every_head_as_a_new_one_would(
    sequence: list[tuple[bytes, bool]],
) -> None:
    loop = asyncio.new_event_loop()
    try:
        shared = ResponseHeadParser(loop)
        for data, to_head in sequence:
            assert outcome(shared, data, to_head) == outcome(
                ResponseHeadParser(loop), data, to_head
            )
    finally:
        loop.close()


def outcome(parser: ResponseHeadParser, data: bytes, to_head: bool) -> tuple[object, ...] | None:
    try:
        head = parser.parse(data, to_head=to_head)
    except MalformedResponseError:
        return None
    return (
        head.status, head.reason, head.fields, head.body, head.persistent, head.keep_alive_s,
        head.connection, head.upgraded,
    )  # fmt: skip


@pytest.mark.parametrize("name", [b"Location", b"location", b"REFRESH", b"Set-Cookie"])
def test_head_says_whether_rules_may_rewrite_something_in_it(
    parser: ResponseHeadParser, name: bytes
) -> None:
    assert parse(parser, b"A: 1", name + b": x", b"B: 2").rewritable
    assert not parse(parser, b"A: 1", b"X-" + name + b": x").rewritable
