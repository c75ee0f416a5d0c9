"""Configurations applied as fast as can be, under requests that must not notice."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import SpecError
from proxy.spec import ResponseRulesSpec, Spec
from tests.peers import (
    Origin,
    Running,
    Stage,
    build_spec,
    echo,
    endpoint,
    everything,
    listener,
    route,
    settle,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import websocket

APPLIES = 100
CLIENTS = 8


def spec(origins: list[Origin], number: int) -> Spec:
    """Build the ``number``-th configuration: other endpoints, routes, rules each time."""
    chosen = [origins[number % len(origins)], origins[(number + 1) % len(origins)]]
    rules = ResponseRulesSpec(set=(("X-Number", str(number)),))
    extra = [route(f"extra{one}", f"/extra/{one}/") for one in range(number % 5)]
    return build_spec(
        *(endpoint(one.address, f"e{number % 3}-{one.name}") for one in chosen),
        listeners=[listener(), *([listener("second")] if number % 2 else [])],
        routes=[everything(response_headers=rules), *extra],
    )


async def load(running: Running, over: asyncio.Event, *, keep: bool) -> list[int]:
    """Send requests until ``over``; return the statuses."""
    statuses: list[int] = []
    client = await running.connect()
    while not over.is_set():
        body = b"%d" % len(statuses)
        answer = await client.request(b"POST" if len(statuses) % 2 else b"PUT", body=body)
        statuses.append(answer.status if answer.body == body else -1)
        assert answer.get(b"x-number") is not None
        if not keep:
            client.close()
            client = await running.connect()
    return statuses


async def test_hundred_applies_under_load_fail_no_request(stage: Stage) -> None:
    origins = [stage.origin(echo) for _ in range(4)]
    running = await stage.serve(spec(origins, 0))
    over = asyncio.Event()
    clients = [
        asyncio.create_task(load(running, over, keep=number % 4 > 0)) for number in range(CLIENTS)
    ]
    for number in range(1, APPLIES + 1):
        await running.server.apply(spec(origins, number))
        await settle(1)
    over.set()
    statuses = [status for one in await asyncio.gather(*clients) for status in one]
    assert set(statuses) == {200}
    assert len(statuses) > 100
    assert sum(running.statuses().values()) == len(statuses)


async def test_large_configurations_under_load_fail_no_request(stage: Stage) -> None:
    """So large that they are compiled beside the event loop."""
    origins = [stage.origin(echo) for _ in range(2)]

    def large(number: int) -> Spec:
        idle = [
            endpoint(f"127.0.{one // 200}.{one % 200 + 1}:9", f"idle{one}", state="down")
            for one in range(600 + number)
        ]
        rules = ResponseRulesSpec(set=(("X-Number", str(number)),))
        return build_spec(
            endpoint(origins[number % 2].address, "serves"),
            *idle,
            routes=[everything(response_headers=rules)],
        )

    running = await stage.serve(large(0))
    over = asyncio.Event()
    clients = [asyncio.create_task(load(running, over, keep=True)) for _ in range(4)]
    for number in range(1, 12):
        await running.server.apply(large(number))
    over.set()
    statuses = [status for one in await asyncio.gather(*clients) for status in one]
    assert set(statuses) == {200}
    assert all(origin.requests for origin in origins)


async def test_applies_under_pipelined_requests_lose_none(stage: Stage) -> None:
    origins = [stage.origin(echo) for _ in range(2)]
    running = await stage.serve(spec(origins, 0))
    client = await running.connect()
    count = 300
    raw = b"".join(request(b"POST", body=b"%d" % number) for number in range(count))

    async def change() -> None:
        for number in range(1, 60):
            await running.server.apply(spec(origins, number))
            await settle(1)

    changing = asyncio.create_task(change())
    await client.send(*(raw[at : at + 700] for at in range(0, len(raw), 700)))
    bodies = [(await client.read_response()).body for _ in range(count)]
    await changing
    assert bodies == [b"%d" % number for number in range(count)]


async def test_websockets_talk_on_through_hundred_applies(stage: Stage) -> None:
    chatty = stage.origin(websocket())
    others = [stage.origin(echo) for _ in range(3)]
    running = await stage.serve(build_spec(chatty.address))
    clients = [await running.connect() for _ in range(10)]
    for client in clients:
        assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    for number in range(APPLIES):
        await running.server.apply(spec(others, number))
        client = clients[number % len(clients)]
        await client.send(b"%03d" % number)
        assert await client.read_exactly(3) == b"%03d" % number
    assert running.endpoint(chatty.address).splices == 10
    assert running.pool().spliced_to_client == 300


async def test_bad_configurations_under_load_fail_no_request(stage: Stage) -> None:
    origins = [stage.origin(echo) for _ in range(2)]
    running = await stage.serve(spec(origins, 0))
    over = asyncio.Event()
    clients = [asyncio.create_task(load(running, over, keep=True)) for _ in range(4)]
    taken = listener("second", bind=origins[0].address)
    for _ in range(30):
        with pytest.raises(SpecError):
            await running.server.apply(
                build_spec(origins[0].address, listeners=[listener(), taken])
            )
        await settle(1)
    over.set()
    statuses = [status for one in await asyncio.gather(*clients) for status in one]
    assert set(statuses) == {200}
