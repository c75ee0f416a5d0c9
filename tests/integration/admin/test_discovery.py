"""Endpoints that DNS has, as whoever operates a process sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp

from admin.demo import ANYWHERE, echo
from admin.listening import listening
from tests.integration.admin.hotsplice import hotsplice
from tests.integration.admin.process import process
from tests.peers import Stage, within

NAME = "web.default.svc.cluster.local"


async def test_found_endpoints_are_shown_overridden_and_told_of(
    tmp_path: Path, session: aiohttp.ClientSession, stage: Stage
) -> None:
    dns = await stage.dns()
    dns.say(NAME, "A", "127.0.0.1")
    async with listening(echo("blue"), ANYWHERE) as address:
        port = int(address.rpartition(":")[2])
        document = {
            "version": 1,
            "listeners": {"public": {"bind": "127.0.0.1:0"}},
            "pools": {
                "web": {"discovery": {"dns": {"name": NAME, "port": port, "resolver": dns.address}}}
            },
            "routes": {"all": {"path": {"prefix": "/"}, "pool": "web"}},
        }
        config = tmp_path / "c.json"
        config.write_text(json.dumps(document))
        socket = tmp_path / "admin.sock"
        environ = {"HOTSPLICE_ADMIN": f"unix:{socket}"}
        words = ("--config", str(config), "--admin", f"unix:{socket}")
        async with process(tmp_path, "run", *words) as running:
            ready = await running.ready()
            public = f"http://{ready['listeners']['public']}/"
            async with session.get(public) as answer:
                assert (await answer.json())["endpoint"] == "blue"
            connector = aiohttp.UnixConnector(str(socket))
            async with aiohttp.ClientSession(connector=connector) as admin:

                async def read(path: str) -> dict[str, Any]:
                    async with admin.get(f"http://sidecar{path}") as answer:
                        shown: dict[str, Any] = await answer.json()
                        return shown

                status = await read("/v1/status")
                (endpoint,) = status["pools"]["web"]["endpoints"]
                assert (endpoint["name"], endpoint["discovered"]) == (address, True)
                discovery = status["pools"]["web"]["discovery"]
                assert (discovery["found"], discovery["failing"]) == (1, None)
                assert (await read("/v1/config")) == document

                path = f"http://sidecar/v1/pools/web/endpoints/{address}/override"
                down = {"state": "down", "ttl": "1h"}
                async with admin.put(path, json=down) as answer:
                    assert answer.status == 201
                async with session.get(public) as answer:
                    assert answer.status == 502
                nobody = path.replace("127.0.0.1", "127.0.0.9")
                async with admin.put(nobody, json=down) as answer:
                    assert answer.status == 404
                async with admin.get("http://sidecar/v1/events") as events:
                    dns.say(NAME, "A")

                    async def told() -> dict[str, Any]:
                        while (await events.content.readline()) != b"event: discovery\n":
                            pass
                        line = await events.content.readline()
                        found: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                        return found

                    moved = await within(told(), "the event")
                assert (moved["pool"], moved["what"]) == ("web", "moved")
                assert (moved["added"], moved["removed"]) == ([], [address])
                status = await read("/v1/status")
                assert status["revision"]["number"] == 1
                assert [one["endpoint"] for one in status["overrides"]] == [address]
            got = await hotsplice("get", "pools/web", environ=environ)
            assert f"discovery of web: {NAME}, 0 found" in got.out
