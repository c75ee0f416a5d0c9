"""Access logs that a configuration names, as they come out of a running server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import SpecError
from proxy.spec import HeaderMapSpec, LogSpec, RegexEntry, Spec
from proxy.telemetry.access_log import AccessLog
from tests.peers import (
    Conn,
    Stage,
    answers,
    build_spec,
    eventually,
    everything,
    listener,
    reply,
    route,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import then, websocket

LINE = "$request|$status|$body_bytes_sent|$bytes_sent"
NO_LOGS: tuple[LogSpec, ...] = ()


def log(path: Path, format: str = LINE, **more: Any) -> LogSpec:
    return LogSpec(to=str(path), format=format, **more)


def spec(
    *addresses: str,
    public: tuple[LogSpec, ...] | None = None,
    route: tuple[LogSpec, ...] | None = None,
) -> Spec:
    return build_spec(
        *addresses,
        listeners=[listener(access_log=public)],
        routes=[everything(access_log=route)],
    )


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


async def lines_of(path: Path, number: int) -> list[bytes]:
    await eventually(lambda: len(lines(path)) >= number, f"{number} lines in {path}")
    return lines(path)


def is_open(path: Path) -> bool:
    return any(name.resolve() == path for name in Path("/proc/self/fd").iterdir())


async def test_route_logs_in_place_of_its_listener(stage: Stage, tmp_path: Path) -> None:
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    origin = stage.origin(answers(reply(b"hello")))
    running = await stage.serve(
        build_spec(
            origin.address,
            listeners=[listener(access_log=(log(a),))],
            routes=[
                everything(),
                route("own", "/own/", access_log=(log(b, "$uri $status"),)),
                route("none", "/none/", access_log=NO_LOGS),
            ],
        )
    )
    client = await running.connect()
    for target in (b"/none/x", b"/own/x", b"/x?y"):
        answer = await client.get(target)
    assert await lines_of(b, 1) == [b"/own/x 200"]
    size = len(answer.head.raw) + 5
    assert await lines_of(a, 1) == [b"GET /x?y HTTP/1.1|200|5|%d" % size]


@pytest.mark.parametrize("said", ["listener", "route"])
async def test_document_takes_the_place_of_the_log_of_the_process(
    stage: Stage, tmp_path: Path, said: str
) -> None:
    taken: list[bytes] = []
    process = AccessLog("all", write=taken.append)
    logs = (log(tmp_path / "a.log"),)
    origin = stage.origin()
    served = spec(origin.address, **{"public" if said == "listener" else "route": logs})
    running = await stage.serve(served, access_log=process)
    client = await running.connect()
    await client.get(b"/1")
    await running.server.apply(spec(origin.address))
    await client.get(b"/2")
    await running.server.apply(spec(origin.address, public=NO_LOGS))
    await client.get(b"/3")
    await running.server.close()
    assert [json.loads(line)["path"] for line in b"".join(taken).splitlines()] == ["/2"]
    assert [line.split(b" ")[1] for line in lines(tmp_path / "a.log")] == [b"/1"]


async def test_json_has_the_fields_of_the_log_of_the_process(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    running = await stage.serve(spec(stage.origin().address, public=(log(path, "json"),)))
    client = await running.connect()
    await client.get(b"/x?secret")
    (entry,) = map(json.loads, await lines_of(path, 1))
    assert (entry["event"], entry["path"], entry["status"]) == ("access", "/x", 200)
    assert (entry["route"], entry["pool"], entry["bytes_out"]) == ("everything", "backend", 2)


async def test_condition_says_which_requests_are_logged(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    logs = (log(path, "$http_x ", when="$wanted"),)
    wanted = HeaderMapSpec(name="wanted", source="$http_x", default="1",
                           exact=(("no", "0"), ("", "")))  # fmt: skip
    running = await stage.serve(
        replace(spec(stage.origin().address, public=logs), header_maps={"wanted": wanted})
    )
    client = await running.connect()
    for value in (b"no", b"yes", b"", b"again"):
        await client.get(b"/", b"X: " + value)
    assert await lines_of(path, 2) == [b"yes ", b"again "]


async def test_condition_may_ask_for_the_status(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    bad = HeaderMapSpec(name="bad", source="$status", default="1",
                        regex=(RegexEntry(match="^[23]", value="0"),))  # fmt: skip
    served = build_spec(
        stage.origin().address,
        listeners=[listener(access_log=(log(path, "$uri $status", when="$bad"),))],
        routes=[route("some", "/some/")],
        header_maps=[bad],
    )
    running = await stage.serve(served)
    client = await running.connect()
    for target in (b"/some/1", b"/other", b"/some/2", b"/another"):
        await client.get(target)
    assert await lines_of(path, 2) == [b"/other 404", b"/another 404"]


async def test_our_own_answers_and_refused_heads_are_in_the_log_of_the_listener(
    stage: Stage, tmp_path: Path
) -> None:
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    served = build_spec(
        stage.refused(),
        listeners=[listener(access_log=(log(a), log(b, "json")))],
        routes=[route("some", "/some/")],
    )
    running = await stage.serve(served)
    client = await running.connect()
    answer = [await client.get(b"/some/x"), await client.get(b"/other"), await client.get(b"/some")]
    await client.send(b"GARBAGE\r\n\r\n")
    answer.append(await client.read_response())
    expected = [
        (b"GET /some/x HTTP/1.1", 502, "connect_failed"),
        (b"GET /other HTTP/1.1", 404, "no_route"),
        (b"GET /some HTTP/1.1", 301, None),
        (b"GARBAGE", 400, "bad_request"),
    ]
    assert await lines_of(a, 4) == [
        b"%b|%d|%d|%d" % (line, status, len(one.body), len(one.head.raw) + len(one.body))
        for (line, status, _), one in zip(expected, answer, strict=True)
    ]
    said = [json.loads(line) for line in await lines_of(b, 4)]
    assert [(one["status"], one["reason"]) for one in said] == [one[1:] for one in expected]
    assert (said[-1]["ttfb_ms"], said[-1]["duration_ms"]) == (None, 0)


async def test_what_was_tried_is_in_the_log(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    dead, origin = stage.refused(), stage.origin(answers(reply(b"", b"X-A: 1")))
    logs = (log(path, "$upstream_addr|$sent_http_x_a|$status"),)
    running = await stage.serve(spec(dead, origin.address, public=logs))
    client = await running.connect()
    await client.get()
    await running.server.apply(spec(dead, public=logs))
    await client.get()
    (first, second) = await lines_of(path, 2)
    assert first.split(b"|")[0].split(b", ")[-1] == origin.address.encode()
    assert first.split(b"|")[1:] == [b"1", b"200"]
    assert second == dead.encode() + b"|-|502"


async def test_client_that_goes_is_499_before_an_answer_and_not_within_one(
    stage: Stage, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"

    async def begin(conn: Conn) -> None:
        one = await conn.next_request()
        if one.target == b"/begun":
            await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")

    running = await stage.serve(spec(stage.origin(begin).address, public=(log(path),)))
    for target in (b"/silent", b"/begun"):
        client = await running.connect()
        await client.send(request(b"GET", target))
        if target == b"/begun":
            await client.read_until(b"abc")
        else:
            await eventually(running.busy, "the request to arrive")
        client.reset()
        await running.quiet()
    silent, begun = await lines_of(path, 2)
    assert silent == b"GET /silent HTTP/1.1|499|0|0"
    assert begun.startswith(b"GET /begun HTTP/1.1|200|3|")


async def test_answer_that_was_cut_counts_what_was_sent(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    origin = stage.origin(then("fin", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))
    running = await stage.serve(spec(origin.address, public=(log(path, "$body_bytes_sent "),)))
    client = await running.connect()
    await client.send(request())
    await client.read_to_end()
    assert await lines_of(path, 1) == [b"3 "]


async def test_tunnel_is_one_line_at_its_end_and_two_in_json(stage: Stage, tmp_path: Path) -> None:
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    logs = (log(a, "$status|$body_bytes_sent|$request_time"), log(b, "json"))
    running = await stage.serve(spec(stage.origin(websocket(behind=b"ab")).address, public=logs))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    (opened,) = await lines_of(b, 1)
    assert json.loads(opened)["event"] == "tunnel_open"
    await running.server.apply(spec(stage.origin().address, public=NO_LOGS))
    await client.send(b"12345")
    await client.read_exactly(7)
    assert lines(a) == []
    client.close()
    (line,) = await lines_of(a, 1)
    assert line.startswith(b"101|7|0.")
    closed = json.loads((await lines_of(b, 2))[1])
    assert (closed["event"], closed["bytes_in"], closed["bytes_out"]) == ("tunnel_close", 5, 7)
    await eventually(lambda: not is_open(a) and not is_open(b), "the logs to be closed")


async def test_rotated_file_is_made_anew_and_no_line_is_lost(stage: Stage, tmp_path: Path) -> None:
    path, old = tmp_path / "a.log", tmp_path / "a.log.1"
    running = await stage.serve(spec(stage.origin().address, public=(log(path, "$uri "),)))
    client = await running.connect()
    for number in range(10):
        await client.get(b"/%d" % number)
        if number == 4:
            await lines_of(path, 5)
            path.rename(old)
            running.server.reopen_logs()
            await eventually(path.exists, "the file to be made anew")
    await lines_of(path, 5)
    assert lines(old) + lines(path) == [b"/%d " % number for number in range(10)]


async def test_file_that_cannot_be_opened_is_a_fault_and_nothing_changes(
    stage: Stage, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    origin = stage.origin()
    served = spec(origin.address, public=(log(path),))
    running = await stage.serve(served)
    missing = tmp_path / "missing" / "b.log"
    new = tmp_path / "new.log"
    refused = spec(origin.address, public=(log(new),), route=(log(path), log(missing)))
    with pytest.raises(SpecError) as caught:
        await running.server.prepare(refused)
    assert [(fault.path, fault.message) for fault in caught.value.faults] == [
        (
            "/routes/everything/access_log/1/to",
            f"cannot write to {missing}: No such file or directory",
        )
    ]
    assert running.server.spec is served
    assert not new.exists()
    await (await running.connect()).get()
    await lines_of(path, 1)


async def test_configuration_that_is_discarded_leaves_no_file(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    running = await stage.serve(spec(stage.origin().address))
    prepared = await running.server.prepare(spec(stage.origin().address, public=(log(path),)))
    assert is_open(path)
    prepared.discard()
    assert not is_open(path)
    assert not path.exists()


async def test_fault_elsewhere_closes_what_was_opened(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    running = await stage.serve(spec(stage.origin().address))
    bad = spec(stage.origin().address, public=(log(path, "$nope "),))
    with pytest.raises(SpecError, match="unknown variable"):
        await running.server.prepare(bad)
    assert not path.exists()


async def test_lost_lines_are_counted_and_stop_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    origin = stage.origin()
    running = await stage.serve(spec(origin.address, public=(log(path, "$uri "),)))
    client = await running.connect()
    await client.get(b"/1")
    await lines_of(path, 1)

    def full(descriptor: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("proxy.telemetry.line_writer.os.write", full)
        for _ in range(3):
            assert (await client.get(b"/lost")).status == 200
        await eventually(
            lambda: dict(running.read().access_log_dropped)[str(path)] == 3, "three lost lines"
        )
    await client.get(b"/2")
    assert await lines_of(path, 2) == [b"/1 ", b"/2 "]


async def test_logs_change_under_load_and_no_line_is_lost(stage: Stage, tmp_path: Path) -> None:
    origin = stage.origin(answers(reply(b"ok")))
    paths = [tmp_path / f"{number}.log" for number in range(3)]

    def logging(number: int) -> Spec:
        own = (log(paths[number % 3], f"$uri {number}"),)
        if number % 2:
            return spec(origin.address, route=own)
        return spec(origin.address, public=own)

    running = await stage.serve(logging(0))
    over = asyncio.Event()

    async def load(name: int) -> int:
        client, count = await running.connect(), 0
        while not over.is_set():
            assert (await client.get(b"/%d/%d" % (name, count))).status == 200
            count += 1
        return count

    tasks = [asyncio.create_task(load(name)) for name in range(4)]
    for number in range(1, 60):
        await running.server.apply(logging(number))
    over.set()
    counts = [await task for task in tasks]
    await running.server.close()
    seen = [line.split(b" ")[0] for path in paths for line in lines(path)]
    assert sorted(seen) == sorted(
        b"/%d/%d" % (name, number) for name, count in enumerate(counts) for number in range(count)
    )
    assert not any(map(is_open, paths))


async def test_map_that_changes_is_seen_by_a_log_that_did_not(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    served = spec(stage.origin().address, public=(log(path, "$kind "),))
    maps = [HeaderMapSpec(name="kind", source="$host", default=value) for value in "ab"]
    running = await stage.serve(replace(served, header_maps={"kind": maps[0]}))
    client = await running.connect()
    await client.get()
    await running.server.apply(replace(served, header_maps={"kind": maps[1]}))
    await client.get()
    assert await lines_of(path, 2) == [b"a ", b"b "]
