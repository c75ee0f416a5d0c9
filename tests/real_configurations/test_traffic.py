"""Real WebSockets and requests through the real process, configuration by configuration.

And a change afterwards, by REST or by SIGHUP, while they are open.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.peers import RawClient, eventually, within
from tests.peers.client import request
from tests.real_configurations.behind import Service
from tests.real_configurations.engine_io import EngineClient, EngineService
from tests.real_configurations.sidecar import Sidecar, sidecar

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}
CHAT = [Subprotocol("chat.v2")]
KERNEL = [Subprotocol("v1.kernel.websocket.jupyter.org")]


async def echoes(socket: ClientConnection, *messages: str | bytes) -> None:
    """Send messages, and get them back."""
    for message in messages:
        await socket.send(message)
        assert await within(socket.recv(), f"{message[:20]!r} to come back") == message


async def who(socket: ClientConnection) -> dict[str, Any]:
    """Return what the service behind a WebSocket says of the request that opened it."""
    await socket.send("who")
    said: dict[str, Any] = json.loads(await within(socket.recv(), "the service to say who it is"))
    return said


async def names(sockets: list[ClientConnection]) -> list[str]:
    """Return which services are behind some WebSockets."""
    return [(await who(socket))["service"] for socket in sockets]


async def refused(side: Sidecar, host: str, target: str, **options: Any) -> int:
    """Return the status with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as caught:
        await side.open(host, target, **options)
    return caught.value.response.status_code


async def test_chat_rooms_talk_through_reload_and_rest() -> None:
    secure = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
    async with sidecar("chat") as side:

        async def room(number: int) -> ClientConnection:
            return await side.open(
                "chat.example.com", f"/ws/{number}",
                subprotocols=CHAT, additional_headers=secure, max_size=None,
            )  # fmt: skip

        rooms = [await room(number) for number in range(4)]
        assert sorted(await names(rooms)) == ["one", "one", "two", "two"]
        said = await who(rooms[3])
        assert said["target"] == "/ws/3"
        told = {"connection": "upgrade", "x-forwarded-proto": "https", "x-real-ip": "198.51.100.7"}
        assert told.items() <= said["fields"].items()
        assert rooms[0].subprotocol == "chat.v2"
        assert rooms[0].response is not None
        assert "permessage-deflate" in rooms[0].response.headers["Sec-WebSocket-Extensions"]
        await echoes(rooms[0], "hello", "ä" * 40_000, b"", b"\x00\xff" * 500_000)

        # "one" leaves by the file: its rooms stay, and new ones go elsewhere.
        one = side.addresses["one"]
        side.placed.replace("conf.d/upstreams.conf", f"server {one} max", f"server {one} down max")
        await side.reload()
        for socket in rooms:
            await echoes(socket, "after SIGHUP")
        assert await names(rooms) == await names(rooms)
        assert await names([await room(4), await room(5)]) == ["two", "two"]

        # The spare one joins in, by REST.
        endpoint = f"pools/chat_nodes/endpoints/{side.addresses['spare']}"
        await side.change("PATCH", endpoint, {"backup": False})
        assert await names([await room(6), await room(7)]) == ["spare", "spare"]
        answer = await side.ask("chat.example.com", "/api/rooms", "POST", fields=secure, body=b"x")
        assert (answer.said["target"], answer.said["body"]) == ("/rooms", "x")

        # In the clear there is nothing to say, but where to say it.
        clear = {"X-Forwarded-Proto": "http"}
        answer = await side.ask("chat.example.com", "/ws/1?a=b", fields=clear | UPGRADE)
        assert answer.status == 301
        assert answer.fields["Location"] == "https://chat.example.com/ws/1?a=b"
        assert (await side.ask("chat.example.com", "/healthz")).body == b"ok\n"

        await rooms[0].close(4001, "bye")
        await rooms[1].send("close")
        with pytest.raises(ConnectionClosed):
            await within(rooms[1].recv(), "the service to close")
        assert (rooms[1].close_code, rooms[1].close_reason) == (4010, "as you wish")
        assert 4001 in side["one"].closed + side["two"].closed
        for socket in rooms[2:]:
            await echoes(socket, "still here")


async def test_shop_shows_its_maintenance_page_until_the_application_is_elsewhere() -> None:
    async with sidecar("shop") as side:
        assert (await side.ask("shop.example", "/product/1")).said["service"] == "app"
        static = await side.ask("shop.example", "/static/app.js")
        assert (static.said["service"], static.said["target"]) == ("assets", "/app.js")
        assert static.fields["Cache-Control"] == "public, max-age=31536000, immutable"

        await side.stop("app")
        for target in ("/product/1", "/api/items"):
            sorry = await side.ask("shop.example", target)
            assert (sorry.status, sorry.said["target"]) == (502, "/maintenance.html")
            assert (sorry.said["service"], sorry.fields["Retry-After"]) == ("sorry", "120")

        await side.start(Service("new app"))
        await side.change("DELETE", f"pools/app/endpoints/{side.addresses['app']}")
        await side.change("PUT", f"pools/app/endpoints/{side.addresses['new app']}", {})
        found = await side.ask("shop.example", "/product/1")
        assert (found.status, found.said["service"]) == (200, "new app")


