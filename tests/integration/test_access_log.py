"""The access log as it comes out of a running server."""

from __future__ import annotations

import json
from typing import Any

from proxy.telemetry.access_log import AccessLog, Mode
from tests.peers import OK, Conn, Running, Stage, answers, build_spec, eventually, reply
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import websocket


class Lines:
    """Where the log goes."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, data: bytes) -> None:
        self.text += data

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    async def entry(self, number: int = 1) -> dict[str, Any]:
        await eventually(lambda: len(self.entries) >= number, f"line {number} of the log")
        return self.entries[number - 1]


async def serve(stage: Stage, *addresses: str, mode: Mode = "all") -> tuple[Running, Lines]:
    lines = Lines()
    log = AccessLog(mode, write=lines.write)
    return await stage.serve(build_spec(*addresses), access_log=log), lines


async def test_request_is_logged_with_its_facts(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"12345")))
    running, lines = await serve(stage, origin.address)
    client = await running.connect()
    await client.request(b"POST", b"/path?secret=1", body=b"123")
    entry = await lines.entry()
    expected = {
        "event": "access",
        "client_ip": "127.0.0.1",
        "method": "POST",
        "path": "/path",
        "status": 200,
        "reason": None,
        "route": "everything",
        "pool": "backend",
        "endpoint": origin.address,
        "attempts": 1,
        "bytes_in": 3,
        "bytes_out": 5,
    }
    assert {name: entry.get(name) for name in expected} == expected
    assert entry["request_id"] == (origin.requests[0].get(b"x-request-id") or b"").decode()
    assert 0 <= entry["ttfb_ms"] <= entry["duration_ms"]
    assert "secret" not in lines.text.decode()


async def test_failure_is_logged_with_its_reason_and_attempts(stage: Stage) -> None:
    first, second = stage.refused(), stage.refused()
    running, lines = await serve(stage, first, second, mode="errors")
    client = await running.connect()
    answer = await client.get(b"/")
    entry = await lines.entry()
    assert (entry["status"], entry["reason"], entry["attempts"]) == (502, "connect_failed", 2)
    assert entry["endpoint"] == second  # the last that was tried
    assert entry["request_id"] == (answer.get(b"x-request-id") or b"").decode()


async def test_success_is_not_logged_where_only_errors_are(stage: Stage) -> None:
    running, lines = await serve(stage, stage.origin().address, mode="errors")
    client = await running.connect()
    await client.get()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n")
    await client.read_response()
    await running.server.close()
    assert all(entry["status"] >= 400 for entry in lines.entries)


async def test_client_that_went_away_is_logged_as_499(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    running, lines = await serve(stage, origin.address)
    client = await running.connect()
    await client.send(request())
    await origin.request()
    client.reset()
    entry = await lines.entry()
    assert (entry["status"], entry["reason"]) == (499, "client_gone")


async def test_control_characters_of_a_path_are_escaped(stage: Stage) -> None:
    running, lines = await serve(stage, stage.origin().address)
    await (await running.connect()).get(b'/a"b%0A')
    entry = await lines.entry()
    assert entry["path"] == '/a"b%0A'
    assert lines.text.count(b"\n") == 1


async def test_tunnel_is_logged_when_it_opens_and_when_it_closes(stage: Stage) -> None:
    running, lines = await serve(stage, stage.origin(websocket(behind=b"ab")).address)
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    opened = await lines.entry(1)
    await client.send(b"12345")
    await client.read_exactly(7)
    client.close()
    closed = await lines.entry(2)
    assert (opened["event"], closed["event"]) == ("tunnel_open", "tunnel_close")
    assert opened["request_id"] == closed["request_id"]
    assert (opened["status"], opened["bytes_in"], opened["bytes_out"]) == (101, 0, 0)
    assert (closed["status"], closed["bytes_in"], closed["bytes_out"]) == (101, 5, 7)
    assert 0 < opened["ttfb_ms"] <= opened["duration_ms"] < closed["duration_ms"] < 60_000
    assert closed["ttfb_ms"] == opened["ttfb_ms"]


async def test_log_is_complete_after_close(stage: Stage) -> None:
    running, lines = await serve(stage, stage.origin(answers(OK)).address)
    client = await running.connect()
    for _ in range(20):
        await client.get()
    await running.server.close()
    assert len(lines.entries) == 20
