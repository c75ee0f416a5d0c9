"""The client beside a real process, the walk of the README among it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from websockets.asyncio.client import connect

from admin.client.completion import SCRIPTS
from admin.demo import ANYWHERE, echo
from admin.documents.loading import load
from admin.listening import listening
from tests.integration.admin.hotsplice import ROOT, done, hotsplice
from tests.integration.admin.process import process
from tests.peers import eventually, within

README: Final = (ROOT / "README.md").read_text()


class Sidecar:
    """A running process, and the environment in which the client finds it."""

    def __init__(self, ready: dict[str, Any], environ: dict[str, str]) -> None:
        self.ready: Final = ready
        self.environ: Final = environ

    async def do(self, *words: str, **more: Any) -> str:
        """Call the client; return what it said when all went well."""
        return (await done(*words, environ=self.environ, **more)).out

    async def fail(self, status: int, *words: str, **more: Any) -> str:
        """Call the client; return what it said when it ended with a status."""
        ended = await hotsplice(*words, environ=self.environ, **more)
        assert ended.status == status, ended
        return ended.err


@asynccontextmanager
async def running(tmp_path: Path, document: object, *flags: str) -> AsyncIterator[Sidecar]:
    config = tmp_path / "hotsplice.yaml"
    config.write_text(json.dumps(document))
    async with process(tmp_path, "run", "--config", str(config), *flags) as one:
        ready = await one.ready()
        yield Sidecar(ready, {"HOTSPLICE_READY_FILE": str(one.ready_file)})


def document(**more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "pools": {"backend": {"endpoints": {"blue": {"address": "127.0.0.1:1"}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
        **more,
    }


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path, document()) as sidecar:
        yield sidecar


# The README's walk.


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def walk() -> list[tuple[str, str]]:
    """Return the commands of the walk, each with what it says."""
    told: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", section("The 3 a.m. walk"), re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.splitlines()
            end = next(n for n in range(1, len(lines) + 1) if _is_whole("\n".join(lines[:n])))
            told.append(("\n".join(lines[:end]), "\n".join(lines[end:])))
    return told


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def plain(text: str) -> list[str]:
    """Return lines without what differs between two walks: times, octets, widths of columns."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+00:00)?", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\b(\d+m\d+s|\d+s|[\d.]+ ms)\b", "SPAN", re.sub(r" {2,}", " ", text))
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    text = re.sub(
        r"(?m)^(backend(?: \S+){6,7}) [\d.]+K? [\d.]+K? (\d+ [sot])", r"\1 OCTETS \2", text
    )
    return text.splitlines()


