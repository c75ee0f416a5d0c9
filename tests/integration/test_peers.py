"""The peers against each other: what the other suites are built on does what it says."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.peers import (
    OK,
    Conn,
    EndedError,
    MalformedError,
    Origin,
    RawClient,
    Stage,
    answers,
    echo,
    eventually,
    reply,
    websocket,
    within,
)
from tests.peers.frames import HANDSHAKE_FIELDS, TEXT, encode, read_frame
from tests.peers.leaks import Watch
from tests.peers.origin import Family, then
from tests.peers.wire import chunked, parse_head


async def connect(origin: Origin) -> RawClient:
    return await RawClient.connect(origin.address)


def test_loop_of_every_test_is_uvloop() -> None:
    async def probe() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert isinstance(runner.run(probe()), uvloop.Loop)


async def test_running_loop_is_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


@pytest.mark.parametrize("family", ["ipv4", "ipv6", "unix"])
async def test_default_origin_of_any_family_answers_and_records(
    stage: Stage, family: Family
) -> None:
    origin = stage.origin(family=family)
    client = await connect(origin)
    answer = await client.request(b"POST", b"/a?b", b"X-A: 1", body=b"body")
    client.close()
    assert (answer.status, answer.body, answer.framing) == (200, b"ok", "length")
    recorded = await origin.request()
    assert (recorded.method, recorded.target, recorded.body) == (b"POST", b"/a?b", b"body")
    assert recorded.get(b"x-a") == b"1"
    assert origin.raw.startswith(b"POST /a?b HTTP/1.1\r\nHost: example.test\r\n")
    assert (await origin.closed()).ended == "fin"


async def test_chunked_bodies_both_ways_are_decoded(stage: Stage) -> None:
    origin = stage.origin(
        answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", b"c"))
    )
    client = await connect(origin)
    await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.send(*(bytes([octet]) for octet in chunked(b"hello ", b"world")))
    answer = await client.read_response()
    client.close()
    assert (answer.body, answer.framing) == (b"abc", "chunked")
    assert (await origin.request()).body == b"hello world"


async def test_informational_head_and_close_delimited_body_are_read(stage: Stage) -> None:
    origin = stage.origin(
        then(
            "fin",
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nbo",
            b"dy",
        )
    )
    client = await connect(origin)
    answer = await client.get()
    client.close()
    assert [head.status for head in answer.informational] == [103]
    assert (answer.body, answer.framing) == (b"body", "close")


async def test_pieces_are_read_one_by_one(stage: Stage) -> None:
    sizes: list[int] = []

    async def script(conn: Conn) -> None:
        while await conn._more():
            sizes.append(len(conn.received))

    origin = stage.origin(script)
    client = await connect(origin)
    await client.send(b"one", b"two", b"three")
    client.close()
    await origin.closed()
    assert sizes == [3, 6, 11]


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_vanished_client_is_seen_by_an_origin_that_stalls(stage: Stage, how: str) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    client = await connect(origin)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await origin.request()
    client.vanish("rst" if how == "rst" else "fin")
    assert (await origin.closed()).ended == how


async def test_reset_by_the_origin_is_reported_with_what_came_before(stage: Stage) -> None:
    origin = stage.origin(then("rst", OK[:20]))
    client = await connect(origin)
    with pytest.raises(EndedError, match="rst"):
        await client.get()
    client.close()


async def test_half_close_is_seen_and_echo_answers_it(stage: Stage) -> None:
    origin = stage.origin(websocket())
    client = await connect(origin)
    answer = await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)
    assert answer.status == 101
    assert answer.get(b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    await client.send(encode(TEXT, b"hi", mask=True))
    frame = await read_frame(client)
    assert (frame.opcode, frame.payload, frame.masked) == (TEXT, b"hi", True)
    client.half_close()
    await client.read_eof()
    client.close()


async def test_script_per_connection_is_chosen_in_order(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"first")), echo)
    bodies = []
    for _ in range(3):
        client = await connect(origin)
        bodies.append((await client.request(b"POST", body=b"mine")).body)
        client.close()
    assert bodies == [b"first", b"mine", b"mine"]


async def test_pour_into_a_peer_that_does_not_read_stops(stage: Stage) -> None:
    async def hold(conn: Conn) -> None:
        await conn.hold()

    origin = stage.origin(hold, receive_buffer=16384)
    client = await connect(origin)
    assert 0 < await client.pour(1 << 30) < 1 << 24
    client.close()


async def test_address_with_a_full_backlog_neither_connects_nor_fails(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="waited"):
        await within(RawClient.connect(stage.unreachable()), "the connection", 0.2)


async def test_refused_address_refuses(stage: Stage) -> None:
    with pytest.raises(ConnectionRefusedError):
        await RawClient.connect(stage.refused())


async def test_origin_that_stops_listening_refuses_but_keeps_its_connections(stage: Stage) -> None:
    origin = stage.origin()
    client = await connect(origin)
    assert (await client.get()).status == 200
    origin.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        await connect(origin)
    assert (await client.get()).status == 200
    client.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    ],
)
def test_malformed_head_is_refused_by_the_reader(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_head(raw)


async def test_failing_script_fails_the_stage(no_leaks: Watch) -> None:
    async def wrong(conn: Conn) -> None:
        raise MalformedError("the proxy wrote nonsense")

    stage = Stage()
    client = await connect(stage.origin(wrong))
    await client.read_eof()
    client.close()
    with pytest.raises(MalformedError, match="nonsense"):
        await stage.close()


async def test_leaked_socket_and_task_are_reported() -> None:
    watch = Watch()
    stage = Stage()
    client = await connect(stage.origin())
    with pytest.raises(AssertionError, match="socket:"):
        await eventually(lambda: not watch._left(), lambda: f"{watch._left()}", 0.05)
    client.close()
    await stage.close()
    await watch.check()


async def test_error_inside_a_callback_is_reported() -> None:
    def broken() -> None:
        raise ValueError("unseen")

    watch = Watch()
    asyncio.get_running_loop().call_soon(broken)
    with pytest.raises(AssertionError, match="unseen"):
        await eventually(lambda: watch.complaints, "the callback")
        await watch.check()
