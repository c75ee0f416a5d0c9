"""Chunked request bodies (RFC 9112, 7.1): right ones arrive, wrong ones never look complete."""

from __future__ import annotations

import pytest

from tests.peers import Origin, Running, Stage, build_spec, reply
from tests.peers.client import request
from tests.peers.origin import answers

HEAD = b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
AFTER = request(b"GET", b"/after")

VALID = {
    "one-chunk": b"5\r\nhello\r\n0\r\n\r\n",
    "two-chunks": b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "single-octets": b"".join(b"1\r\n%c\r\n" % octet for octet in b"hello") + b"0\r\n\r\n",
    "upper-case-hex": b"A\r\nhellohello\r\n0\r\n\r\n",
    "leading-zeros": b"0005\r\nhello\r\n000\r\n\r\n",
    "extension": b"5;a\r\nhello\r\n0\r\n\r\n",
    "extension-with-value": b"5;a=b;c=d\r\nhello\r\n0;e\r\n\r\n",
    "extension-quoted": b'5;a="b;c"\r\nhello\r\n0\r\n\r\n',
    "trailer": b"5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n",
    "trailers-that-would-frame": b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n",
    "data-with-crlf": b"7\r\nhe\r\nllo\r\n0\r\n\r\n",
    "data-like-a-last-chunk": b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
    "empty": b"0\r\n\r\n",
}

DECODED = {
    "upper-case-hex": b"hellohello",
    "data-with-crlf": b"he\r\nllo",
    "data-like-a-last-chunk": b"0\r\n\r\n",
    "empty": b"",
}

INVALID = {
    "size-empty": b"\r\nhello\r\n0\r\n\r\n",
    "size-letters": b"g\r\nhello\r\n0\r\n\r\n",
    "size-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size-plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size-minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size-leading-space": b" 5\r\nhello\r\n0\r\n\r\n",
    "size-inner-space": b"5 5\r\nhello\r\n0\r\n\r\n",
    "size-underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "size-comma": b"5,\r\nhello\r\n0\r\n\r\n",
    "size-only-extension": b";a=b\r\nhello\r\n0\r\n\r\n",
    "size-64-bits-over": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size-huge": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "size-ended-by-lf": b"5\nhello\r\n0\r\n\r\n",
    "size-ended-by-cr": b"5\rhello\r\n0\r\n\r\n",
    "size-nul": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "extension-with-lf": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension-with-cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension-endless": b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
    "data-too-long": b"4\r\nhello\r\n0\r\n\r\n",
    "data-too-short": b"6\r\nhello\r\n0\r\n\r\n",
    "data-ended-by-lf": b"5\r\nhello\n0\r\n\r\n",
    "data-ended-by-cr": b"5\r\nhello\r0\r\n\r\n",
    "data-not-ended": b"5\r\nhello0\r\n\r\n",
    "last-chunk-ended-by-lf": b"5\r\nhello\r\n0\n\r\n",
    "trailer-without-colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "trailer-ended-by-lf": b"5\r\nhello\r\n0\r\nX: 1\n\r\n",
    "trailer-with-cr": b"5\r\nhello\r\n0\r\nX: 1\rY: 2\r\n\r\n",
    "trailer-endless": b"5\r\nhello\r\n0\r\n" + b"X: aaaaaaaaaaaa\r\n" * 8000 + b"\r\n",
}


@pytest.fixture
async def origin(stage: Stage) -> Origin:
    return stage.origin(answers(reply(b"fine")))


@pytest.fixture
async def running(stage: Stage, origin: Origin) -> Running:
    return await stage.serve(build_spec(origin.address))


@pytest.mark.parametrize("octets", [1, 3, 1 << 20], ids=["by-1", "by-3", "whole"])
@pytest.mark.parametrize("name", VALID)
async def test_valid_body_in_any_pieces_arrives_and_the_next_request_too(
    running: Running, origin: Origin, name: str, octets: int
) -> None:
    stream = HEAD + VALID[name] + AFTER
    client = await running.connect()
    await client.send(*(stream[at : at + octets] for at in range(0, len(stream), octets)))
    for _ in range(2):
        assert (await client.read_response()).body == b"fine"
    chunked, after = origin.requests
    assert chunked.body == DECODED.get(name, b"hello")
    assert b"evil" not in origin.raw
    assert (after.target, after.body) == (b"/after", b"")


@pytest.mark.parametrize("whole", [True, False], ids=["with-head", "after-head"])
@pytest.mark.parametrize("name", INVALID)
async def test_invalid_body_is_never_complete_upstream(
    running: Running, origin: Origin, name: str, whole: bool
) -> None:
    client = await running.connect()
    body = INVALID[name] + AFTER
    await client.send(*([HEAD + body] if whole else [HEAD, body]))
    answer = await client.read_response()
    assert answer.status == 400
    assert answer.closes
    await client.read_eof()
    client.close()
    await running.quiet()
    assert origin.requests == []
    assert b"/after" not in origin.raw


@pytest.mark.parametrize("extra", [b"x", b"\r\n", b"\r\nx\r\n\r\n"])
async def test_bytes_behind_a_counted_body_are_the_next_request(
    running: Running, origin: Origin, extra: bytes
) -> None:
    client = await running.connect()
    await client.send(request(b"POST", b"/first", body=b"body") + extra + AFTER)
    first = await client.read_response()
    second = await client.read_response()
    assert first.body == b"fine"
    assert origin.requests[0].body == b"body"
    # An empty line before a request is to be skipped (RFC 9112, 2.2); "xGET" is no method.
    assert second.status == {b"\r\n": 200, b"x": 501}.get(extra, 400)


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS", b"HEAD"])
async def test_body_on_a_method_that_rarely_has_one_is_framed_all_the_same(
    running: Running, origin: Origin, method: bytes
) -> None:
    client = await running.connect()
    await client.send(request(method, b"/first", body=b"GET /evil HTTP/1.1\r\n\r\n") + AFTER)
    assert (await client.read_response(method)).status == 200
    assert (await client.read_response()).status == 200
    assert [one.target for one in origin.requests] == [b"/first", b"/after"]
