"""Listeners come, go and move while their connections live."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from proxy.spec import AnswerSpec, ListenerSpec, Spec
from tests.peers import (
    Origin,
    RawClient,
    Running,
    Stage,
    answers,
    build_spec,
    everything,
    listener,
    reply,
    route,
    settle,
    within,
)
from tests.peers.client import request


async def refuses(address: str) -> None:
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        (await RawClient.connect(address)).close()


def on(origin: Origin, *listeners: ListenerSpec) -> Spec:
    return build_spec(origin.address, listeners=listeners)


async def test_added_listener_serves_at_once(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(on(origin, listener()))
    await running.server.apply(on(origin, listener(), listener("second")))
    assert set(running.server.addresses) == {"public", "second"}
    for name in ("public", "second"):
        assert (await (await running.connect(name)).get()).status == 200
    assert running.server.ready


async def test_listener_of_any_family_serves(stage: Stage) -> None:
    origin = stage.origin()
    path = stage.path("listener")
    running = await stage.serve(
        on(
            origin,
            listener("v4"),
            listener("v6", bind="[::1]:0"),
            listener("unix", bind=f"unix:{path}"),
        )
    )
    assert running.address("v4").startswith("127.0.0.1:")
    assert running.address("v6").startswith("[::1]:")
    assert running.address("unix") == f"unix:{path}"
    for name in ("v4", "v6", "unix"):
        assert (await (await running.connect(name)).get()).status == 200
    seen = [one.get(b"x-forwarded-for") for one in origin.requests]
    assert seen[:2] == [b"127.0.0.1", b"::1"]


async def test_removed_listener_refuses_but_its_request_is_finished(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(on(origin, listener(), listener("second")))
    address = running.address("second")
    client = await running.connect("second")
    raw = request(b"POST", body=b"body")
    await client.send(raw[:-2])
    await origin.connection()
    await running.server.apply(on(origin, listener()))
    await settle()
    await refuses(address)
    await client.send(raw[-2:])
    answer = await client.read_response()
    assert (answer.status, answer.closes) == (200, True)
    await client.read_eof()


async def test_idle_connection_of_a_removed_listener_is_closed(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(on(origin, listener(), listener("second")))
    client = await running.connect("second")
    await client.get()
    await running.server.apply(on(origin, listener()))
    await client.read_eof()


async def test_removed_unix_listener_takes_its_path_away(stage: Stage) -> None:
    origin = stage.origin()
    path = stage.path("listener")
    running = await stage.serve(on(origin, listener(), listener("unix", bind=f"unix:{path}")))
    assert path.exists()
    await running.server.apply(on(origin, listener()))
    await settle()
    assert not path.exists()


async def test_unix_path_left_by_a_dead_process_is_taken_over(stage: Stage) -> None:
    path = stage.path("listener")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    origin = stage.origin()
    running = await stage.serve(on(origin, listener(bind=f"unix:{path}")))
    assert (await (await running.connect()).get()).status == 200


async def test_renamed_listener_keeps_its_socket_and_connections(stage: Stage) -> None:
    origin = stage.origin()
    path = stage.path("listener")
    running = await stage.serve(on(origin, listener("old", bind=f"unix:{path}")))
    client = await running.connect("old")
    await client.get()
    await running.server.apply(on(origin, listener("new", bind=f"unix:{path}")))
    assert (await client.get()).status == 200
    assert (await (await running.connect("new")).get()).status == 200
    assert len(origin.connections) == 1


async def test_listener_moves_to_another_address(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(on(origin, listener()))
    before = running.address()
    await running.server.apply(on(origin, listener(bind="[::1]:0")))
    assert running.address().startswith("[::1]:")
    assert (await (await running.connect()).get()).status == 200
    await settle()
    await refuses(before)


async def test_two_listeners_exchange_their_addresses(stage: Stage) -> None:
    a, b = (f"unix:{stage.path(name)}" for name in "ab")
    origin = stage.origin(answers(reply(b"ok")))
    routes = [route("one", "/", listeners=("one",)), route("two", "/two", listeners=("two",))]

    def spec(one: str, two: str) -> Spec:
        return build_spec(
            origin.address, listeners=[listener("one", one), listener("two", two)], routes=routes
        )

    running = await stage.serve(spec(a, b))
    client = await running.connect("one")
    assert (await client.get(b"/")).status == 200
    await running.server.apply(spec(b, a))
    assert running.server.addresses == {"one": b, "two": a}
    assert (await client.get(b"/")).status == 404, "the socket it came by is now listener two's"
    assert (await (await running.connect("one")).get(b"/")).status == 200


async def test_route_bound_to_a_listener_is_not_seen_on_another(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(
        build_spec(
            origin.address,
            listeners=[listener(), listener("inside")],
            routes=[everything(listeners=("inside",))],
        )
    )
    assert (await (await running.connect("inside")).get()).status == 200
    assert (await (await running.connect()).get()).status == 404


def _named(*listeners: ListenerSpec) -> Spec:
    """Have each listener answer with its name."""
    routes = [
        replace(route(one.name), pools=(), answer=AnswerSpec(status=200, body=one.name),
                listeners=(one.name,))
        for one in listeners
    ]  # fmt: skip
    return Spec(
        listeners={one.name: one for one in listeners}, routes={one.name: one for one in routes}
    )


async def _who(port: str, address: str = "127.0.0.1") -> str:
    client = await RawClient.connect(f"{address}:{port}")
    await client.send(request(b"GET", b"/"))
    try:
        return (await client.read_response()).body.decode()
    finally:
        client.close()


async def test_address_beside_its_wildcard_comes_and_goes(stage: Stage) -> None:
    wildcard = listener("wildcard", "0.0.0.0:0")
    running = await stage.serve(_named(wildcard))
    port = running.address("wildcard").rpartition(":")[2]
    address = listener("address", f"127.0.0.1:{port}")
    assert await _who(port) == "wildcard"
    await running.server.apply(_named(wildcard, address))
    assert await _who(port) == "address"
    assert await _who(port, "127.0.0.2") == "wildcard"
    await running.server.apply(_named(wildcard))
    await settle()
    assert await _who(port) == "wildcard"
    await running.server.apply(_named(wildcard, address))
    await running.server.apply(_named(address))
    await settle()
    assert await _who(port) == "address"
    await refuses(f"127.0.0.2:{port}")
    both = listener("all", f"0.0.0.0:{port}")
    await running.server.apply(_named(address, both))
    assert (await _who(port), await _who(port, "127.0.0.2")) == ("address", "all")


async def test_wildcard_and_an_address_of_its_port_trade_places(stage: Stage) -> None:
    running = await stage.serve(_named(listener("any", "127.0.0.1:0")))
    port = running.address("any").rpartition(":")[2]
    await running.server.apply(_named(listener("wide", f"0.0.0.0:{port}")))
    assert await _who(port, "127.0.0.2") == "wide"
    await running.server.apply(_named(listener("narrow", f"127.0.0.1:{port}")))
    assert await _who(port) == "narrow"
    await settle()
    await refuses(f"127.0.0.2:{port}")


async def test_address_that_is_only_prepared_takes_nothing_from_its_wildcard(stage: Stage) -> None:
    wildcard = listener("wildcard", "0.0.0.0:0")
    running = await stage.serve(_named(wildcard))
    port = running.address("wildcard").rpartition(":")[2]
    prepared = await running.server.prepare(
        _named(wildcard, listener("address", f"127.0.0.1:{port}"))
    )
    assert await _who(port) == "wildcard"
    prepared.discard()
    await settle()
    assert await _who(port) == "wildcard"


async def test_wildcard_and_address_are_shared_with_no_other_process(stage: Stage) -> None:
    wildcard = listener("wildcard", "0.0.0.0:0")
    running = await stage.serve(_named(wildcard))
    port = running.address("wildcard").rpartition(":")[2]
    await running.server.apply(_named(wildcard, listener("address", f"127.0.0.1:{port}")))
    for host in ("0.0.0.0", "127.0.0.1", "127.0.0.2"):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((host, int(port)))


async def test_wildcard_and_address_open_again_after_a_drain_is_undone(stage: Stage) -> None:
    wildcard = listener("wildcard", "0.0.0.0:0")
    running = await stage.serve(_named(wildcard))
    port = running.address("wildcard").rpartition(":")[2]
    await running.server.apply(_named(wildcard, listener("address", f"127.0.0.1:{port}")))
    running.server.drain(timeout_s=30, accept_s=0)
    await within(running.server.drained(), "the drain", 3)
    await running.server.undrain()
    await settle()
    assert (await _who(port), await _who(port, "127.0.0.2")) == ("address", "wildcard")


async def test_empty_configuration_listens_nowhere_and_can_be_filled(stage: Stage) -> None:
    running: Running = await stage.serve(Spec())
    assert running.server.addresses == {}
    origin = stage.origin()
    await running.server.apply(build_spec(origin.address))
    assert (await (await running.connect()).get()).status == 200
    await running.server.apply(Spec())
    assert running.server.addresses == {}
