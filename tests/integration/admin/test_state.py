"""``--state-dir``: what a process was is what the next one is, however it ended."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.integration.admin.process import Process, process
from tests.peers import within

KILLS: Final = int(os.environ.get("HOTSPLICE_TEST_KILLS", "40"))
"""How often a process is killed while it is written to; each time takes about half a second."""

STREAM_S: Final = 0.08
"""It is killed within this time of the first write."""

PAD: Final = 8 * 1024
"""Octets that each write changes, so that the file is written anew now and then."""


def document(folder: Path, number: int, pad: int = 0) -> dict[str, Any]:
    """Return a document that answers with its number."""
    return {
        "version": 1,
        "listeners": {"public": {"bind": f"unix:{folder / 'data.sock'}"}},
        "pools": {"backend": {"endpoints": {"blue": {"address": "127.0.0.1:1"}}}},
        "routes": {
            "all": {"path": {"prefix": "/"}, "respond": {"status": 200, "body": str(number)}}
        },
        "x-number": number,
        "x-pad": random.Random(number).randbytes(pad // 2).hex(),
    }


class Sidecar:
    """A process with its state beside it, and clients of it."""

    def __init__(self, running: Process, folder: Path, admin: aiohttp.ClientSession) -> None:
        self.running: Final = running
        self._folder: Final = folder
        self._admin: Final = admin

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Ask the admin API."""
        async with self._admin.request(method, f"http://admin{path}", **more) as answer:
            return answer.status, await answer.json()

    async def read(self, path: str) -> Any:
        """Read something that is there."""
        status, body = await self.ask("GET", path)
        assert status == 200, body
        return body

    async def put(self, number: int, pad: int = 0, **query: str) -> tuple[int, Any]:
        """Write the document with a number."""
        whole = document(self._folder, number, pad)
        return await self.ask("PUT", "/v1/config", json=whole, params=query)

    async def served(self) -> str:
        """Return what the data listener answers."""
        connector = aiohttp.UnixConnector(str(self._folder / "data.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://data/") as answer,
        ):
            return await answer.text()

    async def kill(self) -> None:
        """End the process as no process likes it."""
        self.running.signal(signal.SIGKILL)
        await self.running.ended()


@asynccontextmanager
async def sidecar(tmp_path: Path, *flags: str) -> AsyncIterator[Sidecar]:
    """Start it, in the same folder each time."""
    (tmp_path / "ready.json").unlink(missing_ok=True)
    socket = tmp_path / "admin.sock"
    state = str(tmp_path / "state")
    words = ("--admin", f"unix:{socket}", "--state-dir", state, "--drain-accept", "0s", *flags)
    async with process(tmp_path, "run", *words) as running:
        await running.ready()
        timeout = aiohttp.ClientTimeout(total=30)
        connector = aiohttp.UnixConnector(str(socket))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as admin:
            yield Sidecar(running, tmp_path, admin)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_killed_process_goes_on_as_it_was(tmp_path: Path) -> None:
    path = "/v1/pools/backend/endpoints/blue/override"
    async with sidecar(tmp_path) as first:
        status, body = await first.put(1)
        assert status == 200, body
        assert (await first.put(2, note="why"))[0] == 200
        override = {"state": "down", "ttl": "1h"}
        assert (await first.ask("PUT", path, json=override))[0] == 201
        revisions = await first.read("/v1/revisions")
        await first.kill()
    assert (mode(tmp_path / "state"), mode(tmp_path / "state" / "state.journal")) == (0o700, 0o600)
    async with sidecar(tmp_path) as second:
        assert await second.read("/v1/config") == document(tmp_path, 2)
        assert await second.served() == "2"
        assert await second.read("/v1/revisions") == revisions
        assert (await second.read(path))["state"] == "down"
        status = await second.read("/v1/status")
        assert (status["revision"]["number"], status["revision"]["note"]) == (2, "why")
        assert status["pools"]["backend"]["endpoints"][0]["state"] == "down"
        assert (await second.ask("POST", "/v1/revisions/1/restore"))[0] == 200
        assert await second.served() == "1"
        assert (await second.running.terminated())[0] == 0
    async with sidecar(tmp_path) as third:
        assert await third.served() == "1"


