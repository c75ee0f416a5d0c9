"""Access logs of the real process: rotated by signals, written over REST, on a full disk."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.admin.process import Process, process
from tests.peers import eventually, within


def document(blue: str, logs: list[dict[str, Any]]) -> str:
    """Write a document as YAML, which JSON is."""
    return json.dumps({
        "listeners": {"public": {"bind": "127.0.0.1:0", "access_log": logs}},
        "pools": {"b": {"endpoints": {"one": {"address": blue}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "b"}},
    })  # fmt: skip


async def public(running: Process) -> str:
    ready = await running.ready()
    return f"http://{ready['listeners']['public']}"


def read(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def lines(path: Path, number: int) -> list[str]:
    await eventually(lambda: len(read(path)) >= number, f"{number} lines in {path}")
    return read(path)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
async def test_signal_after_a_rotation_makes_the_file_anew(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str, number: signal.Signals
) -> None:
    path, old = tmp_path / "a.log", tmp_path / "old.log"
    config = tmp_path / "c.json"
    config.write_text(document(blue, [{"to": str(path), "format": "$uri $status"}]))
    async with process(tmp_path, "run", "--config", str(config)) as running:
        site = await public(running)
        async with session.get(f"{site}/1") as answer:
            assert answer.status == 200
        await lines(path, 1)
        path.rename(old)
        running.signal(number)
        await eventually(path.exists, "the file to be made anew")
        async with session.get(f"{site}/2") as answer:
            assert answer.status == 200
        assert await lines(path, 1) == ["/2 200"]
        assert await lines(old, 1) == ["/1 200"]
        assert (await running.terminated())[0] == 0


async def test_standard_output_that_is_full_stops_nothing_and_is_counted(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    config = tmp_path / "c.json"
    config.write_text(document(blue, [{"to": "/dev/stdout", "format": "combined"}]))
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with process(tmp_path, "run", "--config", str(config), stdout=full) as running:
            site = await public(running)
            metrics = f"http://{running.whereabouts()['telemetry']}/metrics"
            for _ in range(5):
                async with session.get(f"{site}/") as answer:
                    assert answer.status == 200

            async def counted() -> None:
                while True:
                    async with session.get(metrics) as answer:
                        if 'hotsplice_access_log_dropped_total{target="stdout"} 5' in (
                            await answer.text()
                        ):
                            return

            await within(counted(), "the losses to be counted")
            assert (await running.terminated())[0] == 0
    finally:
        os.close(full)


async def test_log_that_cannot_be_is_refused_over_rest_and_nothing_changes(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    path = tmp_path / "a.log"
    config = tmp_path / "c.json"
    config.write_text(document(blue, [{"to": str(path), "format": "$uri $status"}]))
    flags = ("--config", str(config), "--admin-auth", "off")
    async with process(tmp_path, "run", *flags) as running:
        site = await public(running)
        api = f"http://{running.whereabouts()['admin']}/v1/listeners/public"
        bad = {
            str(tmp_path / "no" / "a.log"): "No such file or directory",
            "/etc/crontab": "does not end in .log",
        }
        for target, said in bad.items():
            async with session.patch(api, json={"access_log": [{"to": target}]}) as answer:
                assert answer.status == 422
                (error,) = (await answer.json())["errors"]
                assert error["path"] == "/listeners/public/access_log/0/to"
                assert said in error["message"]
        new = tmp_path / "new.log"
        change = {"access_log": [{"to": str(new), "format": "$status "}]}
        async with session.patch(f"{api}?dry_run=true", json=change) as answer:
            assert answer.status == 200
        assert not new.exists()
        async with session.get(f"{site}/1") as answer:
            assert answer.status == 200
        assert await lines(path, 1) == ["/1 200"]
        async with session.patch(api, json=change) as answer:
            assert answer.status == 200
        async with session.get(f"{site}/2") as answer:
            assert answer.status == 200
        assert await lines(new, 1) == ["200 "]
        assert (await running.terminated())[0] == 0
