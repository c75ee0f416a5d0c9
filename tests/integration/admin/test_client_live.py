"""The client's connections, drains and events, beside an API that answers as it is told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.admin.hotsplice import ROOT, Done, Scripted, hotsplice, scripted
from tests.peers import within

CONNECTION: dict[str, Any] = {
    "id": "a1-7",
    "kind": "websocket",
    "state": "open",
    "client": "10.0.0.9:5123",
    "listener": "public",
    "route": "chat",
    "pool": "backend",
    "endpoint": "blue-0",
    "age_s": 3720.5,
    "idle_s": 4.0,
    "from_client": {"bytes": 2048, "frames": 12},
    "from_upstream": {"bytes": 0, "frames": 0},
}
DRAIN: dict[str, Any] = {
    "name": "n7",
    "selector": {"labels": {"node": "n7"}},
    "selected": 10,
    "closed": 4,
    "remaining": 6,
    "cordoned": ["backend/blue-0"],
    "done": False,
}
ENDED = {**DRAIN, "closed": 10, "remaining": 0, "done": True}


async def call(api: Scripted, *words: str) -> Done:
    return await hotsplice(*words, "--admin", api.address)


async def test_connections_are_listed_page_by_page_up_to_the_limit() -> None:
    pages = (
        {"items": [CONNECTION] * 100, "next": "c1"},
        {"items": [CONNECTION] * 50, "next": "c2"},
    )
    async with scripted(*pages) as api:
        ended = await call(api, "connections", "--label", "node=n7", "--limit", "150")
    assert api.lines == [
        "GET /v1/connections?label=node%3Dn7&limit=100",
        "GET /v1/connections?label=node%3Dn7&limit=50&cursor=c1",
    ]
    assert ended.table() == [
        ["a1-7", "websocket", "open", "10.0.0.9:5123", "chat", "backend", "blue-0", "1h2m", "4s",
         "2.0K", "0"],
    ] * 150  # fmt: skip
    assert "there are more" in ended.err


async def test_connections_are_listed_to_the_end_as_json() -> None:
    pages = ({"items": [CONNECTION] * 100, "next": "c1"}, {"items": [CONNECTION], "next": None})
    async with scripted(*pages) as api:
        ended = await call(api, "connections", "list", "--min-age", "10m", "-o", "json")
    assert json.loads(ended.out) == [CONNECTION] * 101
    assert ended.err == ""
    assert api.lines == [
        "GET /v1/connections?min_age=10m&limit=100",
        "GET /v1/connections?min_age=10m&limit=100&cursor=c1",
    ]


async def test_list_as_json_that_was_asked_to_be_short_says_that_there_are_more() -> None:
    async with scripted({"items": [CONNECTION] * 7, "next": "c1"}) as api:
        ended = await call(api, "connections", "list", "--limit", "7", "-o", "json")
    assert json.loads(ended.out) == [CONNECTION] * 7
    assert "there are more" in ended.err


async def test_empty_page_is_not_the_end() -> None:
    pages = ({"items": [], "next": "c1"}, {"items": [CONNECTION], "next": None})
    async with scripted(*pages) as api:
        ended = await call(api, "connections", "--kind", "websocket")
    assert len(ended.table()) == 1


async def test_connection_is_shown_with_all_that_is_known() -> None:
    async with scripted(CONNECTION) as api:
        rows = (await call(api, "connections", "show", "a1-7")).table()
    assert ["from_client.frames", "12"] in rows
    assert ["age", "1h2m"] in rows
    assert api.lines == ["GET /v1/connections/a1-7"]


async def test_connection_is_closed_with_code_and_reason() -> None:
    async with scripted(None) as api:
        words = ("connections", "close", "a1-7", "--code", "1012", "--reason", "please come again")
        assert (await call(api, *words)).out == "a1-7 is closed\n"
    assert api.lines == ["DELETE /v1/connections/a1-7?code=1012&reason=please+come+again"]


async def test_drain_by_label_is_ordered_under_its_name() -> None:
    async with scripted(DRAIN) as api:
        words = (
            "drain", "n7", "--label", "node=n7", "--rate", "50", "--timeout", "1m", "--code",
            "1012", "--reason", "node reboots", "--no-cordon", "--fraction", "25%",
        )  # fmt: skip
        ended = await call(api, *words)
    (asked,) = api.asked
    assert asked.line == "PUT /v1/drains/n7"
    assert json.loads(asked.body) == {
        "selector": {"labels": {"node": "n7"}}, "rate": 50, "timeout": "1m", "code": 1012,
        "reason": "node reboots", "cordon": False, "fraction": 0.25,
    }  # fmt: skip
    assert ended.table() == [
        ["n7", "draining", "10", "4", "6", "backend/blue-0", 'labels={"node": "n7"}'],
    ]


async def test_drain_without_a_name_is_named_after_its_selector() -> None:
    async with scripted(DRAIN, DRAIN) as api:
        await call(api, "drain", "--pool", "backend", "--endpoint", "unix:/run/a.sock")
        await call(api, "drain", "--label", "node=n7")
    assert api.lines == [
        "PUT /v1/drains/pool-backend-endpoint-unix--run-a.sock", "PUT /v1/drains/node-n7",
    ]  # fmt: skip


async def test_waiting_drain_ends_when_it_is_done() -> None:
    async with scripted(DRAIN, DRAIN, ENDED) as api:
        ended = await call(api, "drain", "n7", "--label", "node=n7", "--wait")
    assert (ended.status, ended.table()[0][1]) == (0, "done")
    assert api.lines[1:] == ["GET /v1/drains/n7"] * 2
    said = ended.err.splitlines()
    assert said[0] == "drain n7: 4 of 10 closed, 6 left"
    assert said[-1].startswith("drain n7: done after ")


async def test_name_alone_tells_how_far_a_drain_is() -> None:
    async with scripted(ENDED) as api:
        ended = await call(api, "drain", "n7", "-o", "json")
    assert json.loads(ended.out) == {**ENDED}
    assert api.lines == ["GET /v1/drains/n7"]


async def test_nothing_said_lists_the_drains_and_starts_none() -> None:
    async with scripted({"items": [DRAIN, ENDED]}) as api:
        assert len((await call(api, "drain")).table()) == 2
    assert api.lines == ["GET /v1/drains"]


async def test_drain_is_cancelled_by_its_name() -> None:
    async with scripted(None, None) as api:
        assert (await call(api, "drain", "n7", "--cancel")).status == 0
        assert (await call(api, "drain", "--cancel")).status == 0
    assert api.lines == ["DELETE /v1/drains/n7", "DELETE /v1/lifecycle/drain"]


async def test_order_without_a_selector_is_refused_before_anything_is_asked() -> None:
    async with scripted() as api:
        ended = await call(api, "drain", "n7", "--rate", "5")
    assert (ended.status, api.lines) == (2, [])


PROGRESS = {"state": "draining", "remaining": 3}


async def test_process_is_drained_and_waited_for() -> None:
    drained = {"state": "drained", "remaining": 0}
    async with scripted(PROGRESS, {**PROGRESS, "remaining": 1}, drained) as api:
        ended = await call(api, "drain", "--wait")
    assert ended.status == 0
    assert api.lines == ["POST /v1/lifecycle/drain"] + ["GET /v1/lifecycle/drain?wait=2s"] * 2
    assert ended.err.startswith("drain of the process: 0 of 3 closed, 3 left\n")


async def test_process_that_ends_while_it_is_waited_for_is_drained() -> None:
    gone = web.Response()
    gone.force_close()

    async def vanish(*_: object) -> None:
        raise ConnectionResetError

    gone.prepare = vanish  # type: ignore[assignment]
    async with scripted(PROGRESS, gone) as api:
        ended = await call(api, "drain", "--wait")
    assert ended.status == 0
    assert "the process has ended" in ended.err


async def test_process_drain_that_is_undone_by_somebody_else_ends_with_4() -> None:
    async with scripted(PROGRESS, {"state": "serving", "remaining": 0}) as api:
        ended = await call(api, "drain", "--wait")
    assert ended.status == 4


async def test_drain_of_the_process_need_not_be_waited_for() -> None:
    async with scripted(PROGRESS) as api:
        assert (await call(api, "drain", "--process")).status == 0
    assert api.lines == ["POST /v1/lifecycle/drain"]


@pytest.fixture
async def stream() -> AsyncIterator[Scripted]:
    text = (
        ": alive\n\n"
        'id: 1\nevent: revision\ndata: {"time": 1764092499.25, "number": 3, "author": "bob"}\n\n'
        'id: 2\nevent: override\ndata: {"pool": "backend",\ndata: "note": null}\n\n'
    )
    async with scripted(web.Response(text=text, content_type="text/event-stream")) as api:
        yield api


async def test_events_are_told_until_the_stream_ends(stream: Scripted) -> None:
    ended = await call(stream, "events")
    assert ended.status == 3
    first, second = ended.out.splitlines()
    assert first.endswith(" revision  number=3 author=bob")
    assert second.endswith(" override  pool=backend")
    assert "ended the stream" in ended.err


async def test_events_are_chosen_by_kind_and_told_as_lines_of_json(stream: Scripted) -> None:
    ended = await call(stream, "events", "override", "-o", "json")
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"event": "override", "id": "2", "data": {"pool": "backend", "note": None}}
    ]


async def test_token_of_a_file_is_shown_and_never_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    async with scripted(web.json_response({"detail": "no"}, status=403)) as api:
        ended = await call(api, "events", "--token-file", str(tmp_path / "token"))
    assert api.asked[0].token == "Bearer s3cret"
    assert (ended.status, "s3cret" in ended.err + ended.out) == (1, False)


async def test_what_is_no_hotsplice_is_said_to_be_none() -> None:
    async with scripted(web.Response(text="<html>"), web.Response(text="x", status=502)) as api:
        ended = await call(api, "status")
        assert (ended.status, "is it hotsplice?" in ended.err) == (1, True)
        assert "502 Bad Gateway" in (await call(api, "status")).err


async def seen(columns: int, **environ: str) -> str:
    """Return what a pseudo-terminal for standard error, so wide, is told of a drain."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    try:
        async with scripted(DRAIN, ENDED) as api:
            words = ("drain", "n7", "--label", "node=n7", "--wait", "--admin", api.address)
            assert (await hotsplice(*words, err=theirs, environ=environ)).status == 0
        return os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)