class Audience:
    """Clients that hold a WebSocket open, and come again when they are told to go."""

    def __init__(self, url: str, number: int) -> None:
        self.told: Final[list[tuple[int | None, str | None]]] = []
        self._url: Final = url
        self._number: Final = number
        self._open = 0

    async def run(self) -> None:
        """Hold them all, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._number):
                group.create_task(self._hold())

    async def seated(self) -> None:
        """Wait until each is open."""
        await eventually(lambda: self._open == self._number, lambda: f"{self._open} WebSockets")

    async def _hold(self) -> None:
        while True:
            async with connect(self._url, ping_interval=None) as socket:
                self._open += 1
                await socket.wait_closed()
                self._open -= 1
                self.told.append((socket.close_code, socket.close_reason))


async def curl(session: aiohttp.ClientSession, url: str, words: list[str]) -> str:
    """Do as ``curl -si URL | grep -e ^WORD …`` would."""
    async with session.get(url) as answer:
        head = f"HTTP/1.1 {answer.status} {answer.reason}\n" + "".join(
            f"{name.decode()}: {value.decode()}\n" for name, value in answer.raw_headers
        )
    wanted = tuple(word.removeprefix("^") for word in words if word.startswith("^"))
    return "\n".join(line for line in head.splitlines() if line.startswith(wanted))


async def test_walk_of_the_readme_says_what_it_says_there(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    first = re.findall(r"^```yaml\n(.*?)^```$", section("A first document"), re.M | re.S)[0]
    async with AsyncExitStack() as stack:
        # Names of endpoints are their addresses, so these are others here.
        addresses = {
            f"127.0.0.1:{port}": await stack.enter_async_context(listening(echo("x"), ANYWHERE))
            for port in (8000, 8001)
        }

        def here(text: str) -> str:
            for there, address in addresses.items():
                text = text.replace(there, address)
            return text

        value: Any = load(here(first).encode(), yaml=True)
        value["listeners"]["public"]["bind"] = "127.0.0.1:0"
        flags = ("--admin-token-file", str(tokens(tmp_path, "alice", "bob")))
        sidecar = await stack.enter_async_context(running(tmp_path, value, *flags))
        environ = {**sidecar.environ, "HOTSPLICE_TOKEN_FILE": "alice.token"}
        public = sidecar.ready["listeners"]["public"]
        audience = Audience(f"ws://{public}/ws", 30)
        sitting = asyncio.create_task(audience.run())
        stack.callback(sitting.cancel)
        ids: dict[str, str] = {}
        for command, told in walk():
            await audience.seated()
            words = [ids.get(word, word) for word in shlex.split(here(command))]
            if words[0] == "curl":
                said = await curl(session, f"http://{public}/", words)
                ids |= zip(_ids(told), _ids(said), strict=True)
            else:
                ended = await hotsplice(
                    *words[1:], cwd=tmp_path, environ=environ, err=asyncio.subprocess.STDOUT
                )
                assert ended.status == 0, (command, ended)
                said = ended.out
            assert plain(said) == plain(here(told)), command
        # Nobody but those of the drained node was told to go.
        assert audience.told == [(1012, "service restart")] * 10


def _ids(text: str) -> list[str]:
    return re.findall(r"\b[0-9a-f]{32}\b", text)


def tokens(folder: Path, *names: str) -> Path:
    """Make a file of tokens that may write, and one for each with the token itself."""
    lines = []
    for name in names:
        secret = f"secret-of-{name}"
        (folder / f"{name}.token").write_text(f"{secret}\n")
        lines.append(f"{name}:write:{hashlib.sha256(secret.encode()).hexdigest()}\n")
    (folder / "tokens").write_text("".join(lines))
    return folder / "tokens"


# Finding the sidecar.


@pytest.mark.parametrize("state", [False, True])
async def test_token_that_run_made_is_found_by_the_address_alone(
    tmp_path: Path, state: bool
) -> None:
    flags = ("--state-dir", str(tmp_path / "state")) if state else ()
    async with running(tmp_path, document(), *flags) as sidecar:
        environ = {"HOTSPLICE_ADMIN": sidecar.ready["admin"], "XDG_RUNTIME_DIR": str(tmp_path)}
        assert "revision 2" in (await done("delete", "routes/all", environ=environ)).out


async def test_token_in_the_state_folder_of_the_environment_is_found(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    async with running(tmp_path, document(), "--state-dir", state) as sidecar:
        environ = {"HOTSPLICE_STATE_DIR": state, "XDG_RUNTIME_DIR": str(tmp_path / "none")}
        words = ("delete", "routes/all", "--admin", sidecar.ready["admin"])
        assert "revision 2" in (await done(*words, environ=environ)).out


async def test_unix_socket_needs_no_token(tmp_path: Path) -> None:
    admin = f"unix:{tmp_path / 'admin.sock'}"
    async with running(tmp_path, document(), "--admin", admin):
        assert "revision 2" in (await done("delete", "routes/all", "--admin", admin)).out
        environ = {"HOTSPLICE_ADMIN": admin}
        assert "unix" in (await done("revisions", "--limit", "1", environ=environ)).out


async def test_write_without_a_token_is_refused_and_names_the_flag(sidecar: Sidecar) -> None:
    admin = ("--admin", sidecar.ready["admin"])
    environ = {"XDG_RUNTIME_DIR": "/nowhere"}
    ended = await hotsplice("delete", "routes/all", *admin, environ=environ)
    assert ended.status == 1
    assert "--token-file" in ended.err
    assert (await hotsplice("get", *admin, environ=environ)).status == 0


async def test_token_that_is_wrong_is_said_to_be(tmp_path: Path, sidecar: Sidecar) -> None:
    (tmp_path / "token").write_text("wrong\n")
    told = await sidecar.fail(1, "get", "--token-file", str(tmp_path / "token"))
    assert "not known" in told


async def test_nobody_who_answers_ends_with_3(tmp_path: Path) -> None:
    ended = await hotsplice("status", "--admin", f"unix:{tmp_path / 'none'}")
    assert (ended.status, ended.out) == (3, "")
    assert "is it running?" in ended.err


# Objects.


async def test_objects_are_shown_as_yaml_as_json_and_by_name(sidecar: Sidecar) -> None:
    assert await sidecar.do("get", "routes/all") == "path:\n  prefix: /\npool: backend\n"
    shown = json.loads(await sidecar.do("get", "pool/backend", "-o", "json"))
    assert shown == document()["pools"]["backend"]
    effective = json.loads(await sidecar.do("get", "/pools/backend", "-o", "json", "--effective"))
    assert effective["balance"] == "round_robin"
    names = await sidecar.do("get", "config", "pools/backend/endpoints", "-o", "name")
    assert names.split() == [
        "listeners/public", "pools/backend", "routes/all", "pools/backend/endpoints/blue",
    ]  # fmt: skip
    several = json.loads(await sidecar.do("get", "pools", "overrides", "-o", "json"))
    assert several == {"pools": document()["pools"], "overrides": []}


async def test_every_kind_has_a_table(sidecar: Sidecar) -> None:
    told = await sidecar.do("get", "listeners", "pools", "routes", "header_maps", "status")
    assert {"LISTENER", "POOL", "ROUTE"} <= set(told.split())
    assert "$" not in told  # there is no header map, so no table of them
    assert "0.1.0, ready, up" in told


async def test_document_from_standard_input_is_applied(sidecar: Sidecar) -> None:
    text = json.dumps(document(routes={}))
    out = await sidecar.do("apply", "-f", "-", "--note", "no routes", stdin=text)
    assert out == "revision 2: changed /routes/all\n"
    assert "no routes" in await sidecar.do("revisions", "list", "-o", "json")
    assert await sidecar.do("apply", "-f", "-", stdin=text) == (
        "nothing to change; revision 2 serves\n"
    )


async def test_object_in_yaml_is_created_and_not_replaced(tmp_path: Path, sidecar: Sidecar) -> None:
    (tmp_path / "pool.yaml").write_text("endpoints:\n  127.0.0.1:2: {}\n")
    words = ("apply", "pools/canary", "-f", str(tmp_path / "pool.yaml"), "--create")
    assert "changed /pools/canary" in await sidecar.do(*words)
    assert "If-None-Match" in await sidecar.fail(4, *words)


async def test_endpoint_whose_name_has_slashes_is_changed(sidecar: Sidecar) -> None:
    where = "pools/backend/endpoints/unix:/run/green.sock"
    await sidecar.do("apply", where, "-f", "-", stdin="{}")
    await sidecar.do("patch", where, '{"weight": 3}')
    assert json.loads(await sidecar.do("get", where, "-o", "json")) == {"weight": 3}
    await sidecar.do("delete", where)


async def test_faults_are_told_with_path_and_hint(sidecar: Sidecar) -> None:
    told = await sidecar.fail(2, "patch", "routes/all", '{"pool": "backedn"}')
    assert "/routes/all/pool: there is no pool 'backedn'\n    hint: did you mean `backend`?" in told


async def test_dry_run_says_what_would_change_and_changes_nothing(sidecar: Sidecar) -> None:
    told = await sidecar.do("patch", "pools/backend", '{"balance": "random"}', "--dry-run")
    assert told == "dry run: would change /pools/backend\n"
    assert await sidecar.do("get", "pools/backend", "-o", "json") == (
        json.dumps(document()["pools"]["backend"], indent=2) + "\n"
    )


async def test_etag_that_is_another_one_ends_with_4(sidecar: Sidecar) -> None:
    tag = (await sidecar.do("get", "pools/backend", "--etag")).strip()
    change = ("patch", "pools/backend", "--if-match", tag.strip('"'), '{"balance": "random"}')
    assert "revision 2" in await sidecar.do(*change)
    assert "If-Match" in await sidecar.fail(4, *change)


async def test_object_in_use_is_not_removed_and_ends_with_4(sidecar: Sidecar) -> None:
    assert "/routes/all/pool" in await sidecar.fail(4, "delete", "pools/backend")


# Revisions and overrides.


async def test_unconfirmed_revision_stops_others_until_it_is_confirmed(sidecar: Sidecar) -> None:
    change = ("patch", "pools/backend", '{"balance": "random"}', "--confirm-within", "10m")
    assert "hotsplice confirm 2" in await sidecar.do(*change)
    assert "hotsplice confirm 2" in await sidecar.do("status")
    assert "/v1/revisions/2" in await sidecar.fail(4, "delete", "routes/all")
    assert await sidecar.do("revisions", "confirm", "2") == "revision 2 stays\n"
    assert "no revision waits" in await sidecar.fail(4, "confirm")


async def test_note_cannot_steer_a_terminal(sidecar: Sidecar) -> None:
    await sidecar.do("patch", "pools/backend", '{"balance": "random"}', "--note", "\x1b[2J\nx")
    told = await sidecar.do("revisions", "--limit", "1")
    assert "\x1b" not in told
    assert len(told.splitlines()) == 2
    assert r"\x1b[2J\nx" in told


async def test_override_of_another_weight_is_shown_and_ended(sidecar: Sidecar) -> None:
    words = ("override", "backend", "blue")
    shown = json.loads(await sidecar.do(*words, "active", "--weight", "5", "-o", "json"))
    assert (shown["weight"], shown["until"] - shown["since"]) == (5, 3600)
    assert "blue" in await sidecar.do(*words)
    assert await sidecar.do(*words, "--clear") == "the document holds again\n"
    assert "no override" in await sidecar.fail(1, *words)


# Shells.


async def test_names_are_completed_live(sidecar: Sidecar) -> None:
    async def candidates(line: str) -> list[str]:
        return (await sidecar.do("completion", "candidates", line)).split()

    assert await candidates("hotsplice get pool") == ["pools", "pools/backend"]
    assert await candidates("hotsplice override backend ") == ["blue"]
    assert await candidates("hotsplice override backend blue d") == ["down", "drain"]
    assert await candidates("hotsplice revisions show ") == ["0", "1"]
    assert await candidates("hotsplice connections --pool ") == ["backend"]
    assert await candidates("hotsplice re") == ["restore", "revisions"]
    assert await candidates("hotsplice run --admin-a") == ["--admin-auth"]


async def test_bash_completes_what_follows_a_colon(tmp_path: Path) -> None:
    """Bash takes ``:`` for the end of a word, and addresses are full of them."""
    (tmp_path / "hotsplice").write_text("#!/bin/sh\necho 127.0.0.1:8000; echo 127.0.0.1:8001\n")
    (tmp_path / "hotsplice").chmod(0o755)
    line = "hotsplice override backend 127.0.0.1:80"
    script = f"{SCRIPTS['bash']}\nCOMP_LINE='{line}' COMP_POINT={len(line)}\n_hotsplice\n"
    bash = await asyncio.create_subprocess_exec(
        "/bin/bash", "-c", script + 'echo "${COMPREPLY[*]}"',
        env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await within(bash.communicate(), "bash")
    assert out == b"8000 8001\n"


async def test_reader_that_goes_away_is_no_traceback(sidecar: Sidecar) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "admin", "get", "config", "-o", "json", "--effective",
        cwd=ROOT, env=sidecar.environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout._transport.close()  # type: ignore[attr-defined]
    said = await within(child.stderr.read(), "standard error to end", 30.0)
    assert await within(child.wait(), "the client to end", 30.0) == 1
    assert said == b""


async def test_process_is_drained_waited_for_and_serves_again(tmp_path: Path) -> None:
    flags = ("--drain-timeout", "10s", "--drain-accept", "0s")
    async with running(tmp_path, document(), *flags) as sidecar:
        await sidecar.do("drain", "--wait")
        assert "the drain waits for 0 connections" in (await sidecar.do("status"))
        await sidecar.do("drain", "--cancel")
        assert ", ready, " in (await sidecar.do("status"))
