"""Bodies both ways: every framing, every version, with back-pressure and early answers."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers import (
    OK,
    Conn,
    Origin,
    Running,
    Stage,
    answers,
    build_spec,
    echo,
    eventually,
    reply,
)
from tests.peers.client import request
from tests.peers.leaks import resident_bytes
from tests.peers.origin import then
from tests.peers.stage import largest_write_buffer
from tests.peers.stream import Ending
from tests.peers.wire import chunked

MEGABYTE = 1 << 20
WATER = 64 * 1024 + 256 * 1024 + 4096
"""The high-water mark, plus one read (of uvloop's 250 KiB at most), plus heads and framing."""


async def serve(stage: Stage, origin: Origin) -> Running:
    return await stage.serve(build_spec(origin.address))


def head(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n"


# -- responses ------------------------------------------------------------------------------------

CHUNKED = head(b"Transfer-Encoding: chunked")
RESPONSES = {
    "length": (reply(b"hello"), b"hello"),
    "length-zero": (reply(b""), b""),
    "length-leading-zeros": (head(b"Content-Length: 005") + b"hello", b"hello"),
    "chunked": (CHUNKED + chunked(b"he", b"llo"), b"hello"),
    "chunked-empty": (CHUNKED + b"0\r\n\r\n", b""),
    "chunked-octets": (CHUNKED + chunked(*(b"%c" % octet for octet in b"hello")), b"hello"),
    "chunked-extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', b"hello"),
    "chunked-trailers": (
        CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a\r\n\r\n",
        b"hello",
    ),
    "chunked-upper-case": (head(b"Transfer-Encoding: CHUNKED") + chunked(b"hello"), b"hello"),
}


@pytest.mark.parametrize("octets", [1, 4, MEGABYTE], ids=["by-1", "by-4", "whole"])
@pytest.mark.parametrize("name", RESPONSES)
async def test_response_in_any_pieces_arrives_and_its_connection_is_reused(
    stage: Stage, name: str, octets: int
) -> None:
    raw, body = RESPONSES[name]

    async def script(conn: Conn) -> None:
        while True:
            await conn.next_request()
            await conn.send(*(raw[at : at + octets] for at in range(0, len(raw), octets)))

    origin = stage.origin(script)
    running = await serve(stage, origin)
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.body, answer.closes) == (200, body, False)
        assert b"x-sum" not in answer.head.names()
    assert len(origin.connections) == 1


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK"])
@pytest.mark.parametrize("body", [b"", b"hello"])
async def test_response_ended_by_close_arrives_whole(
    stage: Stage, line: bytes, body: bytes
) -> None:
    origin = stage.origin(then("fin", head(line=line), *[b"%c" % octet for octet in body]))
    running = await serve(stage, origin)
    client = await running.connect()
    answer = await client.get()
    assert answer.body == body
    if answer.framing == "close":
        assert answer.closes
        await client.read_eof()
    else:
        assert (await client.get()).body == body


async def test_response_ended_by_close_streams_as_it_comes(stage: Stage) -> None:
    release = asyncio.Event()

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(head() + b"first")
        await release.wait()
        await conn.send(b"second")
        conn.close()

    running = await serve(stage, stage.origin(script))
    client = await running.connect()
    await client.send(request())
    await client.read_until(b"first")
    release.set()
    await client.read_until(b"second")


async def test_chunks_are_passed_on_as_they_come(stage: Stage) -> None:
    release = asyncio.Event()

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(CHUNKED + b"5\r\nfirst\r\n")
        await release.wait()
        await conn.send(b"6\r\nsecond\r\n0\r\n\r\n")

    running = await serve(stage, stage.origin(script))
    client = await running.connect()
    await client.send(request())
    await client.read_until(b"first\r\n")
    release.set()
    await client.read_until(b"6\r\nsecond\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "raw", "status"),
    [
        (b"HEAD", head(b"Content-Length: 5"), 200),
        (b"HEAD", head(b"Transfer-Encoding: chunked"), 200),
        (b"HEAD", head(), 200),
        (b"GET", head(line=b"HTTP/1.1 204 No Content"), 204),
        (b"GET", head(line=b"HTTP/1.1 304 Not Modified"), 304),
        (b"GET", head(b"Content-Length: 5", line=b"HTTP/1.1 304 Not Modified"), 304),
    ],
    ids=["head-length", "head-chunked", "head-bare", "204", "304", "304-length"],
)
async def test_response_without_a_body_is_complete_with_its_head(
    stage: Stage, method: bytes, raw: bytes, status: int
) -> None:
    origin = stage.origin(answers(raw, OK))
    running = await serve(stage, origin)
    client = await running.connect()
    answer = await client.request(method)
    assert (answer.status, answer.body, answer.framing) == (status, b"", "none")
    if b"Content-Length" in raw:
        assert answer.get(b"content-length") == b"5"
    assert (await client.get()).body == b"ok"
    assert len(origin.connections) == 1


@pytest.mark.parametrize(
    ("fields", "line", "reused"),
    [
        ((), b"HTTP/1.1 200 OK", True),
        ((b"Connection: keep-alive",), b"HTTP/1.1 200 OK", True),
        ((b"Connection: close",), b"HTTP/1.1 200 OK", False),
        ((b"Connection: foo, Close",), b"HTTP/1.1 200 OK", False),
        ((), b"HTTP/1.0 200 OK", False),
        ((b"Connection: close",), b"HTTP/1.0 200 OK", False),
        ((b"Connection: keep-alive",), b"HTTP/1.0 200 OK", True),
        ((b"Connection: Keep-Alive, foo",), b"HTTP/1.0 200 OK", True),
    ],
)
async def test_upstream_connection_is_reused_as_its_response_allows(
    stage: Stage, fields: tuple[bytes, ...], line: bytes, reused: bool
) -> None:
    origin = stage.origin(answers(head(*fields, b"Content-Length: 2", line=line) + b"ok"))
    running = await serve(stage, origin)
    client = await running.connect()
    for _ in range(2):
        answer = await client.get()
        assert (answer.body, answer.closes) == (b"ok", False)
        assert answer.get(b"keep-alive") is None
    assert len(origin.connections) == (1 if reused else 2)


@pytest.mark.parametrize("raw", [OK, CHUNKED + chunked(b"o", b"k")], ids=["length", "chunked"])
@pytest.mark.parametrize("keep", [False, True])
async def test_http_1_0_client_gets_what_it_can_read(stage: Stage, raw: bytes, keep: bool) -> None:
    origin = stage.origin(answers(raw))
    running = await serve(stage, origin)
    client = await running.connect()
    wish = b"Connection: keep-alive\r\n" if keep else b""
    await client.send(b"GET / HTTP/1.0\r\nHost: a\r\n" + wish + b"\r\n")
    answer = await client.read_response()
    assert answer.body == b"ok"
    assert answer.get(b"transfer-encoding") is None
    kept = keep and answer.framing == "length"
    if kept:
        assert (answer.get(b"connection") or b"").lower() == b"keep-alive"
        assert (await client.get()).body == b"ok"
    else:
        await client.read_eof()
    assert origin.requests[0].head.version_minor == 1


async def test_http_1_0_client_with_a_length_is_kept_when_it_asks(stage: Stage) -> None:
    running = await serve(stage, stage.origin())
    client = await running.connect()
    for _ in range(3):
        await client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n")
        answer = await client.read_response()
        assert answer.framing == "length"
        assert (answer.get(b"connection") or b"").lower() == b"keep-alive"


async def test_http_1_0_client_gets_no_informational_response(stage: Stage) -> None:
    hints = head(b"Link: a", line=b"HTTP/1.1 103 Early Hints")
    running = await serve(stage, stage.origin(answers(hints + OK)))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    answer = await client.read_response()
    assert (answer.informational, answer.body) == ((), b"ok")


async def test_client_that_asks_to_close_is_closed(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    client = await running.connect()
    await client.send(request(b"GET", b"/", b"Connection: close") + request(b"GET", b"/after"))
    assert (await client.read_response()).closes
    await client.read_eof()
    assert [one.target for one in origin.requests] == [b"/"]
    assert origin.requests[0].get(b"connection") is None
    assert origin.connections[0].ended is None, "the upstream's connection is its own affair"


async def test_informational_responses_pass_in_order(stage: Stage) -> None:
    hints = [head(b"Link: <%d>" % number, line=b"HTTP/1.1 103 Early Hints") for number in range(3)]
    processing = head(line=b"HTTP/1.1 102 Processing")
    origin = stage.origin(then("half", *hints, processing, OK))
    running = await serve(stage, origin)
    client = await running.connect()
    answer = await client.get()
    assert [one.status for one in answer.informational] == [103, 103, 103, 102]
    assert [one.get(b"link") for one in answer.informational[:3]] == [b"<0>", b"<1>", b"<2>"]
    assert answer.body == b"ok"


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_response_whose_connection_ends_in_the_same_moment_is_whole(
    stage: Stage, method: bytes, ending: Ending
) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        conn.vanish(ending)

    running = await serve(stage, stage.origin(script))
    client = await running.connect()
    for _ in range(5):
        assert (await client.request(method, body=b"x")).body == b"ok"


async def test_large_heads_within_the_limits_pass_whole(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"ok", b"X: " + b"b" * 60_000)))
    running = await serve(stage, origin)
    answer = await (await running.connect()).get(b"/", b"X: " + b"a" * 30_000)
    assert answer.get(b"x") == b"b" * 60_000
    assert origin.requests[0].get(b"x") == b"a" * 30_000


