"""An imported nginx.conf beside nginx with the same one, and ``run --nginx-conf`` as a process."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from admin.documents import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.integration.admin.process import ROOT, process
from tests.peers import Origin, RawClient, Recorded, Reply, Stage, answers, reply, websocket, within
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS, encode, read_frame
from tests.peers.nginx import beside_nginx, connect, nginx
from tests.unit.admin.nginx.conf import MAPPED, SIMPLE, server, write

SEEDS: Final = {"simple": SIMPLE, "mapped": MAPPED}


def http_of(text: str) -> str:
    """Return what stands in the ``http`` block of a file."""
    return text[text.index("http {") + 6 : text.rindex("}")]


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


REQUESTS: Final = {
    "plain": request(b"GET", b"/chat/"),
    "query": request(b"GET", b"/chat/room?a=b&c"),
    "escapes": request(b"GET", b"/chat/a%20b%2Fc"),
    "dots": request(b"GET", b"/chat/x/../y"),
    "body": request(b"POST", b"/chat/", b"Content-Type: text/plain", body=b"hello"),
    "fields": request(b"GET", b"/chat/", b"X-A: 1", b"X-A: 2", b"X-Forwarded-For: 1.2.3.4"),
    "connection": request(b"GET", b"/chat/", b"Connection: keep-alive", b"Keep-Alive: 5"),
    "underscore": request(b"GET", b"/chat/", b"X_A: 1"),
    "elsewhere": request(b"GET", b"/other"),
    "without slash": request(b"GET", b"/chat?x"),
    "refused upgrade": request(b"GET", b"/chat/ws", *HANDSHAKE_FIELDS),
}


@beside_nginx
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", REQUESTS)
async def test_seed_treats_a_request_as_nginx_does(stage: Stage, seed: str, name: str) -> None:
    async with both(stage, SEEDS[seed]) as pair:
        mine, yours = await pair.ask(REQUESTS[name])
        assert mine.status == yours.status
        assert mine.get(b"location") == yours.get(b"location")
        seen = pair.seen()
        assert seen[0] == seen[1]


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


@beside_nginx
@pytest.mark.parametrize("seed", SEEDS)
async def test_seed_joins_a_websocket_as_nginx_does(stage: Stage, seed: str) -> None:
    async with both(stage, SEEDS[seed], websocket()) as pair:
        mine, yours = await pair.ask(request(b"GET", b"/chat/ws?x=1", *HANDSHAKE_FIELDS))
        assert mine.status == yours.status == 101
        assert mine.get(b"sec-websocket-accept") == yours.get(b"sec-websocket-accept")
        for client in (pair.ours, pair.theirs):
            await client.send(encode(1, b"hello", mask=True))
            assert (await read_frame(client)).payload == b"hello"
        heads = [origin.heads[0].raw for origin in (pair.our_origin, pair.their_origin)]
        lines = [sorted(raw.split(b"\r\n")) for raw in heads]
        assert lines[0] == lines[1]


# -- what else a file may say ---------------------------------------------------------------------

CONFS: Final = {
    "defaults": (
        "location / { proxy_pass http://backend; }",
        [
            request(b"GET", b"/a?b", b"Connection: keep-alive", b"Accept-Encoding: gzip"),
            request(b"GET", b"/", b"Upgrade: websocket", b"Connection: upgrade"),
            request(b"POST", b"/", body=b"hello"),
        ],
    ),
    "literal address": (
        "location / { proxy_pass http://127.0.0.1:8000; proxy_set_header X-Port $proxy_port; }",
        [request(b"GET", b"/")],
    ),
    "locations": (
        """
        location = /exact { proxy_pass http://backend; proxy_set_header X-At exact; }
        location /a { proxy_pass http://backend; proxy_set_header X-At prefix;
            location /a/b { proxy_pass http://backend/c; proxy_set_header X-At nested; } }
        location ^~ /final/ { proxy_pass http://backend/; proxy_set_header X-At final;
            location /final/deep/ { proxy_pass http://backend; proxy_set_header X-At deep; } }
        location ~ [.]png$ { proxy_pass http://backend; proxy_set_header X-At first; }
        location ~* ^/U/([0-9]+)$ {
            proxy_pass http://backend/users/$1$is_args$args;
            proxy_set_header X-At second-$1;
        }
        location ~* png { proxy_pass http://backend; proxy_set_header X-At third; }
        """,
        [
            request(b"GET", target)
            for target in (
                b"/exact",
                b"/exact/",
                b"/a",
                b"/a/b",
                b"/a/b/x?q=1",
                b"/ab",
                b"/a/b.png",
                b"/final/a.png",
                b"/final/deep/a.png",
                b"/final",
                b"/x.png",
                b"/x.PNG",
                b"/apng",
                b"/u/7",
                b"/U/7?x=y",
                b"/u/7x",
                b"/nowhere",
            )
        ],
    ),
    "inheritance": (
        """
        proxy_set_header X-Outer outer;
        proxy_set_header Host $http_host;
        proxy_http_version 1.1;
        location /kept/ { proxy_pass http://backend; }
        location /replaced/ { proxy_pass http://backend; proxy_set_header X-Inner $host; }
        location /twice/ {
            proxy_pass http://backend;
            proxy_set_header X-Twice 1;
            proxy_set_header Accept-Encoding "";
            proxy_set_header X-Names "${server_name}/$document_uri/$request";
        }
        """,
        [
            request(b"GET", target, b"Accept-Encoding: br")
            for target in (b"/kept/", b"/replaced/", b"/twice/x?y")
        ],
    ),
    "response fields": (
        """
        location / {
            proxy_pass http://backend;
            proxy_hide_header X-Gone;
            proxy_pass_header X-Accel-Charset;
            add_header X-Added $upstream_http_x_origin;
            add_header X-More a;
            add_header X-Always $status always;
        }
        """,
        [request(b"GET", b"/")],
    ),
    "limits": (
        """
        client_max_body_size 3;
        underscores_in_headers on;
        location / { proxy_pass http://backend; }
        location /more/ { proxy_pass http://backend; client_max_body_size 1k; }
        """,
        [
            request(b"POST", b"/", body=b"abc"),
            request(b"POST", b"/more/", b"X_Y: 1", body=b"abcd"),
        ],
    ),
    "request uri": (
        "location /x/ { proxy_pass http://backend$request_uri; }",
        [request(b"GET", target) for target in (b"/x/a%2Fb?c", b"/x/../x/y", b"/x//z")],
    ),
}


@beside_nginx
@pytest.mark.parametrize("name", CONFS)
async def test_file_is_understood_as_nginx_does(stage: Stage, name: str) -> None:
    directives, requests = CONFS[name]
    answer = reply(b"ok", b"X-Origin: o", b"X-Gone: 1", b"X-Accel-Charset: utf-8", b"X-Pad: 1")
    text = server("server_name h.test;", directives)
    async with both(stage, text, answers(answer)) as pair:
        for raw in requests:
            mine, yours = await pair.ask(raw)
            assert mine.status == yours.status, raw
            if mine.status == 200:
                assert response_fields(mine) == response_fields(yours)
        seen = pair.seen()
        assert seen[0] == seen[1]


def response_fields(answer: Reply) -> list[tuple[bytes, bytes]]:
    """Return the fields; nginx has its own Server and Date, and says keep-alive in HTTP/1.1."""
    ours = {b"server", b"date", b"connection"}
    fields = ((name.lower(), value) for name, value in answer.head.fields)
    return sorted(field for field in fields if field[0] not in ours)


MANY: Final = """
    map $http_x_tier $tier { hostnames; default one; beta two; *.example.org two; ~^g(.)mma$ two; }
    map $http_x_tier $address { default 127.0.0.1:8000; beta 127.0.0.1:8001; }
    upstream one { server 127.0.0.1:8000; }
    upstream two { server 127.0.0.1:8001; }
    server {
        listen 127.0.0.1:8080;
        server_name a.test .b.test;
        location / { proxy_pass http://one; proxy_set_header X-Server a; }
        location /tier/ { proxy_pass http://$tier; }
        location /address/ { proxy_pass http://$address; }
    }
    server {
        listen 127.0.0.1:8080 default_server;
        server_name d.test;
        location / { proxy_pass http://two; proxy_set_header X-Server default-$server_name; }
    }
    server {
        listen 127.0.0.1:8080;
        server_name *.test www.*;
        location / { proxy_pass http://one; proxy_set_header X-Server wild; }
    }
    server {
        listen 127.0.0.1:8080;
        server_name ~^(?<user>[a-z]+)[.]users[.] a.test;
        location / { proxy_pass http://one; proxy_set_header X-Server regex-$user; }
    }
    server {
        listen 127.0.0.1:8080;
        location / { proxy_pass http://one; proxy_set_header X-Server nameless; }
    }
"""


@beside_nginx
async def test_servers_and_maps_are_chosen_as_nginx_does(stage: Stage) -> None:
    hosts = [
        b"a.test", b"A.TEST:80", b"b.test", b"x.b.test", b"d.test", b"z.test", b"www.example.org",
        b"www.b.test", b"joe.users.example.org", b"users.example.org", b"nobody.example.org",
    ]  # fmt: skip
    requests = [request(b"GET", b"/", host=host) for host in hosts]
    requests.append(b"GET / HTTP/1.0\r\n\r\n")
    requests += [
        request(b"GET", path, b"X-Tier: " + tier, host=b"a.test")
        for path in (b"/tier/", b"/address/")
        for tier in (b"", b"beta", b"BETA", b"x.example.org", b"gamma", b"other")
    ]
    ours, theirs = [stage.origin(), stage.origin()], [stage.origin(), stage.origin()]
    own, socket = stage.path("own.sock"), stage.path("nginx.sock")
    imported = import_nginx(write("http {" + placed(MANY, own, *ours) + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(socket.parent, placed(MANY, socket, *theirs)):
        for raw in requests:
            for address in (own, socket):
                client = await RawClient.connect(f"unix:{address}")
                await client.send(raw)
                assert (await client.read_response()).status == 200, raw
                client.close()
    for mine, yours in zip(ours, theirs, strict=True):
        got = [
            [facts(one, *origins) for one in origin.requests]
            for origin, origins in ((mine, ours), (yours, theirs))
        ]
        assert got[0] == got[1]


# -- the process ----------------------------------------------------------------------------------


async def talk(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    await socket.send_str(text)
    assert (await socket.receive_str()).endswith(text)


async def test_sighup_imports_again_and_no_websocket_drops(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
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
            conf.write_text(text.replace("proxy_pass", "proxy_pas"))
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


async def test_process_without_an_nginx_conf_does_not_load_the_importer() -> None:
    code = "import sys, admin.app, admin.cli; print([m for m in sys.modules if 'nginx' in m])"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await within(child.communicate(), "the import", 30.0)
    assert said == b"[]\n"
