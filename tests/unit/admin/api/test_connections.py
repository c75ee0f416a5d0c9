"""``/v1/connections`` over the API."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from yarl import URL

from admin.api.bodies.connections import ConnectionBody, ConnectionPage
from proxy.connection_view import ConnectionView, Direction
from proxy.connections import ANY, MAX_PAGE, PAGE, Selector
from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import FakePlane

CHAT = ConnectionView(
    id="r-1",
    kind="websocket",
    state="open",
    client="192.0.2.7:5",
    server="127.0.0.1:1",
    listener="public",
    route="all",
    pool="backend",
    endpoint="blue",
    endpoint_address="127.0.0.1:8001",
    labels=(("node", "n7"),),
    revision=1,
    request_id="id-1",
    started=5.0,
    age_s=2.5,
    idle_s=0.5,
    requests=1,
    from_client=Direction(octets=10, frames=2, messages=1),
    from_upstream=Direction(octets=20, frames=3, messages=3, close_code=1000),
)


@pytest.fixture
def live(plane: FakePlane) -> FakePlane:
    """Let three be connected."""
    plane.live = [replace(CHAT, id=f"r-{number}") for number in (1, 2, 3)]
    return plane


@pytest.mark.parametrize(
    ("query", "selector"),
    [
        ("", ANY),
        ("kind=tunnel", Selector(kind="tunnel")),
        ("listener=public", Selector(listener="public")),
        ("route=a&pool=b", Selector(route="a", pool="b")),
        ("endpoint=127.0.0.1:8001", Selector(endpoint="127.0.0.1:8001")),
        ("label=node=n7", Selector(labels=(("node", "n7"),))),
        ("label=node=n7&label=x=a=b", Selector(labels=(("node", "n7"), ("x", "a=b")))),
        ("min_age=10m&min_idle=500ms", Selector(min_age_s=600.0, min_idle_s=0.5)),
    ],
)
async def test_connections_are_asked_for_as_the_query_says(
    live: FakePlane, client: Client, query: str, selector: Selector
) -> None:
    response = await client.get(f"/v1/connections?{query}")
    assert response.headers["Cache-Control"] == "no-store"
    ConnectionPage.model_validate(await ok(response))
    assert live.asked == [(selector, None, PAGE)]


async def test_pages_lead_to_all(live: FakePlane, client: Client) -> None:
    page = await ok(await client.get("/v1/connections?limit=2"))
    assert ([one["id"] for one in page["items"]], page["next"]) == (["r-1", "r-2"], "r-2")
    page = await ok(await client.get(f"/v1/connections?limit=2&cursor={page['next']}"))
    assert ([one["id"] for one in page["items"]], page["next"]) == (["r-3"], None)


async def test_one_connection_is_shown_whole(live: FakePlane, client: Client) -> None:
    shown = await ok(await client.get("/v1/connections/r-2"))
    ConnectionBody.model_validate(shown)
    assert (shown["id"], shown["labels"], shown["age_s"]) == ("r-2", {"node": "n7"}, 2.5)
    assert shown["from_client"] == {"bytes": 10, "frames": 2, "messages": 1, "close_code": None}
    assert shown["from_upstream"]["close_code"] == 1000


async def test_age_of_zero_is_told_what_is_wrong_with_it(client: Client) -> None:
    body = await problem(await client.get("/v1/connections?min_age=0s"), 400)
    assert body["errors"][0]["message"].startswith("'0s' is not a duration above zero")


@pytest.mark.parametrize(
    "query",
    [
        "kind=quic",
        "label=node",
        "label==n7",
        "min_age=10",
        "min_age=0s",
        "min_idle=400d",
        "limit=0",
        f"limit={MAX_PAGE + 1}",
        "cursor=nope",
        "state=open",
        "pool=a&pool=b",
    ],
)
async def test_query_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert await paths(await client.get(f"/v1/connections?{query}"), 400) == [
        query.partition("=")[0]
    ]


async def test_cursor_of_another_process_leads_nowhere(client: Client) -> None:
    assert await paths(await client.get("/v1/connections?cursor=gone-7"), 404) == ["cursor"]


async def test_connection_is_closed_with_what_is_said(live: FakePlane, client: Client) -> None:
    url = URL("/v1/connections/r-1").with_query(code="4001", reason="bye, b\u00e9b\u00e9")
    response = await client.delete(url)
    assert (response.status, await response.read()) == (204, b"")
    assert (await client.delete("/v1/connections/r-2")).status == 204
    assert live.closed == [("r-1", 4001, "bye, b\u00e9b\u00e9"), ("r-2", 1001, "")]


@pytest.mark.parametrize("query", ["code=999", "code=1005", "code=x", f"reason={'%C3%A9' * 62}"])
async def test_close_that_cannot_be_sent_is_refused(
    live: FakePlane, client: Client, query: str
) -> None:
    url = URL(f"/v1/connections/r-1?{query}", encoded=True)
    assert await paths(await client.delete(url), 400) == [query.partition("=")[0]]
    assert live.closed == []


async def test_connection_that_is_gone_is_not_found(client: Client) -> None:
    assert "ended" in (await problem(await client.get("/v1/connections/r-9"), 404))["detail"]
    await problem(await client.delete("/v1/connections/r-9"), 404)


async def test_reading_needs_read_and_closing_needs_drain(
    live: FakePlane, connect: Connect
) -> None:
    client = await connect("10.0.0.1:9901", TOKENS)
    assert (await client.get("/v1/connections")).status == 401
    assert (await client.get("/v1/connections/r-1", headers=bearer("r"))).status == 200
    await problem(await client.delete("/v1/connections/r-1", headers=bearer("r")), 403)
    assert live.closed == []
    assert (await client.delete("/v1/connections/r-1", headers=bearer("d"))).status == 204


def test_every_field_of_a_connection_is_described() -> None:
    assert [one.name for one in fields(ConnectionView)] == list(ConnectionBody.model_fields)
