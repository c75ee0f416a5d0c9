from __future__ import annotations

import asyncio
import errno
import time
from typing import Any

from admin.controller import Controller
from tests.peers import settle, within
from tests.unit.admin.api.answers import ok, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import FakePlane

DRAIN = "/v1/lifecycle/drain"
SERVING: dict[str, Any] = {
    "state": "serving",
    "remaining": 0,
    "since": None,
    "accepting_until": None,
    "until": None,
    "author": None,
    "note": None,
    "stopping": False,
}


async def test_drain_is_started_watched_and_undone(client: Client, plane: FakePlane) -> None:
    assert await ok(await client.get(DRAIN)) == SERVING
    plane.remaining = 3
    before = time.time()
    started = await ok(await client.post(f"{DRAIN}?note=reboot"))
    assert before <= started["since"] <= started["accepting_until"] <= started["until"]
    assert (started["state"], started["remaining"], started["author"], started["note"]) == (
        "draining", 3, "anonymous", "reboot",
    )  # fmt: skip
    assert plane.process_drains == [(25.0, 5.0)]
    assert await ok(await client.get(DRAIN)) == started
    status = await ok(await client.get("/v1/status"))
    assert (status["draining"], status["drain_remaining"], status["ready"]) == (True, 3, False)
    plane.remaining = 0
    plane.done.set()
    await settle()
    assert await ok(await client.get(DRAIN)) == {**started, "state": "drained", "remaining": 0}
    assert await ok(await client.delete(DRAIN)) == SERVING
    assert not plane.draining


async def test_second_start_joins_the_first(client: Client, plane: FakePlane) -> None:
    first = await ok(await client.post(f"{DRAIN}?note=one"))
    assert await ok(await client.post(f"{DRAIN}?note=two")) == first
    assert len(plane.process_drains) == 1


async def test_drain_that_was_undone_can_be_done_again(client: Client, plane: FakePlane) -> None:
    for _ in range(2):
        await ok(await client.post(DRAIN))
        plane.done.set()
        assert (await ok(await client.get(f"{DRAIN}?wait=30s")))["state"] == "drained"
        assert (await ok(await client.delete(DRAIN)))["state"] == "serving"
    assert len(plane.process_drains) == 2
    assert await ok(await client.delete(DRAIN)) == SERVING


async def test_wait_is_answered_when_the_drain_is_done(client: Client, plane: FakePlane) -> None:
    await client.post(DRAIN)
    waiting = asyncio.create_task(client.get(f"{DRAIN}?wait=1h"))
    await settle()
    assert not waiting.done()
    plane.done.set()
    assert (await ok(await within(waiting, "the answer")))["state"] == "drained"


async def test_wait_is_answered_when_the_drain_is_undone(client: Client) -> None:
    await client.post(DRAIN)
    waiting = asyncio.create_task(client.get(f"{DRAIN}?wait=1h"))
    await settle()
    await client.delete(DRAIN)
    assert (await ok(await within(waiting, "the answer")))["state"] == "serving"


async def test_wait_ends_by_itself(client: Client) -> None:
    await client.post(DRAIN)
    assert (await ok(await client.get(f"{DRAIN}?wait=0s")))["state"] == "draining"
    assert (await ok(await client.get(f"{DRAIN}?wait=1s")))["state"] == "draining"


async def test_nothing_is_waited_for_where_there_is_no_drain(client: Client) -> None:
    answer = await within(client.get(f"{DRAIN}?wait=1h"), "the answer")
    assert await ok(answer) == SERVING


async def test_wait_that_is_no_duration_is_refused(client: Client) -> None:
    for text in ("5", "-1s", "5ms", "99999s", "2h", ""):
        await problem(await client.get(f"{DRAIN}?wait={text}"), 400)


async def test_address_that_is_taken_by_now_lets_the_drain_go_on(
    client: Client, plane: FakePlane
) -> None:
    await client.post(DRAIN)
    plane.crash = OSError(errno.EADDRINUSE, "Address already in use")
    refused = await problem(await client.delete(DRAIN), 409)
    assert "already in use" in refused["errors"][0]["message"]
    assert (await ok(await client.get(DRAIN)))["state"] == "draining"


async def test_role_drain_is_enough_and_role_read_is_not(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    await problem(await client.post(DRAIN), 401)
    await problem(await client.post(DRAIN, headers=bearer("r")), 403)
    started = await ok(await client.post(DRAIN, headers=bearer("d")))
    assert started["author"] == "drainer"
    await problem(await client.delete(DRAIN, headers=bearer("r")), 403)
    await ok(await client.delete(DRAIN, headers=bearer("d")))


async def test_configuration_is_changed_during_a_drain(
    client: Client, controller: Controller
) -> None:
    await client.post(DRAIN)
    await ok(await client.put("/v1/pools/new", json={}), 201)
    assert controller.revision.number == 2
