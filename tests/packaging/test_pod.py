"""Pods of the chart's from their start to their end, and what is done in them meanwhile."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from admin.demo import ANYWHERE, echo
from admin.listening import listening
from tests.integration.admin.hotsplice import hotsplice
from tests.integration.admin.process import process
from tests.packaging.charts import install
from tests.packaging.manifests import of_kind
from tests.packaging.pod import mount, pod
from tests.packaging.sidecar import sidecar
from tests.peers import eventually, within
from tests.peers.client import RawClient
from tests.peers.frames import CLOSE, HANDSHAKE_FIELDS, TEXT, encode, read_frame

SHORT = {"sidecar": {"drain": {"propagationSeconds": 2, "connectionsSeconds": 3}}}
"""The default's arithmetic, with less to wait for."""

CLIENTS = 64
WEBSOCKETS = 200


@dataclass
class Service:
    """Where new connections are led to, and what became of them."""

    address: str
    over: bool = False
    answered: int = 0
    connected: dict[str, int] = field(default_factory=dict)

    async def connect(self) -> RawClient:
        self.connected[self.address] = self.connected.get(self.address, 0) + 1
        return await RawClient.connect(self.address)

    async def ask(self) -> None:
        """Send requests until it is over; whatever is no good answer fails the test."""
        client = await self.connect()
        while not self.over:
            reply = await client.get(b"/hello")
            assert reply.status == 200
            self.answered += 1
            if reply.get(b"connection") == b"close":
                client.close()
                client = await self.connect()
        client.close()

    async def talk(self, leaving: asyncio.Event, grace_s: float) -> int:
        """Hold a WebSocket and use it, also once its pod is leaving; return how it is closed."""
        client = await self.connect()
        assert (await client.get(b"/ws", *HANDSHAKE_FIELDS)).status == 101
        await _use(client)
        await leaving.wait()
        await _use(client)
        told = await read_frame(client, grace_s)
        await client.send(encode(CLOSE, told.payload, mask=True))
        assert await client.gone() == "fin"
        client.close()
        return told.close_code


async def _use(websocket: RawClient) -> None:
    await websocket.send(encode(TEXT, b"hello", mask=True))
    assert (await read_frame(websocket)).payload.endswith(b": hello")


async def test_pod_that_is_deleted_under_load_loses_nothing(tmp_path: Path) -> None:
    manifests = install(SHORT)
    async with (
        aiohttp.ClientSession() as session,
        pod(tmp_path / "old", manifests, session) as old,
        pod(tmp_path / "new", manifests, session) as new,
        asyncio.TaskGroup() as users,
    ):
        assert [await old.probe(one) for one in ("startup", "readiness", "liveness")] == [200] * 3
        service = Service(old.address)
        leaving = asyncio.Event()
        for _ in range(CLIENTS):
            users.create_task(service.ask())
        sockets = [users.create_task(service.talk(leaving, old.grace_s)) for _ in range(WEBSOCKETS)]
        await eventually(lambda: service.answered > 10 * CLIENTS, "load")
        before = service.connected[old.address]
        assert before == CLIENTS + WEBSOCKETS

        began = time.monotonic()
        deletion = asyncio.create_task(old.delete())
        while await old.probe("readiness") == 200:
            assert not deletion.done()
        leaving.set()
        # The news has not spread yet: everybody comes once more.
        await eventually(lambda: service.connected[old.address] >= before + CLIENTS, "the news")
        service.address = new.address
        codes = await within(asyncio.gather(*sockets), "the WebSockets to be told", old.grace_s)
        await within(deletion, "the end of the pod", old.grace_s)
        assert time.monotonic() - began < old.grace_s
        assert codes == [1001] * WEBSOCKETS
        assert service.connected[new.address] == CLIENTS
        service.over = True


@pytest.mark.parametrize("owner", ["folder", "rest"])
async def test_command_in_the_container_finds_the_api_by_itself(tmp_path: Path, owner: str) -> None:
    async with listening(echo("app"), ANYWHERE) as address:
        environ = mount(tmp_path, install({"configOwner": owner}), address)
        async with process(
            tmp_path, "run", "--admin", environ["HOTSPLICE_ADMIN"], **environ
        ) as running:
            await running.ready()
            shown = await hotsplice("get", "pools/app", environ=environ)
            assert (shown.status, shown.table()[0][1]) == (0, address), shown
            patch = '{"balance": "least_connections"}'
            patched = await hotsplice("patch", "pools/app", patch, environ=environ)
            assert patched.status == (0 if owner == "rest" else 4), patched.err
            words = ("override", "app", address, "drain", "--ttl", "5m")
            overridden = await hotsplice(*words, environ=environ)
            assert overridden.status == 0, overridden.err


async def test_test_hook_is_content_with_an_answer_of_the_application(tmp_path: Path) -> None:
    (hook,) = of_kind(install({"test": {"path": "/hello?a=1"}}), "Pod")
    *python, program = hook["spec"]["containers"][0]["command"]
    assert python == ["python3", "-c"]
    async with sidecar(tmp_path) as running:
        host, _, port = running.public.removeprefix("http://").partition(":")
        asked = program.replace('"shop-hotsplice", 80', f'"{host}", {port}')
        assert asked != program
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", asked, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await within(child.communicate(), "the hook")
        assert (child.returncode, said) == (0, b"200\n")
