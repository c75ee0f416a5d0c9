"""``/v1/drains`` over the API."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.connections import Selector
from proxy.drains import DrainOrder
from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import FakePlane

N7 = "/v1/drains/node-n7"
ORDER: dict[str, Any] = {"selector": {"labels": {"node": "n7"}}}
WHOLE: dict[str, Any] = {
    "selector": {
        "kind": "websocket",
        "listener": "public",
        "route": "all",
        "pool": "backend",
        "endpoint": "blue",
        "labels": {"node": "n7"},
        "min_age": "600s",
        "min_idle": "1s500ms",
    },
    "cordon": False,
    "fraction": 0.25,
    "code": 4001,
    "reason": "moving",
    "rate": 0.5,
    "timeout": "60s",
}


async def test_drain_is_started_seen_and_cancelled(client: Client, plane: FakePlane) -> None:
    started = await ok(await client.put(N7, json=ORDER), 201)
    assert started == {
        "name": "node-n7",
        "selector": {"labels": {"node": "n7"}},
        "cordon": True,
        "fraction": None,
        "code": 1012,
        "reason": "service restart",
        "rate": 100.0,
        "timeout": "30s",
        "author": "anonymous",
        "note": None,
        "since": 5.0,
        "selected": 3,
        "closed": 1,
        "remaining": 2,
        "cordoned": ["backend/blue"],
        "done": False,
    }
    assert await ok(await client.put(N7, json=ORDER)) == started
    seen = await client.get(N7)
    assert seen.headers["Cache-Control"] == "no-store"
    assert await ok(seen) == started
    assert await ok(await client.get("/v1/drains")) == {"items": [started]}
    response = await client.delete(N7)
    assert (response.status, await response.read()) == (204, b"")
    assert plane.started == {}
    await problem(await client.get(N7), 404)
    await problem(await client.delete(N7), 404)


async def test_everything_that_is_said_arrives(client: Client, plane: FakePlane) -> None:
    shown = await ok(await client.put(N7, json=WHOLE), 201)
    assert {key: shown[key] for key in WHOLE} == WHOLE
    assert plane.started["node-n7"] == DrainOrder(
        selector=Selector(
            kind="websocket",
            listener="public",
            route="all",
            pool="backend",
            endpoint="blue",
            labels=(("node", "n7"),),
            min_age_s=600.0,
            min_idle_s=1.5,
        ),
        cordon=False,
        fraction=0.25,
        code=4001,
        reason="moving",
        rate=0.5,
        timeout_s=60.0,
    )


async def test_who_and_why_are_kept_and_make_no_other_order(
    client: Client, plane: FakePlane
) -> None:
    shown = await ok(await client.put(f"{N7}?note=disk+swap", json=ORDER), 201)
    assert (shown["author"], shown["note"]) == ("anonymous", "disk swap")
    before = plane.started["node-n7"]
    await ok(await client.put(f"{N7}?note=again", json=ORDER))
    assert plane.started["node-n7"] == before


async def test_what_was_answered_is_the_same_order(client: Client, plane: FakePlane) -> None:
    shown = await ok(await client.put(N7, json=ORDER), 201)
    before = plane.started["node-n7"]
    again = {key: shown[key] for key in WHOLE if shown[key] is not None}
    await ok(await client.put(N7, json=again))
    assert plane.started["node-n7"] == before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"selector": {}}, "/selector"),
        ({"selector": {"labels": {}}}, "/selector"),
        ({"selector": {"kind": "quic"}}, "/selector/kind"),
        ({"selector": {"pools": "a"}}, "/selector/pools"),
        ({"selector": {"labels": {"a b": "c"}}}, "/selector/labels/a b"),
        ({"selector": {"labels": {"node": 7}}}, "/selector/labels/node"),
        ({"selector": {"min_age": "10"}}, "/selector/min_age"),
        ({"selector": []}, "/selector"),
        ({"cordon": "yes"}, "/cordon"),
        ({"fraction": 0}, "/fraction"),
        ({"fraction": 1.5}, "/fraction"),
        ({"fraction": True}, "/fraction"),
        ({"code": 1006}, "/code"),
        ({"code": 5000}, "/code"),
        ({"reason": "x" * 124}, "/reason"),
        ({"reason": "\u00e9" * 62}, "/reason"),
        ({"rate": 0}, "/rate"),
        ({"rate": "fast"}, "/rate"),
        ({"timeout": 30}, "/timeout"),
        ({"timeout": "off"}, "/timeout"),
        ({"speed": 1}, "/speed"),
    ],
)
async def test_faulty_drain_is_refused_at_its_place(
    client: Client, plane: FakePlane, change: dict[str, Any], where: str
) -> None:
    assert await paths(await client.put(N7, json=ORDER | change), 422) == [where]
    assert plane.started == {}


async def test_drain_without_a_selector_is_told_of_one(client: Client) -> None:
    (error,) = (await problem(await client.put(N7, json={}), 422))["errors"]
    assert (error["path"], "node" in error["hint"]) == ("/selector", True)


@pytest.mark.parametrize("name", ["a%20b", "-a", "x" * 64])
async def test_drain_needs_a_name(client: Client, plane: FakePlane, name: str) -> None:
    assert await paths(await client.put(f"/v1/drains/{name}", json=ORDER), 422) == ["name"]
    assert plane.started == {}


async def test_too_many_drains_are_a_conflict(client: Client, plane: FakePlane) -> None:
    plane.crowded = True
    (error,) = (await problem(await client.put(N7, json=ORDER), 409))["errors"]
    assert error["message"] == "100 drains run"


async def test_drain_is_read_as_yaml_too(client: Client, plane: FakePlane) -> None:
    headers = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    response = await client.put(N7, data=b"selector: {pool: backend}\n", headers=headers)
    assert (response.status, response.content_type) == (201, "application/yaml")
    assert plane.started["node-n7"].selector == Selector(pool="backend")


async def test_draining_needs_the_role_drain(connect: Connect, plane: FakePlane) -> None:
    client = await connect("10.0.0.1:9901", TOKENS)
    assert (await client.put(N7, json=ORDER)).status == 401
    await problem(await client.put(N7, json=ORDER, headers=bearer("r")), 403)
    assert plane.started == {}
    await ok(await client.put(N7, json=ORDER, headers=bearer("d")), 201)
    for path in ("/v1/drains", N7):
        await ok(await client.get(path, headers=bearer("r")))
    await problem(await client.delete(N7, headers=bearer("r")), 403)
    assert (await client.delete(N7, headers=bearer("d"))).status == 204
