from __future__ import annotations

import gc
import json
import time
from typing import Any

import pytest
from yarl import URL

from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.conftest import Client
from tests.unit.admin.plane import DOCUMENT, FakePlane

OBJECTS = [
    ("listeners", "public", "private", {"bind": "127.0.0.2:0"}),
    ("pools", "backend", "other", {"endpoints": {"127.0.0.1:9000": {"weight": 2}}}),
    ("header_maps", "connection_upgrade", "tier", {"source": "$http_x_tier", "default": "a"}),
    ("routes", "all", "chat", {"path": {"prefix": "/chat/"}, "pool": "backend"}),
]


@pytest.mark.parametrize(("kind", "name", "other", "value"), OBJECTS)
async def test_each_kind_is_listed_and_read(
    client: Client, kind: str, name: str, other: str, value: dict[str, Any]
) -> None:
    assert await ok(await client.get(f"/v1/{kind}")) == DOCUMENT[kind]
    assert await ok(await client.get(f"/v1/{kind}/{name}")) == DOCUMENT[kind][name]


@pytest.mark.parametrize(("kind", "name", "other", "value"), OBJECTS)
async def test_each_kind_is_created_replaced_patched_and_removed(
    client: Client, kind: str, name: str, other: str, value: dict[str, Any]
) -> None:
    path, changed = f"/v1/{kind}/{other}", [f"/{kind}/{other}"]
    created = await client.put(path, json=value)
    assert await ok(created, 201) == {"revision": 2, "changed": changed, "warnings": []}
    got = await client.get(path)
    assert (await ok(got), got.headers["ETag"]) == (value, created.headers["ETag"])

    replaced = await client.put(path, json={**value, "x-note": "new"})
    assert (await ok(replaced))["changed"] == changed
    assert replaced.headers["ETag"] != created.headers["ETag"]

    patched = await client.patch(path, json={"x-note": None})
    assert (await ok(patched))["revision"] == 4
    assert patched.headers["ETag"] == created.headers["ETag"]

    removed = await client.delete(path)
    assert await ok(removed) == {"revision": 5, "changed": changed, "warnings": []}
    assert "ETag" not in removed.headers
    await problem(await client.get(path), 404)
    assert await ok(await client.get("/v1/config")) == DOCUMENT


async def test_endpoint_is_created_replaced_patched_and_removed(
    client: Client, plane: FakePlane
) -> None:
    path = "/v1/pools/backend/endpoints/127.0.0.1:8002"
    assert (await ok(await client.put(path, json={"weight": 2}), 201))["changed"] == [
        "/pools/backend"
    ]
    assert await ok(await client.get(path)) == {"weight": 2}
    await ok(await client.patch(path, json={"weight": 3}))
    assert plane.spec.pools["backend"].endpoints[-1].weight == 3
    await ok(await client.put(path, json={}))
    assert await ok(await client.get(path)) == {}
    await ok(await client.delete(path))
    assert await ok(await client.get("/v1/pools/backend")) == DOCUMENT["pools"]["backend"]


async def test_endpoints_of_a_pool_are_listed(client: Client) -> None:
    shown = await ok(await client.get("/v1/pools/backend/endpoints"))
    assert shown == DOCUMENT["pools"]["backend"]["endpoints"]
    await problem(await client.get("/v1/pools/nope/endpoints"), 404)


@pytest.mark.parametrize(
    ("name", "written"),
    [("unix:%2Frun%2Fapp.sock", "unix:/run/app.sock"), ("[::1]:80", "[::1]:80")],
)
async def test_endpoint_name_may_be_any_address(
    client: Client, plane: FakePlane, name: str, written: str
) -> None:
    path = URL(f"/v1/pools/spare/endpoints/{name}", encoded=True)
    await ok(await client.put(path, json={}), 201)
    assert [one.name for one in plane.spec.pools["spare"].endpoints] == [written]
    assert await ok(await client.get(path)) == {}


async def test_endpoint_of_an_unknown_pool_is_404(client: Client) -> None:
    response = await client.put("/v1/pools/bakend/endpoints/127.0.0.1:1", json={})
    body = await problem(response, 404)
    assert body["errors"][0]["path"] == "/pools/bakend"
    assert "backend" in body["errors"][0]["hint"]


