from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from admin.controller import Controller
from admin.history import REVISIONS
from admin.store import NotKeptError
from tests.peers import eventually
from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import DOCUMENT, FakePlane

WEIGHT = "/v1/pools/backend/endpoints/blue"


async def weight(client: Client, value: int, **query: str) -> Any:
    return await ok(await client.patch(WEIGHT, json={"weight": value}, params=query))


async def test_every_change_is_listed_the_newest_first(client: Client) -> None:
    before = time.time()
    await weight(client, 5, note="more for blue")
    await ok(await client.put("/v1/pools/new", json={}), 201)
    page = await ok(await client.get("/v1/revisions"))
    assert [one["number"] for one in page["items"]] == [3, 2, 1, 0]
    assert page["next"] is None
    second = page["items"][1]
    assert before <= second.pop("time") <= time.time()
    assert second == {
        "number": 2,
        "source": "rest",
        "author": "anonymous",
        "note": "more for blue",
        "changed": ["/pools/backend"],
        "restores": None,
        "serving": False,
    }
    assert [one["serving"] for one in page["items"]] == [True, False, False, False]
    assert [one["source"] for one in page["items"]] == ["rest", "rest", "file", "start"]


async def test_author_is_the_name_of_the_token(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    await client.patch(WEIGHT, json={"weight": 5}, headers=bearer("w"))
    page = await ok(await client.get("/v1/revisions"))
    assert page["items"][0]["author"] == "ops"


async def test_what_changes_nothing_makes_none(client: Client) -> None:
    await weight(client, 5)
    assert (await weight(client, 5))["changed"] == []
    await client.put("/v1/pools/bad", json={"x": 1})
    await client.put("/v1/pools/new?dry_run=true", json={})
    page = await ok(await client.get("/v1/revisions"))
    assert [one["number"] for one in page["items"]] == [2, 1, 0]


@pytest.mark.parametrize("name", ["pools/spare", "/pools/spare"])
async def test_revisions_of_one_object_are_listed(client: Client, name: str) -> None:
    await weight(client, 5)
    await ok(await client.patch("/v1/pools/spare", json={"balance": "random"}))
    await weight(client, 6)
    page = await ok(await client.get("/v1/revisions", params={"object": name}))
    assert [one["number"] for one in page["items"]] == [3, 1]
    nothing = await ok(await client.get("/v1/revisions", params={"object": "pools/nope"}))
    assert nothing == {"items": [], "next": None}


async def test_list_comes_in_pages(client: Client) -> None:
    for value in range(2, 9):
        await weight(client, value)
    seen: list[int] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        page = await ok(await client.get("/v1/revisions", params=query))
        seen += [one["number"] for one in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "x"),
        ("limit", "9" * 5000),
        ("cursor", "²"),
        ("cursor", "-1"),
        ("nope", "1"),
    ],
)
async def test_bad_query_is_400(client: Client, name: str, text: str) -> None:
    assert await paths(await client.get("/v1/revisions", params={name: text}), 400) == [name]


async def test_revision_has_its_document(client: Client) -> None:
    await weight(client, 5)
    one = await ok(await client.get("/v1/revisions/1"))
    assert (one["number"], one["document"]) == (1, DOCUMENT)
    two = await ok(await client.get("/v1/revisions/2"))
    assert two["document"] == await ok(await client.get("/v1/config"))
    nothing = await ok(await client.get("/v1/revisions/0"))
    assert nothing["document"] == {"version": 1}


async def test_revision_in_yaml(client: Client) -> None:
    response = await client.get("/v1/revisions/1", headers={"Accept": "application/yaml"})
    assert "prefix: /" in await response.text()


@pytest.mark.parametrize("number", ["2", "99", "-1", "x", "1.0", "%00", "9" * 5000, "²"])
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("GET", "/diff"), ("POST", "/restore"), ("POST", "/confirm")]
)
async def test_revision_that_is_not_there_is_404_and_says_which_are(
    client: Client, number: str, method: str, rest: str
) -> None:
    body = await problem(await client.request(method, f"/v1/revisions/{number}{rest}"), 404)
    assert body["errors"][0]["hint"] == "0 to 1 are kept"


