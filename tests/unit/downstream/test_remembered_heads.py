"""What a parser remembers of heads: the whole head is the key, and little is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from proxy.downstream.request_parser import MalformedHeadError, RequestHeadParser
from proxy.field_names import HEAD_BYTES, HEADS


@pytest.fixture
def parser() -> Iterator[RequestHeadParser]:
    loop = asyncio.new_event_loop()
    yield RequestHeadParser(loop)
    loop.close()


def head(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def test_same_head_gives_the_same_message(parser: RequestHeadParser) -> None:
    first = parser.parse(head("/a", "X-A: 1"))
    assert parser.parse(head("/a", "X-A: 1")) is first
    assert parser.parse(head("/a", "X-A: 2")).headers["X-A"] == "2"


def test_closing_head_is_followed_by_others_as_if_it_were_new(parser: RequestHeadParser) -> None:
    for _ in range(3):
        assert parser.parse(head("/a", "Connection: close")).should_close
        assert not parser.parse(head("/b")).should_close


def test_bad_head_is_refused_every_time(parser: RequestHeadParser) -> None:
    for _ in range(3):
        with pytest.raises(MalformedHeadError):
            parser.parse(head("/a", "X : 1"))


def test_memory_is_bounded_in_number_and_size(parser: RequestHeadParser) -> None:
    for number in range(3 * HEADS):
        parser.parse(head(f"/{number}"))
    assert len(parser._known) <= HEADS
    long = head("/", "X-A: " + "a" * HEAD_BYTES)
    assert parser.parse(long) is not parser.parse(long)
