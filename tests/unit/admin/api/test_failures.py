"""``/v1/failures`` over the API."""

from __future__ import annotations

from dataclasses import fields

import pytest

from admin.api.bodies.failures import Attempt, FailureBody
from admin.api.failures import PAGE
from proxy.telemetry.failures import FAILURES, FailedAttempt, FailedRequest
from tests.unit.admin.api.answers import ok, paths, problem
from tests.unit.admin.api.test_auth import TOKENS, bearer
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import FakePlane

ATTEMPT = FailedAttempt(
    endpoint="blue",
    address="127.0.0.1:8001",
    reason="connect_failed",
    status=None,
    duration_s=0.01,
    connect_s=None,
    ttfb_s=None,
)


def failed(
    number: int, route: str | None = "all", pool: str = "backend", reason: str = "connect_failed"
) -> FailedRequest:
    return FailedRequest(
        id=f"id-{number}",
        time=float(number),
        listener="public",
        route=route,
        pool=pool,
        method="GET",
        path="/a",
        status=502,
        reason=reason,
        side="upstream",
        duration_s=0.02,
        attempts=(ATTEMPT,),
        revision=1,
    )


@pytest.fixture
def failing(plane: FakePlane) -> FakePlane:
    """Let four requests have failed."""
    plane.failures.add(failed(1))
    plane.failures.add(failed(2, route="chat"))
    plane.failures.add(failed(3, pool="spare", reason="read_timeout"))
    plane.failures.add(failed(4, route=None, reason="no_route"))
    return plane


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("?limit=2", [4, 3]),
        ("?route=all", [3, 1]),
        ("?pool=backend", [4, 2, 1]),
        ("?reason=read_timeout", [3]),
        ("?route=all&reason=no_route", []),
        ("?route=nope", []),
    ],
)
async def test_failures_are_listed_newest_first_and_filtered(
    failing: FakePlane, client: Client, query: str, expected: list[int]
) -> None:
    response = await client.get(f"/v1/failures{query}")
    assert response.headers["Cache-Control"] == "no-store"
    page = await ok(response)
    assert [one["id"] for one in page["items"]] == [f"id-{number}" for number in expected]
    assert page["recorded"] == 4


async def test_one_failure_is_shown_whole(failing: FakePlane, client: Client) -> None:
    shown = await ok(await client.get("/v1/failures/id-3"))
    FailureBody.model_validate(shown)
    assert (shown["pool"], shown["reason"]) == ("spare", "read_timeout")
    assert shown["attempts"] == [
        {
            "endpoint": "blue",
            "address": "127.0.0.1:8001",
            "reason": "connect_failed",
            "status": None,
            "duration_s": 0.01,
            "connect_s": None,
            "ttfb_s": None,
        }
    ]


async def test_request_that_is_not_remembered_is_not_found(client: Client) -> None:
    assert "succeeded" in (await problem(await client.get("/v1/failures/nope"), 404))["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", f"limit={FAILURES + 1}", "limit=x", "reason=bad_luck", "side=client"]
)
async def test_query_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert await paths(await client.get(f"/v1/failures?{query}"), 400) == [query.partition("=")[0]]


async def test_page_is_shorter_than_what_is_remembered(plane: FakePlane, client: Client) -> None:
    for number in range(PAGE + 1):
        plane.failures.add(failed(number))
    assert len((await ok(await client.get("/v1/failures")))["items"]) == PAGE
    assert len((await ok(await client.get("/v1/failures?limit=500")))["items"]) == PAGE + 1


async def test_failures_need_the_role_read(connect: Connect) -> None:
    client = await connect("10.0.0.1:9901", TOKENS)
    assert (await client.get("/v1/failures")).status == 401
    assert (await client.get("/v1/failures", headers=bearer("r"))).status == 200


def test_every_field_of_a_failure_is_described() -> None:
    for part, model in ((FailedRequest, FailureBody), (FailedAttempt, Attempt)):
        assert [one.name for one in fields(part)] == list(model.model_fields)
