"""Which requests become upgrades, how the handshake passes, and what a refusal looks like."""

from __future__ import annotations

import pytest

from proxy.spec import ResponseRulesSpec
from tests.peers import (
    OK,
    Conn,
    EndedError,
    Origin,
    Running,
    Stage,
    answers,
    build_spec,
    everything,
    reply,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS, TEXT, encode
from tests.peers.origin import accept_upgrade, websocket

ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
CURL_H2C = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
)


async def serve(stage: Stage, origin: Origin, *upgrades: str) -> Running:
    routed = everything(upgrades=upgrades) if upgrades else everything()
    return await stage.serve(build_spec(origin.address, routes=[routed]))


def asking(protocol: bytes) -> tuple[bytes, bytes]:
    return b"Connection: Upgrade", b"Upgrade: " + protocol


async def test_handshake_passes_end_to_end_without_any_rule(stage: Stage) -> None:
    origin = stage.origin(
        websocket(b"Sec-WebSocket-Protocol: chat", b"Sec-WebSocket-Extensions: permessage-deflate")
    )
    running = await serve(stage, origin)
    client = await running.connect()
    answer = await client.request(
        b"GET",
        b"/chat?x",
        *HANDSHAKE_FIELDS,
        b"Sec-WebSocket-Protocol: chat, superchat",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Origin: http://example.test",
    )
    assert answer.status == 101
    assert answer.get(b"sec-websocket-accept") == ACCEPT
    assert answer.get(b"sec-websocket-protocol") == b"chat"
    assert answer.get(b"sec-websocket-extensions") == b"permessage-deflate"
    assert (answer.get(b"upgrade") or b"").lower() == b"websocket"
    assert (answer.get(b"connection") or b"").lower() == b"upgrade"
    head = await origin.head()
    assert head.target == b"/chat?x"
    assert (head.get(b"upgrade") or b"").lower() == b"websocket"
    assert (head.get(b"connection") or b"").lower() == b"upgrade"
    assert head.get(b"sec-websocket-key") == b"dGhlIHNhbXBsZSBub25jZQ=="
    assert head.get(b"sec-websocket-version") == b"13"
    assert head.get(b"sec-websocket-protocol") == b"chat, superchat"
    assert head.get(b"origin") == b"http://example.test"
    assert head.get(b"x-forwarded-for") == b"127.0.0.1"


@pytest.mark.parametrize(
    "fields",
    [
        (b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket"),
        (b"connection: UPGRADE", b"upgrade: websocket"),
        (b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: websocket"),
    ],
    ids=["list", "case", "two-fields"],
)
async def test_spelling_of_the_request_does_not_matter(
    stage: Stage, fields: tuple[bytes, ...]
) -> None:
    running = await serve(stage, stage.origin(websocket()))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *fields, *HANDSHAKE_FIELDS[2:])).status == 101


async def test_bytes_behind_either_head_come_first(stage: Stage) -> None:
    async def greet(conn: Conn) -> None:
        await accept_upgrade(conn, behind=b"hello from the origin")
        await conn.echo()

    running = await serve(stage, stage.origin(greet))
    client = await running.connect()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS) + b"early ", b"bird")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(21) == b"hello from the origin"
    await client.send(b" and more")
    assert await client.read_exactly(19) == b"early bird and more"


async def test_many_bytes_behind_the_101_come_whole(stage: Stage) -> None:
    data = b"".join(b"%07d " % number for number in range(100_000))

    async def flood(conn: Conn) -> None:
        await accept_upgrade(conn, behind=data)

    running = await serve(stage, stage.origin(flood))
    client = await running.connect(receive_buffer=32768)
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    assert await client.read_exactly(len(data)) == data


async def test_bytes_sent_while_the_answer_is_awaited_come_in_order(stage: Stage) -> None:
    async def slow(conn: Conn) -> None:
        head = await conn.next_head()
        assert head.get(b"upgrade")
        await conn.origin.request(1)
        await conn.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        )
        await conn.echo()

    origin = stage.origin(slow, answers(OK))
    running = await serve(stage, origin, "*")
    client, other = await running.connect(), await running.connect()
    pieces = [b"%03d" % number for number in range(100)]
    await client.send(request(b"GET", b"/", *asking(b"x")), *pieces)
    await other.get()
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(300) == b"".join(pieces)


async def test_many_early_bytes_are_bounded_and_none_is_lost(stage: Stage) -> None:
    async def slow(conn: Conn) -> None:
        await conn.next_head()
        await conn.origin.request(1)
        await conn.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        )
        received = await conn.read_exactly(total)
        assert received == b"x" * total
        await conn.send(b"all")

    total = 48 << 20
    origin = stage.origin(slow, answers(OK))
    running = await serve(stage, origin, "*")
    client, other = await running.connect(), await running.connect()
    await client.send(request(b"GET", b"/", *asking(b"x")))
    await origin.head()
    sent = await client.pour(total)
    assert sent < total
    await other.get()
    while sent < total:
        sent += await client.pour(total - sent)
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(3) == b"all"


async def test_informational_response_before_the_101_passes(stage: Stage) -> None:
    async def hint(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
            b"HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi"
        )

    running = await serve(stage, stage.origin(hint))
    client = await running.connect()
    answer = await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)
    assert (answer.status, [head.status for head in answer.informational]) == (101, [103])
    assert await client.read_exactly(2) == b"hi"


async def test_empty_body_does_not_hinder_an_upgrade(stage: Stage) -> None:
    running = await serve(stage, stage.origin(websocket()))
    client = await running.connect()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS, body=b"") + b"early")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(5) == b"early"


