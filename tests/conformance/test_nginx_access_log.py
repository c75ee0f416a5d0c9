"""Access logs beside nginx: one file in both, the same requests, the logs compared line by line."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.peers import Conn, Origin, Recorded, Stage, eventually, reply
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.nginx import beside_nginx, connect, nginx
from tests.peers.origin import accept_key
from tests.unit.admin.nginx.conf import write

FIELDS: Final = (
    "remote_addr", "remote_user", "request", "status", "body_bytes_sent", "http_x", "http_nope",
    "http_user_agent", "http_referer", "args", "is_args", "arg_q", "cookie_c", "uri", "http_host",
    "request_method", "server_protocol", "query_string", "content_type", "kind", "request_uri",
    "upstream_addr", "sent_http_x_o", "upstream_http_x_o", "connection_requests", "server_name",
    "ssl_protocol", "gzip_ratio", "proxy_host",
)  # fmt: skip
PARTED: Final = "|".join(f"${name}" for name in FIELDS)
JSON: Final = (
    '{"line":"$request","x":"$http_x","nope":"$http_nope","uri":"$uri","status":$status,'
    '"agent":"${http_user_agent}s"}'
)
COMBINED: Final = {"request", "status", "http_referer", "http_user_agent"}
LINES: Final = {
    "combined": COMBINED,
    "json": {"request", "http_x", "uri", "status", "http_user_agent"},
    "none": {"request", "http_x"},
    "time": set[str](),
}
"""Logs that have a line of each request, besides the one of ``FIELDS``, and what is in them."""

CONF: Final = f"""
    map $http_x $kind {{ default ""; a b; }}
    map $http_x $loggable {{ default 1; quiet 0; "" ""; }}
    upstream backend {{ server 127.0.0.1:8000; }}
    log_format parted '{PARTED}';
    log_format json escape=json '{JSON}' 'x$http_x' 'x';
    log_format none escape=none '$request|$http_x|$http_nope';
    log_format time '$time_local|$time_iso8601|$msec|$request_time|$upstream_response_time';
    large_client_header_buffers 4 2k;
    client_max_body_size 10;
    underscores_in_headers on;
    lingering_close off;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $http_connection;
    server {{
        listen 127.0.0.1:8080;
        server_name site.test;
        access_log LOGS/combined.log;
        access_log LOGS/parted.log parted;
        access_log LOGS/json.log json;
        access_log LOGS/none.log none;
        access_log LOGS/time.log time;
        access_log LOGS/if.log combined if=$loggable;
        location / {{ proxy_pass http://backend; }}
        location /dead/ {{ proxy_pass http://unix:/nonexistent/socket; }}
        location /silent/ {{ proxy_pass http://backend; access_log off; }}
        location /own/ {{ proxy_pass http://backend; access_log LOGS/own.log combined; }}
    }}
"""


async def script(conn: Conn) -> None:
    """Answer by what the target says."""
    while True:
        one = await conn.next_request()
        path = one.target
        if path == b"/tunnel":
            await tunnel(conn, one)
            return
        if path == b"/chunked":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-O: \r\n\r\n"
            await conn.send(head + b"3\r\nabc\r\n0\r\n\r\n")
        elif path in {b"/until-close", b"/cut"}:
            length = b"Content-Length: 10\r\n" if path == b"/cut" else b""
            await conn.send(b"HTTP/1.1 200 OK\r\n%b\r\nabcdef" % length)
            conn.close()
            return
        elif path == b"/empty":
            await conn.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif path.startswith(b"/status/"):
            await conn.send(reply(b"", status=path[8:11] + b" As Asked"))
        else:
            await conn.send(reply(b"" if one.method == b"HEAD" else b"hello", b'X-O: "o"'))


async def tunnel(conn: Conn, one: Recorded) -> None:
    """Accept an upgrade, and echo."""
    key = accept_key(one.get(b"sec-websocket-key") or b"")
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket")
    await conn.send(b"\r\n".join((*lines, b"Sec-WebSocket-Accept: " + key)) + b"\r\n\r\n")
    await conn.echo()


@dataclass(frozen=True)
class Case:
    """What is sent on a connection of its own."""

    raw: bytes
    lines: int = 1
    """How many lines it makes, and in which log."""
    log: str = "parted"
    then: bytes = b""
    """Sent once there was a head."""
    answer: bytes = b""
    """What comes after that."""
    ends: bool = False
    """The client goes away without waiting."""
    differ: frozenset[str] = frozenset()
    """Variables whose value is another one than in nginx."""


def case(
    raw: bytes,
    differ: str = "",
    *,
    lines: int = 1,
    log: str = "parted",
    then: bytes = b"",
    answer: bytes = b"",
    ends: bool = False,
) -> Case:
    return Case(raw, lines, log, then, answer, ends, frozenset(differ.split()))


def get(target: bytes, *fields: bytes) -> bytes:
    return request(b"GET", target, *fields, host=b"site.test")


SITE: Final = b" HTTP/1.1\r\nHost: site.test\r\n"

CASES: Final = {
    "plain": case(get(b"/")),
    "query": case(get(b"/a?q=1&b=%22")),
    "empty query": case(get(b"/a?")),
    "empty argument": case(get(b"/a?q=&b")),
    "escapes": case(get(b"/a%0Ab%22c%5C")),
    "quote in target": case(get(b'/"q\\')),
    "slashes": case(get(b"/a//b/./c/../d")),
    "empty field": case(get(b"/", b"X: ")),
    "quotes in field": case(get(b"/", b'X: a"b\\c')),
    "controls in field": case(get(b"/", b"X: a\tb\xc3\xa9\xff")),
    "mapped field": case(get(b"/", b"X: a")),
    "field in the way of a condition": case(get(b"/", b"X: quiet")),
    "referer and agent": case(get(b"/", b'Referer: http://r/?"', b"User-Agent: Moz/5 (\xe9)")),
    "cookies": case(get(b"/", b'Cookie: a=1; c="x y"; d')),
    "empty cookie": case(get(b"/", b"Cookie: c=")),
    "two fields": case(get(b"/", b"X: 1", b"X: 2")),
    "user": case(get(b"/", b"Authorization: Basic dXNlcjpwdw==")),
    "user with quote": case(get(b"/", b"Authorization: basic   dSJzZXI6cHc=")),
    "no user": case(get(b"/", b"Authorization: Basic OnB3")),
    "user without password": case(get(b"/", b"Authorization: Basic dXNlcg==")),
    "no basic user": case(get(b"/", b"Authorization: Basic !!!")),
    "bearer": case(get(b"/", b"Authorization: Bearer abc")),
    "body": case(request(b"POST", b"/", b"Content-Type: a/b", body=b"abc", host=b"site.test")),
    "chunked body": case(
        b"POST /" + SITE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    ),
    "expecting": case(
        b"POST /" + SITE + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        then=b"abc",
        answer=b"hello",
    ),
    "head": case(request(b"HEAD", b"/", host=b"site.test")),
    "other method": case(request(b"PROPFIND", b"/", host=b"site.test")),
    "old": case(b"GET /old HTTP/1.0\r\n\r\n"),
    "old with host": case(b"GET /old HTTP/1.0\r\nHost: OTHER.test:81\r\n\r\n"),
    "chunked answer": case(get(b"/chunked")),
    "chunked answer to old": case(b"GET /chunked HTTP/1.0\r\n\r\n"),
    "answer until close": case(get(b"/until-close")),
    "empty answer": case(get(b"/empty")),
    "not modified": case(get(b"/status/304")),
    "error from upstream": case(get(b"/status/503")),
    "odd status": case(get(b"/status/299")),
    "cut answer": case(get(b"/cut")),
    "location of its own": case(get(b"/own/x"), log="own"),
    "silent location": case(get(b"/silent/x"), lines=0),
    "pipelined": case(get(b"/1") + get(b"/2"), lines=2),
    "empty lines before": case(b"\r\n\r\n" + get(b"/late")),
    "upgrade": case(get(b"/tunnel", *HANDSHAKE_FIELDS), then=b"12345", answer=b"12345"),
    "refused upgrade": case(get(b"/not-a-tunnel", b"Upgrade: websocket")),
    "cut head": case(b"GET / HTTP/1.1\r\nHost: a", ends=True),
    # Our error pages are shorter, and nginx knows no upstream before it has chosen one.
    "too large": case(
        request(b"POST", b"/", body=b"x" * 11, host=b"site.test"), "body_bytes_sent proxy_host"
    ),
    "dead upstream": case(get(b"/dead/x"), "body_bytes_sent"),
    "bad field": case(get(b"/", b"X y: 1"), "body_bytes_sent"),
    "no host": case(b"GET / HTTP/1.1\r\nX: a\r\n\r\n", "body_bytes_sent"),
    "two hosts": case(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "body_bytes_sent"),
    "bad length": case(b"GET /" + SITE + b"Content-Length: x\r\n\r\n", "body_bytes_sent"),
    "trace": case(request(b"TRACE", b"/", host=b"site.test"), "body_bytes_sent"),
    # Of what is no request line nginx knows no protocol, or an empty one.
    "garbage": case(b"GARBAGE\r\n\r\n", "body_bytes_sent server_protocol"),
    "TLS": case(b"\x16\x03\x01\x02\x03\r\n\r\n", "body_bytes_sent server_protocol"),
    "control in target": case(get(b"/\x01"), "body_bytes_sent server_protocol"),
    "cut line": case(b"GET / HT", "server_protocol", ends=True),
    "version 2": case(
        b"GET / HTTP/2.0\r\nHost: site.test\r\n\r\n", "body_bytes_sent server_protocol"
    ),
    # nginx stops at what is wrong; we have read the whole head.
    "above the root": case(get(b"/../x"), "body_bytes_sent uri http_host request_uri"),
    "bad escape": case(get(b"/%zz"), "body_bytes_sent uri http_host request_uri"),
    "zero octet": case(get(b"/%00"), "body_bytes_sent uri http_host request_uri"),
    "bad host": case(
        b"GET / HTTP/1.1\r\nHost: a b\r\nUser-Agent: x\r\n\r\n", "body_bytes_sent http_user_agent"
    ),
    "long line": case(
        get(b"/" + b"a" * 9000),
        "request body_bytes_sent uri http_host request_method server_protocol request_uri",
    ),
    # The rules of admission (RFC 9110, RFC 9112): other statuses, or refused where nginx is lax.
    "small letters": case(b"get /" + SITE + b"\r\n", "status body_bytes_sent server_protocol"),
    "long field": case(get(b"/", b"Y: " + b"a" * 9000), "status body_bytes_sent"),
    "connect": case(
        b"CONNECT a:1" + SITE + b"\r\n",
        "status body_bytes_sent http_host request_method server_protocol request_uri",
    ),
    "unknown coding": case(get(b"/", b"Transfer-Encoding: gzip"), "status body_bytes_sent"),
    "octets in target": case(
        get("/é".encode()),
        "status body_bytes_sent upstream_addr sent_http_x_o upstream_http_x_o proxy_host",
    ),
    "delete in field": case(
        get(b"/", b"X: a\x7fb"),
        "status body_bytes_sent upstream_addr sent_http_x_o upstream_http_x_o proxy_host",
    ),
    "absolute form": case(
        b"GET http://Site.test/p?q HTTP/1.1\r\nHost: other.test\r\n\r\n", "http_host"
    ),
}


class Side:
    """nginx or hotsplice, with its logs."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.folder: Final = folder
        self.socket: Final = folder / "listen.sock"
        self.origin: Final = origin

    def placed(self, text: str) -> str:
        """Put the real places into a file."""
        text = text.replace("127.0.0.1:8080", f"unix:{self.socket}")
        return text.replace("127.0.0.1:8000", self.origin.address).replace("LOGS", str(self.folder))

    def lines(self, name: str) -> list[bytes]:
        """Return the lines of a log so far, with the origin's address left out."""
        path = self.folder / f"{name}.log"
        text = path.read_bytes() if path.exists() else b""
        return text.replace(self.origin.address.encode(), b"ORIGIN").split(b"\n")[:-1]

    async def ask(self, one: Case) -> dict[str, list[bytes]]:
        """Send a case, and return the lines that it makes in each log."""
        logs = (*LINES, "parted", "if") if one.log == "parted" else (one.log,)
        before = {log: len(self.lines(log)) for log in logs}
        client = await connect(self.socket)
        await client.send(one.raw)
        if one.then:
            await client.read_until(b"\r\n\r\n")
            await client.send(one.then)
            await client.read_until(one.answer)
        elif not one.lines:
            await client.read_response()
        if one.then or one.ends:
            client.close()

        wanted = dict.fromkeys(logs, one.lines)
        if "if" in wanted and not re.search(rb"\r\nX: (?!quiet|\r)", one.raw):
            wanted["if"] = 0
        await eventually(
            lambda: all(len(self.lines(log)) >= before[log] + wanted[log] for log in logs),
            f"the lines of {one.raw!r}",
        )
        client.close()
        return {log: self.lines(log)[before[log] :] for log in logs}


@asynccontextmanager
async def both(stage: Stage) -> AsyncIterator[tuple[Side, Side]]:
    """Serve the file by hotsplice and by nginx."""
    ours, theirs = (Side(stage.path(name), stage.origin(script)) for name in ("ours", "theirs"))
    for side in (ours, theirs):
        side.folder.mkdir()
    imported = import_nginx(write("events {}\nhttp {" + ours.placed(CONF) + "}"))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(theirs.folder, theirs.placed(CONF)):
        yield ours, theirs


def masked(line: bytes, *, size: bool) -> bytes:
    """Leave out what differs from run to run, and the size if asked to."""
    line = re.sub(rb"\[[^]]+ [+-]\d{4}\]", b"[time]", line)
    return re.sub(rb'" (\d{3}) \d+ "', rb'" \1 size "', line) if size else line


def compare(one: Case, mine: dict[str, list[bytes]], yours: dict[str, list[bytes]]) -> list[str]:
    """Return what is not as it should be."""
    found = []
    parted = [log.get("parted", []) for log in (mine, yours)]
    differing = {
        name
        for pair in zip(*parted, strict=True)
        for name, a, b in zip(FIELDS, *(line.split(b"|") for line in pair), strict=True)
        if a != b
    }
    if differing != one.differ:
        found.append(f"{sorted(differing)} differ: {parted}")
    for log in ("combined", "if", "json", "none", "own"):
        if log in mine and not one.differ & LINES.get(log, COMBINED):
            size = "body_bytes_sent" in one.differ
            a, b = ([masked(line, size=size) for line in side[log]] for side in (mine, yours))
            if a != b:
                found.append(f"{log}: {a} {b}")
    return found


@beside_nginx
async def test_logs_are_those_of_nginx_line_by_line(stage: Stage) -> None:
    found: dict[str, list[str]] = {}
    async with both(stage) as (ours, theirs):
        for name, one in CASES.items():
            if wrong := compare(one, await ours.ask(one), await theirs.ask(one)):
                found[name] = wrong
        assert found == {}
        assert len(ours.lines("if")) == len(theirs.lines("if")) == 6
        assert len(ours.lines("own")) == 1
        local = rb"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
        iso = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"
        times = rb"\|".join((local, iso, rb"\d{10}\.\d{3}", rb"\d\.\d{3}", rb"(\d\.\d{3}|-)"))
        for side in (ours, theirs):
            assert [line for line in side.lines("time") if not re.fullmatch(times, line)] == []


@beside_nginx
async def test_octet_that_ends_a_text_is_escaped_where_nothing_else_is(stage: Stage) -> None:
    async with both(stage) as (ours, theirs):
        one = case(b"\x16\x00\x01\r\n\r\n")
        mine, yours = await ours.ask(one), await theirs.ask(one)
        assert mine["none"] == [b"\x16\\x00\x01||"]
        assert yours["none"] == [b"\x16\x00\x01||"]
