"""``hotsplice explain`` and ``hotsplice why``, as somebody types them, beside a running sidecar."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.integration.admin.process import ROOT, process


async def typed(*words: str, **environ: str) -> tuple[int, str, str]:
    """Run ``hotsplice WORDS…``; return its status, and what it said and complained of."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "admin", *words, cwd=ROOT, env={"PATH": "", **environ},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, complaint = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), complaint.decode()


@pytest.mark.parametrize("unix", [False, True])
async def test_request_that_failed_is_explained_by_its_id(
    tmp_path: Path, session: aiohttp.ClientSession, unix: bool
) -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{refusing.getsockname()[1]}"
        document = {
            "listeners": {"public": {"bind": "127.0.0.1:0"}},
            "pools": {"backend": {"endpoints": {"gone": {"address": gone}}}},
            "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
        }
        config = tmp_path / "c.json"
        config.write_text(json.dumps(document))
        flags = ["--config", str(config)]
        if unix:
            flags += ["--admin", f"unix:{tmp_path}/a.sock"]
        async with process(tmp_path, "run", *flags) as sidecar:
            ready = await sidecar.ready()
            environ = {"HOTSPLICE_ADMIN": ready["admin"]}
            url = f"http://{ready['listeners']['public']}/some/path"
            status, said, _ = await typed("explain", "GET", url, **environ)
            assert (status, "->gone" in said, "GET /some/path HTTP/1.1" in said) == (0, True, True)
            async with session.get(url) as answer:
                assert answer.status == 502
                request_id = answer.headers["X-Request-Id"]
            status, said, _ = await typed("why", request_id, **environ)
            assert status == 0
            assert f"attempt 1 gone {gone}, no answer, connect_failed" in said
            status, said, complaint = await typed("why", "nobody", **environ)
            assert (status, said) == (1, "")
            assert "No failed request nobody is remembered" in complaint
            status, said, _ = await typed("why", "-o", "json", request_id, **environ)
            assert json.loads(said)["reason"] == "connect_failed"
