from __future__ import annotations

from collections import Counter

import pytest

from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.conftest import Client
from tests.unit.admin.plane import FakePlane


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/pool", "/nope", "/v1/pools/a/b"])
async def test_unknown_path_is_404_with_a_hint(client: Client, path: str) -> None:
    body = await problem(await client.get(path), 404)
    assert body["title"] == "Not Found"
    assert body["errors"][0]["hint"]


async def test_path_with_a_typo_names_the_nearest(client: Client) -> None:
    body = await problem(await client.get("/v1/pool"), 404)
    assert "/v1/pools" in body["errors"][0]["hint"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/config", "GET, HEAD, PATCH, PUT"),
        ("PUT", "/v1/pools", "GET, HEAD"),
        ("POST", "/v1/pools/backend", "DELETE, GET, HEAD, PATCH, PUT"),
        ("DELETE", "/v1/status", "GET, HEAD"),
        ("OPTIONS", "/docs", "GET, HEAD"),
    ],
)
async def test_other_method_is_405_with_allow(
    client: Client, method: str, path: str, allow: str
) -> None:
    response = await client.request(method, path)
    await problem(response, 405)
    assert response.headers["Allow"] == allow


async def test_unknown_query_parameter_is_400_with_the_nearest(client: Client) -> None:
    body = await problem(await client.get("/v1/config?veiw=effective"), 400)
    assert body["errors"][0]["path"] == "veiw"
    assert "view" in body["errors"][0]["hint"]


async def test_every_fault_of_a_query_is_named(client: Client) -> None:
    response = await client.put("/v1/pools/a?dry_run=yes&note=a&note=b&x=1", json={})
    assert await paths(response, 400) == ["dry_run", "note", "x"]


@pytest.mark.parametrize("query", ["view=none", "view="])
async def test_value_that_a_parameter_does_not_take_is_400(client: Client, query: str) -> None:
    assert await paths(await client.get(f"/v1/config?{query}"), 400) == ["view"]


async def test_note_that_is_too_long_is_400(client: Client) -> None:
    response = await client.delete("/v1/pools/spare", params={"note": "x" * 501})
    assert await paths(response, 400) == ["note"]


async def test_bug_is_500_and_says_nothing_of_itself(client: Client, plane: FakePlane) -> None:
    plane.crash = RuntimeError("secret")
    response = await client.put("/v1/pools/new", json={})
    await problem(response, 500)
    assert "secret" not in await response.text()
    plane.crash = None
    await ok(await client.put("/v1/pools/new", json={}), 201)


async def test_answers_are_counted_by_status(client: Client, counts: Counter[int]) -> None:
    await client.get("/v1/config")
    await client.get("/v1/config?x=1")
    await client.get("/nope")
    await client.get("/nope")
    assert counts == {200: 1, 400: 1, 404: 2}
