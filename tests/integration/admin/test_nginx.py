"""An imported nginx.conf in use, and ``run --nginx-conf`` as a process.

What each of its directives does beside nginx is in ``tests/conformance/differential``.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.integration.admin.process import ROOT, process
from tests.peers import Origin, RawClient, Recorded, Reply, Stage, within
from tests.peers.nginx import connect, nginx
from tests.unit.admin.nginx.conf import MAPPED, SIMPLE, http_of, write


def placed(text: str, listen: Path, *origins: Origin) -> str:
    """Put real addresses into a file that listens on 8080 and has servers from 8000 on."""
    text = text.replace("127.0.0.1:8080", f"unix:{listen}")
    for number, origin in enumerate(origins):
        text = text.replace(f"127.0.0.1:{8000 + number}", origin.address)
    return text


@dataclass
class Both:
    """hotsplice and nginx with the same file, an origin behind each."""

    ours: RawClient
    theirs: RawClient
    our_origin: Origin
    their_origin: Origin

    async def ask(self, raw: bytes, method: bytes = b"GET") -> tuple[Reply, Reply]:
        """Send the same octets to both."""
        replies = []
        for client in (self.ours, self.theirs):
            await client.send(raw)
            replies.append(await client.read_response(method))
        return replies[0], replies[1]

    def seen(self) -> tuple[list[Seen], list[Seen]]:
        """Return what the origins got."""
        mine, yours = self.our_origin, self.their_origin
        return (
            [facts(one, mine) for one in mine.requests],
            [facts(one, yours) for one in yours.requests],
        )


Seen = tuple[bytes, list[bytes], bytes]


def facts(one: Recorded, *origins: Origin) -> Seen:
    """Return request line, fields and body; nginx writes its own fields in another order.

    Ports of ``origins`` become their numbers in the row.
    """
    lines = one.head.raw.rstrip(b"\r\n").split(b"\r\n")
    for number, origin in enumerate(origins):
        port = origin.address.rpartition(":")[2].encode()
        lines = [line.replace(port, b"port %d" % number) for line in lines]
    return lines[0], sorted(lines[1:]), one.body


@asynccontextmanager
async def both(stage: Stage, text: str, *scripts: Any) -> AsyncIterator[Both]:
    """Serve a file by both."""
    ours, theirs = stage.origin(*scripts), stage.origin(*scripts)
    own, socket = stage.path("own.sock"), stage.path("nginx.sock")
    imported = import_nginx(write(placed(text, own, ours)))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(socket.parent, http_of(placed(text, socket, theirs))):
        client = await RawClient.connect(f"unix:{own}")
        other = await connect(socket)
        yield Both(client, other, ours, theirs)
        client.close()
        other.close()


async def test_mapped_seed_says_close_to_the_upstream_for_a_plain_request(stage: Stage) -> None:
    origin = stage.origin()
    own = stage.path("own.sock")
    imported = import_nginx(write(placed(MAPPED, own, origin)))
    await stage.serve(to_spec(validate(imported.document)))
    client = await RawClient.connect(f"unix:{own}")
    assert (await client.get(b"/chat/")).status == 200
    client.close()
    assert origin.requests[0].get(b"connection") == b"close"
    assert origin.requests[0].get(b"upgrade") is None


# -- the process ----------------------------------------------------------------------------------


async def talk(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    await socket.send_str(text)
    assert (await socket.receive_str()).endswith(text)


@pytest.mark.parametrize("bad", ["misspelled", "emptied"])
async def test_sighup_imports_again_and_no_websocket_drops(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str, bad: str
) -> None:
    own = tmp_path / "own.sock"
    text = SIMPLE.replace("127.0.0.1:8080", f"unix:{own}").replace("127.0.0.1:8000", blue)
    text = text.replace("proxy_pass http://backend;", "proxy_pass http://backend/;")
    conf = tmp_path / "nginx.conf"
    conf.write_text(text)
    async with (
        process(tmp_path, "run", "--nginx-conf", str(conf), "--drain-accept", "0s") as running,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(own))) as client,
    ):
        ready = await running.ready()
        status = f"http://{ready['admin']}/v1/status"

        async def applied(result: str) -> int:
            while True:
                async with session.get(status) as answer:
                    shown = await answer.json()
                last = shown["last_apply"]
                if (last["source"], last["result"]) == ("sighup", result):
                    return int(shown["revision"]["number"])

        async with client.ws_connect("http://h/chat/ws") as socket:
            await talk(socket, "1")
            conf.write_text(text.replace("/chat/", "/talk/"))
            running.signal(signal.SIGHUP)
            assert await within(applied("applied"), "the new file to be applied") == 2
            await talk(socket, "2")
            async with client.get("http://h/chat/") as answer:
                assert answer.status == 404
            async with client.get("http://h/talk/") as answer:
                assert answer.status == 200
            conf.write_text("" if bad == "emptied" else text.replace("proxy_pass", "proxy_pas"))
            running.signal(signal.SIGHUP)
            assert await within(applied("refused"), "the bad file to be refused") == 2
            await talk(socket, "3")
        assert (await running.terminated())[0] == 0


async def test_file_that_cannot_be_run_ends_with_2_and_its_lines(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(SIMPLE.replace("location /chat/ {", "location /chat/ {\nauth_request /a;"))
    async with process(tmp_path, "run", "--nginx-conf", str(conf)) as running:
        status, said = await running.ended()
    assert status == 2
    assert re.search(rf"(?m)^{re.escape(str(conf))}:10: auth_request /a: .*$", said)
    assert "Traceback" not in said


async def test_lenient_run_leaves_out_what_is_refused_and_says_so(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    own, conf = tmp_path / "own.sock", tmp_path / "nginx.conf"
    text = SIMPLE.replace("127.0.0.1:8080", f"unix:{own}")
    conf.write_text(text.replace("location /chat/ {", "location /chat/ {\nauth_request /a;"))
    async with (
        process(tmp_path, "run", "--nginx-conf", str(conf), "--lenient") as running,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(own))) as client,
    ):
        await running.ready()
        async with client.get("http://h/chat/") as answer:
            assert answer.status == 403
        running.signal(signal.SIGTERM)
        status, said = await running.ended()
    assert status == 0
    (line,) = [line for line in said.splitlines() if "nginx_conf_left_out" in line]
    assert f"{conf}:10: refused: auth_request /a: " in line


async def test_process_without_an_nginx_conf_does_not_load_the_importer() -> None:
    code = "import sys, admin.app, admin.cli; print([m for m in sys.modules if 'nginx' in m])"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await within(child.communicate(), "the import", 30.0)
    assert said == b"[]\n"