async def test_unconfirmed_revision_is_taken_back_by_the_next_process(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as first:
        await first.put(1)
        assert (await first.put(2, confirm_within="1s"))[0] == 200
        await first.kill()
    async with sidecar(tmp_path) as second:

        async def rolled_back() -> None:
            while (await second.read("/v1/status"))["revision"]["source"] != "rollback":
                pass

        await within(rolled_back(), "the rollback")
        assert await second.read("/v1/config") == document(tmp_path, 1)
        assert await second.served() == "1"
        assert (await second.read("/v1/status"))["revision"]["number"] == 3


async def test_file_that_changed_wins_and_what_was_kept_stays_a_revision(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(document(tmp_path, 1)))
    flags = ("--config", str(file))
    async with sidecar(tmp_path, *flags) as first:
        await first.put(2)
        await first.kill()
    file.write_text(json.dumps(document(tmp_path, 1), indent=3))
    async with sidecar(tmp_path, *flags) as second:
        assert await second.served() == "2"
        assert "/x-number" in (await second.read("/v1/status"))["drift"]
        await second.kill()
    file.write_text(json.dumps(document(tmp_path, 3)))
    async with sidecar(tmp_path, *flags) as third:
        assert await third.served() == "3"
        assert (await third.read("/v1/revisions/2"))["document"] == document(tmp_path, 2)
        await third.kill()
    file.write_text("{")
    async with sidecar(tmp_path, *flags) as fourth:
        assert await fourth.served() == "3"
        status, said = await fourth.running.terminated()
    assert (status, "file_refused" in said) == (0, True)


async def test_damaged_file_is_set_aside_and_the_process_starts(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(document(tmp_path, 1)))
    journal = tmp_path / "state" / "state.journal"
    async with sidecar(tmp_path, "--config", str(file)) as first:
        await first.put(2)
        await first.kill()
    garbage = b"\xff" * 1000
    journal.write_bytes(garbage)
    async with sidecar(tmp_path, "--config", str(file)) as second:
        assert await second.served() == "1"
        status, said = await second.running.terminated()
    (line,) = (line for line in said.splitlines() if '"state_damaged"' in line)
    assert (status, "Traceback" in said) == (0, False)
    aside = journal.with_name("state.journal.damaged-1")
    assert json.loads(line)["set_aside"] == str(aside)
    assert aside.read_bytes() == garbage


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no limits for other processes")
async def test_full_disk_refuses_writes_and_everything_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "state" / "state.journal"
    async with sidecar(tmp_path) as running:
        await running.put(1)
        pid = running.running.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 50, hard))
        status, body = await running.put(2)
        assert (status, body["status"]) == (507, 507)
        assert "File too large" in body["detail"]
        path = "/v1/pools/backend/endpoints/blue/override"
        override = {"state": "down", "ttl": "1h"}
        assert (await running.ask("PUT", path, json=override))[0] == 507
        assert await running.served() == "1"
        assert await running.read("/v1/config") == document(tmp_path, 1)
        assert (await running.put(1))[0] == 200
        assert (await running.read("/v1/status"))["revision"]["number"] == 1
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert (await running.put(3))[0] == 200
        await running.kill()
    async with sidecar(tmp_path) as again:
        assert await again.served() == "3"
        assert (await again.read("/v1/status"))["revision"]["number"] == 2


async def test_folder_in_use_ends_with_1_and_says_so(tmp_path: Path) -> None:
    async with sidecar(tmp_path):
        (tmp_path / "other").mkdir()
        flags = ("--state-dir", str(tmp_path / "state"))
        async with process(tmp_path / "other", "run", *flags) as other:
            status, said = await other.ended()
    assert (status, "another process uses it" in said, "Traceback" in said) == (1, True, False)


async def test_token_lives_under_the_state_folder(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    async with process(
        tmp_path, "run", HOTSPLICE_STATE_DIR=state, HOTSPLICE_DRAIN_ACCEPT="0s"
    ) as running:
        token_file = Path((await running.ready())["admin_token_file"])
        assert token_file == tmp_path / "state" / "admin.token"
        assert mode(token_file) == 0o600
        assert (await running.terminated())[0] == 0
    assert list((tmp_path / "state").iterdir()) == []


class Writes:
    """A stream of writes, and what was heard of them."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.under_way = 0

    async def go_on(self, sidecar: Sidecar) -> None:
        """Write until the process is gone."""
        while True:
            try:
                await self.write(sidecar)
            except (aiohttp.ClientError, ConnectionError):
                return

    async def write(self, sidecar: Sidecar) -> None:
        self.under_way = self.acknowledged + 1
        status, body = await sidecar.put(self.under_way, PAD)
        assert status == 200, body
        self.acknowledged = self.under_way


@pytest.mark.timeout(60 + 3 * KILLS)
async def test_process_killed_at_any_moment_loses_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    chance = random.Random(time.time_ns())
    writes = Writes()
    for _ in range(KILLS):
        async with sidecar(tmp_path) as running:
            config = await running.read("/v1/config")
            number = config.get("x-number", 0)
            assert number in (writes.acknowledged, writes.under_way)
            if number:
                assert config == document(tmp_path, number, PAD)
                assert await running.served() == str(number)
            revisions = (await running.read("/v1/revisions?limit=100"))["items"]
            numbers = [one["number"] for one in revisions]
            assert numbers == list(range(numbers[0], numbers[-1] - 1, -1))
            assert numbers[0] == number
            writes.acknowledged = writes.under_way = number
            if chance.random() < 0.8:  # the first takes longer than the stream has
                await writes.write(running)
            asyncio.get_running_loop().call_later(
                chance.uniform(0, STREAM_S), running.running.signal, signal.SIGKILL
            )
            await within(writes.go_on(running), "the process to be killed")
            await running.running.ended()
    assert writes.acknowledged > KILLS
