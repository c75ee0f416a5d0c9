"""Targets of logs: opened once, closed when nothing is logged there any more."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from proxy.errors import FaultError, SpecError
from proxy.logs import targets as module
from proxy.logs.places import check_target
from proxy.logs.targets import MAX_FILES, Opened, Targets
from proxy.spec import LogSpec, Spec
from proxy.telemetry.line_writer import STDERR, STDOUT
from tests.peers import eventually
from tests.peers.specs import build_spec, everything, listener


def spec(*listeners: str, routes: tuple[str, ...] = ()) -> Spec:
    """Write a configuration whose listener and route log to these."""
    return build_spec(
        listeners=[listener(access_log=tuple(LogSpec(to=to) for to in listeners))],
        routes=[everything(access_log=tuple(LogSpec(to=to) for to in routes))],
    )


def is_open(path: Path) -> bool:
    return any(name.resolve() == path for name in Path("/proc/self/fd").iterdir())


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    made = Targets(partial(asyncio.get_running_loop().call_later, 0.0))
    yield made
    await made.close()


async def serve(targets: Targets, spec: Spec, now: float = 0.0) -> Opened:
    opened = await targets.open(spec)
    targets.publish(opened, now)
    return opened


@pytest.mark.parametrize("target", ["stderr", "stdout", "/a.log", "/var/log/x/a b.log"])
def test_stream_or_log_can_be_a_target(target: str) -> None:
    check_target(target)


@pytest.mark.parametrize(
    "target",
    ["", "/", "a.log", "./a.log", "/a/../b.log", "/a/./b.log", "//a.log", "/a//b.log", "/a.log/",
     "/etc/passwd", "/dev/null", "/a.LOG", "/a\n.log", "/a\0.log", "/" + "a" * 1024 + ".log",
     "syslog:server=x", "Stderr"],
)  # fmt: skip
def test_anything_else_cannot_be_a_target(target: str) -> None:
    with pytest.raises(FaultError):
        check_target(target)


async def test_target_is_opened_once_for_all_who_log_there(
    targets: Targets, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.log")
    opened = await serve(targets, spec(path, path, "stderr", routes=(path,)))
    assert opened.keys() == {path, "stderr"}
    assert opened["stderr"].writer is STDERR
    again = await serve(targets, spec(path))
    assert again[path] is opened[path]


async def test_target_that_cannot_be_opened_is_a_fault_and_leaves_nothing(
    targets: Targets, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.log", tmp_path / "missing" / "bad.log"
    with pytest.raises(SpecError) as caught:
        await targets.open(spec(str(good), routes=(str(bad), "/etc/passwd")))
    assert [(fault.path, fault.message) for fault in caught.value.faults] == [
        (
            "/routes/everything/access_log/0/to",
            f"cannot write to {bad}: No such file or directory",
        ),
        ("/routes/everything/access_log/1/to", "the name of '/etc/passwd' does not end in .log"),
    ]
    assert not good.exists()
    assert not is_open(good)


async def test_too_many_files_are_a_fault(
    targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 2)
    assert MAX_FILES > 2
    paths = [str(tmp_path / f"{number}.log") for number in range(3)]
    await serve(targets, spec(*paths[:2], "stdout"))
    with pytest.raises(SpecError, match="more than 2 log files"):
        await targets.open(spec(*paths))


async def test_abandoned_configuration_closes_what_only_it_opened(
    targets: Targets, tmp_path: Path
) -> None:
    kept, new = tmp_path / "kept.log", tmp_path / "new.log"
    await serve(targets, spec(str(kept)))
    opened = await targets.open(spec(str(kept), str(new)))
    assert is_open(new)
    targets.abandon(opened)
    assert not new.exists()
    assert is_open(kept)


async def test_target_is_closed_once_nobody_holds_its_sink(
    targets: Targets, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    sink = (await serve(targets, spec(str(path))))[str(path)].sink
    await serve(targets, spec())
    targets.sweep(0.0)
    assert is_open(path)
    sink.add_line(b"late\n")
    sink.flush()
    del sink

    def closed() -> bool:
        targets.sweep(0.0)
        return not is_open(path)

    await eventually(closed, "the file to be closed")
    assert path.read_bytes() == b"late\n"


async def test_target_that_comes_back_while_it_is_held_is_the_same(
    targets: Targets, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.log")
    first = (await serve(targets, spec(path)))[path]
    await serve(targets, spec())
    assert (await serve(targets, spec(path)))[path].sink is first.sink
    del first
    gc.collect()
    targets.sweep(0.0)
    assert is_open(Path(path))


async def test_losses_are_counted_by_target_and_go_on_when_it_comes_back(
    targets: Targets, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.log")
    (await serve(targets, spec(path)))[path].writer.dropped = 3
    await serve(targets, spec(), 10.0)
    targets.sweep(11.0)
    assert dict(targets.dropped())[path] == 3
    writer = (await serve(targets, spec(path), 12.0))[path].writer
    writer.dropped += 1
    assert dict(targets.dropped())[path] == 4
    await serve(targets, spec(), 20.0)
    targets.sweep(1000.0)
    assert dict(targets.dropped()).keys() == {"stderr"}


async def test_path_that_is_standard_output_is_written_as_that(
    targets: Targets, tmp_path: Path
) -> None:
    """As in images of nginx, where access.log is a link to /dev/stdout."""
    path = tmp_path / "access.log"
    reader, writer = os.pipe()
    before = os.dup(1)
    try:
        os.dup2(writer, 1)
        path.symlink_to("/dev/stdout")
        opened = await serve(targets, spec(str(path)))
    finally:
        os.dup2(before, 1)
        for descriptor in (reader, writer, before):
            os.close(descriptor)
    assert opened[str(path)].writer is STDOUT


async def test_reopen_hands_over_what_waits_and_looks_at_every_file(
    targets: Targets, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    opened = await serve(targets, spec(str(path), "stderr"))
    opened[str(path)].sink.add_line(b"1\n")
    path.rename(tmp_path / "old.log")
    targets.reopen()
    await eventually(path.exists, "the file to be made anew")


async def test_close_writes_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    made = Targets(lambda flush: None)
    (await serve(made, spec(str(path))))[str(path)].sink.add_line(b"last\n")
    await made.close()
    assert path.read_bytes() == b"last\n"
    assert not is_open(path)


def test_places_name_the_first_who_logs_there() -> None:
    both = replace(spec("/a.log", routes=("/a.log", "/b.log")))
    assert list(module._named(both)) == [
        ("/a.log", "/listeners/public/access_log/0/to"),
        ("/a.log", "/routes/everything/access_log/0/to"),
        ("/b.log", "/routes/everything/access_log/1/to"),
    ]
