from __future__ import annotations

from tests.unit.admin.api.answers import ok
from tests.unit.admin.conftest import Client
from tests.unit.admin.plane import FakePlane


async def test_status_shows_what_is_live(client: Client) -> None:
    response = await client.get("/v1/status")
    status = await ok(response)
    assert response.headers["Cache-Control"] == "no-store"
    assert (status["revision"]["number"], status["revision"]["source"]) == (1, "file")
    assert status["last_apply"]["result"] == "applied"
    assert status["listeners"]["public"]["address"] == "127.0.0.1:1"
    assert (status["ready"], status["draining"]) == (True, False)
    assert status["uptime_s"] >= 0
    pool = status["pools"]["backend"]
    assert [one["name"] for one in pool["endpoints"]] == ["127.0.0.1:8000", "blue"]
    blue = pool["endpoints"][1]
    assert (blue["address"], blue["state"], blue["splices"]) == ("127.0.0.1:8001", "active", 1)
    assert pool["spliced_bytes_to_upstream"] == 3
    assert status["routes"]["all"] == {
        "requests": 8,
        "requests_by_code": {"200": 6, "404": 2},
    }


async def test_refused_apply_shows_until_the_next(client: Client) -> None:
    await client.put("/v1/pools/new", json={"x": 1})
    status = await ok(await client.get("/v1/status"))
    assert (status["last_apply"]["result"], status["last_apply"]["faults"]) == ("refused", 1)
    assert status["revision"]["number"] == 1


async def test_drain_shows(client: Client, plane: FakePlane) -> None:
    plane.drain(timeout_s=1, accept_s=0)
    plane.remaining = 3
    status = await ok(await client.get("/v1/status"))
    assert (status["ready"], status["draining"], status["drain_remaining"]) == (False, True, 3)
