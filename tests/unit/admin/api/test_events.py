from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientResponse

from admin import events as ring
from admin.api import events as api
from admin.controller import Controller
from tests.peers import eventually, within
from tests.unit.admin.api.answers import ok, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect

BLUE = "/v1/pools/backend/endpoints/blue/override"
Told = tuple[str, str, Any]


async def following(response: ClientResponse) -> Told:
    """Read the next event: its id, its name and its data; of a comment, nothing and the comment."""
    fields = {"id": "", "event": "", "data": "null"}
    while line := (await within(response.content.readline(), "an event")).decode().rstrip("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")
    return fields["id"], fields["event"], json.loads(fields["data"])


async def listening(client: Client, last_seen: str | None = None, query: str = "") -> Any:
    fields = {} if last_seen is None else {"Last-Event-ID": last_seen}
    response = await client.get(f"/v1/events{query}", headers=fields)
    assert (response.status, response.content_type) == (200, "text/event-stream")
    name, data = (await following(response))[1:]
    assert (name, set(data)) == ("start", {"revision", "drain"})
    return response


async def test_start_says_where_things_stand(client: Client) -> None:
    response = await client.get("/v1/events")
    identity, name, data = await following(response)
    assert (name, data) == ("start", {"revision": 1, "drain": "serving"})
    assert identity.endswith("-1")


async def test_write_is_told_with_its_author_and_note(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.put("/v1/pools/new?note=why", json={}), 201)
    _, name, told = await following(stream)
    assert (name, told.pop("time") > 0) == ("revision", True)
    assert told == {
        "what": "applied",
        "revision": 2,
        "source": "rest",
        "author": "anonymous",
        "note": "why",
        "restores": None,
        "confirm_until": None,
        "changed": ["/pools/new"],
        "more": 0,
    }


async def test_write_that_changes_nothing_is_no_event(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.put("/v1/pools/spare", json={"endpoints": {}}))
    await ok(await client.put("/v1/pools/new?dry_run=true", json={}))
    await ok(await client.put("/v1/pools/other", json={}), 201)
    assert (await following(stream))[2]["changed"] == ["/pools/other"]


async def test_confirmation_is_told(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.put("/v1/pools/new?confirm_within=1h", json={}), 201)
    assert (await following(stream))[2]["confirm_until"] > 0
    await ok(await client.post("/v1/revisions/2/confirm"))
    assert (await following(stream))[2]["what"] == "confirmed"


async def test_overrides_are_told(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.put(BLUE, json={"state": "down", "ttl": "500ms", "note": "n"}), 201)
    await client.put(BLUE, json={"state": "drain", "ttl": "1h"})
    await client.delete(BLUE)
    told = [await following(stream) for _ in range(3)]
    assert [one[2]["what"] for one in told] == ["set", "set", "removed"]
    first = told[0][2]
    assert (first["pool"], first["endpoint"], first["state"], first["note"], first["author"]) == (
        "backend", "blue", "down", "n", "anonymous",
    )  # fmt: skip


async def test_override_that_expires_is_told(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.put(BLUE, json={"state": "down", "ttl": "1ms"}), 201)
    assert (await following(stream))[2]["what"] == "set"
    assert (await following(stream))[2]["what"] == "expired"


async def test_drain_is_told(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.post("/v1/lifecycle/drain?note=reboot"))
    await ok(await client.delete("/v1/lifecycle/drain"))
    first, second = (await following(stream))[2], (await following(stream))[2]
    assert (first["state"], first["note"], second["state"]) == ("draining", "reboot", "serving")


async def test_listener_that_comes_back_gets_what_it_missed(client: Client) -> None:
    stream = await listening(client)
    await ok(await client.put("/v1/pools/a", json={}), 201)
    identity = (await following(stream))[0]
    stream.close()
    await ok(await client.put("/v1/pools/b", json={}), 201)
    again = await listening(client, identity)
    assert (await following(again))[2]["changed"] == ["/pools/b"]


async def test_listener_that_comes_back_too_late_is_told_how_many_it_lost(
    client: Client, controller: Controller
) -> None:
    seen = controller.events.id_of(controller.events.last)
    for _ in range(ring.KEPT + 7):
        controller.events.emit("drain")
    stream = await listening(client, seen)
    assert (await following(stream))[1:] == ("lost", {"count": 7})
    assert (await following(stream))[0] == controller.events.id_of(9)


async def test_listener_of_an_earlier_process_is_told_that_it_lost_some(client: Client) -> None:
    stream = await listening(client, "18c0ffee-12")
    assert (await following(stream))[1:] == ("lost", {"count": None})
    assert (await following(stream))[2]["revision"] == 1


async def test_silence_has_a_heartbeat(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "HEARTBEAT_S", 0.05)
    stream = await listening(client)
    assert await following(stream) == ("", "", None)


async def test_listener_that_takes_nothing_is_let_go_and_holds_up_nobody(
    client: Client, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "STALLED_S", 0.2)
    stalled = await listening(client)

    def flooded() -> bool:
        for _ in range(ring.KEPT):
            controller.events.emit("drain", note="x" * 500)
        return not controller.events._listeners

    await eventually(flooded, "the listener to go", 30)
    stalled.close()


async def test_too_many_listeners_are_turned_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "LISTENERS", 1)
    stream = await listening(client)
    refused = await client.get("/v1/events")
    await problem(refused, 429)
    assert int(refused.headers["Retry-After"]) > 0
    stream.close()


async def test_listening_ends_when_it_was_to(client: Client, controller: Controller) -> None:
    stream = await listening(client, query="?for=0s")
    assert await within(stream.content.read(), "the end") == b""
    await eventually(lambda: not controller.events._listeners, "the listener to go")


async def test_listening_ends_with_the_process(client: Client, controller: Controller) -> None:
    stream = await listening(client)
    controller.events.close()
    assert await within(stream.content.read(), "the end") == b""


async def test_listening_needs_the_role_read(connect: Connect) -> None:
    client = await connect("192.0.2.1:9901", TOKENS)
    await problem(await client.get("/v1/events"), 401)
    response = await client.get("/v1/events?for=0s", headers=bearer("r"))
    assert response.status == 200
