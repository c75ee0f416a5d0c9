"""Which endpoints are tried, in which order, and what comes of it: request by request as in nginx.

Both have the same file and the same members behind, which fail by the same script.  What is
compared is the trail of each request: the endpoints that were tried, and its status.  Three things
are otherwise on purpose, and have tests of their own: what the client is told when nobody is left,
what a broken idle connection says, and how far around a hash ring an endpoint is looked for.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from proxy.exchange import dispatch
from tests.conformance.differential.fleet import Fleet, Outcome
from tests.peers import RawClient, Stage, within
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, nginx

pytestmark = beside_nginx

NOBODY: Final = -1
"""Stands at the end of nginx's trail when it wanted another endpoint and none was there."""


@dataclass(frozen=True, slots=True)
class Trail:
    """How a request went: its status, and the places of the endpoints tried."""

    status: int
    tried: tuple[int, ...]

    def as_ours(self, outcomes: tuple[Outcome, ...]) -> Trail:
        """Return what hotsplice makes of it.

        Where nobody is left to try, the client gets what the last one said, or is told what it did
        wrong; nginx throws that away and answers 502.
        """
        if self.tried[-1:] != (NOBODY,):
            return self
        tried = self.tried[:-1]
        assert self.status == 502
        status = _STATUSES.get(outcomes[tried[-1]], 502) if tried else 502
        return Trail(status, tried)


