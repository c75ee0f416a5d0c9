"""The API over the real data plane, in one event loop."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.pytest_plugin import AiohttpClient

from admin.api.application import application
from admin.api.auth import Guard
from admin.controller import Controller
from admin.revisions import Origin
from proxy.addresses import parse_address
from proxy.server import Server
from tests.unit.admin.api.answers import ok, paths
from tests.unit.admin.conftest import Client


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    yield server
    await server.close()


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, server: Server, blue: str) -> Client:
    controller = Controller(server)
    document = {
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "pools": {"backend": {"endpoints": {"blue": {"address": blue}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
    }
    await controller.read(lambda: document, Origin("file", "hotsplice"))
    guard = Guard(parse_address("127.0.0.1:9901"), None)
    return await aiohttp_client(application(controller, server, guard, Counter()))


async def test_address_in_use_is_a_fault_and_the_old_serves_on(
    client: Client, server: Server, session: aiohttp.ClientSession
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        response = await client.put("/v1/listeners/second", json={"bind": bind})
        assert await paths(response, 422) == ["/listeners/second/bind"]
    assert list(server.addresses) == ["public"]
    async with session.get(f"http://{server.addresses['public']}/") as answer:
        assert answer.status == 200


async def test_dry_run_binds_and_gives_back(client: Client, server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    for _ in range(2):
        response = await client.put("/v1/listeners/second?dry_run=true", json={"bind": bind})
        assert (await ok(response))["changed"] == ["/listeners/second"]
    assert list(server.addresses) == ["public"]
    await ok(await client.put("/v1/listeners/second", json={"bind": bind}), 201)
    assert server.addresses["second"] == bind


async def test_refused_change_does_not_block_the_next(client: Client) -> None:
    for _ in range(2):
        assert (await client.put("/v1/pools/new", json={"x": 1})).status == 422
    await ok(await client.put("/v1/pools/new", json={}), 201)


async def test_status_counts_what_went_through(
    client: Client, server: Server, session: aiohttp.ClientSession
) -> None:
    for _ in range(3):
        async with session.get(f"http://{server.addresses['public']}/") as answer:
            await answer.read()
    status = await ok(await client.get("/v1/status"))
    assert status["routes"]["all"]["requests_by_code"] == {"200": 3}
    (endpoint,) = status["pools"]["backend"]["endpoints"]
    assert (endpoint["name"], endpoint["requests"]) == ("blue", 3)


async def test_removed_pool_leaves_the_status(client: Client) -> None:
    await ok(await client.put("/v1/config", json={"version": 1}))
    status = await ok(await client.get("/v1/status"))
    assert (status["pools"], status["listeners"]) == ({}, {})


async def test_explanation_of_the_next_request_comes_true(
    client: Client, server: Server, session: aiohttp.ClientSession
) -> None:
    url = f"http://{server.addresses['public']}/hello?x=1"
    asked = {"url": url, "headers": {"X-Test": "1", "Host": "example.org"}}
    explained = await ok(await client.post("/v1/explain", json=asked))
    assert (explained["listener"]["name"], explained["route"]) == ("public", "all")
    assert "as in the URL" in explained["listener"]["why"]
    async with session.get(url, headers={"X-Test": "1", "Host": "example.org"}) as answer:
        echoed = await answer.json(content_type=None)
    assert (echoed["endpoint"], echoed["target"]) == ("blue", "/hello?x=1")
    sent = [f"{name}: {value}" for name, value in echoed["headers"] if name == "X-Test"]
    assert all(line in explained["passing"]["octets"] for line in sent)
    status = await ok(await client.get("/v1/status"))
    assert status["routes"]["all"]["requests"] == 1


async def test_explanation_tells_of_an_override(client: Client) -> None:
    override = {"state": "drain", "ttl": "1h"}
    await ok(await client.put("/v1/pools/backend/endpoints/blue/override", json=override), 201)
    explained = await ok(
        await client.post("/v1/explain", json={"url": "/", "headers": {"Host": "a"}})
    )
    assert (explained["answer"]["status"], explained["answer"]["reason"]) == (502, "no_endpoint")
    config = {"version": 1, "listeners": {"l": {"bind": "127.0.0.1:0"}}}
    asked = {"url": "http://a/", "config": config}
    assert (await ok(await client.post("/v1/explain", json=asked)))["answer"]["status"] == 404


async def test_request_that_fails_is_remembered_under_its_id(
    client: Client, server: Server, session: aiohttp.ClientSession
) -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{refusing.getsockname()[1]}"
        pool = {"endpoints": {"gone": {"address": address}}}
        await ok(await client.put("/v1/pools/backend", json=pool))
        async with session.get(f"http://{server.addresses['public']}/x?secret=1") as answer:
            assert answer.status == 502
            request_id = answer.headers["X-Request-Id"]
    failed = await ok(await client.get(f"/v1/failures/{request_id}"))
    assert (failed["route"], failed["path"], failed["reason"]) == ("all", "/x", "connect_failed")
    assert [one["endpoint"] for one in failed["attempts"]] == ["gone"]
