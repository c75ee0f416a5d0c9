"""The list of live connections: what it says, how it is chosen from, and how one is closed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from proxy import connections
from proxy.connection_view import id_of
from proxy.connections import Selector
from tests.peers import (
    OK,
    Conn,
    RawClient,
    Running,
    Stage,
    build_spec,
    endpoint,
    eventually,
    everything,
    listener,
    pool,
    route,
    settle,
)
from tests.peers.client import request
from tests.peers.frames import CLOSE, HANDSHAKE_FIELDS, TEXT, encode, read_frame
from tests.peers.origin import accept_upgrade

TUNNEL = (b"Connection: upgrade", b"Upgrade: vpn")


async def echo(conn: Conn) -> None:
    """Echo messages as a server does, unmasked; answer plain requests when told so."""
    await accept_upgrade(conn)
    while True:
        frame = await read_frame(conn)
        await conn.send(encode(frame.opcode, frame.payload))


async def slow(conn: Conn) -> None:
    while True:
        await conn.next_request()
        await conn.origin.over.wait()


async def serve(stage: Stage) -> Running:
    chat, vpn, web = stage.origin(echo), stage.origin(_tunnel), stage.origin(slow)
    spec = build_spec(
        listeners=[listener(), listener("second")],
        pools=[
            pool(endpoint(chat.address, "blue", labels=(("node", "n7"),)), name="chat"),
            pool(endpoint(vpn.address, "only"), name="vpn"),
            pool(endpoint(web.address, "slow"), name="web"),
        ],
        routes=[
            route("chat", "/chat", to="chat"),
            route("vpn", "/vpn", to="vpn", upgrades=("*",)),
            route("web", "/", to="web"),
        ],
    )
    return await stage.serve(spec)


async def _tunnel(conn: Conn) -> None:
    await accept_upgrade(conn)
    await conn.echo()


async def upgraded(
    running: Running, target: bytes, *fields: bytes, at: str = "public"
) -> RawClient:
    client = await running.connect(at)
    assert (await client.request(b"GET", target, *fields)).status == 101
    return client


def listed(running: Running, **selector: Any) -> list[str]:
    return [one.id for one in running.server.connections(Selector(**selector)).items]


def selected(running: Running, **selector: Any) -> list[str]:
    """Return whom a drain would choose."""
    runtime = running.server._runtime
    chosen = connections.Connections(runtime).select(Selector(**selector), time.monotonic())
    serials = {id(one): serial for serial, one in runtime.live.items()}
    return [id_of(serials[id(one)]) for one in chosen]


async def test_each_kind_is_told_with_everything_about_it(stage: Stage) -> None:
    running = await serve(stage)
    chat = await upgraded(running, b"/chat", *HANDSHAKE_FIELDS)
    await chat.send(encode(TEXT, b"hello", mask=True), encode(TEXT, b"again", mask=True))
    await read_frame(chat)
    await read_frame(chat)
    vpn = await upgraded(running, b"/vpn", *TUNNEL, at="second")
    await vpn.send(b"12345")
    await vpn.read_exactly(5)
    idle, busy = await running.connect(), await running.connect()
    await busy.send(request(b"POST", b"/", body=b"abc"))
    await eventually(lambda: running.listener().counters.in_flight == 1, "the request")
    page = running.server.connections()
    assert page.next is None
    websocket, tunnel, waiting, working = page.items
    assert (websocket.kind, websocket.state, websocket.listener) == ("websocket", "open", "public")
    assert (websocket.route, websocket.pool, websocket.endpoint) == ("chat", "chat", "blue")
    assert websocket.labels == (("node", "n7"),)
    assert websocket.client == "{}:{}".format(*chat.sock.getsockname())
    assert websocket.server == running.address()
    assert (websocket.revision, websocket.requests) == (1, 1)
    up, down = websocket.from_client, websocket.from_upstream
    assert (up.octets, up.frames, up.messages, up.close_code) == (22, 2, 2, None)
    assert (down.octets, down.frames, down.messages) == (14, 2, 2)
    assert (tunnel.kind, tunnel.listener, tunnel.route) == ("tunnel", "second", "vpn")
    assert (tunnel.from_client.octets, tunnel.from_client.frames) == (5, None)
    assert (waiting.kind, waiting.state, waiting.route) == ("http", "idle", None)
    assert waiting.client == "{}:{}".format(*idle.sock.getsockname())
    assert (working.state, working.pool, working.endpoint) == ("busy", "web", "slow")
    assert (working.requests, working.from_client.octets) == (1, 3)
    assert working.request_id is not None
    assert all(one.age_s >= one.idle_s >= 0 for one in page.items)
    again = running.server.connection(websocket.id)
    assert again is not None
    assert abs(again.started - websocket.started) < 0.5
    assert replace(again, age_s=0.0, idle_s=0.0, started=0.0) == replace(
        websocket, age_s=0.0, idle_s=0.0, started=0.0
    )


async def test_selectors_choose_by_everything_that_they_say(stage: Stage) -> None:
    running = await serve(stage)
    await upgraded(running, b"/chat", *HANDSHAKE_FIELDS)
    await upgraded(running, b"/vpn", *TUNNEL, at="second")
    await running.connect()
    await settle()
    websocket, tunnel, http = listed(running)
    address = running.server.connections().items[0].endpoint_address
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"kind": "websocket"}, [websocket]),
        ({"kind": "http"}, [http]),
        ({"listener": "second"}, [tunnel]),
        ({"route": "chat"}, [websocket]),
        ({"pool": "vpn"}, [tunnel]),
        ({"endpoint": "blue"}, [websocket]),
        ({"endpoint": address}, [websocket]),
        ({"labels": (("node", "n7"),)}, [websocket]),
        ({"labels": (("node", "n7"), ("zone", "a"))}, []),
        ({"pool": "vpn", "kind": "websocket"}, []),
        ({"min_age_s": 0.0}, [websocket, tunnel, http]),
        ({"min_age_s": 60.0}, []),
        ({"min_idle_s": 60.0}, []),
    ]
    for selector, expected in cases:
        assert listed(running, **selector) == expected, selector
        assert selected(running, **selector) == expected, selector


async def test_label_that_the_endpoint_has_got_since_counts(stage: Stage) -> None:
    running = await serve(stage)
    await upgraded(running, b"/chat", *HANDSHAKE_FIELDS)
    spec = running.server.spec
    blue = spec.pools["chat"].endpoints[0]
    moved = replace(blue, name="azure", labels=(("node", "n8"),))
    pools = {**spec.pools, "chat": replace(spec.pools["chat"], endpoints=(moved,))}
    await running.server.apply(replace(spec, pools=pools))
    assert listed(running, labels=(("node", "n7"),)) == []
    assert len(listed(running, labels=(("node", "n8"),), endpoint="azure")) == 1
    assert len(selected(running, labels=(("node", "n8"),), endpoint="azure")) == 1
    await running.server.apply(replace(spec, pools={**spec.pools, "chat": pool(name="chat")}))
    assert len(listed(running, labels=(("node", "n7"),))) == 1, "as it was, once it is removed"


async def test_connection_keeps_its_id_when_it_is_upgraded_and_its_place_in_the_list(
    stage: Stage,
) -> None:
    running = await serve(stage)
    first = await running.connect()
    await running.connect()
    await settle()
    ids = listed(running)
    assert (await first.request(b"GET", b"/chat", *HANDSHAKE_FIELDS)).status == 101
    assert listed(running) == ids
    first.close()
    await eventually(lambda: listed(running) == ids[1:], "the first to be gone")


async def test_pages_hold_all_once_and_look_at_so_many_at_a_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOOKS", 7)
    running = await serve(stage)
    for _ in range(20):
        await running.connect()
    await settle()
    everybody = []
    cursor, sizes = None, []
    while True:
        page = running.server.connections(cursor=cursor, limit=5)
        everybody += [one.id for one in page.items]
        sizes.append(len(page.items))
        cursor = page.next
        if cursor is None:
            break
    assert sizes == [5, 5, 5, 5]
    assert len(set(everybody)) == 20
    empty = running.server.connections(Selector(kind="tunnel"))
    assert empty.items == ()
    assert empty.next is not None, "there may be more behind those that were looked at"


async def test_page_goes_on_behind_a_connection_that_is_gone(stage: Stage) -> None:
    running = await serve(stage)
    clients = [await running.connect() for _ in range(4)]
    await settle()
    page = running.server.connections(limit=2)
    clients[1].close()
    clients[2].close()
    await eventually(lambda: len(listed(running)) == 2, "two to be gone")
    rest = running.server.connections(cursor=page.next)
    assert [one.client for one in rest.items] == ["{}:{}".format(*clients[3].sock.getsockname())]


@pytest.mark.parametrize("name", ["", "17", "ffffff-1", "x-1", "no-id"])
async def test_id_of_another_process_names_nothing(stage: Stage, name: str) -> None:
    running = await serve(stage)
    assert running.server.connection(name) is None
    assert not running.server.close_connection(name)
    with pytest.raises(ValueError, match="not the id"):
        running.server.connections(cursor=name)


async def test_websocket_is_closed_with_the_code_and_reason_that_are_given(stage: Stage) -> None:
    running = await serve(stage)
    client = await upgraded(running, b"/chat", *HANDSHAKE_FIELDS)
    (one,) = listed(running)
    assert running.server.close_connection(one, 4321, "go away")
    told = await read_frame(client)
    assert (told.opcode, told.payload) == (CLOSE, b"\x10\xe1go away")
    (view,) = running.server.connections().items
    assert view.state == "closing"
    await client.send(encode(CLOSE, told.payload, mask=True))
    await client.read_eof()
    await eventually(lambda: not listed(running), "it to be gone")
    assert not running.server.close_connection(one)


async def test_tunnel_and_http_are_closed_too(stage: Stage) -> None:
    running = await serve(stage)
    vpn = await upgraded(running, b"/vpn", *TUNNEL)
    idle, busy = await running.connect(), await running.connect()
    await busy.send(request())
    await eventually(lambda: running.listener().counters.in_flight == 1, "the request")
    for one in listed(running):
        assert running.server.close_connection(one)
    await vpn.read_eof()
    await idle.gone()
    await busy.gone()
    assert busy.unread.startswith(b"HTTP/1.1 503 ") or busy.unread == b""
    await running.quiet()


async def test_answer_of_a_plain_request_is_not_disturbed_by_looking(stage: Stage) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.origin.request(1)
        await conn.send(OK)

    running = await stage.serve(build_spec(stage.origin(script).address, routes=[everything()]))
    client = await running.connect()
    await client.send(request())
    await settle()
    assert len(running.server.connections().items) == 1
    assert (await client.read_response()).status == 200
