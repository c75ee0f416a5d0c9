"""Response heads that are remembered: never across HEAD and GET."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from proxy.field_names import HEADS
from proxy.upstream.response_parser import ResponseHeadParser

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@pytest.fixture
def parser() -> Iterator[ResponseHeadParser]:
    loop = asyncio.new_event_loop()
    yield ResponseHeadParser(loop)
    loop.close()


def test_answer_to_head_and_to_get_are_told_apart(parser: ResponseHeadParser) -> None:
    for _ in range(2):
        assert parser.parse(HEAD, to_head=False).body == 5
        assert parser.parse(HEAD, to_head=True).body == 0
    assert parser.parse(HEAD, to_head=False) is parser.parse(HEAD, to_head=False)


def test_memory_is_bounded(parser: ResponseHeadParser) -> None:
    for number in range(3 * HEADS):
        parser.parse(HEAD.replace(b"OK", b"OK %d" % number), to_head=False)
    assert len(parser._known) <= HEADS
