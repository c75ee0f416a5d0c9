"""``python -m tests.autobahn [CASES…]``: all cases, or those like ``9.*``, both ways, compared.

Ends with 1 if a case differs or did not run, and with 0 where there is no Python 2.7.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.autobahn.suite import CASES, REPORTS, SkippedError, SuiteError, prepare, run
from tests.autobahn.verdicts import differences, verdict
from tests.integration.admin.process import process


def main() -> int:
    """Prepare, run, compare and say how it went; return the exit status."""
    cases = sys.argv[1:]
    try:
        return asyncio.run(compare(prepare(), cases))
    except SkippedError as skipped:
        print(f"autobahn: skipped. {skipped}")
        return 0
    except SuiteError as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 1


async def compare(wstest: Path, cases: Sequence[str]) -> int:
    """Run the cases both ways at once, and print what differs."""
    started = time.monotonic()
    print(f"running {' '.join(cases) or 'all cases: 20 minutes of CPU time'}", flush=True)
    async with echo() as address, hotsplice(address) as (public, telemetry):
        direct, through = await asyncio.gather(
            run(wstest, "direct", f"ws://{address}", cases or ["*"]),
            run(wstest, "hotsplice", f"ws://{public}", cases or ["*"]),
        )
        followed = await asyncio.to_thread(messages, telemetry)
    expected = direct.announced if cases else CASES
    found = [*differences(direct.cases, through.cases, expected)]
    if not followed:
        found.append("hotsplice counted no message: it did not follow frames")
    for said, count in Counter(map(verdict, through.cases.values())).most_common():
        print(f"{count:5} {said}")
    took_s = time.monotonic() - started
    print(f"{len(through.cases)} cases in {took_s:.0f} s, {followed} messages followed; "
          f"the reports are in {REPORTS}")  # fmt: skip
    print("\n".join(["they differ:", *found]) if found else "both ways agree in every case")
    return 1 if found else 0


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """Serve an echo with compression, as the library has it, for messages of any size."""

    async def back(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async with serve(back, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        host, port = next(iter(server.sockets)).getsockname()
        yield f"{host}:{port}"


@contextlib.asynccontextmanager
async def hotsplice(upstream: str) -> AsyncIterator[tuple[str, str]]:
    """Run the real process; give the addresses of its listener and of its telemetry."""
    document: dict[str, Any] = {
        "version": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "pools": {"backend": {"endpoints": {"echo": {"address": upstream}}}},
        "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
    }
    with tempfile.TemporaryDirectory(prefix="autobahn") as name:
        config = Path(name) / "hotsplice.json"
        config.write_text(json.dumps(document))
        flags = ("--config", str(config), "--access-log", "off", "--drain-accept", "0s")
        async with process(Path(name), "run", *flags) as running:
            ready = await running.ready()
            yield ready["listeners"]["public"], ready["telemetry"]
            await running.terminated()


def messages(telemetry: str) -> int:
    """Return how many messages the frame tracker has counted."""
    with urllib.request.urlopen(f"http://{telemetry}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(
        int(float(value))
        for value in re.findall(r"^hotsplice_websocket_messages_total\{.*\} (\S+)$", text, re.M)
    )


if __name__ == "__main__":
    sys.exit(main())