async def test_diff_tells_what_leads_from_one_to_another(client: Client) -> None:
    await weight(client, 5)
    await ok(await client.delete("/v1/pools/spare"))
    diff = await ok(await client.get("/v1/revisions/1/diff"))
    assert diff == {
        "from": 1,
        "to": 3,
        "differences": [
            {"path": "/pools/backend/endpoints/blue/weight", "after": 5},
            {"path": "/pools/spare", "before": {"endpoints": {}}},
        ],
    }
    back = await ok(await client.get("/v1/revisions/3/diff?to=2"))
    assert back["differences"] == [{"path": "/pools/spare", "after": {"endpoints": {}}}]
    same = await ok(await client.get("/v1/revisions/3/diff?to=3"))
    assert same["differences"] == []


async def test_diff_to_a_revision_that_is_not_there_is_404(client: Client) -> None:
    await problem(await client.get("/v1/revisions/1/diff?to=99"), 404)
    assert await paths(await client.get("/v1/revisions/1/diff?to=x"), 400) == ["to"]


# -- restoring ------------------------------------------------------------------------------------


async def test_restored_document_serves_as_a_new_revision(client: Client, plane: FakePlane) -> None:
    await weight(client, 5)
    response = await client.post("/v1/revisions/1/restore?note=undo")
    assert await ok(response) == {"revision": 3, "changed": ["/pools/backend"], "warnings": []}
    config = await client.get("/v1/config")
    assert (await ok(config), config.headers["ETag"]) == (DOCUMENT, response.headers["ETag"])
    assert plane.spec.pools["backend"].endpoints[1].weight == 1
    page = await ok(await client.get("/v1/revisions?limit=1"))
    assert (page["items"][0]["restores"], page["items"][0]["note"]) == (1, "undo")


async def test_restoring_what_serves_changes_nothing(client: Client) -> None:
    assert await ok(await client.post("/v1/revisions/1/restore")) == {
        "revision": 1,
        "changed": [],
        "warnings": [],
    }


async def test_restoring_obeys_preconditions_and_dry_run(client: Client) -> None:
    await weight(client, 5)
    dry = await ok(await client.post("/v1/revisions/1/restore?dry_run=true"))
    assert (dry["revision"], dry["changed"]) == (2, ["/pools/backend"])
    wrong = {"If-Match": '"0123"'}
    await problem(await client.post("/v1/revisions/1/restore", headers=wrong), 412)
    tag = (await client.get("/v1/config")).headers["ETag"]
    await ok(await client.post("/v1/revisions/1/restore", headers={"If-Match": tag}))


async def test_restoring_needs_the_role_write(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    for action in ("restore", "confirm"):
        path = f"/v1/revisions/1/{action}"
        await problem(await client.post(path), 401)
        await problem(await client.post(path, headers=bearer("d")), 403)
        await ok(await client.post(path, headers=bearer("w")))


# -- confirming -----------------------------------------------------------------------------------


async def test_change_that_is_not_confirmed_is_taken_back(client: Client) -> None:
    await ok(await client.patch(WEIGHT + "?confirm_within=1s", json={"weight": 5}))
    status = await ok(await client.get("/v1/status"))
    pending = status["pending"]
    assert (pending["revision"], pending["back_to"]) == (2, 1)
    assert 0 < pending["until"] - time.time() <= 1
    body = await problem(await client.patch(WEIGHT, json={"weight": 6}), 409)
    assert "Revision 2" in body["detail"]
    assert body["errors"][0]["path"] == "/v1/revisions/2"
    assert "/v1/revisions/2/confirm" in body["errors"][0]["hint"]
    assert (await ok(await client.get(WEIGHT)))["weight"] == 5


async def test_change_is_taken_back_when_the_time_is_over(
    client: Client, controller: Controller
) -> None:
    await ok(await client.patch(WEIGHT + "?confirm_within=1s", json={"weight": 5}))
    await eventually(lambda: controller.revision.number == 3, "the rollback")
    page = await ok(await client.get("/v1/revisions?limit=1"))
    assert (page["items"][0]["source"], page["items"][0]["restores"]) == ("rollback", 1)
    assert await ok(await client.get("/v1/config")) == DOCUMENT
    assert (await ok(await client.get("/v1/status")))["pending"] is None
    await problem(await client.post("/v1/revisions/2/confirm"), 409)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/config", {"version": 1}),
        ("PATCH", "/v1/config", {"pools": {"spare": None}}),
        ("PUT", "/v1/pools/new", {}),
        ("PATCH", "/v1/pools/spare", {"balance": "random"}),
        ("DELETE", "/v1/pools/spare", None),
        ("PUT", "/v1/pools/backend/endpoints/h:80", {}),
        ("POST", "/v1/revisions/0/restore", None),
    ],
)
async def test_every_write_can_ask_for_a_confirmation(
    client: Client, method: str, path: str, body: Any
) -> None:
    response = await client.request(method, path + "?confirm_within=60s", json=body)
    assert response.status in (200, 201), await response.text()
    assert (await ok(await client.get("/v1/status")))["pending"]["revision"] == 2
    confirmed = await ok(await client.post("/v1/revisions/2/confirm"))
    assert (confirmed["number"], confirmed["serving"]) == (2, True)
    assert (await ok(await client.get("/v1/status")))["pending"] is None
    await ok(await client.post("/v1/revisions/2/confirm"))
    await ok(await client.put("/v1/pools/later", json={}), 201)


