"""Connections and drains over REST, with real WebSockets through a real data plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
from aiohttp.pytest_plugin import AiohttpClient
from websockets.asyncio.client import ClientConnection, connect

from admin.api.application import application
from admin.api.auth import Guard
from admin.api.bodies.connections import ConnectionBody
from admin.controller import Controller
from admin.demo import ANYWHERE, echo
from admin.listening import listening
from admin.revisions import Origin
from proxy.addresses import parse_address
from proxy.server import Server
from tests.peers.waiting import within
from tests.unit.admin.api.answers import ok, problem
from tests.unit.admin.conftest import Client

Join: TypeAlias = Callable[[int], Awaitable[list[ClientConnection]]]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    yield server
    await server.close()


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, server: Server, blue: str) -> AsyncIterator[Client]:
    """Reach the API of a proxy with two endpoints, on the nodes n7 and n8."""
    async with listening(echo("green"), ANYWHERE) as green:
        controller = Controller(server)
        endpoints = {
            "blue": {"address": blue, "labels": {"node": "n7"}},
            "green": {"address": green, "labels": {"node": "n8"}},
        }
        document = {
            "listeners": {"public": {"bind": "127.0.0.1:0"}},
            "pools": {"backend": {"endpoints": endpoints}},
            "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
        }
        await controller.read(lambda: document, Origin("file", "hotsplice"))
        guard = Guard(parse_address("127.0.0.1:9901"), None)
        yield await aiohttp_client(application(controller, server, guard, Counter()))
        controller.close()
        await server.close()


@pytest.fixture
async def join(client: Client, server: Server) -> AsyncIterator[Join]:
    """Open WebSockets, one after another; the endpoints take turns."""
    async with AsyncExitStack() as stack:

        async def opened(number: int) -> list[ClientConnection]:
            url = f"ws://{server.addresses['public']}/ws"
            return [
                await stack.enter_async_context(connect(url, ping_interval=None))
                for _ in range(number)
            ]

        yield opened


async def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    return list((await ok(await client.get(f"/v1/connections?{query}")))["items"])


async def finished(client: Client, name: str) -> dict[str, Any]:
    while True:
        shown: dict[str, Any] = await ok(await client.get(f"/v1/drains/{name}"))
        if shown["done"]:
            return shown


async def test_drain_by_label_tells_code_and_reason_and_leaves_the_others(
    client: Client, join: Join
) -> None:
    sockets = await join(6)
    ends = {one["client"]: one for one in await listed(client, "kind=websocket")}
    assert len(ends) == 6

    def node(socket: ClientConnection) -> str:
        host, port = socket.local_address
        return str(ends[f"{host}:{port}"]["labels"]["node"])

    leaving = [one for one in sockets if node(one) == "n7"]
    staying = [one for one in sockets if node(one) == "n8"]
    assert (len(leaving), len(staying)) == (3, 3)
    order = {
        "selector": {"labels": {"node": "n7"}},
        "code": 4007,
        "reason": "node n7 is going",
        "rate": 1000,
    }
    started = await ok(await client.put("/v1/drains/n7", json=order), 201)
    assert (started["selected"], started["cordoned"]) == (3, ["backend/blue"])
    for socket in leaving:
        await within(socket.wait_closed(), "the goodbye")
        assert (socket.close_code, socket.close_reason) == (4007, "node n7 is going")
    done = await within(finished(client, "n7"), "the end of the drain")
    assert (done["closed"], done["remaining"]) == (3, 0)
    assert (await ok(await client.put("/v1/drains/n7", json=order)))["since"] == done["since"]
    for socket in staying:
        await socket.send("still there?")
        await within(socket.recv(), "the echo")
    await join(2)
    assert {one["endpoint"] for one in await listed(client)} == {"green"}
    assert (await client.delete("/v1/drains/n7")).status == 204
    await join(2)
    assert {one["endpoint"] for one in await listed(client)} == {"blue", "green"}


async def test_pages_list_each_connection_once(client: Client, join: Join) -> None:
    await join(5)
    found: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        query = f"limit=2&cursor={cursor}" if cursor else "limit=2"
        page = await ok(await client.get(f"/v1/connections?{query}"))
        found += [one["id"] for one in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert (len(found), len(set(found)), pages) == (5, 5, 3)


async def test_one_connection_is_shown_and_closed(client: Client, join: Join) -> None:
    first, second = await join(2)
    await first.send("hello")
    await within(first.recv(), "the echo")
    name = (await listed(client))[0]["id"]
    shown = await ok(await client.get(f"/v1/connections/{name}"))
    ConnectionBody.model_validate(shown)
    assert (shown["state"], shown["route"], shown["pool"]) == ("open", "all", "backend")
    assert shown["from_client"]["messages"] == 1
    assert (await client.delete(f"/v1/connections/{name}?code=4001&reason=bye")).status == 204
    await within(first.wait_closed(), "the goodbye")
    assert (first.close_code, first.close_reason) == (4001, "bye")
    await second.send("still there?")
    await within(second.recv(), "the echo")

    async def gone() -> None:
        while (await client.get(f"/v1/connections/{name}")).status == 200:
            pass

    await within(gone(), "the end of the connection")
    await problem(await client.delete(f"/v1/connections/{name}"), 404)


@pytest.mark.parametrize("on_removal", ["drain", "close"])
async def test_endpoint_is_removed_as_the_query_says_and_not_its_pool(
    client: Client, join: Join, on_removal: str
) -> None:
    sockets = await join(4)
    endpoints = "/v1/pools/backend/endpoints"
    await problem(await client.delete(f"{endpoints}/blue?on_removal=drop"), 400)
    await ok(await client.delete(f"{endpoints}/blue?on_removal={on_removal}&dry_run=true"))
    assert len(await listed(client)) == 4
    ends = {one["client"]: one["endpoint"] for one in await listed(client)}
    leaving = [one for one in sockets if ends["{}:{}".format(*one.local_address)] == "blue"]
    assert len(leaving) == 2
    removed = await ok(await client.delete(f"{endpoints}/blue?on_removal={on_removal}"))
    assert removed["changed"] == ["/pools/backend"]
    for socket in leaving:
        await within(socket.wait_closed(), "the goodbye")
        assert (socket.close_code, socket.close_reason) == (1012, "service restart")
    # It holds for that once: the pool keeps tunnels, as it is by default.
    await ok(await client.delete(f"{endpoints}/green"))
    (staying, _) = (one for one in sockets if one not in leaving)
    await staying.send("still there?")
    await within(staying.recv(), "the echo")
