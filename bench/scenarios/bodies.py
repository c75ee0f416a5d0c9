"""Bodies: what a request with one costs, and what a KB of a large one costs."""

from __future__ import annotations

import http.client
from dataclasses import replace
from functools import partial
from typing import Final

from bench import echo
from bench.measure import Subject
from bench.peers.peer import Setup
from bench.processes import Processes
from bench.scenarios.http import scenario


def _echo(processes: Processes) -> Setup:
    return Setup((echo.origin(processes),))


def _look(subject: Subject, path: str) -> tuple[int, int, bool]:
    """Return status and length of an answer, and whether a header rule applied."""
    connection = http.client.HTTPConnection(subject.proxy.address, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, len(body), "X-Served-By" in answer.headers


SCENARIOS: Final = (
    scenario("post_1k", "POST, 1 KiB", "post", "1024"),
    scenario("post_64k", "POST, 64 KiB", "post", "65536"),
    scenario("answer_64k", "answer of 64 KiB", "get", "/files/64k"),
    replace(
        scenario(
            "answer_10m", "answer of 10 MiB", "get", "/files/10m", connections=4, octets=True
        ),
        quick=True,
    ),
    replace(scenario("chunked", "answer of 8 chunks of 8 KiB", "get", "/chunked", place=_echo),
            look=partial(_look, path="/chunked")),
    replace(scenario("tiny", "answer of 256 chunks of 16 octets", "get", "/tiny", place=_echo),
            look=partial(_look, path="/tiny")),
)  # fmt: skip
