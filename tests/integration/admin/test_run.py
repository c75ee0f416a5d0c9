"""``hotsplice run`` and ``demo`` as processes: files, signals, exit statuses."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect

from admin.demo import ANYWHERE
from admin.listening import listening
from tests.integration.admin.process import process
from tests.peers import within

FAST = ("--drain-timeout", "10s", "--drain-accept", "0s")


def document(endpoint: str, **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "pools": {"backend": {"endpoints": {endpoint: {}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
        **more,
    }


def write(path: Path, value: object) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def secret(path: Path) -> str:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text().strip()


def exists(path: Path) -> bool:
    return path.exists()


async def metric(session: aiohttp.ClientSession, telemetry: str, line: str) -> bool:
    async with session.get(f"http://{telemetry}/metrics") as answer:
        return line in (await answer.text()).splitlines()


async def test_process_without_a_config_is_configured_by_rest(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    async with process(tmp_path, "run", *FAST) as running:
        ready = await running.ready()
        assert ready["listeners"] == {}
        token_file = Path(ready["admin_token_file"])
        token = {"Authorization": f"Bearer {secret(token_file)}"}
        url = f"http://{ready['admin']}/v1/config"
        async with session.put(url, json=document(blue)) as answer:
            assert answer.status == 401
        async with session.put(url, json=document(blue), headers=token) as answer:
            assert (answer.status, (await answer.json())["revision"]) == (200, 1)
        public = running.whereabouts()["listeners"]["public"]
        async with session.get(f"http://{public}/hello") as answer:
            assert (await answer.json())["endpoint"] == "blue"
        assert await metric(session, ready["telemetry"], "hotsplice_config_revision 1.0")
        status, said = await running.terminated()
        assert status == 0, said
        assert [path for path in (running.ready_file, token_file) if exists(path)] == []


async def test_config_file_serves_once_it_is_ready(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    config = write(tmp_path / "c.json", document(blue))
    async with process(tmp_path, "run", HOTSPLICE_CONFIG=config) as running:
        ready = await running.ready()
        async with session.get(f"http://{ready['listeners']['public']}/") as answer:
            assert answer.status == 200
        async with session.get(f"http://{ready['telemetry']}/readyz") as answer:
            assert answer.status == 200
        async with session.get(f"http://{ready['admin']}/v1/status") as answer:
            shown = await answer.json()
        assert (shown["revision"]["source"], shown["revision"]["number"]) == ("file", 1)
        assert shown["listeners"]["public"]["address"] == ready["listeners"]["public"]


async def test_websockets_are_told_to_go_when_the_process_is_terminated(
    tmp_path: Path, blue: str
) -> None:
    config = write(tmp_path / "c.json", document(blue))
    flags = ("--drain-timeout", "5s", "--drain-accept", "0s")
    async with process(tmp_path, "run", "--config", config, *flags) as running:
        public = (await running.ready())["listeners"]["public"]
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connect(f"ws://{public}/ws", ping_interval=None))
                for _ in range(5)
            ]
            for client in clients:
                await client.send("hello")
                await within(client.recv(), "the echo")
            running.signal(signal.SIGTERM)
            for client in clients:
                await within(client.wait_closed(), "the goodbye")
            assert {(one.close_code, one.close_reason) for one in clients} == {
                (1001, "server shutdown")
            }
        status, said = await running.ended()
    assert status == 0, said
    (stopped,) = [line for line in said.splitlines() if '"stopped"' in line]
    assert json.loads(stopped)["drained"] is True


async def test_faulty_config_file_ends_with_2_and_every_fault(tmp_path: Path) -> None:
    faulty = document("127.0.0.1:1")
    faulty["pools"]["backend"]["typo"] = 1
    faulty["routes"]["all"]["pool"] = "bakend"
    config = write(tmp_path / "c.json", faulty)
    async with process(tmp_path, "run", "--config", config) as running:
        status, said = await running.ended()
    assert status == 2
    assert "/pools/backend/typo: " in said
    assert "/routes/all/pool: " in said
    assert "hint: did you mean `backend`?" in said
    assert not running.ready_file.exists()


async def test_missing_config_file_ends_with_2(tmp_path: Path) -> None:
    async with process(tmp_path, "run", "--config", str(tmp_path / "nope.yaml")) as running:
        status, said = await running.ended()
    assert (status, "nope.yaml" in said) == (2, True)


async def test_port_in_use_ends_with_1_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with process(tmp_path, "run", "--admin", address) as running:
            status, said = await running.ended()
    assert (status, f"cannot listen on {address}" in said) == (1, True)
    assert "Traceback" not in said


async def test_faulty_token_file_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("ops:write\n")
    flags = ("--admin-token-file", str(tmp_path / "tokens"))
    async with process(tmp_path, "run", *flags) as running:
        status, said = await running.ended()
    assert (status, "line 1" in said, "Traceback" in said) == (2, True, False)


async def test_sighup_reads_the_file_again_and_a_bad_one_changes_nothing(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    config = write(tmp_path / "c.json", document(blue))
    async with process(tmp_path, "run", "--config", config) as running:
        ready = await running.ready()
        url = f"http://{ready['admin']}/v1/status"

        async def applied(result: str) -> dict[str, Any]:
            while True:
                async with session.get(url) as answer:
                    shown: dict[str, Any] = await answer.json()
                last = shown["last_apply"]
                if (last["source"], last["result"]) == ("sighup", result):
                    return shown

        write(tmp_path / "c.json", document(blue, **{"x-note": "new"}))
        running.signal(signal.SIGHUP)
        shown = await within(applied("applied"), "the new file to be applied")
        assert (shown["revision"]["number"], shown["revision"]["source"]) == (2, "sighup")

        (tmp_path / "c.json").write_text("{")
        running.signal(signal.SIGHUP)
        shown = await within(applied("refused"), "the bad file to be refused")
        assert shown["revision"]["number"] == 2
        line = 'hotsplice_config_applies_total{result="refused",source="sighup"} 1.0'
        assert await metric(session, ready["telemetry"], line)
        async with session.get(f"http://{ready['listeners']['public']}/") as answer:
            assert answer.status == 200


async def test_sigterm_lets_the_request_end_and_tells_who_waits(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        asked.set()
        await go.wait()
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", slow)
    async with listening(app, ANYWHERE) as upstream:
        config = write(tmp_path / "c.json", document(upstream))
        async with process(tmp_path, "run", "--config", config, *FAST) as running:
            ready = await running.ready()
            telemetry = f"http://{ready['telemetry']}"

            async def fetch(url: str) -> tuple[int, str]:
                async with session.get(url) as answer:
                    return answer.status, await answer.text()

            request = asyncio.create_task(fetch(f"http://{ready['listeners']['public']}/"))
            await within(asked.wait(), "the upstream to be asked")
            running.signal(signal.SIGTERM)
            waiting = asyncio.create_task(fetch(f"{telemetry}/drained?wait=60s"))

            async def unready() -> None:
                while (await fetch(f"{telemetry}/readyz"))[0] != 503:
                    pass

            await within(unready(), "/readyz to fail")
            running.signal(signal.SIGTERM)
            assert not request.done()
            go.set()
            assert await within(request, "the answer") == (200, "done")
            assert await within(waiting, "/drained") == (200, "drained\n")
            assert (await running.ended())[0] == 0


async def test_second_sigint_cuts_what_is_open(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    config = write(tmp_path / "c.json", document(blue))
    async with process(tmp_path, "run", "--config", config) as running:
        ready = await running.ready()
        async with session.ws_connect(f"ws://{ready['listeners']['public']}/ws") as socket_:
            await socket_.send_str("hello")
            await socket_.receive_str()
            running.signal(signal.SIGINT)
            url = f"http://{ready['telemetry']}/readyz"

            async def unready() -> None:
                while True:
                    async with session.get(url) as answer:
                        if answer.status == 503:
                            return

            await within(unready(), "the drain")
            running.signal(signal.SIGINT)
            assert (await running.ended())[0] == 1


async def test_admin_on_a_unix_socket_needs_no_token(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    path = tmp_path / "a.sock"
    async with process(tmp_path, "run", "--admin", f"unix:{path}", *FAST) as running:
        ready = await running.ready()
        assert (ready["admin"], ready["admin_token_file"]) == (f"unix:{path}", None)
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as over_unix,
            over_unix.put("http://localhost/v1/config", json=document(blue)) as answer,
        ):
            assert answer.status == 200
        assert (await running.terminated())[0] == 0
    assert not exists(path)


async def test_demo_keeps_a_websocket_while_its_endpoint_leaves_the_pool(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with process(tmp_path, "demo") as running:
        ready = await running.ready()
        demo, admin = ready["listeners"]["demo"], f"http://{ready['admin']}"
        async with session.get(f"{admin}/v1/pools/echo") as answer:
            endpoints = (await answer.json())["endpoints"]
        async with session.ws_connect(f"ws://{demo}/ws") as socket_:
            await socket_.send_str("1")
            mine = (await socket_.receive_str()).partition(":")[0]
            other = ({"blue", "green"} - {mine}).pop()
            only = {"endpoints": {other: endpoints[other]}}
            async with session.put(f"{admin}/v1/pools/echo", json=only) as answer:
                assert (await answer.json())["changed"] == ["/pools/echo"]
            for _ in range(4):
                async with session.get(f"http://{demo}/") as answer:
                    assert (await answer.json())["endpoint"] == other
            await socket_.send_str("2")
            assert await socket_.receive_str() == f"{mine}: 2"
        assert (await running.terminated())[0] == 0


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_description_is_served_by_the_process(
    tmp_path: Path, session: aiohttp.ClientSession, path: str
) -> None:
    async with process(tmp_path, "run") as running:
        ready = await running.ready()
        async with session.get(f"http://{ready['admin']}{path}") as answer:
            assert (answer.status, answer.headers["Server"]) == (200, "hotsplice")
            assert "/v1/pools" in await answer.text()