async def test_confirming_another_revision_is_409(client: Client) -> None:
    await weight(client, 5, confirm_within="60s")
    body = await problem(await client.post("/v1/revisions/1/confirm"), 409)
    assert "Revision 2" in body["detail"]


async def test_restoring_the_one_before_ends_the_wait(client: Client) -> None:
    await weight(client, 5, confirm_within="60s")
    await problem(await client.post("/v1/revisions/0/restore"), 409)
    await ok(await client.post("/v1/revisions/1/restore"))
    assert await ok(await client.get("/v1/config")) == DOCUMENT
    assert (await ok(await client.get("/v1/status")))["pending"] is None


@pytest.mark.parametrize("text", ["60", "0s", "500ms", "25h", "soon", "", "1d", "٣s"])
async def test_time_that_is_none_is_400(client: Client, text: str) -> None:
    response = await client.patch(WEIGHT, json={"weight": 5}, params={"confirm_within": text})
    assert await paths(response, 400) == ["confirm_within"]
    assert (await ok(await client.get("/v1/status")))["revision"]["number"] == 1


# -- a disk that does not take it -----------------------------------------------------------------


async def test_state_that_cannot_be_written_is_507(
    client: Client, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep(*args: object, **kwargs: object) -> None:
        raise NotKeptError("state.journal: No space left on device")

    monkeypatch.setattr(controller.memory, "keep", keep)
    body = await problem(await client.patch(WEIGHT, json={"weight": 5}), 507)
    assert "No space left on device. Nothing was changed." in body["detail"]
    assert await ok(await client.get("/v1/config")) == DOCUMENT
    monkeypatch.undo()
    assert (await weight(client, 5))["revision"] == 2


# -- many writers ---------------------------------------------------------------------------------


async def test_two_writers_lose_no_update_and_every_loser_is_told(client: Client) -> None:
    writes = 500
    documents: dict[int, Any] = {}

    async def write(name: str, count: int) -> int:
        refused = 0
        while count:
            got = await client.get("/v1/config")
            document = await ok(got)
            document["x-count"] = document.get("x-count", 0) + 1
            document["x-by"] = name
            response = await client.put(
                "/v1/config", json=document, headers={"If-Match": got.headers["ETag"]}
            )
            if response.status == 412:
                await problem(response, 412)
                refused += 1
                continue
            documents[(await ok(response))["revision"]] = document
            count -= 1
        return refused

    lost = sum(await asyncio.gather(write("a", writes // 2), write("b", writes // 2)))
    assert lost > 0
    config = await ok(await client.get("/v1/config"))
    assert config["x-count"] == writes
    assert sorted(documents) == list(range(2, writes + 2))
    assert [documents[number]["x-count"] for number in sorted(documents)] == list(
        range(1, writes + 1)
    )
    page = await ok(await client.get("/v1/revisions?limit=100"))
    assert [one["number"] for one in page["items"]] == list(
        range(writes + 1, writes + 1 - REVISIONS, -1)
    )
    latest = writes + 1
    for number in random.Random(1).sample(range(latest - 50, latest), 10):
        restored = await ok(await client.post(f"/v1/revisions/{number}/restore"))
        latest += 1
        assert restored["revision"] == latest
        assert await ok(await client.get("/v1/config")) == documents[number]
