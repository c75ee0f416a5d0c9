"""Overrides while requests and splices live: what an operator says beats the configuration."""

from __future__ import annotations

import asyncio

import pytest

from proxy.spec import Overrides, OverrideSpec
from tests.peers import (
    RawClient,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    pool,
    reply,
    route,
    settle,
)
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import websocket

DRAIN = OverrideSpec(state="drain")
DOWN = OverrideSpec(state="down")


async def override(running: Running, overrides: Overrides) -> None:
    (await running.server.prepare_overrides(overrides)).publish()


async def served_by(client: RawClient, count: int = 6) -> set[bytes]:
    return {(await client.get()).body for _ in range(count)}


@pytest.mark.parametrize("state", [DRAIN, DOWN])
async def test_overridden_endpoint_gets_nothing_until_the_override_ends(
    stage: Stage, state: OverrideSpec
) -> None:
    blue, green = stage.origin(answers(reply(b"blue"))), stage.origin(answers(reply(b"green")))
    spec = build_spec(endpoint(blue.address, "blue"), endpoint(green.address, "green"))
    running = await stage.serve(spec)
    client = await running.connect()
    assert await served_by(client) == {b"blue", b"green"}
    await override(running, {"backend": {"blue": state}})
    assert await served_by(client) == {b"green"}
    assert running.endpoint(blue.address).state == state.state
    await override(running, {})
    assert await served_by(client) == {b"blue", b"green"}


async def test_override_puts_back_what_the_configuration_takes_out(stage: Stage) -> None:
    blue = stage.origin()
    running = await stage.serve(build_spec(endpoint(blue.address, "blue", state="down")))
    client = await running.connect()
    assert (await client.get()).status == 502
    await override(running, {"backend": {"blue": OverrideSpec(state="active")}})
    assert (await client.get()).status == 200


async def test_splice_on_a_drained_endpoint_goes_on(stage: Stage) -> None:
    origin = stage.origin(websocket())
    running = await stage.serve(build_spec(endpoint(origin.address, "one")))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    await override(running, {"backend": {"one": DRAIN}})
    await client.send(b"after")
    assert await client.read_exactly(5) == b"after"


async def test_override_survives_changes_and_an_endpoint_that_comes_back(stage: Stage) -> None:
    blue, green = stage.origin(answers(reply(b"blue"))), stage.origin(answers(reply(b"green")))
    both = build_spec(endpoint(blue.address, "blue"), endpoint(green.address, "green"))
    running = await stage.serve(both)
    await override(running, {"backend": {"blue": DOWN}})
    await running.server.apply(build_spec(endpoint(green.address, "green")))
    await running.server.apply(both)
    client = await running.connect()
    assert await served_by(client) == {b"green"}


async def test_override_of_another_pool_touches_nothing_of_this_one(stage: Stage) -> None:
    origin = stage.origin()
    spec = build_spec(
        pools=[
            pool(endpoint(origin.address, "one"), name="a"),
            pool(endpoint(origin.address, "one"), name="b"),
        ],
        routes=[route("a", "/a", to="a"), route("b", "/b", to="b")],
    )
    running = await stage.serve(spec)
    await override(running, {"b": {"one": DOWN}, "nowhere": {"one": DOWN}})
    client = await running.connect()
    assert (await client.get(b"/a")).status == 200
    assert (await client.get(b"/b")).status == 502


async def test_every_address_of_a_name_is_overridden(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = stage.origin(answers(reply(b"one"))), stage.origin(answers(reply(b"two")))
    other = stage.origin(answers(reply(b"other")))

    async def resolve(_names: object, written: list[str]) -> dict[str, tuple[str, ...]]:
        return {"app.test:80": (one.address, two.address)}

    monkeypatch.setattr("proxy.upstream.discovery.names.Names.resolve", resolve)
    spec = build_spec(endpoint("app.test:80", "app"), endpoint(other.address, "other"))
    running = await stage.serve(spec)
    client = await running.connect()
    assert await served_by(client, 9) == {b"one", b"two", b"other"}
    await override(running, {"backend": {"app": DOWN}})
    assert await served_by(client, 9) == {b"other"}


async def test_override_waits_for_a_change_under_way_and_then_holds(stage: Stage) -> None:
    origin = stage.origin()
    spec = build_spec(endpoint(origin.address, "one"))
    running = await stage.serve(spec)
    prepared = await running.server.prepare(build_spec(endpoint(origin.address, "one", weight=2)))
    overriding = asyncio.create_task(override(running, {"backend": {"one": DOWN}}))
    await settle()
    assert not overriding.done()
    prepared.publish()
    await overriding
    assert running.endpoint(origin.address).weight == 2
    assert running.endpoint(origin.address).state == "down"


async def test_discarded_override_changes_nothing_and_blocks_nothing(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(endpoint(origin.address, "one")))
    (await running.server.prepare_overrides({"backend": {"one": DOWN}})).discard()
    assert running.endpoint(origin.address).state == "active"
    await running.server.apply(build_spec(endpoint(origin.address, "one", weight=2)))
    assert (await (await running.connect()).get()).status == 200
