"""WebSockets: echoes, bulk, handshakes, and what one that is idle holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from bench import echo
from bench.holding import held
from bench.load import Load, LoadError, websockets
from bench.machine import family_bytes, max_files
from bench.measure import Sample, Scenario, Subject, loaded
from bench.peers.peer import Setup
from bench.processes import Processes

LEAST_S: Final = 0.25

IDLE: Final = min(10_000, max_files() // 2 - 100)
"""A proxy has two sockets for each, and a limit for both together."""


def _place(processes: Processes, sockets: int = 4096) -> Setup:
    return Setup((echo.origin(processes),), sockets=sockets)


def _scenario(name: str, title: str, mode: str, connections: int, size: int = 64) -> Scenario:
    def generate(address: str, seconds: float) -> Load:
        return websockets(mode, address, connections, max(seconds, LEAST_S), size=size)

    def sample(subject: Subject, seconds: float) -> Sample:
        return loaded(subject, generate, seconds, octets=mode == "bulk")

    figure = "cpu_ns_kb" if mode == "bulk" else "cpu_us"
    return Scenario(name, title, figure, _place, sample, generate)


def _idle(subject: Subject, seconds: float) -> Sample:
    before = family_bytes(subject.proxy.pid)
    with held(subject.proxy.address, IDLE) as holder:
        grown = family_bytes(subject.proxy.pid) - before
        found = holder.end()
    if found["failed"]:
        raise LoadError(f"{found['failed']} of {IDLE} idle WebSockets were closed")
    return {"tunnel_kb": grown / IDLE / 1e3, "resident_mb": (before + grown) / 1e6}


SCENARIOS: Final = (
    replace(_scenario("echo_64", "WebSocket echo, 64 octets", "echo", 64), quick=True),
    _scenario("echo_4k", "WebSocket echo, 4 KiB", "echo", 64, 4096),
    replace(_scenario("bulk", "WebSocket bulk, frames of 64 KiB", "bulk", 4), quick=True),
    _scenario("handshake", "WebSocket opened, used and closed", "connect", 16),
    Scenario(
        "idle",
        f"{IDLE:,} idle WebSockets",
        "tunnel_kb",
        partial(_place, sockets=max_files()),
        _idle,
        rounds=2,
        warm_up_s=0.0,
        fresh=True,
    ),
)
