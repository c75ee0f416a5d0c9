"""What a real browser is told by our goodbyes, and what a page in it can do to the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect

from admin.demo import ANYWHERE
from admin.listening import listening
from tests.integration.admin.browser import REBOUND, Page, browser
from tests.integration.admin.process import Process, process
from tests.integration.admin.test_guard import value
from tests.integration.admin.test_run import document, write
from tests.peers import within

SOON: Final = ("--drain-timeout", "5s", "--drain-accept", "0s")
"""WebSockets are told within 3 s, and have 2 s left to answer."""

PAGE: Final = """<!doctype html><script>
const socket = new WebSocket(`ws://${location.host}/ws`)
const closed = new Promise(tell => {
  socket.onclose = ({code, reason, wasClean}) => tell([code, reason, wasClean])
})
const echoed = new Promise(tell => { socket.onmessage = ({data}) => tell(data) })
socket.onopen = () => socket.send("hello")
</script>"""


async def page_of(_request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


async def echo(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """Serve a page, and the WebSocket that it opens."""
    app = web.Application()
    app.router.add_get("/", page_of)
    app.router.add_get("/ws", echo)
    async with listening(app, ANYWHERE) as address:
        yield address


class Served(NamedTuple):
    """The real process in front of the site, and a client of its API."""

    running: Process
    ready: Mapping[str, Any]
    session: aiohttp.ClientSession

    @property
    def public(self) -> str:
        return str(self.ready["listeners"]["public"])

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        url = f"http://{self.ready['admin']}{path}"
        async with self.session.request(method, url, **more) as answer:
            assert answer.ok, await answer.text()
            return await answer.json() if answer.status != 204 else None


@pytest.fixture
async def served(
    tmp_path: Path, session: aiohttp.ClientSession, site: str
) -> AsyncIterator[Served]:
    config = write(tmp_path / "c.json", document(site))
    flags = ("--config", config, "--admin-auth", "off", *SOON)
    async with process(tmp_path, "run", *flags) as running:
        yield Served(running, await running.ready(), session)


@pytest.fixture
async def page(session: aiohttp.ClientSession) -> AsyncIterator[Page]:
    async with browser(session) as page:
        yield page


End: TypeAlias = Callable[[Served], Awaitable[tuple[int, str]]]


async def deleted(served: Served) -> tuple[int, str]:
    goodbye = {"code": "4000", "reason": "à bientôt"}
    for one in (await served.ask("GET", "/v1/connections?kind=websocket"))["items"]:
        await served.ask("DELETE", f"/v1/connections/{one['id']}", params=goodbye)
    return 4000, "à bientôt"


async def drained(served: Served) -> tuple[int, str]:
    order = {"selector": {"pool": "backend"}, "code": 1012, "reason": "node n7 goes away"}
    await served.ask("PUT", "/v1/drains/n7", json=order)
    return 1012, "node n7 goes away"


async def terminated(served: Served) -> tuple[int, str]:
    status, _ = await served.running.terminated()
    assert status == 0
    return 1001, "server shutdown"


@pytest.mark.parametrize("end", [deleted, drained, terminated])
async def test_browser_and_websockets_are_told_the_code_and_the_reason(
    served: Served, page: Page, end: End
) -> None:
    await page.open(f"http://{served.public}/")
    assert await page.run("echoed") == "hello"
    async with connect(f"ws://{served.public}/ws", ping_interval=None) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        code, reason = await end(served)
        assert await page.run("closed") == [code, reason, True]
        await within(client.wait_closed(), "the client to be closed")
        assert (client.close_code, client.close_reason) == (code, reason)


# -- a page is no client of the API ---------------------------------------------------------------

TRY: Final = """
Promise.all([
  fetch("%s/v1/config"),
  fetch("%s/v1/pools/new", {method: "PUT", headers: {"Content-Type": "application/json"}}),
  fetch("%s/v1/lifecycle/drain", {method: "POST", mode: "no-cors"}),
].map(answer => answer.then(({type, status}) => type == "opaque" ? type : status, () => "failed")))
"""
"""What a page may try: to read, to write what the browser asks for first, and what it does not."""


async def attack(page: Page, api: str = "") -> Any:
    """Return what each try gave the page."""
    return await page.run(TRY.replace("%s", api))


async def refused(served: Served) -> float:
    """Return how many requests the API has answered with 403."""
    line = 'hotsplice_admin_requests_total{code="403"}'
    return await value(served.session, served.ready["telemetry"], line)


async def test_page_of_another_site_reaches_nothing(served: Served, page: Page) -> None:
    before = await served.ask("GET", "/v1/config")
    api = f"http://{served.ready['admin']}"
    await page.open(f"http://{served.public}/")
    assert await attack(page, api) == ["failed", "failed", "opaque"]
    # All of them came, the second as the question whether it may be sent.
    assert await refused(served) == 3
    assert await served.ask("GET", "/v1/config") == before
    assert not (await served.ask("GET", "/v1/status"))["draining"]


async def test_rebound_name_reaches_nothing(served: Served, page: Page) -> None:
    host, _, port = served.ready["admin"].rpartition(":")
    # The name has led to loopback all along, so this page and the API are one site to the browser.
    assert "names another machine" in await page.open(f"http://{REBOUND}:{port}/v1/config")
    assert await attack(page) == [403, 403, 403]
    assert not (await served.ask("GET", "/v1/status"))["draining"]
    # By its own name it is readable, so the name is what was refused.
    await page.open(f"http://{host}:{port}/v1/config")
    assert await page.run("fetch('/v1/config').then(answer => answer.status)") == 200