async def test_grafana_is_live_behind_its_prefix() -> None:
    async with sidecar("grafana") as side:
        host = "monitoring.example.org"
        live = await side.open(host, "/grafana/api/live/ws?x=1")
        said = await who(live)
        assert (said["target"], said["fields"]["host"]) == ("/api/live/ws?x=1", host)
        await echoes(live, '{"id":1,"connect":{}}', b"\x00" * 70_000)
        board = await side.ask(host, "/grafana/d/abc/some%20board?orgId=1")
        assert board.said["target"] == "/d/abc/some%20board?orgId=1"
        assert await refused(side, host, "/grafana/other") == 200

        assert (await side.ask(host, "/prometheus/graph")).status == 403
        await side.change("PATCH", "routes/monitoring.example.org-prometheus", {"access": None})
        graph = await side.ask(host, "/prometheus/graph?g0=up")
        assert (graph.said["service"], graph.said["target"]) == (
            "prometheus",
            "/prometheus/graph?g0=up",
        )
        await echoes(live, "still live")


async def test_jupyter_kernels_and_terminals_talk() -> None:
    async with sidecar("jupyter") as side:
        host, user = "notebooks.example.edu", "/user/ada"
        kernel = await side.open(
            host, f"{user}/api/kernels/7f3c/channels?session_id=1", subprotocols=KERNEL
        )
        assert kernel.subprotocol == KERNEL[0]
        said = await who(kernel)
        assert said["target"] == f"{user}/api/kernels/7f3c/channels?session_id=1"
        terminal = await side.open(host, f"{user}/terminals/websocket/1")
        await echoes(kernel, b"\x06\x00" * 100_000, '{"header": {}}')
        await echoes(terminal, '["stdin", "ls\\r"]')
        assert await refused(side, host, f"{user}/lab") == 200
        notebook = await side.ask(
            host, f"{user}/api/contents/a.ipynb", "PUT", body=b"x" * 2_000_000
        )
        assert len(notebook.said["body"]) == 2_000_000

        # A second hub takes over, while work goes on at the first.
        new = await side.start(Service("new hub"))
        await side.change("PUT", f"pools/notebook/endpoints/{new}", {})
        await side.change("DELETE", f"pools/notebook/endpoints/{side.addresses['hub']}")
        assert (await side.ask(host, "/hub/")).said["service"] == "new hub"
        await echoes(kernel, "1 + 1")
        await echoes(terminal, "2 + 2")


async def test_socket_io_session_keeps_its_server_from_polling_to_websocket() -> None:
    async with sidecar("socketio", EngineService) as side:
        clients = [EngineClient(side, f"203.0.{number}.9") for number in range(113, 125)]
        for client in clients:
            await client.start()
            await client.post("by polling")
            assert await client.poll() == f"4{client.server}: by polling"
        assert {client.server for client in clients} == {"one", "two", "three"}
        sockets = {client: await client.upgrade() for client in clients}

        # A server leaves: those who talk to it go on, whoever comes now goes elsewhere.
        gone = clients[0].server
        place = f"pools/nodes/endpoints/{side.addresses[gone]}"
        await side.change("PATCH", place, {"state": "down"})
        for client, socket in sockets.items():
            await socket.send("4by WebSocket")
            said = await within(socket.recv(), "the echo")
            assert said == f"4{client.server}: by WebSocket"
        again = EngineClient(side, "203.0.113.9")
        await again.start()
        assert again.server != gone


async def test_canary_is_chosen_by_cookie_or_share_and_its_share_is_changed_live() -> None:
    async with sidecar("canary") as side:

        async def released(cookie: str = "", number: int = 0) -> str:
            fields = {"Cookie": cookie, "X-Forwarded-For": f"203.0.113.{number}"}
            answer = await side.ask("any.test", "/", fields=fields)
            assert answer.fields["X-Release"] == answer.said["fields"]["x-release"]
            return str(answer.said["service"])

        assert await released("canary=always") == "canary"
        assert await released("a=b; canary=never") != "canary"
        before = [await released(number=number) for number in range(50)]
        assert 4 <= before.count("canary") <= 16
        assert before.count("stable") > 2 * before.count("stable too") > 0
        stays = await side.open("any.test", "/ws", additional_headers={"Cookie": "canary=never"})

        await side.change("PATCH", "header_maps/by_share", {"shares": {"canary": "60%"}})
        after = [await released(number=number) for number in range(50)]
        assert 20 <= after.count("canary") <= 40
        assert all(
            new == "canary" for old, new in zip(before, after, strict=True) if old == "canary"
        )
        assert (await who(stays))["service"] != "canary"
        tried = await side.ask("any.test", "/try-canary")
        assert (tried.status, tried.fields["Location"]) == (302, "http://any.test/")
        assert tried.fields["Set-Cookie"] == "canary=always; Path=/; Max-Age=86400"


