"""Clients and servers that others wrote, with the proxy between them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.peers import Running, Stage, build_spec, within

CURL = shutil.which("curl")


class Backend:
    """A server of the ``websockets`` library that echoes, and remembers how it was closed."""

    def __init__(self) -> None:
        self.closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def __call__(self, connection: ServerConnection) -> None:
        try:
            async for message in connection:
                if message == "close me":
                    await connection.close(4002, "as you wish")
                elif message == "in fragments":
                    await connection.send(iter(["in ", "frag", "ments"]))
                else:
                    await connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            await self.closed.put((connection.close_code, connection.close_reason))


@asynccontextmanager
async def joined(
    stage: Stage, **options: object
) -> AsyncIterator[tuple[ClientConnection, Backend, Running]]:
    backend = Backend()
    chat = [Subprotocol("chat")]
    async with serve(backend, "127.0.0.1", 0, subprotocols=chat, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        running = await stage.serve(build_spec(f"127.0.0.1:{port}"))
        url = f"ws://{running.address()}/chat"
        async with connect(url, subprotocols=chat, ping_interval=None, **options) as client:  # type: ignore[arg-type]
            yield client, backend, running


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_messages_of_all_sizes_come_back(stage: Stage, compression: str | None) -> None:
    async with joined(stage, compression=compression, max_size=None) as (client, _, running):
        for message in ("", "text ä", b"", b"\x00\xff", "x" * 126, b"y" * 70_000, "z" * 900_000):
            await client.send(message)
            assert await within(client.recv(), "the echo") == message
        assert running.listener().counters.active["websocket"] == 1


async def test_extensions_and_subprotocols_are_the_ends_business(stage: Stage) -> None:
    async with joined(stage) as (client, _, _):
        assert client.subprotocol == "chat"
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]


async def test_fragments_and_pings_pass(stage: Stage) -> None:
    async with joined(stage) as (client, _, _):
        await client.send(iter(["one ", "message"]))
        assert await within(client.recv(), "the echo") == "one message"
        await client.send("in fragments")
        assert await within(client.recv(), "the echo") == "in fragments"
        pong = await client.ping(b"here")
        await within(pong, "the pong")


async def test_close_of_the_client_reaches_the_server_with_its_code(stage: Stage) -> None:
    async with joined(stage) as (client, backend, _):
        await client.close(4001, "enough")
        closed = await within(backend.closed.get(), "the server to see the close")
        assert closed == (4001, "enough")
        assert client.close_code == 4001


async def test_close_of_the_server_reaches_the_client_with_its_code(stage: Stage) -> None:
    async with joined(stage) as (client, _, running):
        await client.send("close me")
        with pytest.raises(ConnectionClosed):
            await within(client.recv(), "the close")
        assert (client.close_code, client.close_reason) == (4002, "as you wish")
        await running.quiet()


@pytest.mark.skipif(CURL is None, reason="there is no curl here")
@pytest.mark.parametrize(
    "options",
    [
        ["--http2"],
        ["--http1.1"],
        ["--http1.0"],
        ["--http2", "--data-binary", "some data"],
        ["--data-binary", "x" * 5000],
        ["--head"],
        ["-H", "Expect: 100-continue", "--data-binary", "some data"],
    ],
    ids=lambda options: " ".join(options)[:40],
)
async def test_curl_is_served_in_plain_http(stage: Stage, options: list[str]) -> None:
    assert CURL is not None
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    url = f"http://{running.address()}/"
    process = await asyncio.create_subprocess_exec(
        CURL,
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--write-out",
        "\n%{http_version} %{response_code}",
        *options,
        url,
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await within(process.communicate(), "curl")
    lines = output.decode().splitlines()
    assert process.returncode == 0
    assert lines[-1].split() in (["1.1", "200"], ["1", "200"])
    assert len(origin.requests) == 2
    names = origin.requests[0].head.names()
    assert b"upgrade" not in names
    assert b"http2-settings" not in names
