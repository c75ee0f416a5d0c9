from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from admin import listening as module
from admin.listening import ListenError, listening
from proxy.addresses import parse_address
from tests.peers import within
from tests.peers.leaks import Watch


def application() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return app


async def fetch(where: str) -> str:
    unix = where.removeprefix("unix:") if where.startswith("unix:") else None
    connector = aiohttp.UnixConnector(unix) if unix else aiohttp.TCPConnector()
    url = "http://localhost/" if unix else f"http://{where}/"
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.text()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
async def test_bound_address_is_given_and_answers(no_leaks: Watch, address: str) -> None:
    async with listening(application(), parse_address(address, any_port=True)) as where:
        assert not where.endswith(":0")
        assert await fetch(where) == "hello"


async def test_unix_socket_is_for_this_user_alone_and_goes_away(
    no_leaks: Watch, tmp_path: Path
) -> None:
    path = tmp_path / "a.sock"
    async with listening(application(), parse_address(f"unix:{path}")) as where:
        assert where == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await fetch(where) == "hello"
    assert not path.exists()


async def test_stale_socket_is_replaced(no_leaks: Watch, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(application(), parse_address(f"unix:{path}")) as where:
        assert await fetch(where) == "hello"


async def test_socket_in_use_is_left_alone(no_leaks: Watch, tmp_path: Path) -> None:
    address = parse_address(f"unix:{tmp_path / 'a.sock'}")
    async with listening(application(), address) as where:
        with pytest.raises(ListenError, match="in use"):
            await listening(application(), address).__aenter__()
        assert await fetch(where) == "hello"


async def test_file_that_is_no_socket_is_left_alone(no_leaks: Watch, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ListenError, match="no socket"):
        await listening(application(), parse_address(f"unix:{path}")).__aenter__()
    assert path.read_text() == "data"


async def test_port_in_use_is_said(no_leaks: Watch) -> None:
    async with listening(application(), parse_address("127.0.0.1:0", any_port=True)) as where:
        with pytest.raises(ListenError, match=f"cannot listen on {where}: "):
            await listening(application(), parse_address(where)).__aenter__()


async def test_connection_beyond_the_limit_is_closed_at_once(no_leaks: Watch) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", slow)
    address = parse_address("127.0.0.1:0", any_port=True)
    async with listening(app, address, connections=1) as where:
        host, _, port = where.rpartition(":")
        first = asyncio.create_task(fetch(where))
        await within(asked.wait(), "the first request")
        reader, second = await asyncio.open_connection(host, int(port))
        assert await within(reader.read(), "the second connection to be closed") == b""
        second.close()
        release.set()
        assert await within(first, "the first answer") == "hello"


async def test_who_asks_takes_the_place_of_who_does_not(no_leaks: Watch) -> None:
    address = parse_address("127.0.0.1:0", any_port=True)
    async with listening(application(), address, connections=3) as where:
        host, _, port = where.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        for _, writer in silent:
            writer.write(b"GET / HTTP/1.1\r\n")
        assert await within(fetch(where), "an answer") == "hello"
        assert await within(silent[0][0].read(), "the first to be closed") == b""
        silent[1][1].write(b"Host: x\r\n\r\n")
        assert b"200 OK" in await within(silent[1][0].readline(), "an answer")
        for _, writer in silent:
            writer.close()


async def test_client_that_takes_nothing_is_cut_off(
    no_leaks: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALLED_S", 0.1)
    monkeypatch.setattr(module, "STALLED_LOOK_S", 0.05)
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            ended.set()

    app = web.Application()
    app.router.add_get("/", endless)
    async with listening(app, parse_address("127.0.0.1:0", any_port=True)) as where:
        host, _, port = where.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await within(ended.wait(), "the client to be cut off")