async def test_bar_is_for_terminals() -> None:
    said = await seen(80)
    assert f"\r[{'#' * 12}{'-' * 18}] drain n7: 4 of 10 closed, 6 left" in said
    assert f"\r[{'#' * 30}] drain n7: 10 of 10 closed, 0 left" in said


@pytest.mark.parametrize(
    ("columns", "shown"), [(40, f"[{'#' * 12}{'-' * 18}] 4/10"), (20, "4/10"), (3, "")]
)
async def test_bar_never_wraps(columns: int, shown: str) -> None:
    assert (await seen(columns)).startswith(f"\r{shown}\x1b[K\r")


async def test_terminal_that_cannot_move_gets_lines() -> None:
    said = await seen(80, TERM="dumb")
    assert said.startswith("drain n7: 4 of 10 closed, 6 left\r\n")
    assert "\x1b" not in said


async def test_who_stops_waiting_is_told_that_the_drain_goes_on() -> None:
    async with scripted(*[DRAIN] * 100) as api:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "admin", "drain", "n7", "--label", "node=n7", "--wait",
            "--admin", api.address, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stderr is not None
        assert await within(child.stderr.readline(), "the first line", 30.0)
        child.send_signal(signal.SIGINT)
        said = await within(child.stderr.read(), "the end", 30.0)
        assert await within(child.wait(), "the end", 30.0) == 130
    assert said.startswith(b"drain n7 goes on: `hotsplice drain n7` tells")
    assert all(line.startswith(("PUT", "GET")) for line in api.lines)
