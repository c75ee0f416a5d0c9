"""The proxy that a tutorial would write, on uvloop: the floor of the comparison.

``python -m bench.peers.tutorial_proxy --setup FILE --ready-file FILE``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import uuid
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop
from aiohttp import web
from prometheus_client import Counter, Histogram

_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}
_COUNT: Final = Counter("requests", "Requests", ["method", "code"])
_SECONDS: Final = Histogram("request_seconds", "Their time")
_PIECE: Final = 64 << 10

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def handler(setup: dict[str, Any], session: aiohttp.ClientSession) -> Handler:
    """Return what forwards a request."""
    endpoints, rules = cycle(setup["endpoints"]), setup["rules"]

    def fields(request: web.Request) -> dict[str, str]:
        sent = {n: v for n, v in request.headers.items() if n.lower() not in _HOP_BY_HOP}
        sent |= {
            "X-Forwarded-For": request.remote or "",
            "X-Forwarded-Proto": request.scheme,
            "X-Forwarded-Host": request.host,
            "X-Request-Id": uuid.uuid4().hex,
        }
        for one in rules["maps"]:
            taken = request.headers.get(one["source"]) == one["when"]
            sent[one["target"]] = one["then"] if taken else one["default"]
        sent.update(rules["request"])
        return sent

    async def forward(request: web.Request) -> web.StreamResponse:
        url = f"http://{next(endpoints)}{request.raw_path}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await tunnel(request, url)
        with _SECONDS.time():
            body = request.content if request.body_exists else None
            async with session.request(
                request.method, url, headers=fields(request), data=body, allow_redirects=False
            ) as answer:
                passed = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP_BY_HOP}
                response = web.StreamResponse(
                    status=answer.status, headers=passed | rules["response"]
                )
                await response.prepare(request)
                async for piece in answer.content.iter_chunked(_PIECE):
                    await response.write(piece)
                await response.write_eof()
        _COUNT.labels(request.method, str(answer.status)).inc()
        return response

    async def tunnel(request: web.Request, url: str) -> web.WebSocketResponse:
        client = web.WebSocketResponse(compress=False)
        await client.prepare(request)
        kept = {n: v for n, v in fields(request).items() if not n.lower().startswith("sec-webs")}
        async with session.ws_connect(url, headers=kept) as upstream, asyncio.TaskGroup() as group:
            group.create_task(_pump(client, upstream))
            group.create_task(_pump(upstream, client))
        return client

    return forward


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: Socket, sink: Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
    await sink.close()


async def serve(setup: dict[str, Any], ready_file: Path) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        forward = handler(setup, session)
        for number in range(setup["routes"]):
            app.router.add_route("*", f"/r{number}/{{rest:.*}}", forward)
        app.router.add_route("*", "/{rest:.*}", forward)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        host, port = runner.addresses[0][:2]
        temporary = ready_file.with_suffix(f".{os.getpid()}")
        temporary.write_text(f"{host}:{port}")
        temporary.replace(ready_file)
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup", type=Path, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(json.loads(arguments.setup.read_text()), arguments.ready_file))


if __name__ == "__main__":
    main()
