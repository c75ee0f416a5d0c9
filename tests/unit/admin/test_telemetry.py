from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest
from aiohttp.pytest_plugin import AiohttpClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from admin.controller import Controller, RefusedError
from admin.records import Override
from admin.revisions import Origin
from admin.telemetry import application
from tests.peers import settle, within
from tests.unit.admin.conftest import Client
from tests.unit.admin.plane import FakePlane

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


class Gate:
    def __init__(self) -> None:
        self.started = True


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def telemetry(
    aiohttp_client: AiohttpClient,
    plane: FakePlane,
    controller: Controller,
    counts: Counter[int],
    gate: Gate,
) -> Client:
    started: Callable[[], bool] = lambda: gate.started  # noqa: E731
    return await aiohttp_client(application(plane, controller, counts, started))


async def samples(telemetry: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = await telemetry.get("/metrics", headers=OPENMETRICS)
    assert response.status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(  # type: ignore[no-untyped-call]
            await response.text()
        )
        for sample in family.samples
    }


async def test_metrics_tell_of_the_control_plane(
    telemetry: Client, controller: Controller, counts: Counter[int]
) -> None:
    counts.update({200: 3, 404: 1})
    with pytest.raises(RefusedError):
        await controller.change(lambda raw: {"version": 2}, Origin("rest", "ops"))
    found = await samples(telemetry)
    assert found["hotsplice_config_revision", frozenset()] == 1
    assert found["hotsplice_config_drift", frozenset()] == 0
    assert found["hotsplice_config_last_apply_successful", frozenset()] == 0
    assert found["hotsplice_config_last_apply_timestamp_seconds", frozenset()] > 1e9
    assert found["hotsplice_admin_requests_total", frozenset({("code", "404")})] == 1
    applies = {
        tuple(sorted(labels)): value
        for (name, labels), value in found.items()
        if name == "hotsplice_config_applies_total"
    }
    assert applies == {
        (("result", "applied"), ("source", "file")): 1,
        (("result", "refused"), ("source", "rest")): 1,
    }


async def test_metrics_count_overrides_and_show_what_they_do(
    telemetry: Client, controller: Controller
) -> None:
    blue = frozenset({("pool", "backend"), ("endpoint", "blue")})
    assert (await samples(telemetry))["hotsplice_overrides_active", frozenset()] == 0
    now = time.time()
    await controller.overrides.put(Override("backend", "blue", "down", None, now, now + 60, "ops"))
    found = await samples(telemetry)
    assert found["hotsplice_overrides_active", frozenset()] == 1
    assert found["hotsplice_endpoint_up", blue] == 0


async def test_metrics_of_the_data_plane_are_there(telemetry: Client) -> None:
    found = await samples(telemetry)
    blue = frozenset({("pool", "backend"), ("endpoint", "blue")})
    assert found["hotsplice_endpoint_up", blue] == 1


async def test_metrics_are_the_same_in_turns_with_the_traffic_and_in_a_thread(
    telemetry: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turns = await samples(telemetry)
    monkeypatch.setattr("admin.telemetry.ENDPOINTS_INLINE", 0)
    in_thread = await samples(telemetry)
    assert in_turns.keys() == in_thread.keys()
    revision = "hotsplice_config_revision", frozenset[tuple[str, str]]()
    assert in_turns[revision] == in_thread[revision] == 1


async def test_metrics_are_text_without_an_accept(telemetry: Client) -> None:
    response = await telemetry.get("/metrics", skip_auto_headers=["Accept"])
    assert response.content_type == "text/plain"
    assert response.headers["Vary"] == "Accept"


async def test_many_objects_are_rendered_too(telemetry: Client, controller: Controller) -> None:
    endpoints: dict[str, object] = {f"10.0.0.{number}:80": {} for number in range(1, 51)}
    pools = {f"p{number}": {"endpoints": endpoints} for number in range(4)}
    await controller.change(lambda raw: {"pools": pools}, Origin("rest", "ops"))
    found = await samples(telemetry)
    assert sum(name == "hotsplice_endpoint_up" for name, _ in found) == 200


async def test_process_that_answers_is_alive(telemetry: Client, plane: FakePlane) -> None:
    plane.ready = False
    assert (await telemetry.get("/livez")).status == 200


async def test_readiness_follows_start_listeners_and_drain(
    telemetry: Client, plane: FakePlane, gate: Gate
) -> None:
    async def asked() -> tuple[int, str]:
        response = await telemetry.get("/readyz")
        return response.status, await response.text()

    assert await asked() == (200, "ok\n")
    gate.started = False
    assert await asked() == (503, "starting\n")
    gate.started, plane.ready = True, False
    assert await asked() == (503, "starting\n")
    plane.drain(timeout_s=1, accept_s=0)
    assert await asked() == (503, "draining\n")


async def test_drained_answers_when_the_drain_is_done(telemetry: Client, plane: FakePlane) -> None:
    asking = asyncio.create_task(telemetry.get("/drained?wait=60s"))
    await settle()
    assert not asking.done()
    plane.done.set()
    response = await within(asking, "the answer of /drained")
    assert (response.status, await response.text()) == (200, "drained\n")


@pytest.mark.parametrize("query", ["", "?wait=10ms", "?wait=1h&begin=10ms", "?wait=10ms&begin=1h"])
async def test_drained_is_503_if_no_drain_has_begun(telemetry: Client, query: str) -> None:
    response = await within(telemetry.get("/drained" + query), "the answer of /drained")
    assert (response.status, await response.text()) == (503, "no drain has begun\n")


async def test_drained_goes_on_waiting_for_a_drain_that_has_begun(
    telemetry: Client, plane: FakePlane
) -> None:
    asking = asyncio.create_task(telemetry.get("/drained?wait=60s&begin=20ms"))
    await settle()
    plane.drain(timeout_s=1, accept_s=0)
    # What asks later, and would give up as early, is answered first.
    assert (await telemetry.get("/drained?wait=20ms&begin=20ms")).status == 503
    await settle()
    assert not asking.done()
    plane.done.set()
    assert (await within(asking, "the answer of /drained")).status == 200


@pytest.mark.parametrize("query", ["", "?wait=10ms", "?wait=20ms&begin=10ms"])
async def test_drained_is_503_at_the_end_of_the_wait(
    telemetry: Client, plane: FakePlane, query: str
) -> None:
    plane.drain(timeout_s=1, accept_s=0)
    plane.remaining = 2
    response = await telemetry.get("/drained" + query)
    assert (response.status, await response.text()) == (503, "2 connections remain\n")


async def test_drained_without_a_wait_is_200_once_done(telemetry: Client, plane: FakePlane) -> None:
    plane.done.set()
    assert (await telemetry.get("/drained")).status == 200


@pytest.mark.parametrize("query", ["wait=60", "wait=60s&begin=60"])
async def test_drained_with_a_bad_time_is_400(telemetry: Client, query: str) -> None:
    response = await telemetry.get(f"/drained?{query}")
    assert response.status == 400
    said = await response.text()
    assert said.startswith(query.rpartition("&")[2].partition("=")[0])
    assert "60s" in said


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/drained"])
async def test_telemetry_is_only_read(telemetry: Client, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await telemetry.request(method, path)).status == 405
    assert (await telemetry.head(path)).status in (200, 503)


async def test_admin_api_is_not_on_this_listener(telemetry: Client) -> None:
    assert (await telemetry.get("/v1/config")).status == 404