_STATUSES: Final[dict[Outcome, int]] = {
    "500": 500, "502": 502, "503": 503, "404": 404, "429": 429, "hang": 504,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """An upstream, the rules of its location, and how its members fail."""

    servers: tuple[str, ...] = ("", "", "")
    """Parameters of the servers."""
    balance: str = ""
    rules: str = ""
    failures: tuple[Outcome, ...] = ("refuse", "close")
    rate: float = 0.1
    """How often a member fails."""
    methods: tuple[bytes, ...] = (b"GET",)
    requests: int = 40
    seeds: int = 2

    def http(self, addresses: list[str], listen: str) -> str:
        servers = "\n".join(
            f"server {address} {parameters};"
            for address, parameters in zip(addresses, self.servers, strict=True)
        )
        # Short where members hang; elsewhere a slow machine would fail one that is good.
        timeout = "100ms" if "hang" in self.failures else "10s"
        return f"""
            upstream backend {{ {self.balance} {servers} }}
            set_real_ip_from unix:;
            real_ip_header X-Forwarded-For;
            real_ip_recursive on;
            server {{
                listen {listen};
                location / {{
                    proxy_pass http://backend;
                    proxy_http_version 1.1;
                    proxy_set_header Connection "";
                    proxy_read_timeout {timeout};
                    add_header X-Tried $upstream_addr always;
                    {self.rules}
                }}
            }}
        """


LONG: Final = "fail_timeout=1h"
STATUSES: Final = "proxy_next_upstream error timeout invalid_header http_500 http_502 http_503;"
_ALL: Final[tuple[Outcome, ...]] = ("refuse", "close", "garbage", "500", "502", "503", "404")
_POST: Final = (b"GET", b"POST")


def _fails(count: int, *more: str) -> tuple[str, ...]:
    """Return the parameters of three servers that so many failures take out for good."""
    return tuple(f"max_fails={count} {LONG} {each}" for each in more or ("", "", ""))


SCENARIOS: Final[dict[str, Scenario]] = {
    "weights-5-1-1": Scenario(_fails(3, "weight=5", "", "")),
    "weights-3-2-1": Scenario(_fails(3, "weight=3", "weight=2", "")),
    "weights-1-10-3": Scenario(_fails(2, "", "weight=10", "weight=3")),
    "weights-7-7-7": Scenario(_fails(2, *["weight=7"] * 3)),
    "max-fails-0": Scenario(_fails(0), rate=0.3),
    "max-fails-1": Scenario(_fails(1), rate=0.04, seeds=3),
    "max-fails-2": Scenario(_fails(2), rate=0.08),
    "max-fails-3": Scenario(_fails(3), rate=0.15),
    "five": Scenario(_fails(2, *["", "weight=2"] * 2, "weight=5"), rate=0.15),
    "statuses": Scenario(_fails(2), rules=STATUSES, failures=_ALL, rate=0.1),
    "statuses-often": Scenario(_fails(4), rules=STATUSES, failures=_ALL, rate=0.5),
    "statuses-never-out": Scenario(_fails(0), rules=STATUSES, failures=_ALL, rate=0.5),
    "statuses-that-are-none": Scenario(_fails(2), failures=_ALL, rate=0.1),
    "not-found": Scenario(
        _fails(1), rules="proxy_next_upstream http_404 http_429;", failures=("404", "429"), rate=0.2
    ),
    "off": Scenario(_fails(2), rules="proxy_next_upstream off;", failures=_ALL),
    "post": Scenario(_fails(3), failures=_ALL, rules=STATUSES, methods=_POST, rate=0.2),
    "post-again": Scenario(
        _fails(3),
        failures=_ALL,
        rules=STATUSES.replace(";", " non_idempotent;"),
        methods=_POST,
        rate=0.2,
    ),
    "other-methods": Scenario(
        _fails(3), failures=("close", "refuse"), methods=(b"PATCH", b"PUT", b"LOCK", b"DELETE")
    ),
    "tries-1": Scenario(_fails(3), rules=STATUSES + "proxy_next_upstream_tries 1;", failures=_ALL),
    "tries-2": Scenario(
        _fails(3), rules=STATUSES + "proxy_next_upstream_tries 2;", failures=_ALL, rate=0.4
    ),
    "backup": Scenario(_fails(1, "", "", "backup"), rate=0.05, seeds=3),
    "backups": Scenario(
        _fails(2, "", "weight=2", "backup weight=3", "backup"), rules=STATUSES, failures=_ALL
    ),
    "backup-of-one": Scenario(_fails(1, "", "backup"), rate=0.1),
    "backup-only-left": Scenario(_fails(1, "down", "backup"), rate=0.1),
    "down": Scenario(_fails(2, "", "down", "weight=2"), rules=STATUSES, failures=_ALL),
    "single": Scenario(_fails(1, ""), rules=STATUSES, failures=_ALL, rate=0.3, methods=_POST),
    "single-down": Scenario(_fails(1, "down"), requests=4, seeds=1),
    "all-down": Scenario(_fails(1, "down", "down"), requests=4, seeds=1),
    "one-and-down": Scenario(_fails(1, "", "down"), rules=STATUSES, failures=_ALL, rate=0.3),
    "least-conn": Scenario(_fails(2), balance="least_conn;"),
    "least-conn-weights": Scenario(
        _fails(3, "weight=5", "", "weight=2"), balance="least_conn;", rules=STATUSES, failures=_ALL
    ),
    "least-conn-backup": Scenario(_fails(1, "", "", "backup"), balance="least_conn;", rate=0.05),
    "ip-hash": Scenario(_fails(2), balance="ip_hash;"),
    "ip-hash-weights": Scenario(
        _fails(4, "weight=9", "", "weight=2"),
        balance="ip_hash;",
        rules=STATUSES,
        failures=_ALL,
        rate=0.3,
        seeds=3,
    ),
    "ip-hash-down": Scenario(_fails(3, "", "down", "weight=4"), balance="ip_hash;"),
    "hash": Scenario(_fails(3), balance="hash $uri consistent;", rate=0.15),
    "hash-weights": Scenario(
        _fails(4, "weight=9", "", "weight=2"),
        balance="hash $uri consistent;",
        rules=STATUSES,
        failures=_ALL,
        rate=0.3,
        seeds=3,
    ),
    "ip-hash-lopsided": Scenario(_fails(4, "weight=40", "", ""), balance="ip_hash;", rate=0.3),
    "hash-down": Scenario(_fails(3, "", "down", ""), balance="hash $uri consistent;"),
    "hash-without-key": Scenario(_fails(3), balance="hash $http_nothing consistent;"),
    "timeouts": Scenario(_fails(3), failures=("hang",), rate=0.15, requests=25, seeds=1),
    "timeouts-off": Scenario(
        _fails(2),
        rules="proxy_next_upstream error;",
        failures=("hang", "refuse"),
        rate=0.2,
        requests=25,
        seeds=1,
    ),
    "keepalive": Scenario(
        _fails(2), balance="keepalive 8;", rules=STATUSES, failures=("refuse", "500", "503", "404")
    ),
}


class Both:
    """The two of them before one fleet."""

    def __init__(self, fleet: Fleet, ours: str, theirs: str, tried: list[str]) -> None:
        self.fleet: Final = fleet
        self._ours: Final = ours
        self._theirs: Final = theirs
        self._tried: Final = tried

    async def ours(self, raw: bytes) -> Trail:
        """Ask hotsplice."""
        self._tried.clear()
        status, _ = await _asked(self._ours, raw)
        return Trail(status, tuple(map(self._place, self._tried)))

    async def nginx(self, raw: bytes) -> Trail:
        """Ask nginx."""
        status, said = await _asked(self._theirs, raw)
        return Trail(status, tuple(map(self._place, said.split(", "))))

    @property
    def sides(self) -> tuple[Callable[[bytes], Awaitable[Trail]], ...]:
        """Both, to be asked one by one."""
        return self.ours, self.nginx

    def _place(self, address: str) -> int:
        """Return which member this is; nginx's trail ends with ``backend`` if nobody was left."""
        place = self.fleet.place(address)
        if place is None:
            assert address == "backend"
            return NOBODY
        return place


async def _asked(address: str, raw: bytes) -> tuple[int, str]:
    client = await RawClient.connect(address)
    try:
        await client.send(raw)
        answer = await client.read_response()
    finally:
        client.close()
    return answer.status, (answer.get(b"x-tried") or b"").decode()


@asynccontextmanager
async def both(
    stage: Stage, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Both]:
    """Serve a scenario by both."""
    fleet = Fleet(len(scenario.servers))
    addresses = [member.address for member in fleet.members]
    folder = stage.path("x").parent
    ours, theirs = f"unix:{folder}/ours.sock", f"unix:{folder}/nginx.sock"
    file = folder / "imported.conf"
    file.write_text("events {}\nhttp {\n" + scenario.http(addresses, ours) + "\n}\n")
    try:
        with monkeypatch.context() as patch:
            tried = _watched(patch)
            await stage.serve(to_spec(validate(import_nginx(file).document)))
            async with nginx(folder, scenario.http(addresses, theirs)):
                yield Both(fleet, ours, theirs, tried)
    finally:
        await fleet.close()


def _watched(patch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the address of each endpoint that hotsplice tries."""
    tried: list[str] = []
    attempt = dispatch.attempt

    def noted(exchange: Any, member: Any, now: float, **how: Any) -> None:
        tried.append(member.endpoint.address)
        attempt(exchange, member, now, **how)

    patch.setattr(dispatch, "attempt", noted)
    return tried


def _request(chance: random.Random, scenario: Scenario) -> bytes:
    method = chance.choice(scenario.methods)
    return request(
        method,
        b"/%d" % chance.randrange(20),
        b"X-Forwarded-For: 10.%d.1.1" % chance.randrange(30),
        body=b"hello" if method == b"POST" else None,
    )


@pytest.mark.parametrize("name", SCENARIOS)
async def test_same_endpoints_are_tried_and_the_same_comes_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scenario = SCENARIOS[name]
    for seed in range(scenario.seeds):
        chance = random.Random(f"{name}-{seed}")
        async with both(stage, scenario, monkeypatch) as pair:
            for step in range(scenario.requests):
                outcomes: tuple[Outcome, ...] = tuple(
                    chance.choice(scenario.failures) if chance.random() < scenario.rate else "good"
                    for _ in scenario.servers
                )
                pair.fleet.play(outcomes)
                raw = _request(chance, scenario)
                mine, yours = await pair.ours(raw), await pair.nginx(raw)
                said = f"seed {seed}, step {step}: {raw[:20]!r} with {outcomes}"
                assert mine == yours.as_ours(outcomes), said


def test_scenarios_are_at_least_a_thousand_requests() -> None:
    assert sum(each.requests * each.seeds for each in SCENARIOS.values()) >= 1000


GET: Final = request(b"GET", b"/")


async def test_when_nobody_is_left_the_last_response_is_worth_more_than_a_502(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario(_fails(1, "", ""), rules=STATUSES)
    async with both(stage, scenario, monkeypatch) as pair:
        pair.fleet.play(("refuse", "500"))
        # The first one is taken out, the second is the last that can be tried.
        assert [await ask(GET) for ask in pair.sides] == [Trail(500, (0, 1))] * 2
        # It would go on to the first one, if that one could be tried.
        assert await pair.ours(GET) == Trail(500, (1,))
        assert await pair.nginx(GET) == Trail(502, (1, NOBODY))
        # Either way it is out now, by a failure that nginx counts for the same reason.
        assert await pair.ours(GET) == Trail(502, ())
        assert await pair.nginx(GET) == Trail(502, (NOBODY,))


async def test_idle_connection_that_breaks_is_tried_anew_where_nginx_counts_a_failure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario(_fails(1, "", "backup"), balance="keepalive 4;")
    async with both(stage, scenario, monkeypatch) as pair:
        pair.fleet.play(("stale", "good"))
        assert [await ask(GET) for ask in pair.sides] == [Trail(200, (0,))] * 2
        assert await pair.ours(GET) == Trail(200, (0, 0))
        assert await pair.nginx(GET) == Trail(200, (0, 1))
        pair.fleet.play(("good", "good"))
        assert await pair.ours(GET) == Trail(200, (0,))
        assert await pair.nginx(GET) == Trail(200, (1,))


async def test_key_stays_with_one_endpoint_where_nginx_takes_turns_after_twenty_points(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of the ring belongs to an endpoint that is down."""
    scenario = Scenario(("weight=40 down", "", ""), balance="hash $uri consistent;")
    async with both(stage, scenario, monkeypatch) as pair:
        homes: list[list[set[int]]] = []
        for ask in pair.sides:
            raws = [request(b"GET", b"/%d" % number) for number in range(20)]
            homes.append([{(await ask(raw)).tried[0] for _ in range(4)} for raw in raws])
    mine, yours = homes
    assert all(len(home) == 1 for home in mine)
    assert any(len(home) == 2 for home in yours)
    # Where nginx has found a home within its twenty points, it is the same one.
    assert all(home == other for home, other in zip(mine, yours, strict=True) if len(other) == 1)


# -- windows that pass ----------------------------------------------------------------------------

WINDOW_S: Final = 1.0
"""nginx counts whole seconds: its window is longer than this by up to one."""


async def _until_tried(ask: Callable[[bytes], Awaitable[Trail]], place: int) -> float:
    """Ask until an endpoint is tried again; return when that was."""
    while place not in (await ask(GET)).tried:
        pass
    return time.monotonic()


@pytest.mark.parametrize("count", [1, 2])
async def test_endpoint_is_back_after_its_window_and_out_again_as_in_nginx(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    scenario = Scenario((f"max_fails={count} fail_timeout=1s",) * 3)
    async with both(stage, scenario, monkeypatch) as pair:
        pair.fleet.play(("refuse", "good", "good"))
        began = time.monotonic()
        for _ in range(3 * count + 6):
            assert await pair.ours(GET) == await pair.nginx(GET)
        if time.monotonic() - began > WINDOW_S:
            pytest.skip("this machine is too slow to see the window")
        for ask in pair.sides:
            # It is still bad when it comes back: one request finds out, and it is out again.
            pair.fleet.play(("refuse", "good", "good"))
            again = await within(_until_tried(ask, 0), "the check", 6.0)
            assert again - began >= WINDOW_S
            assert [0 in (await ask(GET)).tried for _ in range(6)] == [False] * 6
            # It is good when it comes back: it takes as many failures as ever to be out.
            pair.fleet.play(("good", "good", "good"))
            await within(_until_tried(ask, 0), "the endpoint to be back", 6.0)
            pair.fleet.play(("refuse", "good", "good"))
            assert sum([0 in (await ask(GET)).tried for _ in range(12)]) == count
