"""What logs say of a head that was refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.downstream.glimpse import glimpse
from tests.unit.downstream.conversation import PEER


def test_request_line_and_fields_are_seen_up_to_the_bad_one() -> None:
    head = b"POST  /a//b?c=d HTTP/1.0\r\nHost: x\r\nX: \t1 \r\nB ad: 2\r\nAfter: 3\r\n\r\n"
    seen = glimpse(head, PEER, 2)
    assert seen.line == b"POST  /a//b?c=d HTTP/1.0"
    assert (seen.method, seen.target, seen.version_minor) == (b"POST", b"/a//b?c=d", 0)
    assert (seen.uri, seen.query, seen.ordinal) == (b"/a/b", b"c=d", 2)
    assert seen.fields == ((b"Host", b"x"), (b"X", b"1"))
    assert seen.headers["x"] == "1"


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (b"GARBAGE\r\n\r\n", b"GARBAGE"),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", b"get / HTTP/1.1"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", b"GET / HTTP/2.0"),
        (b"GET / HT", b"GET / HT"),
        (b"GET /\nHost: x\n\n", b"GET /"),
        (b"\x16\x03\x01", b"\x16\x03\x01"),
        (b"", b""),
    ],
)
def test_what_is_no_request_line_is_all_there_is(head: bytes, line: bytes) -> None:
    seen = glimpse(head, PEER, 1)
    assert (seen.line, seen.method, seen.target, seen.fields) == (line, b"", b"", ())


def test_target_that_means_nothing_has_no_uri() -> None:
    assert glimpse(b"GET /%zz HTTP/1.1\r\n\r\n", PEER, 1).uri == b""


@given(head=st.binary(max_size=300))
def test_any_octets_give_one_line_at_most(head: bytes) -> None:
    seen = glimpse(head, PEER, 1)
    assert head.startswith(seen.line)
    assert not set(seen.line) & set(b"\r\n")
