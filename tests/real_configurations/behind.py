"""What stands behind a configuration: servers that say what they got, over HTTP and WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from admin.demo import ANYWHERE
from admin.listening import listening

LARGEST: Final = 8 * 1024 * 1024
"""Of bodies, in octets."""
SUBPROTOCOLS: Final = ("chat.v2", "v1.kernel.websocket.jupyter.org")


class Service:
    """One of them, by name; what it was asked is in ``asked``."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.asked: Final[list[dict[str, Any]]] = []
        self.closed: Final[list[int | None]] = []
        """With which codes WebSockets were closed."""
        self.open: Final[set[web.WebSocketResponse]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Say what came, or talk over a WebSocket if one is asked for."""
        said = {
            "service": self.name,
            "method": request.method,
            "target": request.raw_path,
            "fields": {name.lower(): value for name, value in request.headers.items()},
        }
        self.asked.append(said)
        socket = web.WebSocketResponse(protocols=SUBPROTOCOLS, max_msg_size=0)
        if not socket.can_prepare(request):
            return web.json_response(said | {"body": (await request.read()).decode()})
        await socket.prepare(request)
        self.open.add(socket)
        await self._talk(socket, said)
        self.open.discard(socket)
        self.closed.append(socket.close_code)
        return socket

    async def _talk(self, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        async for message in socket:
            if message.data == "who":
                await socket.send_str(json.dumps(said))
            elif message.data == "close":
                await socket.close(code=4010, message=b"as you wish")
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)

    async def hang_up(self) -> None:
        """Close all WebSockets."""
        for socket in tuple(self.open):
            await socket.close(code=WSCloseCode.GOING_AWAY)


@asynccontextmanager
async def behind(service: Service) -> AsyncIterator[str]:
    """Run a service; gives its address."""
    app = web.Application(client_max_size=LARGEST)
    app.router.add_route("*", "/{path:.*}", service.handle)
    async with listening(app, ANYWHERE) as address:
        try:
            yield address
        finally:
            await service.hang_up()
