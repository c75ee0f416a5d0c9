"""Pipelined requests: answered in order, one at a time, with a bounded backlog."""

from __future__ import annotations

import asyncio

from proxy.spec import PoolTimeouts
from tests.peers import Conn, Stage, build_spec, eventually, pool, reply, settle
from tests.peers.client import request
from tests.peers.stage import largest_write_buffer


async def name_target(conn: Conn) -> None:
    while True:
        recorded = await conn.next_request()
        await conn.send(reply(recorded.target + b" " + recorded.body))


async def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    origin = stage.origin(name_target)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    targets = [b"/%d" % number for number in range(50)]
    await client.send(b"".join(request(b"GET", target) for target in targets))
    bodies = [(await client.read_response()).body for _ in targets]
    assert bodies == [target + b" " for target in targets]
    assert [one.target for one in origin.requests] == targets


async def test_hundreds_of_pipelined_requests_in_one_read_do_not_recurse(stage: Stage) -> None:
    running = await stage.serve(build_spec(routes=[], pools=[]))
    client = await running.connect()
    count = 3000
    sending = asyncio.create_task(client.send(request() * count))
    statuses = [(await client.read_response()).status for _ in range(count)]
    await sending
    assert statuses == [404] * count


async def test_mixed_bodies_are_kept_apart(stage: Stage) -> None:
    origin = stage.origin(name_target)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    chunked = request(b"POST", b"/b", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"
    await client.send(
        request(b"POST", b"/a", body=b"GET /x HTTP/1.1\r\n\r\n")
        + chunked
        + request(b"HEAD", b"/c")
        + request(b"GET", b"/d")
    )
    assert (await client.read_response()).body == b"/a GET /x HTTP/1.1\r\n\r\n"
    assert (await client.read_response()).body == b"/b abc"
    assert (await client.read_response(b"HEAD")).body == b""
    assert (await client.read_response()).body == b"/d "


async def test_second_request_waits_for_the_first_response(stage: Stage) -> None:
    release = asyncio.Event()

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(reply(b"half-half")[:-4])
        await release.wait()
        await conn.send(b"half")
        await name_target(conn)

    origin = stage.origin(script)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(request(b"GET", b"/1") + request(b"GET", b"/2"))
    await client.read_until(b"half-")
    await settle()
    assert [one.target for one in origin.requests] == [b"/1"]
    release.set()
    await client.read_until(b"half")
    assert (await client.read_response()).body == b"/2 "
    assert len(origin.connections) == 1


async def test_backlog_of_a_client_that_pipelines_without_end_is_bounded(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    # A client held back by its backlog is not seen to leave before the upstream's time is up.
    running = await stage.serve(
        build_spec(pools=[pool(origin.address, timeouts=PoolTimeouts(read_s=2.0))])
    )
    client = await running.connect()
    total = 64 << 20
    sent = await client.pour(total, request(b"GET", b"/again") * 500)
    assert sent < total / 2, "the kernel's buffers and a bounded backlog, no more"
    assert len(origin.requests) == 1


async def test_client_that_pipelines_and_never_reads_is_held_back(stage: Stage) -> None:
    """Each answer is small; all of them together would be as much as the client likes."""
    running = await stage.serve(build_spec(routes=[], pools=[]))
    client = await running.connect(receive_buffer=16384)
    one = request(b"GET", b"/again")
    count = 400_000
    sent = await client.pour(count * len(one), one * count)
    assert sent < count * len(one)
    await eventually(largest_write_buffer, "the proxy to be held up", limit_s=50)
    assert largest_write_buffer() < 512 * 1024
    # Once it reads, it gets everything that it asked for.
    missing = -sent % len(one)
    sending = asyncio.create_task(client.send(one[len(one) - missing :] + b"GET /last HT"))
    for _ in range((sent + missing) // len(one)):
        assert (await client.read_response()).status == 404
    await sending
    await client.read_nothing()


async def test_vanished_client_with_a_backlog_gets_nothing_more_done(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(request(b"GET", b"/1") + request(b"GET", b"/2") * 10)
    await origin.request()
    client.reset()
    await origin.closed(1)
    await running.quiet()
    assert [one.target for one in origin.requests] == [b"/1"]


async def test_error_in_the_middle_keeps_the_order(stage: Stage) -> None:
    async def drop_second(conn: Conn) -> None:
        recorded = await conn.next_request()
        await conn.send(reply(recorded.target))
        await conn.next_request()
        conn.reset()

    origin = stage.origin(drop_second, name_target)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(
        request(b"POST", b"/1", body=b"")
        + request(b"POST", b"/2", body=b"")
        + request(b"POST", b"/3", body=b"")
    )
    replies = await client.read_responses([b"POST"] * 3)
    assert [one.status for one in replies] == [200, 502, 200]
    assert replies[2].body == b"/3 "
