"""A real sidecar, to which happens what its metrics count."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from admin.demo import ANYWHERE, echo
from admin.listening import listening
from tests.integration.admin.process import process
from tests.peers import within
from tests.peers.dns_server import DnsServer
from tests.peers.listening import refused_address


class Sidecar:
    """Its addresses, and somebody who uses it."""

    def __init__(self, ready: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self.telemetry: Final[str] = ready["telemetry"]
        self.public: Final[str] = f"http://{ready['listeners']['public']}"
        self._admin: Final[str] = ready["admin"].removeprefix("unix:")
        self._session: Final = session

    async def work(self) -> None:
        """Let everything happen once: what goes well, what fails, what is refused, a WebSocket."""
        for path, status in (("/hello", 200), ("/dead/", 502)):
            async with self._session.get(f"{self.public}{path}") as answer:
                assert answer.status == status
        async with self._session.ws_connect(f"{self.public}/ws") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "blue: hello"
        # A head that is none is refused by the listener.
        async with self._session.get(f"{self.public}/hello", headers={"Host": "a b"}) as answer:
            assert answer.status == 400
        connector = aiohttp.UnixConnector(self._admin)
        async with aiohttp.ClientSession(connector=connector) as admin:
            note = {"x-note": str(id(connector))}
            async with admin.patch(
                "http://sidecar/v1/config",
                data=json.dumps(note),
                headers={"Content-Type": "application/merge-patch+json"},
            ) as answer:
                assert answer.status == 200, await answer.text()

    async def metrics(self) -> str:
        """Return what Prometheus would get."""
        async with self._session.get(f"http://{self.telemetry}/metrics") as answer:
            return await within(answer.text(), "the metrics")


@asynccontextmanager
async def sidecar(folder: Path) -> AsyncIterator[Sidecar]:
    """Run one in front of an application and of one that is not there."""
    async with AsyncExitStack() as stack:
        blue = await stack.enter_async_context(listening(echo("blue"), ANYWHERE))
        dead = stack.enter_context(refused_address())
        names = await DnsServer.listen()
        stack.callback(names.close)
        names.say("app.lan", "A", "127.0.0.1", ttl=60)
        document = folder / "hotsplice.json"
        document.write_text(
            json.dumps(
                {
                    "version": 1,
                    "listeners": {"public": {"bind": "127.0.0.1:0"}},
                    "pools": {
                        "app": {"endpoints": {"blue": {"address": blue}}},
                        "gone": {"endpoints": {"one": {"address": dead}}},
                        "found": {
                            "discovery": {
                                "dns": {
                                    "name": "app.lan",
                                    "port": 8000,
                                    "resolver": names.address,
                                }
                            }
                        },
                    },
                    "routes": {
                        "app": {"path": {"prefix": "/"}, "pool": "app"},
                        "dead": {"path": {"prefix": "/dead/"}, "pool": "gone"},
                    },
                }
            )
        )
        socket = f"unix:{folder}/admin.sock"
        running = await stack.enter_async_context(
            process(folder, "run", "--config", str(document), "--admin", socket)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Sidecar(await running.ready(), session)
