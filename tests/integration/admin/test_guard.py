"""The process guards itself: secrets, denied addresses, and an admin port under attack."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from admin.api.media import BODY_BYTES
from tests.integration.admin.process import Process, process
from tests.integration.admin.test_run import FAST, document, write
from tests.peers import eventually, within

SECRET: Final = "correct-horse-battery-staple"

SLOW: Final = 1_000
"""Clients that begin a request and never end it."""

LAG_S: Final = 0.3
"""How much later the data plane may be because of an attack, beyond the ``NOISE`` of a machine that
runs other tests too: a process beside it that is asked the same, and left alone, shows that."""

NOISE: Final = 4
"""By so many times two processes of a busy machine are late by different amounts."""


async def value(session: aiohttp.ClientSession, telemetry: str, family: str) -> float:
    async with session.get(f"http://{telemetry}/metrics") as answer:
        text = await answer.text()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(family))


async def test_secret_is_sent_and_shown_nowhere(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    folder, state = tmp_path / "secrets", tmp_path / "state"
    folder.mkdir()
    (folder / "upstream").write_text(SECRET + "\n")
    sending = document(blue)
    rules = {"set": {"Authorization": "Bearer $secret_upstream"}}
    sending["routes"]["all"]["request_headers"] = rules
    config = write(tmp_path / "c.json", sending)
    flags = ("--config", config, "--secrets-dir", str(folder), "--state-dir", str(state))
    everywhere = ("--admin-auth", "off", "--access-log", "all", "--log-level", "debug")
    async with process(tmp_path, "run", *flags, *everywhere, *FAST) as running:
        ready = await running.ready()
        public, api = f"http://{ready['listeners']['public']}/", f"http://{ready['admin']}"

        async def sent() -> str:
            async with session.get(public) as answer:
                fields = dict((await answer.json())["headers"])
            return str(fields["Authorization"])

        assert await sent() == f"Bearer {SECRET}"
        stream = await session.get(f"{api}/v1/events")
        shown: list[str] = []
        for method, path, body in (
            ("PUT", "/v1/pools/new?note=x", {}),
            ("PATCH", "/v1/routes/all", {"request_headers": {"set": {"X": "$secret_nope"}}}),
            ("GET", "/v1/config", None),
            ("GET", "/v1/config?view=effective", None),
            ("GET", "/v1/routes/all", None),
            ("GET", "/v1/status", None),
            ("GET", "/v1/revisions/1", None),
            ("GET", "/v1/revisions/0/diff?to=1", None),
        ):
            async with session.request(method, api + path, json=body) as answer:
                shown.append(await answer.text())
        assert "there is no secret" in shown[1]
        assert "$secret_upstream" in shown[2]
        shown.append((await within(stream.content.readuntil(b"/pools/new"), "events")).decode())
        stream.close()
        async with session.get(f"http://{ready['telemetry']}/metrics") as answer:
            shown.append(await answer.text())
        (folder / "upstream").write_text("changed\n")
        async with asyncio.timeout(30):
            while await sent() != "Bearer changed":
                pass  # it is followed in seconds
        status, said = await running.terminated()
        assert status == 0
        kept = "".join(path.read_text() for path in state.iterdir() if path.is_file())
        assert [text for text in (*shown, said, kept) if SECRET in text] == []


async def test_kept_document_serves_without_a_secret_that_is_gone_and_says_so(
    tmp_path: Path, session: aiohttp.ClientSession, blue: str
) -> None:
    folder, state = tmp_path / "secrets", tmp_path / "state"
    folder.mkdir()
    (folder / "upstream").write_text(SECRET)
    sending = document(blue)
    sending["routes"]["all"]["request_headers"] = {"set": {"Authorization": "$secret_upstream"}}
    flags = ("--secrets-dir", str(folder), "--state-dir", str(state), "--admin-auth", "off", *FAST)
    async with process(tmp_path, "run", *flags) as running:
        api = f"http://{(await running.ready())['admin']}"
        async with session.put(f"{api}/v1/config", json=sending) as answer:
            assert answer.status == 200
        assert (await running.terminated())[0] == 0
    (folder / "upstream").unlink()
    async with process(tmp_path, "run", *flags) as running:
        ready = await running.ready()
        async with session.get(f"http://{ready['listeners']['public']}/") as answer:
            assert "Authorization" not in (await answer.json())["headers"]
        async with session.put(f"http://{ready['admin']}/v1/pools/new", json={}) as answer:
            assert answer.status == 201
        status, said = await running.terminated()
    assert status == 0
    assert "there is no secret 'upstream'; nothing is sent in its place" in said


async def test_secrets_folder_that_is_none_ends_with_2(tmp_path: Path) -> None:
    async with process(tmp_path, "run", "--secrets-dir", str(tmp_path / "nope")) as running:
        status, said = await running.ended()
    assert (status, "--secrets-dir" in said, "Traceback" in said) == (2, True, False)


async def test_our_own_listeners_are_no_endpoints(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with process(tmp_path, "run", "--admin-auth", "off", *FAST) as running:
        ready = await running.ready()
        admin_port = ready["admin"].rpartition(":")[2]
        for address in (ready["admin"], f"localhost:{admin_port}", ready["telemetry"]):
            url = f"http://{ready['admin']}/v1/config"
            async with session.put(url, json=document(address)) as answer:
                said = await answer.json()
            assert answer.status == 200
            assert any("never connected to" in warning for warning in said["warnings"]), said
            public = running.whereabouts()["listeners"]["public"]
            async with session.get(f"http://{public}/v1/config") as answer:
                assert (answer.status, "endpoint denied" in await answer.text()) == (502, True)
        line = 'hotsplice_upstream_errors_total{pool="backend",reason="endpoint_denied"}'
        assert await value(session, ready["telemetry"], line) == 3


class Asked:
    """A process whose data plane is asked all the while."""

    def __init__(self, running: Process, ready: dict[str, Any]) -> None:
        self.running: Final = running
        self.admin: Final = str(ready["admin"])
        self.telemetry: Final = str(ready["telemetry"])
        self.public: Final = f"http://{ready['listeners']['public']}/"
        self.url: Final = f"http://{self.admin}"
        self.statuses: Final[list[int]] = []

    async def traffic(self) -> None:
        """Ask the data plane until cancelled, one request after another."""
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(self.public) as answer:
                    await answer.read()
                self.statuses.append(answer.status)

    async def served(self) -> None:
        """Wait for some more answers."""
        seen = len(self.statuses)
        await eventually(lambda: len(self.statuses) > seen + 20, "traffic", 30.0)

    async def lag_s(self) -> float:
        """Return how late the event loop was, at worst, of late."""
        async with aiohttp.ClientSession() as session:
            return await value(session, self.telemetry, "hotsplice_event_loop_lag_seconds")

    def memory_bytes(self) -> int:
        """Return how much of memory the process has."""
        pages = Path(f"/proc/{self.running.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


@asynccontextmanager
async def asked(folder: Path, config: str) -> AsyncIterator[Asked]:
    async with process(folder, "run", "--config", config, *FAST) as running:
        one = Asked(running, await running.ready())
        asking = asyncio.create_task(one.traffic())
        try:
            await one.served()
            yield one
            await one.served()
        finally:
            asking.cancel()
        assert set(one.statuses) == {200}
        assert (await running.terminated())[0] == 0


@pytest.fixture
async def attacked(tmp_path: Path, blue: str) -> AsyncIterator[Asked]:
    config = write(tmp_path / "c.json", document(blue))
    (tmp_path / "calm").mkdir()
    async with asked(tmp_path, config) as attacked, asked(tmp_path / "calm", config) as calm:
        before = attacked.memory_bytes()
        yield attacked
        late_s, noise_s = await attacked.lag_s(), await calm.lag_s()
        assert late_s < NOISE * noise_s + LAG_S, f"{late_s} s, beside {noise_s} s"
        assert attacked.memory_bytes() < before + 100 * 1024 * 1024


def token_of(tmp_path: Path) -> dict[str, str]:
    ready = json.loads((tmp_path / "ready.json").read_text())
    return {"Authorization": f"Bearer {Path(ready['admin_token_file']).read_text().strip()}"}


async def test_wrong_tokens_and_pages_of_other_sites_are_refused_cheaply(
    attacked: Asked, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    statuses: dict[int, int] = {}
    for number in range(300):
        fields = {"Authorization": f"Bearer guess-{number}"}
        async with session.put(attacked.url + "/v1/config", json={}, headers=fields) as answer:
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
    assert statuses.keys() == {401, 429}
    assert statuses[401] <= 20
    for fields in ({"Host": "rebound.example"}, {"Origin": "http://evil.example"}):
        for _ in range(100):
            headers = {**fields, "Content-Type": "text/plain"}
            url = attacked.url + "/v1/lifecycle/drain"
            async with session.post(url, data=b"{}", headers=headers) as answer:
                assert answer.status == 403


async def test_large_and_deep_bodies_are_refused_cheaply(
    attacked: Asked, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    fields = token_of(tmp_path)
    large = 100 * 1024 * 1024

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(large // 65536):
            yield b"[" * 65536

    for body, encoding in (
        (lambda: BytesIO(b"[" * large), None),
        (pieces, None),
        (lambda: BytesIO(gzip.compress(b"[" * large, 1)), "gzip"),
    ):
        headers = {**fields, "Content-Type": "application/json"}
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        for url in ("/v1/config", "/v1/pools/x/endpoints/y/override"):
            try:
                async with session.put(attacked.url + url, data=body(), headers=headers) as answer:
                    assert answer.status in (413, 415), (url, await answer.text())
            except aiohttp.ClientConnectionError:
                pass  # it was cut off in the middle of its body, which is as good
    for text, kind in (
        (b"[" * (BODY_BYTES - 1), "application/json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "application/json"),
        (b"[" * 1_000_000, "application/yaml"),
        (b"a: &a [x]\nb: [*a, *a]\n" + b"- " * 100_000, "application/yaml"),
        (b"{" * 100_000, "application/merge-patch+json"),
    ):
        method = "PATCH" if "merge" in kind else "PUT"
        headers = {**fields, "Content-Type": kind}
        async with session.request(
            method, attacked.url + "/v1/config", data=BytesIO(text), headers=headers
        ) as answer:
            assert answer.status in (400, 422), (kind, await answer.text())


async def test_slow_clients_keep_nobody_out(
    attacked: Asked, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    host, _, port = attacked.admin.rpartition(":")
    fields = token_of(tmp_path)
    async with AsyncExitStack() as stack:
        for number in range(SLOW):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, (host, int(port)))
            line = b"GET /v1/config HTTP/1.1\r\nHost: localhost\r\n"
            if number % 2:
                line = b"PUT /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
            await loop.sock_sendall(client, line)
        for number in range(20):
            url = f"{attacked.url}/v1/pools/p{number}"
            async with session.put(url, json={}, headers=fields) as answer:
                assert answer.status == 201
