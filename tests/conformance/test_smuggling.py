"""Whatever bytes come, what goes on is well-formed, and nobody gets another's answer (hypothesis).

The peers read by the letter of RFC 9112 and fail on anything else, so it is enough to throw
fragments of messages at the proxy and to look at what comes out at the other side.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.peers import Conn, EndedError, Origin, Running, Stage, build_spec, reply, settle
from tests.peers.client import RawClient, request
from tests.peers.wire import body_framing, parse_head

RUN = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

REQUEST_PIECES = [
    *(b"GET /1 HTTP/1.1\r\n", b"POST /2 HTTP/1.1\r\n", b"PUT /3 HTTP/1.0\r\n"),
    *(b"HEAD /4 HTTP/1.1\r\n", b"GET http://b/5 HTTP/1.1\r\n"),
    *(b"Host: a\r\n", b"Host: a\r\n", b"Host: a\r\n", b"Host: b\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length: 3\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: Chunked\r\n"),
    *(b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding:\tchunked\r\n"),
    *(b"Content_Length: 4\r\n", b"Connection: Content-Length\r\n", b"Connection: close\r\n"),
    *(b"Connection: Upgrade\r\n", b"Upgrade: h2c\r\n", b"Upgrade: websocket\r\n"),
    *(b"Expect: 100-continue\r\n", b"X: y\r\n", b" folded\r\n", b"X : y\r\n"),
    *(b"X: a\rb\r\n", b"X: \x00\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"),
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\n", b"hello", b"5;a=b\r\n"),
    b"FFFFFFFFFFFFFFFF\r\n",
    b"GET /6 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /7 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
    b"POST /8 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
]

RESPONSE_PIECES = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n"),
    *(b"HTTP/1.1 204 None\r\n", b"HTTP/1.1 304 Same\r\n", b"HTTP/1.1 103 Early\r\n"),
    *(b"HTTP/1.1 100 Continue\r\n", b"HTTP/1.1 101 Switch\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length: 3\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: gzip\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n"),
    *(b"Connection: Content-Length\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n"),
    *(b"X: y\r\n", b" folded\r\n", b"X : y\r\n", b"X: a\rb\r\n"),
    *(b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n"),
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\n", b"hello", b"5;a=b\r\n"),
    b"FFFFFFFFFFFFFFFF\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
]


async def fine(conn: Conn) -> None:
    while True:
        recorded = await conn.next_request()
        answer = reply(b"fine")
        await conn.send(answer[:-4] if recorded.method == b"HEAD" else answer)


@pytest.fixture
async def origin(stage: Stage) -> Origin:
    return stage.origin(fine)


@pytest.fixture
async def running(stage: Stage, origin: Origin) -> Running:
    return await stage.serve(build_spec(origin.address))


async def replies(client: RawClient, methods: Sequence[bytes]) -> list[int]:
    """Parse everything that came as a sequence of responses; the first ones answer ``methods``."""
    statuses: list[int] = []
    data = client.unread
    while data:
        end = data.index(b"\r\n\r\n") + 4
        head = parse_head(data[:end])
        method = methods[len(statuses)] if len(statuses) < len(methods) else b"GET"
        framing, length = body_framing(head, response_to=method)
        assert framing in ("none", "length"), head
        data = data[end + length :]
        if head.status >= 200:
            statuses.append(head.status)
    return statuses


@RUN
@given(
    pieces=st.lists(st.sampled_from(REQUEST_PIECES), min_size=2, max_size=14),
    whole=st.booleans(),
)
async def test_fragments_of_requests_never_become_a_request_nobody_made(
    running: Running, origin: Origin, pieces: list[bytes], whole: bool
) -> None:
    origin.requests.clear()
    client = await running.connect()
    stream = request(b"GET", b"/first") + b"".join(pieces)
    await client.send(*([stream] if whole else [stream[:40], stream[40:]]))
    await settle(30)
    client.drain_now()
    forwarded = [one.method for one in origin.requests]
    statuses = await replies(client, forwarded)
    # As many answers of the origin as requests reached it, in their order, then at most one error.
    assert statuses[: len(forwarded)] == [200] * len(forwarded)
    assert len(statuses) <= len(forwarded) + 1
    assert all(status >= 400 for status in statuses[len(forwarded) :])
    client.reset()


class Recital:
    """What the origin says next, and then closes."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def __call__(self, conn: Conn) -> None:
        await conn.next_request()
        await conn.send(*self.lines)
        conn.half_close()


@pytest.fixture
async def recital(stage: Stage) -> tuple[Recital, Running]:
    recital = Recital()
    return recital, await stage.serve(build_spec(stage.origin(recital).address))


@RUN
@given(
    pieces=st.lists(st.sampled_from(RESPONSE_PIECES), min_size=1, max_size=12),
    whole=st.booleans(),
)
async def test_fragments_of_responses_never_become_more_than_one_answer(
    recital: tuple[Recital, Running], pieces: list[bytes], whole: bool
) -> None:
    lines, running = recital
    lines.lines = [b"".join(pieces)] if whole else pieces
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Connection: close", body=b"x"))
    await client.gone()
    try:
        answer = await client.read_response(b"POST")
    except EndedError:
        pass  # Cut, and so that the client can tell.
    else:
        assert answer.status in (200, 204, 304, 502)
        assert client.unread == b"", "bytes behind the only answer"
    client.close()
