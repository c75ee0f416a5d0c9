"""The server's own promises: what preparing takes is given back, publishing swaps all at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.errors import SpecError
from proxy.server import Server
from proxy.spec import EMPTY, Spec
from tests.peers import RawClient, Stage, build_spec, eventually, listener, pool, route, settle
from tests.peers.leaks import Watch, open_sockets


@pytest.fixture
async def server(no_leaks: Watch) -> AsyncIterator[Server]:
    server = Server()
    yield server
    await server.close()


def nowhere(*names: str, **binds: str) -> Spec:
    """Configure listeners without routes: every request is answered 404."""
    listeners = [listener(name) for name in names]
    listeners += [listener(name, bind) for name, bind in binds.items()]
    return build_spec(listeners=listeners, pools=[], routes=[])


async def status(address: str) -> int:
    client = await RawClient.connect(address)
    try:
        return (await client.get()).status
    finally:
        client.close()


def accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) == 0


async def test_server_begins_with_nothing_and_is_ready(server: Server) -> None:
    assert server.spec == EMPTY
    assert (server.addresses, server.remaining) == ({}, 0)
    assert server.ready
    assert not server.draining


async def test_applied_configuration_serves_where_it_says(server: Server) -> None:
    assert await server.apply(nowhere("public", "private")) == ()
    assert server.addresses.keys() == {"public", "private"}
    for address in server.addresses.values():
        assert await status(address) == 404
    assert server.ready


async def test_prepared_configuration_does_not_serve_before_it_is_published(
    server: Server,
) -> None:
    await server.apply(nowhere("old"))
    old = server.addresses["old"]
    prepared = await server.prepare(nowhere("old", "new"))
    assert server.addresses == {"old": old}
    assert server.spec == nowhere("old")
    prepared.publish()
    assert server.addresses["old"] == old
    assert await status(server.addresses["new"]) == 404


async def test_discarded_preparation_leaves_no_socket(server: Server, tmp_path: Path) -> None:
    await server.apply(nowhere("old"))
    before = open_sockets()
    path = tmp_path / "s"
    prepared = await server.prepare(nowhere("old", "new", unix=f"unix:{path}"))
    assert len(open_sockets() - before) == 2
    prepared.discard()
    await eventually(lambda: open_sockets() == before, "the sockets to be closed")
    assert not path.exists()
    assert await status(server.addresses["old"]) == 404


async def test_faults_leave_no_socket_and_the_old_configuration(
    server: Server, tmp_path: Path
) -> None:
    await server.apply(nowhere("old"))
    before = open_sockets()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        occupied = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SpecError) as caught:
            await server.apply(
                nowhere("old", "new", taken=occupied, unix=f"unix:{tmp_path}/no/such/folder")
            )
    assert sorted(fault.path for fault in caught.value.faults) == [
        "/listeners/taken/bind",
        "/listeners/unix/bind",
    ]
    await eventually(lambda: open_sockets() == before, "the sockets to be closed")
    assert server.spec == nowhere("old")
    assert await status(server.addresses["old"]) == 404


async def test_preparation_that_is_cancelled_leaves_no_socket(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.apply(nowhere("old"))
    before = open_sockets()
    reached = asyncio.Event()

    async def never(_listener: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr("proxy.downstream.listener.Listener.prepare", never)
        preparing = asyncio.create_task(server.prepare(nowhere("old", "new")))
        await reached.wait()
        preparing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await preparing
    await eventually(lambda: open_sockets() == before, "the sockets to be closed")
    await server.apply(nowhere("newer"))
    assert server.addresses.keys() == {"newer"}


async def test_preparations_queue(server: Server) -> None:
    first = await server.prepare(nowhere("first"))
    second = asyncio.create_task(server.prepare(nowhere("second")))
    await settle()
    assert not second.done()
    first.publish()
    prepared = await second
    assert server.addresses.keys() == {"first"}
    prepared.publish()
    assert server.addresses.keys() == {"second"}


async def test_revisions_count_up_unless_they_are_given(server: Server) -> None:
    await server.apply(nowhere("a"))
    assert server.read().generation == 1
    (await server.prepare(nowhere("a"), revision=41)).publish()
    await server.apply(nowhere("a"))
    assert server.read().generation == 42


async def test_listener_keeps_its_socket_under_another_name(server: Server, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    await server.apply(nowhere(first=address))
    client = await RawClient.connect(address)
    await client.get()
    await server.apply(nowhere(second=address))
    assert server.addresses == {"second": address}
    assert (await client.get()).status == 404
    assert await status(address) == 404
    client.close()


async def test_removed_listener_stops_accepting_and_is_forgotten(server: Server) -> None:
    await server.apply(nowhere("old"))
    address = server.addresses["old"]
    client = await RawClient.connect(address)
    await client.get()
    await server.apply(EMPTY)
    assert not accepts(address)
    await eventually(lambda: server.remaining == 0, "the idle connection to be closed")
    client.close()


async def test_name_that_does_not_resolve_is_a_warning(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unresolved(_names: object, written: list[str]) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(written, ())

    monkeypatch.setattr("proxy.upstream.discovery.names.Names.resolve", unresolved)
    spec = build_spec(pools=[pool("app.test:80")], routes=[route("r")])
    warnings = await server.apply(spec)
    assert len(warnings) == 1
    assert "app.test:80" in warnings[0]
    assert await status(server.addresses["public"]) == 502


async def test_large_configuration_is_compiled_off_the_loop_and_serves(stage: Stage) -> None:
    origin = stage.origin()
    routes = [route(f"r{number}", f"/{number}/") for number in range(600)]
    running = await stage.serve(build_spec(origin.address, routes=routes))
    client = await running.connect()
    assert (await client.get(b"/599/")).body == b"ok"
    assert (await client.get(b"/600/")).status == 404


async def test_drain_of_nothing_is_done_and_can_be_waited_for(server: Server) -> None:
    server.drain(timeout_s=5, accept_s=0)
    assert server.draining
    assert not server.ready
    async with asyncio.timeout(5):
        await server.drained()


async def test_drain_waits_for_connections_and_counts_them(server: Server) -> None:
    await server.apply(nowhere("public"))
    client = await RawClient.connect(server.addresses["public"])
    await client.send(b"GET / HTTP/1.1\r\nHo")
    await eventually(lambda: server.remaining == 1, "the connection")
    server.drain(timeout_s=30, accept_s=0)
    waiting = asyncio.create_task(server.drained())
    await eventually(lambda: not accepts(server.addresses["public"]), "the listener to close")
    assert server.read().drain_remaining == 1
    assert not waiting.done()
    await client.send(b"st: h\r\n\r\n")
    answer = await client.read_response()
    assert (answer.status, answer.head.get(b"connection")) == (404, b"close")
    client.close()
    async with asyncio.timeout(5):
        await waiting


async def test_close_can_follow_anything(no_leaks: Watch) -> None:
    server = Server()
    await server.apply(nowhere("public"))
    client = await RawClient.connect(server.addresses["public"])
    await client.send(b"GET")
    server.drain(timeout_s=100, accept_s=100)
    await server.close()
    assert server.remaining == 0
    client.close()


# -- names ----------------------------------------------------------------------------------------

Addresses = dict[str, tuple[str, ...]]


async def test_change_does_not_wait_for_names_that_are_being_refreshed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def resolve(_names: object, written: list[str]) -> Addresses:
        return dict.fromkeys(written, ())

    async def refresh(_names: object, written: list[str]) -> Addresses:
        asked.set()
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr("proxy.preparation.RETRY_S", 0.01)
    monkeypatch.setattr("proxy.upstream.discovery.names.Names.resolve", resolve)
    monkeypatch.setattr("proxy.upstream.discovery.names.Names.refresh", refresh)
    spec = build_spec(pools=[pool("app.test:80")], routes=[route("r")])
    await server.apply(spec)
    await asked.wait()
    async with asyncio.timeout(2):
        await server.apply(build_spec(pools=[pool("app.test:81")], routes=[route("r")]))


async def test_refreshing_goes_on_after_an_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def resolve(_names: object, written: list[str]) -> Addresses:
        return dict.fromkeys(written, ())

    async def refresh(_names: object, written: list[str]) -> Addresses:
        nonlocal asked
        asked += 1
        raise RuntimeError("no thread to spare")

    monkeypatch.setattr("proxy.preparation.RETRY_S", 0.01)
    monkeypatch.setattr("proxy.upstream.discovery.names.Names.resolve", resolve)
    monkeypatch.setattr("proxy.upstream.discovery.names.Names.refresh", refresh)
    await server.apply(build_spec(pools=[pool("app.test:80")], routes=[route("r")]))
    await eventually(lambda: asked > 2, "further look-ups", 2.0)