async def test_upgrade_on_a_reused_connection_that_dies_gets_a_fresh_one(stage: Stage) -> None:
    async def die(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        await conn.next_head()
        conn.reset()

    running = await serve(stage, stage.origin(die, websocket()))
    client = await running.connect()
    await client.get()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS) + b"early")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(5) == b"early"


@pytest.mark.parametrize(
    "refusal",
    [
        reply(b"no", status=b"403 Forbidden"),
        reply(b"ok"),
        reply(b"", b"Upgrade: websocket", status=b"426 Upgrade Required"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    ids=["403", "200", "426", "chunked"],
)
async def test_refused_upgrade_is_an_ordinary_response(stage: Stage, refusal: bytes) -> None:
    origin = stage.origin(answers(refusal, OK))
    running = await serve(stage, origin)
    client = await running.connect()
    answer = await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)
    assert answer.status in (403, 200, 426)
    assert not answer.closes
    # Both connections are still good for HTTP.
    assert (await client.get()).body == b"ok"
    assert len(origin.connections) == 1


async def test_refused_upgrade_with_bytes_behind_it_ends_the_connection(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"no", status=b"403 Forbidden")))
    running = await serve(stage, origin)
    client = await running.connect()
    frame = encode(TEXT, b"hi", mask=True)
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS) + frame)
    answer = await client.read_response()
    assert (answer.status, answer.body, answer.closes) == (403, b"no", True)
    await client.read_eof()
    assert frame not in origin.raw, "frames are no HTTP body"


async def test_upgrade_behind_a_pipelined_request_waits_its_turn(stage: Stage) -> None:
    async def both(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        await websocket()(conn)

    origin = stage.origin(both)
    running = await serve(stage, origin)
    client = await running.connect()
    await client.send(request() + request(b"GET", b"/ws", *HANDSHAKE_FIELDS) + b"frame")
    assert (await client.read_response()).body == b"ok"
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(5) == b"frame"
    assert len(origin.connections) == 1, "a pooled connection may be upgraded"


@pytest.mark.parametrize(
    ("upgrades", "fields"),
    [
        ((), (b"Upgrade: websocket",)),
        ((), (b"Connection: close", b"Upgrade: websocket")),
        ((), (b"Connection: Upgrade",)),
        ((), asking(b"irc")),
        (("irc",), asking(b"websocket")),
        ((), asking(b"h2c")),
        (("*",), asking(b"h2c")),
        (("*",), asking(b"H2C")),
        ((), CURL_H2C),
        (("*",), CURL_H2C),
    ],
    ids=repr,
)
async def test_what_is_no_upgrade_is_served_as_plain_http(
    stage: Stage, upgrades: tuple[str, ...], fields: tuple[bytes, ...]
) -> None:
    origin = stage.origin()
    running = await serve(stage, origin, *upgrades)
    client = await running.connect()
    answer = await client.get(b"/", *fields)
    assert (answer.status, answer.body) == (200, b"ok")
    names = origin.requests[0].head.names()
    for name in (b"upgrade", b"connection", b"http2-settings"):
        assert name not in names
    if not answer.closes:
        assert (await client.get()).body == b"ok"


async def test_pipelined_request_behind_an_offer_of_h2c_is_not_lost(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    client = await running.connect()
    await client.send(request(b"GET", b"/1", *CURL_H2C) + request(b"GET", b"/2"))
    assert [one.status for one in await client.read_responses([b"GET"] * 2)] == [200, 200]
    assert [one.target for one in origin.requests] == [b"/1", b"/2"]


async def test_route_without_upgrades_allows_none(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=[everything(upgrades=())]))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 200
    assert origin.requests[0].get(b"upgrade") is None


async def test_upgrade_asked_for_in_http_1_0_is_ignored(stage: Stage) -> None:
    origin = stage.origin()
    running = await serve(stage, origin)
    client = await running.connect()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (await client.read_response()).status == 200
    assert origin.requests[0].get(b"upgrade") is None


async def test_body_of_a_request_that_asks_for_an_upgrade_stays_a_body(stage: Stage) -> None:
    async def refuse(conn: Conn) -> None:
        recorded = await conn.next_request()
        await conn.send(reply(b"got " + recorded.body))
        await conn.next_request()
        await conn.send(OK)

    origin = stage.origin(refuse)
    running = await serve(stage, origin, "*")
    client = await running.connect()
    answer = await client.request(b"POST", b"/", *asking(b"x"), body=b"GET / HTTP/1.1\r\n\r\n")
    assert answer.body == b"got GET / HTTP/1.1\r\n\r\n"
    if not answer.closes:
        assert (await client.get()).body == b"ok"


async def test_upgrade_is_retried_when_the_connection_is_refused(stage: Stage) -> None:
    origin = stage.origin(websocket())
    running = await stage.serve(build_spec(stage.refused(), origin.address))
    client = await running.connect()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS) + b"early")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(5) == b"early"


async def test_upgrade_without_an_endpoint_is_502(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 502


async def test_upstream_that_dies_instead_of_answering_is_502(stage: Stage) -> None:
    async def die(conn: Conn) -> None:
        await conn.next_head()
        raise EndedError("as if")

    running = await serve(stage, stage.origin(die))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 502


async def test_rules_of_the_response_hold_for_the_101_too(stage: Stage) -> None:
    routed = everything(response_headers=ResponseRulesSpec(set=(("X-Node", "n7"),)))
    running = await stage.serve(build_spec(stage.origin(websocket()).address, routes=[routed]))
    client = await running.connect()
    answer = await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)
    assert (answer.status, answer.get(b"x-node")) == (101, b"n7")


async def test_101_is_counted_with_its_route(stage: Stage) -> None:
    running = await serve(stage, stage.origin(websocket()))
    client = await running.connect()
    await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)
    client.close()
    await running.counted(101)
