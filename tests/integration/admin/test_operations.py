"""Operations by REST on the real process: the drain, and what listeners are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from admin.demo import ANYWHERE
from admin.listening import listening
from tests.integration.admin.process import process
from tests.integration.admin.test_run import document, write
from tests.peers import within

Told = tuple[str, dict[str, Any]]


async def get(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as answer:
        return answer.status


async def following(response: aiohttp.ClientResponse, kind: str) -> dict[str, Any]:
    """Return the data of the next event of a kind."""
    name = ""
    while line := (await within(response.content.readline(), f"{kind}")).decode():
        field, _, value = line.rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data" and name == kind:
            told: dict[str, Any] = json.loads(value)
            return told
    raise AssertionError("the stream ended")


async def test_drain_by_rest_is_seen_everywhere_undone_and_joined_by_sigterm(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    config = write(tmp_path / "c.json", document(blue))
    flags = ("--config", config, "--admin-auth", "off", "--drain-accept", "0s")
    async with process(tmp_path, "run", *flags) as running:
        ready = await running.ready()
        drain = f"http://{ready['admin']}/v1/lifecycle/drain"
        telemetry, public = f"http://{ready['telemetry']}", ready["listeners"]["public"]
        stream = await session.get(f"http://{ready['admin']}/v1/events")
        for _ in range(2):
            async with session.post(drain) as answer:
                assert (await answer.json())["state"] == "draining"
            assert await get(session, f"{telemetry}/readyz") == 503
            async with session.get(f"{drain}?wait=30s") as answer:
                assert (await answer.json())["state"] == "drained"
            assert await get(session, f"{telemetry}/drained") == 200
            with pytest.raises(aiohttp.ClientConnectionError):
                await get(session, f"http://{public}/")
            async with session.delete(drain) as answer:
                assert (await answer.json())["state"] == "serving"
            assert await get(session, f"{telemetry}/readyz") == 200
            assert await get(session, f"{telemetry}/drained") == 503
            assert await get(session, f"http://{public}/") == 200
            told = [(await following(stream, "drain"))["state"] for _ in range(3)]
            assert told == ["draining", "drained", "serving"]
        await (await session.post(drain)).read()
        status, said = await running.terminated()
        assert status == 0, said
        assert "Traceback" not in said
        assert (await following(stream, "drain"))["state"] == "draining"
        stream.close()


async def test_endpoint_that_is_ejected_and_back_is_told(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    failing = True

    async def answer_(request: web.Request) -> web.Response:
        return web.Response(status=503 if failing else 200)

    app = web.Application()
    app.router.add_get("/", answer_)
    async with listening(app, ANYWHERE) as address:
        sick = document(blue)
        sick["pools"]["backend"] = {
            "endpoints": {"well": {"address": blue}, "sick": {"address": address}},
            "passive_health": {"max_fails": 1, "fail_timeout": "1s"},
            "retry": {"when": ["http_503"]},
        }
        config = write(tmp_path / "c.json", sick)
        flags = ("--config", config, "--admin-auth", "off")
        async with process(tmp_path, "run", *flags) as running:
            ready = await running.ready()
            url = f"http://{ready['listeners']['public']}/"
            stream = await session.get(f"http://{ready['admin']}/v1/events")
            for _ in range(4):
                assert await get(session, url) == 200
            told = await following(stream, "endpoint")
            assert (told["pool"], told["endpoint"], told["was"], told["state"]) == (
                "backend", "sick", "active", "ejected",
            )  # fmt: skip
            assert told["why"].startswith("1 of 1 failures")
            told = await following(stream, "endpoint")
            assert (told["endpoint"], told["was"], told["state"]) == ("sick", "ejected", "active")
            path = f"http://{ready['admin']}/v1/pools/backend/endpoints/well/override"
            async with session.put(path, json={"state": "down", "ttl": "1s"}) as answer:
                assert answer.status == 201
            assert (await following(stream, "override"))["what"] == "set"
            told = await following(stream, "endpoint")
            assert (told["endpoint"], told["was"], told["state"]) == ("well", "active", "down")
            told = await following(stream, "endpoint")
            assert (told["endpoint"], told["was"], told["state"]) == ("well", "down", "active")
            stream.close()
            assert (await running.terminated())[0] == 0


async def test_listener_does_not_hold_up_the_end(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with process(tmp_path, "run", "--admin-auth", "off") as running:
        ready = await running.ready()
        stream = await session.get(f"http://{ready['admin']}/v1/events")
        assert (await running.terminated())[0] == 0
        stream.close()


async def test_drain_by_name_is_told_with_who_and_why(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    config = write(tmp_path / "c.json", document(blue))
    async with process(tmp_path, "run", "--config", config, "--admin-auth", "off") as running:
        ready = await running.ready()
        api = f"http://{ready['admin']}/v1"
        stream = await session.get(f"{api}/events")
        order = {"selector": {"endpoint": blue}}
        async with session.put(f"{api}/drains/blue?note=disk", json=order) as answer:
            assert answer.status == 201
        told = [await following(stream, "drain") for _ in range(2)]
        async with session.delete(f"{api}/drains/blue") as answer:
            assert answer.status == 204
        told.append(await following(stream, "drain"))
        stream.close()
    assert [(one["name"], one["state"], one["note"]) for one in told] == [
        ("blue", "draining", "disk"),
        ("blue", "drained", "disk"),
        ("blue", "cancelled", None),
    ]
    assert {(one["author"], one["remaining"], one["selected"]) for one in told} == {
        ("anonymous", 0, 0)
    }
