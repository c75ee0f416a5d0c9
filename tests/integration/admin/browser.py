"""A real browser without a window, told what to do over its DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.peers import eventually, within

BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

REBOUND: Final = "rebound.example"
"""A name that stands for loopback in this browser, as after an attacker changed his DNS."""

FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # it does not start as root otherwise, and sees nobody's pages but ours
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
)

START_S: Final = 30.0


class Page:
    """A tab."""

    def __init__(self, devtools: ClientConnection) -> None:
        self._devtools: Final = devtools
        self._asked = 0

    async def open(self, url: str) -> str:
        """Go to an address; return the text that is there once it has loaded."""
        answer = await self._ask("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        loaded = "new Promise(go => document.readyState == 'complete' ? go() : (onload = go))"
        return str(await self.run(f"{loaded}.then(() => document.body.innerText)"))

    async def run(self, script: str) -> Any:
        """Evaluate an expression in the page, a promise to its end; return its JSON value."""
        answer = await self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def _ask(self, method: str, **params: object) -> dict[str, Any]:
        self._asked += 1
        await self._devtools.send(
            json.dumps({"id": self._asked, "method": method, "params": params})
        )
        # No events are asked for, so what comes is the answer.
        answer = json.loads(await within(self._devtools.recv(), method, START_S))
        assert answer["id"] == self._asked and "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result


@asynccontextmanager
async def browser(session: aiohttp.ClientSession) -> AsyncIterator[Page]:
    """Start a browser with an empty profile; the test is skipped where there is none."""
    command = next(filter(None, map(shutil.which, BROWSERS)), None)
    if command is None:
        pytest.skip(f"there is no browser here: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory(prefix="browser") as folder:
        child = await asyncio.create_subprocess_exec(
            command, *FLAGS, f"--user-data-dir={folder}", "about:blank",
            env={**os.environ, "TMPDIR": folder, "HOME": folder},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            port = Path(folder) / "DevToolsActivePort"
            await eventually(
                lambda: child.returncode is not None or _has_a_line(port), "a browser", START_S
            )
            assert child.returncode is None, f"{command} ended with {child.returncode}"
            devtools = f"http://127.0.0.1:{port.read_text().split()[0]}"
            async with session.put(f"{devtools}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            async with connect(target["webSocketDebuggerUrl"], ping_interval=None) as tab:
                yield Page(tab)
        finally:
            if child.returncode is None:
                child.terminate()
            await within(child.wait(), "the browser to end", START_S)
            # Its own processes write into the profile as long as they live.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _has_a_line(path: Path) -> bool:
    return path.exists() and "\n" in path.read_text()
