"""The real process with one configuration, real servers behind it, and real clients in front."""

from __future__ import annotations

import io
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from websockets.asyncio.client import ClientConnection, unix_connect

from tests.integration.admin.process import Process, process
from tests.peers import within
from tests.real_configurations.behind import Service, behind
from tests.real_configurations.placing import SERVERS, Placed, place


class Sidecar:
    """``hotsplice run --nginx-conf``, with the services of its configuration by their names."""

    def __init__(self, placed: Placed, stack: AsyncExitStack) -> None:
        self.placed: Final = placed
        self.services: Final[dict[str, Service]] = {}
        self.addresses: Final[dict[str, str]] = {}
        self._stack: Final = stack
        self._stops: Final[dict[str, AsyncExitStack]] = {}
        self._sessions: Final[dict[Path, aiohttp.ClientSession]] = {}

    async def run(self) -> None:
        """Start the process, and wait until it serves."""
        folder = self.placed.folder
        flags = ("--nginx-conf", str(self.placed.conf), "--admin", f"unix:{folder}/admin.sock")
        running = process(folder, "run", *flags, "--drain-accept", "0s")
        self._process = await self._stack.enter_async_context(running)
        await self._process.ready()

    def __getitem__(self, name: str) -> Service:
        return self.services[name]

    async def ask(
        self,
        host: str,
        target: str,
        method: str = "GET",
        *,
        listen: str = "80",
        fields: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request, following nothing."""
        session = await self._session(self.placed.socket(listen))
        async with session.request(
            method,
            f"http://{host}{target}",
            headers=fields,
            data=None if body is None else io.BytesIO(body),
            allow_redirects=False,
        ) as answer:
            return Answer(answer, await answer.read())

    async def open(self, host: str, target: str, **options: Any) -> ClientConnection:
        """Open a WebSocket, which is closed at the end at the latest."""
        path = str(self.placed.socket())
        connecting = unix_connect(path, f"ws://{host}{target}", ping_interval=None, **options)
        return await self._stack.enter_async_context(connecting)

    async def change(self, method: str, place: str, value: Any = None) -> dict[str, Any]:
        """Change something by REST."""
        session = await self._session(self.placed.folder / "admin.sock")
        kind = "merge-patch+json" if method == "PATCH" else "json"
        async with session.request(
            method,
            f"http://localhost/v1/{place}",
            json=value,
            headers={"Content-Type": f"application/{kind}"},
        ) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
            assert answer.status in {200, 201}, said
            return said

    async def reload(self) -> None:
        """Send SIGHUP, and wait until the file is read again and applied."""

        async def applied() -> None:
            while True:
                shown = await self.change("GET", "status")
                last = shown["last_apply"]
                if shown["revision"]["number"] > before and last["source"] == "sighup":
                    assert last["result"] == "applied", last
                    return

        before = (await self.change("GET", "status"))["revision"]["number"]
        self._process.signal(signal.SIGHUP)
        await within(applied(), "the file to be read again")

    async def start(self, service: Service) -> str:
        """Start a service; return its address."""
        stack = await self._stack.enter_async_context(AsyncExitStack())
        address = await stack.enter_async_context(behind(service))
        self.services[service.name], self.addresses[service.name] = service, address
        self._stops[service.name] = stack
        return address

    async def stop(self, name: str) -> None:
        """Stop a service."""
        await self._stops[name].aclose()

    _process: Process

    async def _session(self, path: Path) -> aiohttp.ClientSession:
        if path not in self._sessions:
            connector = aiohttp.UnixConnector(str(path))
            session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
            self._sessions[path] = await self._stack.enter_async_context(session)
        return self._sessions[path]


class Answer:
    """What came back."""

    def __init__(self, answer: aiohttp.ClientResponse, body: bytes) -> None:
        self.status: Final = answer.status
        self.fields: Final = answer.headers
        self.body: Final = body

    @property
    def said(self) -> dict[str, Any]:
        """What a service says of the request that reached it."""
        said: dict[str, Any] = json.loads(self.body)
        return said


@asynccontextmanager
async def sidecar(name: str, kind: Callable[[str], Service] = Service) -> AsyncIterator[Sidecar]:
    """Run a configuration; its services are of a kind."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="real")))
        side = Sidecar(Placed(folder), stack)
        for each in SERVERS[name]:
            await side.start(kind(each))
        place(name, folder, side.addresses)
        await side.run()
        yield side
