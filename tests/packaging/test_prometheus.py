"""A real Prometheus scrapes a real sidecar, and answers what the dashboard asks: opt-in, 10 s."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.packaging.queries import ALERTS, Query, alerts, panel_queries
from tests.packaging.sidecar import sidecar
from tests.peers import within

PROMETHEUS = shutil.which("prometheus")

pytestmark = [
    pytest.mark.skipif("HOTSPLICE_TEST_OBSERVE" not in os.environ, reason="make observe-test"),
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]

ANSWER_S = 30.0
"""For Prometheus to start, and then for two scrapes with something in between."""

NOTHING_THERE = {"Connections left A", "WebSockets told to go A", "Endpoints by DNS B"}
"""Panels of what only a drain brings about, or a pool that follows DNS."""


@asynccontextmanager
async def prometheus(folder: Path, telemetry: str) -> AsyncIterator[str]:
    """Run one that scrapes a sidecar each half second; gives its address."""
    assert PROMETHEUS is not None
    target = {"targets": [telemetry], "labels": {"namespace": "shop", "pod": "shop-1"}}
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "hotsplice", "static_configs": [target]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        # Prometheus does not tell which port it was given, so it cannot be 0.
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "prometheus.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            PROMETHEUS,
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://{address}"
        finally:
            child.terminate()
            await within(child.wait(), "Prometheus to end")


async def test_prometheus_answers_what_the_dashboard_asks(tmp_path: Path) -> None:
    queries = [*panel_queries(), *(Query(one["alert"], one["expr"]) for one in alerts())]
    async with (
        sidecar(tmp_path) as running,
        prometheus(tmp_path, running.telemetry) as server,
        aiohttp.ClientSession() as session,
    ):

        async def ask(query: Query) -> list[Any]:
            parameters = {"query": query.filled_in("5s")}
            async with session.get(f"{server}/api/v1/query", params=parameters) as answer:
                told = await answer.json()
                assert told["status"] == "success", (query, told)
                return list(told["data"]["result"])

        async def answered() -> None:
            wanted = {one.where for one in panel_queries()} - NOTHING_THERE
            while wanted:
                await running.work()
                try:
                    answers = {one.where: await ask(one) for one in queries}
                except (aiohttp.ClientConnectionError, aiohttp.ContentTypeError):
                    continue  # it is starting
                wanted -= {where for where, answer in answers.items() if answer}
                missing[:] = sorted(wanted)

        missing: list[str] = ["everything"]
        try:
            async with asyncio.timeout(ANSWER_S):
                await answered()
        except TimeoutError:
            pytest.fail(
                f"no answer to {missing}: {(tmp_path / 'prometheus.log').read_text()[-2000:]}"
            )
        async with session.get(f"{server}/api/v1/rules") as answer:
            (group,) = (await answer.json())["data"]["groups"]
        assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
