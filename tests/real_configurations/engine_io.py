"""Engine.IO 4, which Socket.IO stands on: long polling first, and then a WebSocket in its place.

Its rules as its specification has them: a session belongs to the process that opened it, any other
one answers 400; a client that moves to a WebSocket probes it, while a last poll is still open.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from aiohttp import web
from websockets.asyncio.client import ClientConnection

from tests.peers import within
from tests.real_configurations.behind import Service
from tests.real_configurations.sidecar import Sidecar

PATH: Final = "/socket.io/?EIO=4"


class EngineService(Service):
    """A server: it echoes messages, with its name before them."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sessions: Final[dict[str, asyncio.Queue[str]]] = {}
        """What is to be sent, by session."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Do what the query asks for."""
        session = request.query.get("sid")
        if session is None:
            return self._opened()
        if session not in self.sessions:
            return web.json_response({"code": 1, "message": "Session ID unknown"}, status=400)
        waiting = self.sessions[session]
        if request.query["transport"] == "websocket":
            return await self._upgraded(request, waiting)
        if request.method == "POST":
            self._receive(await request.text(), waiting)
            return web.Response(text="ok")
        return web.Response(text=await waiting.get())

    def _opened(self) -> web.Response:
        session = f"{self.name}-{len(self.sessions) + 1}"
        self.sessions[session] = asyncio.Queue()
        opened = {"sid": session, "upgrades": ["websocket"], "pingInterval": 25_000}
        return web.Response(text="0" + json.dumps(opened))

    def _receive(self, packet: str, waiting: asyncio.Queue[str]) -> None:
        assert packet[0] == "4", packet
        waiting.put_nowait(f"4{self.name}: {packet[1:]}")

    async def _upgraded(
        self, request: web.Request, waiting: asyncio.Queue[str]
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.open.add(socket)
        assert await socket.receive_str() == "2probe"
        await socket.send_str("3probe")
        waiting.put_nowait("6")  # a NOOP ends the poll that is open
        assert await socket.receive_str() == "5"
        async for message in socket:
            self._receive(message.data, waiting)
            await socket.send_str(await waiting.get())
        return socket


class EngineClient:
    """A client at some address."""

    def __init__(self, sidecar: Sidecar, address: str) -> None:
        self._sidecar: Final = sidecar
        self._fields: Final = {"X-Forwarded-For": address}
        self.session = ""
        self.server = ""

    async def poll(self) -> str:
        """Wait for packets."""
        answer = await self._ask("GET")
        return answer.decode()

    async def start(self) -> None:
        """Open a session."""
        said = await self.poll()
        assert said[0] == "0", said
        self.session = json.loads(said[1:])["sid"]
        self.server = self.session.partition("-")[0]

    async def post(self, message: str) -> None:
        """Send a message."""
        assert await self._ask("POST", f"4{message}".encode()) == b"ok"

    async def upgrade(self) -> ClientConnection:
        """Go on over a WebSocket."""
        polling = asyncio.create_task(self.poll())
        socket = await self._sidecar.open(
            "io.example.com", self._target("websocket"), additional_headers=self._fields
        )
        await socket.send("2probe")
        assert await within(socket.recv(), "the probe") == "3probe"
        assert await within(polling, "the last poll to end") == "6"
        await socket.send("5")
        return socket

    def _target(self, transport: str) -> str:
        session = f"&sid={self.session}" if self.session else ""
        return f"{PATH}&transport={transport}{session}"

    async def _ask(self, method: str, body: bytes | None = None) -> bytes:
        answer = await self._sidecar.ask(
            "io.example.com", self._target("polling"), method, fields=self._fields, body=body
        )
        assert answer.status == 200, answer.body
        return answer.body