# -- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [1, 7, MEGABYTE], ids=["by-1", "by-7", "whole"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_request_body_in_any_pieces_arrives(stage: Stage, framing: str, octets: int) -> None:
    origin = stage.origin(echo)
    running = await serve(stage, origin)
    body = bytes(range(256))
    if framing == "length":
        raw = request(b"POST", body=body)
    else:
        raw = request(b"POST", b"/", b"Transfer-Encoding: chunked")
        raw += chunked(body[:1], body[1:100], body[100:])
    client = await running.connect()
    await client.send(*(raw[at : at + octets] for at in range(0, len(raw), octets)))
    assert (await client.read_response()).body == body
    recorded = origin.requests[0]
    assert recorded.body == body
    if framing == "length":
        assert recorded.get(b"content-length") == b"256"


async def test_request_without_a_body_gets_no_framing_upstream(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    client = await running.connect()
    await client.get()
    assert b"content-length" not in origin.requests[0].head.names()
    assert b"transfer-encoding" not in origin.requests[0].head.names()


async def test_empty_body_with_a_length_keeps_its_length(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    await (await running.connect()).request(b"POST", body=b"")
    assert origin.requests[0].get(b"content-length") == b"0"


async def test_request_body_streams_before_it_is_complete(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    client = await running.connect()
    raw = request(b"POST", body=b"first-second")
    await client.send(raw[: -len(b"second")])
    conn = await origin.connection()
    await eventually(lambda: conn.received.endswith(b"first-"), "the first half upstream")
    await client.send(b"second")
    assert (await client.read_response()).body == b"ok"


# -- Expect ---------------------------------------------------------------------------------------

EXPECT = request(b"POST", b"/", b"Expect: 100-continue", b"Content-Length: 4")


async def test_expectation_is_answered_and_not_forwarded(stage: Stage) -> None:
    origin = stage.origin(echo)
    running = await serve(stage, origin)
    client = await running.connect()
    await client.send(EXPECT)
    assert (await client.read_head()).status == 100
    await client.send(b"body")
    answer = await client.read_response()
    assert (answer.body, answer.informational) == (b"body", ())
    assert origin.requests[0].get(b"expect") is None


async def test_upstreams_own_100_is_swallowed(stage: Stage) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await conn.read_exactly(4) == b"body"
        await conn.send(OK)

    running = await serve(stage, stage.origin(script))
    client = await running.connect()
    await client.send(EXPECT)
    assert (await client.read_head()).status == 100
    await client.send(b"body")
    answer = await client.read_response()
    assert (answer.body, answer.informational) == (b"ok", ())


async def test_unasked_100_of_the_upstream_is_swallowed(stage: Stage) -> None:
    running = await serve(stage, stage.origin(answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)))
    answer = await (await running.connect()).get()
    assert (answer.body, answer.informational) == (b"ok", ())


async def test_expectation_is_not_answered_without_an_upstream(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    await client.send(EXPECT)
    answer = await client.read_response()
    assert (answer.status, answer.informational) == (502, ())


async def test_expectation_of_a_client_that_does_not_wait_is_met(stage: Stage) -> None:
    origin = stage.origin(echo)
    running = await serve(stage, origin)
    client = await running.connect()
    await client.send(EXPECT + b"body")
    # The body is here already: a 100 may be left out (RFC 9110, 10.1.1).
    answer = await client.read_response()
    assert answer.body == b"body"


async def test_expectation_of_http_1_0_is_ignored(stage: Stage) -> None:
    running = await serve(stage, stage.origin(echo))
    client = await running.connect()
    await client.send(EXPECT.replace(b"HTTP/1.1", b"HTTP/1.0") + b"body")
    answer = await client.read_response()
    assert (answer.body, answer.informational) == (b"body", ())


# -- early answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_early_answer_reaches_a_client_that_is_still_sending(
    stage: Stage, framing: str
) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(reply(b"no", status=b"403 Forbidden"))

    origin = stage.origin(script, answers(OK))
    running = await serve(stage, origin)
    client = await running.connect()
    if framing == "length":
        await client.send(request(b"POST", b"/", b"Content-Length: 1000000") + b"x" * 1000)
    else:
        await client.send(request(b"POST", b"/", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    answer = await client.read_response()
    assert (answer.status, answer.body, answer.closes) == (403, b"no", True)
    # The client may go on sending for a while without being reset.
    await client.send(b"x" * 10_000)
    await client.read_eof()
    await origin.closed(1)
    assert (await (await running.connect()).get()).body == b"ok"
    assert len(origin.connections) == 2, "a half-sent request spoils its connection"


async def test_early_answer_after_the_whole_body_was_sent_keeps_everything(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    client = await running.connect()
    for _ in range(2):
        assert not (await client.request(b"POST", body=b"x" * 100_000)).closes
    assert len(origin.connections) == 1


async def test_early_answer_then_upstream_closes_is_still_delivered(stage: Stage) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(reply(b"no", b"Connection: close", status=b"413 Content Too Large"))
        conn.half_close()

    running = await serve(stage, stage.origin(script))
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Content-Length: 5000000"))
    await client.pour(5_000_000)
    answer = await client.read_response()
    assert (answer.status, answer.body) == (413, b"no")


# -- large bodies and slow sides ------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_large_bodies_both_ways_arrive_whole(stage: Stage, framing: str) -> None:
    origin = stage.origin(echo)
    running = await serve(stage, origin)
    client = await running.connect()
    body = bytes(range(256)) * (3 * MEGABYTE // 256)
    if framing == "length":
        raw = request(b"POST", body=body)
    else:
        raw = request(b"POST", b"/", b"Transfer-Encoding: chunked")
        raw += chunked(*(body[at : at + 50_000] for at in range(0, len(body), 50_000)))
    sending = asyncio.create_task(client.send(raw))
    answer = await client.read_response(limit_s=30)
    await sending
    assert answer.body == body
    assert running.pool().counters.http_to_upstream >= len(body)
    assert running.pool().counters.http_to_client >= len(body)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_slow_reader_holds_the_upstream_back_with_bounded_memory(
    stage: Stage, framing: str
) -> None:
    total = 64 * MEGABYTE
    block = b"x" * 65536
    sent = 0
    stuck = asyncio.Event()
    resume = asyncio.Event()

    async def script(conn: Conn) -> None:
        nonlocal sent
        await conn.next_request()
        if framing == "length":
            await conn.send(head(b"Content-Length: %d" % total))
        elif framing == "chunked":
            await conn.send(head(b"Transfer-Encoding: chunked") + b"%x\r\n" % total)
        else:
            await conn.send(head())
        sent = await conn.pour(total, block)
        stuck.set()
        await resume.wait()
        conn.close()

    origin = stage.origin(script)
    running = await serve(stage, origin)
    before = resident_bytes()
    client = await running.connect(receive_buffer=32768)
    await client.send(request())
    await asyncio.wait_for(stuck.wait(), 20)
    assert sent < total / 4
    assert 0 < largest_write_buffer() <= WATER
    assert resident_bytes() - before < 8 * MEGABYTE
    resume.set()


async def test_slow_reader_gets_everything_in_the_end(stage: Stage) -> None:
    body = bytes(range(256)) * (8 * MEGABYTE // 256)

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(reply(body), limit_s=30)

    running = await serve(stage, stage.origin(script))
    client = await running.connect(receive_buffer=32768)
    await client.send(request())
    await client.read_head()
    await eventually(lambda: largest_write_buffer() > 0, "the proxy to be held up")
    assert await client.trickle(len(body), 100_000) == body


async def test_slow_upstream_holds_the_client_back_with_bounded_memory(stage: Stage) -> None:
    resume = asyncio.Event()

    async def script(conn: Conn) -> None:
        await conn.next_head()
        await resume.wait()
        assert len(await conn.read_exactly(total)) == total
        await conn.send(OK)

    total = 24 * MEGABYTE
    origin = stage.origin(script, receive_buffer=32768)
    running = await serve(stage, origin)
    client = await running.connect()
    before = resident_bytes()
    await client.send(request(b"POST", b"/", b"Content-Length: %d" % total))
    sent = await client.pour(total)
    assert sent < total
    assert 0 < largest_write_buffer() <= WATER
    assert resident_bytes() - before < 8 * MEGABYTE
    resume.set()
    while sent < total:
        sent += await client.pour(total - sent)
    assert (await client.read_response(limit_s=30)).body == b"ok"


async def test_tiny_chunks_in_bulk_are_bounded_in_what_they_block(stage: Stage) -> None:
    origin = stage.origin(echo)
    running = await serve(stage, origin)
    flood, other = await running.connect(), await running.connect()
    count = 30_000
    raw = request(b"POST", b"/", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n" * count
    sending = asyncio.create_task(flood.send(raw + b"0\r\n\r\n"))
    assert (await other.get()).status == 200
    await sending
    assert (await flood.read_response()).body == b"x" * count