async def test_unknown_object_is_404_with_the_nearest_name(client: Client) -> None:
    body = await problem(await client.get("/v1/pools/bakend"), 404)
    assert body["errors"][0]["path"] == "/pools/bakend"
    assert "did you mean `backend`?" in body["errors"][0]["hint"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_change_of_an_unknown_object_is_404(client: Client, method: str) -> None:
    await problem(await client.request(method, "/v1/routes/nope", json={}), 404)


async def test_removing_a_pool_in_use_is_409_and_says_where(client: Client) -> None:
    response = await client.delete("/v1/pools/backend")
    body = await problem(response, 409)
    assert [error["path"] for error in body["errors"]] == ["/routes/all/pool"]
    assert "pool backend" in body["detail"]
    assert await ok(await client.get("/v1/config")) == DOCUMENT


async def test_removing_a_header_map_in_use_is_409_and_says_where(client: Client) -> None:
    response = await client.delete("/v1/header_maps/connection_upgrade")
    assert await paths(response, 409) == ["/routes/all/request_headers/set/X-Upgrade"]


async def test_route_to_an_unknown_pool_is_422(client: Client) -> None:
    response = await client.put("/v1/routes/new", json={"path": {"exact": "/"}, "pool": "nope"})
    assert await paths(response, 422) == ["/routes/new/pool"]


async def test_bad_name_is_422(client: Client) -> None:
    response = await client.put("/v1/header_maps/Not-A-Name", json={"source": "$host"})
    assert await paths(response, 422) == ["/header_maps/Not-A-Name"]


async def test_object_in_effect_has_the_defaults(client: Client) -> None:
    response = await client.get("/v1/pools/backend?view=effective")
    assert (await ok(response))["balance"] == "round_robin"
    endpoint = await client.get("/v1/pools/backend/endpoints/blue?view=effective")
    assert (await ok(endpoint))["weight"] == 1


async def test_kind_without_objects_is_an_empty_map(client: Client) -> None:
    await ok(await client.put("/v1/config", json={"version": 1}))
    assert await ok(await client.get("/v1/routes")) == {}
    assert await ok(await client.get("/v1/routes?view=effective")) == {}


async def test_object_in_yaml(client: Client) -> None:
    headers = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    response = await client.put(
        "/v1/pools/other", data="endpoints: {h1:80: {weight: 2}}", headers=headers
    )
    assert (response.status, response.content_type) == (201, "application/yaml")
    assert "revision: 2" in await response.text()
    assert await ok(await client.get("/v1/pools/other")) == {"endpoints": {"h1:80": {"weight": 2}}}


async def test_head_answers_as_get_without_a_body(client: Client) -> None:
    response = await client.head("/v1/pools/backend")
    assert (response.status, await response.read()) == (200, b"")
    assert response.headers["ETag"] == (await client.get("/v1/pools/backend")).headers["ETag"]


async def test_dry_run_says_what_would_change_and_publishes_nothing(
    client: Client, plane: FakePlane
) -> None:
    response = await client.put("/v1/pools/other?dry_run=true", json={"endpoints": {}})
    assert await ok(response) == {"revision": 1, "changed": ["/pools/other"], "warnings": []}
    assert "ETag" not in response.headers
    assert (len(plane.discarded), len(plane.published)) == (1, 1)
    await problem(await client.get("/v1/pools/other"), 404)


async def test_dry_run_reports_faults_too(client: Client) -> None:
    response = await client.put("/v1/pools/other?dry_run=true", json={"endpoints": []})
    assert await paths(response, 422) == ["/pools/other/endpoints"]


async def test_note_lands_in_the_revision(client: Client) -> None:
    await ok(await client.delete("/v1/pools/spare", params={"note": "no longer needed"}))
    status = await ok(await client.get("/v1/status"))
    assert status["revision"]["note"] == "no longer needed"
    assert status["revision"]["changed"] == ["/pools/spare"]


@pytest.mark.parametrize("name", ["%00", "%FF", "a%0Ab", "%20", "a%2Fb"])
async def test_name_of_odd_octets_is_422(client: Client, name: str) -> None:
    response = await client.put(URL(f"/v1/pools/{name}", encoded=True), json={})
    assert len(await paths(response, 422)) == 1


# -- routes that hold together -------------------------------------------------------------------

FALLBACK: dict[str, Any] = {"pool": "spare"}
PAGES: dict[str, Any] = {"error_pages": [{"statuses": [502], "route": "fallback"}]}


async def with_fallback(client: Client) -> None:
    """Create a named route, and what leads to it, in one change."""
    routes = {"fallback": FALLBACK, "all": PAGES}
    await ok(await client.patch("/v1/config", json={"routes": routes}))


async def test_named_route_is_created_with_what_leads_to_it(
    client: Client, plane: FakePlane
) -> None:
    await with_fallback(client)
    assert await ok(await client.get("/v1/routes/fallback")) == FALLBACK
    assert plane.spec.routes["fallback"].path is None
    shown = await ok(await client.get("/v1/routes/fallback?view=effective"))
    assert "path" not in shown
    assert (shown["steps"], shown["access"], shown["intercept_errors"]) == ([], [], False)


async def test_named_route_alone_is_422(client: Client) -> None:
    response = await client.put("/v1/routes/fallback", json=FALLBACK)
    assert await paths(response, 422) == ["/routes/fallback/path"]


async def test_page_without_its_route_is_422(client: Client) -> None:
    response = await client.patch("/v1/routes/all", json=PAGES)
    assert await paths(response, 422) == ["/routes/all/error_pages/0/route"]


async def test_removing_a_named_route_in_use_is_409_and_says_where(client: Client) -> None:
    await with_fallback(client)
    response = await client.delete("/v1/routes/fallback")
    assert await paths(response, 409) == ["/routes/all/error_pages/0/route"]


async def test_removing_the_last_page_of_a_named_route_is_refused(client: Client) -> None:
    await with_fallback(client)
    response = await client.patch("/v1/routes/all", json={"error_pages": None})
    assert await paths(response, 422) == ["/routes/fallback/path"]
    both = {"routes": {"all": {"error_pages": None}, "fallback": None}}
    assert await ok(await client.patch("/v1/config", json=both))
    assert await ok(await client.get("/v1/config")) == DOCUMENT


async def test_named_route_may_get_a_path_and_lose_it(client: Client) -> None:
    await with_fallback(client)
    path = {"path": {"exact": "/fallback"}}
    await ok(await client.patch("/v1/routes/fallback", json=path))
    await ok(await client.patch("/v1/routes/fallback", json={"path": None}))
    assert await ok(await client.get("/v1/routes/fallback")) == FALLBACK


async def test_prelude_is_created_replaced_patched_and_removed(
    client: Client, plane: FakePlane
) -> None:
    path = "/v1/routes/first"
    steps = {"steps": [{"set": {"kind": "a"}}]}
    await ok(await client.put(path, json=steps), 201)
    await ok(
        await client.patch("/v1/routes/all", json={"request_headers": {"set": {"X-Kind": "$kind"}}})
    )
    await ok(await client.put(path, json={"steps": [{"set": {"kind": "b"}}, {"stop": True}]}))
    await ok(await client.patch(path, json={"access": [{"deny": ["10.0.0.0/8"]}]}))
    assert plane.spec.routes["first"].path is None
    assert [len(plane.spec.routes["first"].steps), len(plane.spec.routes["first"].access)] == [2, 1]

    response = await client.delete(path)
    assert await paths(response, 409) == ["/routes/all/request_headers/set/X-Kind"]
    headers = {"request_headers": {"set": {"X-Kind": None}}}
    await ok(await client.patch("/v1/routes/all", json=headers))
    await ok(await client.delete(path))
    assert await ok(await client.get("/v1/config")) == DOCUMENT


@pytest.mark.parametrize("view", ["written", "effective"])
async def test_large_pool_is_written_in_a_thread(client: Client, view: str) -> None:
    endpoints: dict[str, Any] = {f"10.0.{n // 250}.{n % 250}:80": {} for n in range(5_000)}
    await ok(await client.put("/v1/pools/big", json={"endpoints": endpoints}), 201)
    began = time.thread_time()
    response = await client.get(f"/v1/pools/big?view={view}")
    text = await response.read()
    here = time.thread_time() - began
    began = time.thread_time()
    json.dumps(json.loads(text), indent=2)
    assert here < (time.thread_time() - began) / 2, "the client's part is in it too"
    assert text.count(b"\n") == 1, "what is large is not indented"


async def test_effective_prelude_can_be_put_back(client: Client) -> None:
    await ok(await client.put("/v1/routes/first", json={"steps": [{"stop": True}]}), 201)
    shown = await ok(await client.get("/v1/routes/first?view=effective"))
    await ok(await client.put("/v1/routes/first", json=shown))


async def test_second_prelude_of_the_same_hosts_is_refused(client: Client) -> None:
    await ok(await client.put("/v1/routes/first", json={"steps": [{"stop": True}]}), 201)
    response = await client.put("/v1/routes/second", json={"steps": [{"stop": True}]})
    assert await paths(response, 422) == ["/routes/second"]


async def test_step_of_a_route_can_be_read_and_changed_only_with_its_list(client: Client) -> None:
    await ok(await client.put("/v1/routes/first", json={"steps": [{"stop": True}]}), 201)
    response = await client.patch("/v1/routes/first", json={"steps": {"0": {"stop": False}}})
    assert await paths(response, 422) == ["/routes/first/steps"]


async def test_changes_leave_nothing_for_the_collector(client: Client) -> None:
    """It would stop all the traffic, once in so many changes."""
    changes = 200

    async def put(weight: int) -> None:
        endpoint = {"address": "127.0.0.1:8001", "weight": weight}
        answer = await client.put("/v1/pools/backend/endpoints/blue", json=endpoint)
        assert answer.status == 200
        assert (await answer.json())["changed"]

    await put(2)
    gc.collect()
    gc.disable()
    try:
        for weight in range(3, 3 + changes):
            await put(weight)
        # What earlier tests left may end meanwhile, so it is not 0 exactly.
        assert gc.collect() < changes
    finally:
        gc.enable()
