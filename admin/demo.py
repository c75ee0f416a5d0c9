"""``demo``: the sidecar in front of an echo pool of its own, with commands to try.

``python -m admin.demo ws://HOST:PORT/ws [COUNT]`` is the WebSocket client that it suggests: it
talks over one connection until it is stopped, or COUNT times.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
from aiohttp import web

from admin.app import serve, start
from admin.listening import listening
from admin.settings import RunSettings
from proxy.addresses import Address, parse_address

ENDPOINTS: Final = ("blue", "green")
ANYWHERE: Final = parse_address("127.0.0.1:0", any_port=True)
CONNECTIONS: Final = 10_000
"""To each echo server: more than anyone tries by hand, should someone measure."""

SAY_EVERY_S: Final = 1.0

PAGE: Final = """
hotsplice demo: http://{listener} -> pool echo (blue {blue}, green {green})
Paste these into other terminals:

1. requests, answered by blue and green in turn
   while sleep 0.5; do curl -s http://{listener}/hello; done

2. a WebSocket, which stays where it is whatever happens to the configuration
   {python} -m admin.demo ws://{listener}/ws

3. take blue out of the pool, and watch 1 and 2
   curl -X PUT {admin}/v1/pools/echo -H 'Content-Type: application/json' \\
     -d {pool}

4. what was counted
   curl -s http://{telemetry}/metrics | grep hotsplice_

The API: {docs}   Ctrl-C stops the demo.
"""


def run_demo(settings: RunSettings, listen: Address) -> int:
    """Run until told to stop; return the exit status."""
    return start(settings, lambda: serve_demo(settings, listen))


async def serve_demo(settings: RunSettings, listen: Address) -> int:
    """Start the echo servers, and serve in front of them."""
    async with AsyncExitStack() as stack:
        addresses = {
            name: await stack.enter_async_context(
                listening(echo(name), ANYWHERE, connections=CONNECTIONS)
            )
            for name in ENDPOINTS
        }

        def announce(admin: str, telemetry: str, listeners: dict[str, str]) -> None:
            print(page(addresses, admin, telemetry, listeners["demo"]), flush=True)

        return await serve(settings, document(listen, addresses), announce)


def document(listen: Address, addresses: dict[str, str]) -> dict[str, object]:
    """Return the demo's document."""
    return {
        "version": 1,
        "listeners": {"demo": {"bind": listen.text}},
        "pools": {"echo": pool(addresses)},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "echo"}},
    }


def pool(addresses: dict[str, str]) -> dict[str, object]:
    """Return a pool of echo servers, by name."""
    return {"endpoints": {name: {"address": where} for name, where in addresses.items()}}


def page(addresses: dict[str, str], admin: str, telemetry: str, listener: str) -> str:
    """Return what the demo prints: four commands that work as they stand."""
    if admin.startswith("unix:"):
        reach = f"--unix-socket {shlex.quote(admin.removeprefix('unix:'))} http://localhost"
        docs = f"{admin}, at /docs"
    else:
        reach, docs = f"http://{admin}", f"http://{admin}/docs"
    return PAGE.format(
        **addresses,
        listener=listener,
        admin=reach,
        docs=docs,
        telemetry=telemetry,
        python=shlex.quote(sys.executable),
        pool=shlex.quote(json.dumps(pool({"green": addresses["green"]}))),
    )


def echo(name: str) -> web.Application:
    """Make an echo server that says which one it is, in HTTP and in WebSocket at ``/ws``."""

    async def http(request: web.Request) -> web.Response:
        said = {
            "endpoint": name,
            "method": request.method,
            "target": request.raw_path,
            "headers": [[key, value] for key, value in request.headers.items()],
            "body": (await request.read()).decode("utf-8", "replace"),
        }
        return web.Response(text=json.dumps(said) + "\n", content_type="application/json")

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(f"{name}: {message.data}")
            else:
                await socket.send_bytes(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/ws", websocket)
    app.router.add_route("*", "/{path:.*}", http)
    return app


async def talk(url: str, count: int | None) -> int:
    """Say something over one WebSocket and print the answers; return the exit status."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        said = 0
        while count is None or said < count:
            if said:
                await asyncio.sleep(SAY_EVERY_S)
            said += 1
            await socket.send_str(f"message {said} of one WebSocket")
            answer = await socket.receive()
            if answer.type is not aiohttp.WSMsgType.TEXT:
                print(f"closed: {socket.close_code} {answer.extra or ''}")
                return 1
            print(answer.data, flush=True)
    return 0


def main(argv: Sequence[str]) -> int:
    """Run the WebSocket client."""
    if len(argv) not in (1, 2) or not argv[0].startswith("ws://"):
        print("python -m admin.demo ws://HOST:PORT/ws [COUNT]", file=sys.stderr)
        return 2
    try:
        return asyncio.run(talk(argv[0], int(argv[1]) if len(argv) > 1 else None))
    except KeyboardInterrupt:
        return 0
    except aiohttp.ClientError as error:
        print(f"no WebSocket at {argv[0]}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
