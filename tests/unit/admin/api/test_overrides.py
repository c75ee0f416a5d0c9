from __future__ import annotations

import time
from typing import Any

import pytest
from yarl import URL

from admin import overrides
from admin.controller import Controller
from admin.store import NotKeptError
from proxy.errors import Fault
from proxy.spec import OverrideSpec
from tests.peers import eventually
from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import FakePlane

BLUE = "/v1/pools/backend/endpoints/blue/override"
DRAIN: dict[str, Any] = {"state": "drain", "ttl": "1h"}


async def endpoint(client: Client, name: str = "blue") -> dict[str, Any]:
    status = await ok(await client.get("/v1/status"))
    endpoints: list[dict[str, Any]] = status["pools"]["backend"]["endpoints"]
    return next(one for one in endpoints if one["name"] == name)


async def test_override_is_set_read_replaced_and_ended(client: Client, plane: FakePlane) -> None:
    before = time.time()
    created = await ok(await client.put(BLUE, json={**DRAIN, "note": "disk swap"}), 201)
    assert before <= created["since"] <= time.time()
    assert created["until"] == pytest.approx(created["since"] + 3600)
    assert created == {
        "pool": "backend",
        "endpoint": "blue",
        "state": "drain",
        "weight": None,
        "since": created["since"],
        "until": created["until"],
        "author": "anonymous",
        "note": "disk swap",
    }
    assert await ok(await client.get(BLUE)) == created
    assert plane.overrides == {"backend": {"blue": OverrideSpec(state="drain")}}
    replaced = await ok(await client.put(BLUE, json={"state": "active", "weight": 3, "ttl": "5m"}))
    assert (replaced["weight"], replaced["note"]) == (3, None)
    assert plane.overrides == {"backend": {"blue": OverrideSpec(state="active", weight=3)}}
    response = await client.delete(BLUE)
    assert (response.status, await response.read()) == (204, b"")
    assert plane.overrides == {}
    await problem(await client.get(BLUE), 404)
    await problem(await client.delete(BLUE), 404)


async def test_override_is_beside_the_document(client: Client, plane: FakePlane) -> None:
    config = await client.get("/v1/config")
    await ok(await client.put(BLUE, json=DRAIN), 201)
    again = await client.get("/v1/config")
    assert (await ok(again), again.headers["ETag"]) == (
        await ok(config),
        config.headers["ETag"],
    )
    assert (await ok(await client.get("/v1/status")))["revision"]["number"] == 1
    assert len(plane.published) == 1


async def test_status_says_what_is_overridden_and_why(client: Client) -> None:
    assert (await endpoint(client))["override"] is None
    created = await ok(await client.put(BLUE, json={**DRAIN, "note": "disk swap"}), 201)
    blue = await endpoint(client)
    assert (blue["state"], blue["override"]) == ("drain", created)
    assert blue["why"].startswith("overridden by anonymous until 2")
    assert blue["why"].endswith("+00:00: disk swap")
    assert (await endpoint(client, "127.0.0.1:8000"))["override"] is None
    assert (await ok(await client.get("/v1/status")))["overrides"] == [created]


async def test_override_ends_by_itself(client: Client, plane: FakePlane) -> None:
    await ok(await client.put(BLUE, json={"state": "down", "ttl": "20ms"}), 201)
    await eventually(lambda: plane.overrides == {}, "the end")
    await problem(await client.get(BLUE), 404)
    assert (await endpoint(client))["state"] == "active"


async def test_override_waits_for_an_endpoint_that_is_gone(client: Client) -> None:
    created = await ok(await client.put(BLUE, json=DRAIN), 201)
    await ok(await client.delete("/v1/pools/backend/endpoints/blue"))
    assert await ok(await client.get(BLUE)) == created
    assert (await ok(await client.get("/v1/status")))["overrides"] == [created]
    await problem(await client.put(BLUE, json=DRAIN), 404)
    back = {"address": "127.0.0.1:8001"}
    await ok(await client.put("/v1/pools/backend/endpoints/blue", json=back), 201)
    assert (await endpoint(client))["state"] == "drain"
    await client.delete(BLUE)
    assert (await endpoint(client))["state"] == "active"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/v1/pools/bakend/endpoints/blue/override", "did you mean `backend`?"),
        ("/v1/pools/backend/endpoints/blu/override", "did you mean `blue`?"),
    ],
)
async def test_override_of_nothing_is_404_with_the_nearest_name(
    client: Client, method: str, path: str, nearest: str
) -> None:
    body = await problem(await client.request(method, path, json=DRAIN), 404)
    assert nearest in body["errors"][0]["hint"]


async def test_endpoint_may_be_named_by_any_address(client: Client, plane: FakePlane) -> None:
    path = "/v1/pools/spare/endpoints/unix:%2Frun%2Fapp.sock"
    await ok(await client.put(URL(path, encoded=True), json={}), 201)
    await ok(await client.put(URL(path + "/override", encoded=True), json=DRAIN), 201)
    assert list(plane.overrides["spare"]) == ["unix:/run/app.sock"]


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/state", "/ttl"]),
        ({"state": "off", "ttl": "1h"}, ["/state"]),
        ({"state": "down"}, ["/ttl"]),
        ({"state": "down", "ttl": "off"}, ["/ttl"]),
        ({"state": "down", "ttl": 60}, ["/ttl"]),
        ({"state": "down", "ttl": "9000h"}, ["/ttl"]),
        ({**DRAIN, "weight": 0}, ["/weight"]),
        ({**DRAIN, "wieght": 1}, ["/wieght"]),
        ({**DRAIN, "note": "x" * 501}, ["/note"]),
        ([], [""]),
        ("down", [""]),
    ],
)
async def test_override_with_faults_is_422_with_every_place(
    client: Client, body: Any, places: list[str]
) -> None:
    assert sorted(await paths(await client.put(BLUE, json=body), 422)) == places
    await problem(await client.get(BLUE), 404)


async def test_pool_that_cannot_be_so_is_422(client: Client, plane: FakePlane) -> None:
    fault = Fault("/pools/backend/endpoints", "the ring is too large")
    plane.refuse = (fault,)
    assert await paths(await client.put(BLUE, json=DRAIN), 422) == [fault.path]


async def test_role_drain_may_override_and_no_more(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    await problem(await client.put(BLUE, json=DRAIN), 401)
    await problem(await client.put(BLUE, json=DRAIN, headers=bearer("r")), 403)
    created = await ok(await client.put(BLUE, json=DRAIN, headers=bearer("d")), 201)
    assert created["author"] == "drainer"
    await ok(await client.get(BLUE))
    await problem(await client.delete(BLUE, headers=bearer("r")), 403)
    assert (await client.delete(BLUE, headers=bearer("d"))).status == 204
    await problem(await client.put("/v1/pools/new", json={}, headers=bearer("d")), 403)


async def test_override_is_possible_while_a_revision_waits_to_be_confirmed(
    client: Client,
) -> None:
    await ok(await client.put("/v1/pools/new?confirm_within=60s", json={}), 201)
    await ok(await client.put(BLUE, json=DRAIN), 201)


async def test_there_are_not_too_many(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrides, "MOST", 0)
    await problem(await client.put(BLUE, json=DRAIN), 409)


async def test_override_that_cannot_be_kept_is_507(
    client: Client, controller: Controller, plane: FakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep(*args: object, **kwargs: object) -> None:
        raise NotKeptError("No space left on device")

    monkeypatch.setattr(controller.memory, "keep", keep)
    await problem(await client.put(BLUE, json=DRAIN), 507)
    assert (plane.overrides, len(plane.discarded)) == ({}, 1)
