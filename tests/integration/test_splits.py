"""However a stream is cut into reads, it means the same (hypothesis)."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.peers import Conn, Running, Stage, build_spec, everything, reply
from tests.peers.client import request
from tests.peers.origin import websocket
from tests.peers.wire import chunked

# The server and the origin are the same for all examples, on purpose: none may affect the next.
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

REQUESTS: Final = (
    (b"GET", b"/a", request(b"GET", b"/a"), b""),
    (b"POST", b"/b", request(b"POST", b"/b", body=b"0123456789" * 30), b"0123456789" * 30),
    (
        b"PUT",
        b"/c",
        request(b"PUT", b"/c", b"Transfer-Encoding: chunked") + chunked(b"x", b"yz" * 70, b"!"),
        b"x" + b"yz" * 70 + b"!",
    ),
    (b"HEAD", b"/d", request(b"HEAD", b"/d"), b""),
    (
        b"POST",
        b"/e",
        request(b"POST", b"/e", b"Transfer-Encoding: chunked")
        + b"3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        b"abc",
    ),
    (b"DELETE", b"/f", request(b"DELETE", b"/f", body=b""), b""),
    (b"GET", b"/g", request(b"GET", b"/g", b"Connection: Upgrade", b"Upgrade: h2c"), b""),
    (b"GET", b"/h", b"\r\n" + request(b"GET", b"/h", b"X: " + b"a" * 900), b""),
)
RESPONSES: Final = (
    (reply(b"hello"), 200, b"hello"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a", b"bc" * 99), 200,
     b"a" + b"bc" * 99),
    (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + reply(b"late"), 200, b"late"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + reply(b""), 200, b""),
    (b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", 204, b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, b""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nT: 1\r\n\r\n", 200,
     b"ok"),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nold", 200, b"old"),
)  # fmt: skip


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``stream`` at ``cuts``, taken modulo its length."""
    at = sorted({0, *(cut % len(stream) for cut in cuts), len(stream)})
    return [stream[start:end] for start, end in pairwise(at)]


async def mirror(conn: Conn) -> None:
    """Answer with the method, the target and the body."""
    while True:
        got = await conn.next_request()
        body = b"%b %b %b" % (got.method, got.target, got.body)
        answer = reply(body)
        await conn.send(answer[: -len(body)] if got.method == b"HEAD" else answer)


cuts = st.lists(st.integers(0, 10_000), max_size=12)


@pytest.fixture
async def running(stage: Stage) -> Running:
    return await stage.serve(build_spec(stage.origin(mirror).address))


@QUICK
@given(order=st.lists(st.sampled_from(range(len(REQUESTS))), min_size=1, max_size=8), cuts=cuts)
async def test_pipelined_requests_cut_anywhere_get_the_same_answers(
    running: Running, order: list[int], cuts: list[int]
) -> None:
    chosen = [REQUESTS[index] for index in order]
    client = await running.connect()
    await client.send(*pieces(b"".join(raw for _, _, raw, _ in chosen), cuts))
    for method, target, _, body in chosen:
        answer = await client.read_response(method)
        assert answer.status == 200
        if method != b"HEAD":
            assert answer.body == b"%b %b %b" % (method, target, body)
    await client.read_nothing()
    client.close()


class Recital:
    """An origin's lines for the present example."""

    def __init__(self) -> None:
        self.lines: list[list[bytes]] = []

    async def __call__(self, conn: Conn) -> None:
        while True:
            await conn.next_request()
            await conn.send(*self.lines.pop(0))


@pytest.fixture
async def recital(stage: Stage) -> tuple[Recital, Running]:
    recital = Recital()
    origin = stage.origin(recital)
    return recital, await stage.serve(build_spec(origin.address))


@QUICK
@given(
    order=st.lists(st.sampled_from(range(len(RESPONSES))), min_size=1, max_size=6),
    cuts=st.lists(cuts, min_size=6, max_size=6),
)
async def test_responses_cut_anywhere_are_the_same(
    recital: tuple[Recital, Running], order: list[int], cuts: list[list[int]]
) -> None:
    lines, running = recital
    chosen = [RESPONSES[index] for index in order]
    lines.lines[:] = [pieces(raw, cuts[at]) for at, (raw, _, _) in enumerate(chosen)]
    client = await running.connect()
    await client.send(request() * len(chosen))
    for _, status, body in chosen:
        answer = await client.read_response()
        assert (answer.status, answer.body) == (status, body)
    await client.read_nothing()
    client.close()


@pytest.fixture
async def tunnels(stage: Stage) -> Running:
    origin = stage.origin(websocket())
    return await stage.serve(build_spec(origin.address, routes=[everything(upgrades=("*",))]))


@QUICK
@given(cuts=cuts, early=st.binary(max_size=300), late=st.binary(min_size=1, max_size=300))
async def test_handshake_cut_anywhere_loses_no_byte_behind_it(
    tunnels: Running, cuts: list[int], early: bytes, late: bytes
) -> None:
    client = await tunnels.connect()
    head = request(b"GET", b"/", b"Connection: upgrade", b"Upgrade: x")
    await client.send(*pieces(head + early, cuts))
    assert (await client.read_response()).status == 101
    await client.send(late)
    assert await client.read_exactly(len(early + late)) == early + late
    client.close()
