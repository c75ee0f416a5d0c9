"""What a tutorial would write, with aiohttp's Application and ClientSession."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Final

from bench.machine import PROXY_CORE
from bench.peers.peer import Peer, Proxy, Setup, UnsupportedError
from bench.processes import Processes


def _start(processes: Processes, setup: Setup) -> Proxy:
    if setup.access_log:
        raise UnsupportedError("has no access log")
    file = processes.place("tutorial") / "setup.json"
    file.write_text(json.dumps(asdict(setup)))
    pid, ready_file = processes.start_python(
        "tutorial", "bench.peers.tutorial_proxy", "--setup", str(file), cores={PROXY_CORE}
    )
    return Proxy(PEER.name, ready_file.read_text(), pid)


PEER: Final = Peer("aiohttp tutorial", lambda: f"aiohttp {version('aiohttp')}", _start)
