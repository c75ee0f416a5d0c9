from __future__ import annotations

import copy
import io
import json

import pytest

from admin.api.media import BODY_BYTES
from admin.controller import Controller
from admin.documents.loading import load
from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.conftest import Client
from tests.unit.admin.plane import DOCUMENT, FakePlane

JSON = {"Content-Type": "application/json"}


async def test_get_answers_with_the_document_as_written(client: Client) -> None:
    response = await client.get("/v1/config")
    assert await ok(response) == DOCUMENT
    assert response.headers["ETag"]
    assert response.headers["Vary"] == "Accept"


async def test_effective_view_has_the_defaults(client: Client) -> None:
    shown = await ok(await client.get("/v1/config", params={"view": "effective"}))
    assert shown["pools"]["backend"]["timeouts"]["connect"] == "5s"
    assert shown["listeners"]["public"]["paths"] == "strict"


async def test_put_replaces_the_whole(client: Client, plane: FakePlane) -> None:
    document = {"version": 1, "pools": {"only": {"endpoints": {}}}}
    response = await client.put("/v1/config", json=document)
    body = await ok(response)
    assert body["revision"] == 2
    assert sorted(body["changed"]) == [
        "/header_maps/connection_upgrade",
        "/listeners/public",
        "/pools/backend",
        "/pools/only",
        "/pools/spare",
        "/routes/all",
    ]
    assert body["warnings"] == []
    again = await client.get("/v1/config")
    assert await ok(again) == document
    assert again.headers["ETag"] == response.headers["ETag"]
    assert list(plane.spec.pools) == ["only"]


async def test_put_of_the_same_makes_no_revision(client: Client, plane: FakePlane) -> None:
    before = await client.get("/v1/config")
    response = await client.put("/v1/config", json=copy.deepcopy(DOCUMENT))
    assert await ok(response) == {"revision": 1, "changed": [], "warnings": []}
    assert response.headers["ETag"] == before.headers["ETag"]
    assert len(plane.published) == 1


async def test_patch_changes_several_objects_at_once(client: Client, plane: FakePlane) -> None:
    patch = {
        "pools": {"backend": {"endpoints": {"blue": None}}, "spare": None, "new": {}},
        "routes": {"all": {"pool": "new"}},
    }
    response = await client.patch(
        "/v1/config",
        data=json.dumps(patch),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert sorted((await ok(response))["changed"]) == [
        "/pools/backend",
        "/pools/new",
        "/pools/spare",
        "/routes/all",
    ]
    assert len(plane.published) == 2
    assert [one.name for one in plane.spec.pools["backend"].endpoints] == ["127.0.0.1:8000"]


async def test_every_fault_is_reported_and_nothing_changed(
    client: Client, controller: Controller
) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["pools"]["backend"]["weird"] = 1
    document["routes"]["all"]["pool"] = "bakend"
    document["listeners"]["public"]["bind"] = "nowhere"
    response = await client.put("/v1/config", json=document)
    body = await problem(response, 422)
    assert [error["path"] for error in body["errors"]] == [
        "/listeners/public/bind",
        "/pools/backend/weird",
        "/routes/all/pool",
    ]
    assert "backend" in body["errors"][2]["hint"]
    assert controller.raw == DOCUMENT
    assert (await client.get("/v1/config")).status == 200


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "1"])
async def test_document_that_is_no_object_is_422(client: Client, body: str) -> None:
    assert await paths(await client.put("/v1/config", data=body, headers=JSON), 422) == [""]


@pytest.mark.parametrize("body", ["", "{", "{'a': 1}", "[" * 100_000, '{"a": NaN}'])
async def test_body_that_is_no_json_is_400_and_located(client: Client, body: str) -> None:
    response = await client.put("/v1/config", data=body, headers=JSON)
    assert (await problem(response, 400))["errors"][0]["message"]


async def test_body_with_a_half_surrogate_is_refused(client: Client) -> None:
    data = '{"version": 1, "x-note": "\\ud800"}'
    assert await paths(await client.put("/v1/config", data=data, headers=JSON), 400) == ["/x-note"]


async def test_body_with_a_duplicate_key_is_refused(client: Client) -> None:
    data = '{"version": 1, "pools": {}, "pools": {}}'
    assert await paths(await client.put("/v1/config", data=data, headers=JSON), 400) == ["/pools"]


async def test_body_over_the_limit_is_413(client: Client) -> None:
    data = io.BytesIO(b" " * (BODY_BYTES + 1))
    await problem(await client.put("/v1/config", data=data, headers=JSON), 413)


async def test_yaml_is_accepted_and_offered(client: Client) -> None:
    text = "version: 1\npools:\n  a: {endpoints: {10.0.0.1:80: {}}}\n"
    response = await client.put(
        "/v1/config", data=text, headers={"Content-Type": "application/yaml"}
    )
    await ok(response)
    response = await client.get("/v1/config", headers={"Accept": "application/yaml"})
    assert response.content_type == "application/yaml"
    assert load(await response.read(), yaml=True) == load(text.encode(), yaml=True)


async def test_large_document_is_served_from_a_thread(client: Client) -> None:
    names = [f"10.0.{number // 250}.{number % 250 + 1}:80" for number in range(5000)]
    endpoints: dict[str, object] = {name: {} for name in names}
    await ok(await client.put("/v1/config", json={"pools": {"big": {"endpoints": endpoints}}}))
    shown = await ok(await client.get("/v1/config"))
    assert len(shown["pools"]["big"]["endpoints"]) == 5000
    again = await client.get("/v1/config", headers={"Accept": "application/yaml"})
    assert (await again.read()).count(b"\n") > 5000


async def test_deleting_the_whole_is_not_allowed(client: Client) -> None:
    response = await client.delete("/v1/config")
    await problem(response, 405)
    assert response.headers["Allow"] == "GET, HEAD, PATCH, PUT"
