"""``/v1/explain`` over the API: questions, faults, roles, and what is answered."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from admin.api.bodies import explanations
from admin.api.bodies.explanations import ExplanationBody
from admin.controller import Controller
from proxy.explain import explanation
from tests.unit.admin.api.answers import ok, paths
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import DOCUMENT, FakePlane

ASKED: dict[str, Any] = {"url": "http://example.org/a?b=c", "headers": {"Upgrade": "websocket"}}


async def explained(api: Client, **asked: object) -> dict[str, Any]:
    answer: dict[str, Any] = await ok(await api.post("/v1/explain", json={**ASKED, **asked}))
    ExplanationBody.model_validate(answer)
    return answer


async def test_question_is_answered_by_what_serves(client: Client) -> None:
    answer = await explained(client)
    assert answer["route"] == "all"
    assert answer["lookups"][0]["why"].startswith("its prefix /")
    assert answer["header_maps"][0]["entry"] == "/header_maps/connection_upgrade/default"
    assert answer["passing"]["endpoint"] == "127.0.0.1:8000"
    assert answer["passing"]["octets"].startswith("GET /a?b=c HTTP/1.1\r\nX-Upgrade: upgrade\r\n")
    assert answer["answer"] is None


async def test_answer_is_never_stored(client: Client) -> None:
    response = await client.post("/v1/explain", json=ASKED)
    assert response.headers["Cache-Control"] == "no-store"


async def test_candidate_is_asked_and_does_not_serve(
    client: Client, controller: Controller, plane: FakePlane
) -> None:
    config = {**DOCUMENT, "routes": {"none": {"path": {"exact": "/a"}, "respond": {"status": 410}}}}
    answer = await explained(client, config=config)
    assert (answer["revision"], answer["route"], answer["answer"]["status"]) == (None, "none", 410)
    assert (controller.revision.number, len(plane.published)) == (1, 1)
    assert (await explained(client))["route"] == "all"


async def test_every_value_of_a_field_is_sent(client: Client) -> None:
    answer = await explained(client, headers={"X": ["1", "2"], "Y": "3"}, method="PUT")
    assert answer["request"] == (
        "PUT /a?b=c HTTP/1.1\r\nHost: example.org\r\nX: 1\r\nX: 2\r\nY: 3\r\n\r\n"
    )


async def test_client_that_is_named_asks(client: Client) -> None:
    answer = await explained(client, client="192.0.2.9")
    assert answer["client"]["address"] == "192.0.2.9"
    assert "X-Forwarded-For: 192.0.2.9\r\n" in answer["passing"]["octets"]


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"url": None}, "/url"),
        ({"url": "no url"}, "/url"),
        ({"method": "A B"}, "/method"),
        ({"method": 1}, "/method"),
        ({"headers": {"X": "a\r\nb"}}, "/headers"),
        ({"headers": {"X": 1}}, "/headers/X"),
        ({"client": "somebody"}, "/client"),
        ({"listener": "nope"}, "/listener"),
        ({"lisener": "public"}, "/lisener"),
        ({"config": []}, "/config"),
        ({"config": {"version": 1, "routs": {}}}, "/config/routs"),
        ({"config": {**DOCUMENT, "listeners": {}}}, "/listener"),
    ],
)
async def test_question_with_a_fault_is_told_where(
    client: Client, asked: dict[str, object], path: str
) -> None:
    response = await client.post("/v1/explain", json={**ASKED, **asked})
    found = await paths(response, 422)
    assert any(one.startswith(path) for one in found), found


async def test_question_needs_no_more_than_reading(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    await explained(client)
    response = await client.post("/v1/explain", json=ASKED, headers=bearer("r"))
    assert response.status == 200


async def test_question_beyond_loopback_needs_a_token(connect: Connect) -> None:
    client = await connect("10.0.0.1:9901", TOKENS)
    assert (await client.post("/v1/explain", json=ASKED)).status == 401
    assert (await client.post("/v1/explain", json=ASKED, headers=bearer("r"))).status == 200


def test_every_part_of_an_explanation_is_described() -> None:
    described = {
        "Client": "ExplainedClient",
        "Condition": "ExplainedCondition",
        "Limits": "ExplainedLimits",
        "Explanation": "ExplanationBody",
    }
    parts = [one for one in vars(explanation).values() if is_dataclass(one)]
    assert len(parts) > 10
    for part in parts:
        assert isinstance(part, type)
        model = getattr(explanations, described.get(part.__name__, part.__name__))
        assert [one.name for one in fields(part)] == list(model.model_fields)
