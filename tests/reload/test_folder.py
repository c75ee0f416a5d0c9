"""A mounted ConfigMap changes: the process follows it under load, as the kubelet swaps it."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from admin.demo import ANYWHERE, echo
from admin.listening import listening
from tests.integration.admin.hotsplice import hotsplice
from tests.integration.admin.process import Process, process
from tests.peers import RawClient, eventually, within
from tests.peers.frames import HANDSHAKE_FIELDS, TEXT, Frame, encode, read_frame
from tests.peers.kubelet import ConfigMapMount

SWAPS = 200
CLIENTS = 16
WEBSOCKETS = 8

BURST = 20
FOLLOWED_S = 1.0
BUSY_S = 4.0
"""A machine that runs tests may be busy: single swaps may be followed later, the median not."""


class Live:
    """A process that follows a folder, and who asks it."""

    def __init__(self, running: Process, ready: dict[str, Any], session: aiohttp.ClientSession):
        self.running: Final = running
        self.public: Final[str] = ready["listeners"]["public"]
        self.environ: Final = {"HOTSPLICE_READY_FILE": str(running.ready_file)}
        self._telemetry: Final[str] = ready["telemetry"]
        self._admin: Final = f"http://{ready['admin']}"
        self._token: Final = Path(ready["admin_token_file"]).read_text().strip()
        self._session: Final = session

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        fields = {"Authorization": f"Bearer {self._token}"}
        if method == "PATCH":
            fields["Content-Type"] = "application/merge-patch+json"
        url = f"{self._admin}{path}"
        data = None if body is None else json.dumps(body)
        if data is not None:
            fields.setdefault("Content-Type", "application/json")
        async with self._session.request(method, url, data=data, headers=fields) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else {}

    async def status(self) -> dict[str, Any]:
        return (await self.ask("GET", "/v1/status"))[1]

    async def metrics(self) -> str:
        async with self._session.get(f"http://{self._telemetry}/metrics") as answer:
            return await answer.text()

    async def until(self, result: str, revision: int) -> dict[str, Any]:
        """Wait until the last apply ended so, and this revision serves."""

        async def look() -> dict[str, Any]:
            while True:
                status = await self.status()
                last = status["last_apply"]["result"], status["revision"]["number"]
                if last == (result, revision):
                    return status

        return await within(look(), f"revision {revision} and {result}")


@asynccontextmanager
async def following(tmp_path: Path, folder: Path) -> AsyncIterator[Live]:
    async with process(tmp_path, "run", "--config", str(folder)) as running:
        ready = await running.ready()
        async with aiohttp.ClientSession() as session:
            yield Live(running, ready, session)


def files(endpoint: str, serial: int) -> dict[str, str]:
    """Return a ConfigMap of two files that have to be read together."""
    routes = {
        "all": {
            "path": {"prefix": "/"},
            "pool": f"app-{serial % 2}",
            "response_headers": {"set": {"X-Serial": str(serial)}},
        }
    }
    pools = {f"app-{serial % 2}": {"endpoints": {"one": {"address": endpoint}}}}
    return {
        "listeners.yaml": "listeners: {public: {bind: '127.0.0.1:0'}}",
        "pools.json": json.dumps({"version": 1, "pools": pools}),
        "routes.yml": json.dumps({"routes": routes}),
    }


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with listening(echo("app"), ANYWHERE) as address:
        yield address


async def load(client: RawClient, over: asyncio.Event, seen: dict[int, float]) -> int:
    """Send requests until it is over; return how many.  Remember when which serial came first."""
    count = newest = 0
    while not over.is_set():
        answer = await client.get(b"/hello")
        serial = int(answer.get(b"x-serial") or b"-1")
        assert (answer.status, answer.closes) == (200, False)
        assert serial >= newest
        newest = serial
        seen.setdefault(serial, time.monotonic())
        count += 1
    return count


async def test_two_hundred_swaps_under_load_fail_no_request(tmp_path: Path, app: str) -> None:
    mount = ConfigMapMount(tmp_path / "config", files(app, 0))
    async with following(tmp_path, mount.path) as live, AsyncExitStack() as stack:
        clients = [await RawClient.connect(live.public, name=f"{n}") for n in range(CLIENTS)]
        sockets = [await RawClient.connect(live.public, name=f"ws{n}") for n in range(WEBSOCKETS)]
        for client in (*clients, *sockets):
            stack.callback(client.close)
        for each in sockets:
            assert (await each.request(b"GET", b"/ws", *HANDSHAKE_FIELDS)).status == 101
        over = asyncio.Event()
        seen: dict[int, float] = {}
        loads = [asyncio.create_task(load(client, over, seen)) for client in clients]

        delays = []
        for serial in range(1, SWAPS + 1):
            began = time.monotonic()
            mount.update(files(app, serial))
            if serial > SWAPS - BURST and serial < SWAPS:
                continue
            await eventually(partial(seen.__contains__, serial), f"serial {serial}")
            delays.append(seen[serial] - began)
        over.set()
        counts = await asyncio.gather(*loads)
        for each in sockets:
            await each.send(encode(TEXT, b"on", mask=True))
            assert await read_frame(each) == Frame(TEXT, b"app: on")
        revision = (await live.status())["revision"]
    assert sorted(delays)[len(delays) // 2] < FOLLOWED_S
    assert max(delays) < BUSY_S
    assert min(counts) > 0
    # A burst is less than a revision each.
    assert SWAPS - BURST < revision["number"] - 1 < SWAPS
    assert revision["source"] == "folder"


async def test_bad_folder_changes_nothing_and_is_shown_everywhere(tmp_path: Path, app: str) -> None:
    mount = ConfigMapMount(tmp_path / "config", files(app, 0))
    async with following(tmp_path, mount.path) as live:
        mount.update(files(app, 1) | {"more.yaml": "pools: {app-1: {}, other: {wieght: 1}}"})
        status = await live.until("refused", 1)
        assert status["folder"]["faults"] == [
            {"path": "pools.json:/pools/app-1", "message": "more.yaml has it too",
             "hint": "an object stands in one file"}
        ]  # fmt: skip
        mount.update(files(app, 1) | {"more.yaml": "pools: {other: {wieght: 1}}"})
        while "wieght" not in str(status["folder"]["faults"]):
            status = await live.status()
        (fault,) = status["folder"]["faults"]
        assert fault["path"] == "more.yaml:/pools/other/wieght"
        assert status["folder"]["unserved"] == status["drift"]
        assert set(status["drift"]) == {"/pools/app-0", "/pools/app-1", "/pools/other",
                                        "/routes/all"}  # fmt: skip
        metrics = await live.metrics()
        for line in (
            'hotsplice_config_applies_total{result="refused",source="folder"} 2.0',
            "hotsplice_config_drift 4.0",
            "hotsplice_config_last_apply_successful 0.0",
        ):
            assert line in metrics.splitlines()
        shown = await hotsplice("status", environ=live.environ)
        assert f"folder {mount.path}: refused" in shown.out
        assert "more.yaml:/pools/other/wieght: unknown key 'wieght'" in shown.out
        mount.update(files(app, 1))
        status = await live.until("applied", 2)
        assert (status["folder"]["faults"], status["drift"]) == ([], [])
        _, said = await live.running.terminated()
        events = [json.loads(line) for line in said.splitlines()]
        refused = [event for event in events if event["event"] == "config_refused"]
        assert [event["source"] for event in refused] == ["folder"] * 2
        assert "more.yaml:/pools/other/wieght" in refused[1]["faults"][0]


async def test_rest_adds_beside_the_folder_and_changes_nothing_in_it(
    tmp_path: Path, app: str
) -> None:
    mount = ConfigMapMount(tmp_path / "config", files(app, 0))
    async with following(tmp_path, mount.path) as live:
        for method, path, body in (
            ("PUT", "/v1/pools/app-0", {}),
            ("PATCH", "/v1/pools/app-0", {"balance": "random"}),
            ("DELETE", "/v1/routes/all", None),
            ("DELETE", "/v1/pools/app-0/endpoints/one", None),
            ("PUT", "/v1/config", {"version": 1}),
            ("PATCH", "/v1/config", {"routes": {"all": {"pool": "x"}}, "pools": {"x": {}}}),
            ("POST", "/v1/revisions/0/restore", None),
        ):
            code, problem = await live.ask(method, path, body)
            assert code == 409, (method, path, problem)
            assert str(mount.path) in problem["detail"]
            assert all("belongs to the file" in fault["message"] for fault in problem["errors"])
        assert "pools.json" in (await live.ask("PUT", "/v1/pools/app-0", {}))[1]["detail"]
        mine = {"path": {"prefix": "/mine/"}, "pool": "app-0"}
        assert (await live.ask("PUT", "/v1/routes/mine", mine))[0] == 201
        path = "/v1/pools/app-0/endpoints/one/override"
        assert (await live.ask("PUT", path, {"state": "drain", "ttl": "1h"}))[0] == 201
        status = await live.status()
        assert status["folder"]["beside"] == status["drift"] == ["/routes/mine"]
        assert status["folder"]["objects"]["/routes/all"] == "routes.yml"
        shown = await hotsplice("status", environ=live.environ)
        assert (
            "beside the folder: /routes/mine; to revert: hotsplice delete routes/mine" in shown.out
        )
        for what, file in (("pools/app-0", "pools.json"), ("routes/all", "routes.yml")):
            got = await hotsplice("get", what, environ=live.environ)
            assert f"it belongs to {mount.path}/{file}: change it there" in got.err
        assert "belongs" not in (await hotsplice("get", "routes/mine", environ=live.environ)).err
        refused = await hotsplice("patch", "routes/all", "{}", "--note", "x", environ=live.environ)
        assert refused.status == 0, refused  # it changes nothing
        refused = await hotsplice("delete", "routes/all", environ=live.environ)
        assert refused.status == 4
        assert "/routes/all: it belongs to the file routes.yml" in refused.err


async def test_plain_folder_that_comes_and_goes_is_followed(tmp_path: Path, app: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()

    def write(serial: int) -> None:
        for name, text in files(app, serial).items():
            (folder / name).write_text(text)

    write(0)
    async with following(tmp_path, folder) as live:
        folder.rename(tmp_path / "away")
        status = await live.until("refused", 1)
        (fault,) = status["folder"]["faults"]
        assert fault["message"] == "cannot be read: No such file or directory"
        folder.mkdir()
        while "there is no document" not in str(status["folder"]["faults"]):
            status = await live.status()
        write(1)
        await live.until("applied", 2)
        write(2)
        await live.until("applied", 3)
        live.running.signal(signal.SIGHUP)
        await live.until("unchanged", 3)


async def test_folder_with_faults_is_not_started_with(tmp_path: Path) -> None:
    ConfigMapMount(tmp_path / "config", {"a.yaml": "pools: {a: {x: 1}}", "b.json": '{"pool": {}}'})
    async with process(tmp_path, "run", "--config", str(tmp_path / "config")) as running:
        status, said = await running.ended()
    assert status == 2
    assert "a.yaml:/pools/a/x: unknown key 'x'" in said
    assert "b.json:/pool: unknown key 'pool'" in said