async def test_hosts_each_have_their_server_and_strangers_get_none() -> None:
    async with sidecar("hosts") as side:
        client = await RawClient.connect(f"unix:{side.placed.socket()}")
        await client.send(request(b"GET", b"/admin.php", host=b"192.0.2.1"))
        assert await client.read_to_end() == b""
        client.close()
        moved = await side.ask("www.example.net", "/page?x=1")
        assert moved.fields["Location"] == "http://app.example.net/page?x=1"
        for tenant, cell in (("acme", "cell two"), ("beta-x", "cell two"), ("other", "cell one")):
            socket = await side.open(f"{tenant}.apps.example.net", "/live")
            said = await who(socket)
            assert (said["service"], said["fields"]["x-tenant"]) == (cell, tenant)
            await echoes(socket, "hello")
        app = await side.ask("app.example.net", "/x", fields={"X-Real-IP": "198.51.100.4"})
        assert app.said["fields"]["x-real-ip"] == "198.51.100.4"
        assert (await side.ask("app.example.net", "/.git/config")).status == 403

        # What answers by itself does so before anybody is turned away, as in nginx.
        inside = "127.0.0.1:8081"
        health = await side.ask("localhost", "/health", listen=inside)
        assert (health.status, health.body) == (200, b'{"status":"UP"}')
        assert (await side.ask("localhost", "/app/cpu", listen=inside)).status == 403
        await side.change("PATCH", "routes/app", {"access": [{"allow": ["unix"]}]})
        numbers = await side.ask("localhost", "/app/cpu", listen=inside)
        assert (numbers.said["service"], numbers.said["target"]) == ("app", "/metrics/cpu")


async def test_single_page_application_has_tokens_for_everybody() -> None:
    async with sidecar("spa") as side:
        host, local = "app.example.com", {"Origin": "http://localhost:5173"}
        asked = await side.ask(host, "/api/items", "OPTIONS", fields=local)
        assert (asked.status, side["api"].asked) == (204, [])
        assert asked.fields["Access-Control-Allow-Origin"] == local["Origin"]
        evil = await side.ask(host, "/api/items", "OPTIONS", fields={"Origin": "https://evil.test"})
        assert "Access-Control-Allow-Origin" not in evil.fields
        assert (await side.ask(host, "/api/items", fields=local)).status == 401
        by_cookie = {"Cookie": "token=xyz", **local}
        items = await side.ask(host, "/api/items", fields=by_cookie)
        assert items.said["fields"]["authorization"] == "Bearer xyz"
        assert "cookie" not in items.said["fields"]

        assert await refused(side, host, "/live") == 401
        live = await side.open(host, "/live?room=1", additional_headers={"Cookie": "token=xyz"})
        said = await who(live)
        assert (said["target"], said["fields"]["authorization"]) == (
            "/v1/stream?room=1",
            "Bearer xyz",
        )
        assert (await side.ask(host, "/deep/link?x=1")).said["target"] == "/index.html?x=1"

        # What browsers of one more origin may, from now on.
        entry = {"exact": {"https://partner.test": "$http_origin"}}
        await side.change("PATCH", "header_maps/cors_origin", entry)
        partner = {"Origin": "https://partner.test"}
        asked = await side.ask(host, "/api/items", "OPTIONS", fields=partner)
        assert asked.fields["Access-Control-Allow-Origin"] == "https://partner.test"
        await echoes(live, "still live")


async def test_four_applications_at_home_have_their_websockets() -> None:
    sockets = {
        "home assistant": ("home.example.org", "/api/websocket", "/api/websocket"),
        "vault": ("vault.example.org", "/notifications/hub", "/notifications/hub"),
        "code": ("code.example.org", "/stable?type=terminal", "/stable?type=terminal"),
        "reports": ("code.example.org", "/reports/_stcore/stream", "/_stcore/stream"),
    }
    async with sidecar("home") as side:
        opened = []
        for name, (host, target, expected) in sockets.items():
            socket = await side.open(host, target)
            said = await who(socket)
            assert (said["service"], said["target"]) == (name, expected)
            await echoes(socket, "hello", b"\x00\x01")
            opened.append(socket)
        moved = await side.ask("code.example.org", "/reports")
        assert moved.fields["Location"] == "http://code.example.org/reports/"
        side.placed.replace("conf.d/code.conf", "location /reports/", "location /dashboards/")
        await side.reload()
        assert (await side.ask("code.example.org", "/dashboards/x")).said["target"] == "/x"
        assert (await side.ask("code.example.org", "/reports/x")).said["service"] == "code"
        for socket in opened:
            await echoes(socket, "still here")
        log = side.placed.folder / "access.log"
        logged = 'unix: "GET /api/websocket HTTP/1.1" 101'
        for socket in opened:
            await socket.close()
        await eventually(lambda: logged in log.read_text().splitlines(), "the log to tell of it")
