"""Selective drains over real sockets: who is told, who gets new work, and what progress says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from proxy import drains
from proxy.connections import Selector
from proxy.drains import DrainOrder, DrainProgress, TooManyDrainsError
from proxy.spec import BalanceKind, BalanceSpec, EndpointSpec
from tests.peers import (
    Conn,
    Origin,
    RawClient,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    eventually,
    listener,
    pool,
    reply,
    route,
    settle,
)
from tests.peers.client import request
from tests.peers.frames import CLOSE, HANDSHAKE_FIELDS, encode, read_frame
from tests.peers.origin import accept_upgrade

FAST: dict[str, Any] = {"rate": 1000.0, "timeout_s": 20.0}


async def echo(conn: Conn) -> None:
    await accept_upgrade(conn)
    while True:
        frame = await read_frame(conn)
        await conn.send(encode(frame.opcode, frame.payload))


def labelled(origin: Origin, name: str, node: str) -> EndpointSpec:
    return endpoint(origin.address, name, labels=(("node", node),))


class Client:
    """A WebSocket that answers Close, as clients do."""

    def __init__(self, raw: RawClient) -> None:
        self.raw = raw
        self.told: bytes | None = None
        self.living = asyncio.create_task(self._live())

    async def _live(self) -> None:
        frame = await self.raw._exactly(2)
        assert frame[0] == 0x80 | CLOSE
        self.told = await self.raw._exactly(frame[1])
        await self.raw.send(encode(CLOSE, self.told, mask=True))
        await self.raw._to_end()
        self.raw.close()


class Cast:
    """Two endpoints, n7 and n8, behind one pool, and clients of theirs."""

    def __init__(self, stage: Stage, running: Running, n7: Origin, n8: Origin) -> None:
        self.running, self.n7, self.n8 = running, n7, n8
        self.clients: list[Client] = []

    async def join(self, number: int) -> None:
        for _ in range(number):
            raw = await self.running.connect()
            assert (await raw.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
            self.clients.append(Client(raw))

    def start(self, name: str = "x", **order: Any) -> DrainProgress:
        selector = Selector(**order.pop("selector"))
        return self.running.server.start_drain(
            name, DrainOrder(selector=selector, **{**FAST, **order})
        )

    def splices(self, origin: Origin) -> int:
        return self.running.endpoint(origin.address).splices

    def state(self, origin: Origin) -> str:
        return self.running.endpoint(origin.address).state

    def progress(self, name: str = "x") -> DrainProgress:
        found = self.running.server.drain_progress(name)
        assert found is not None
        return found

    async def done(self, name: str = "x") -> DrainProgress:
        await eventually(lambda: self.progress(name).done, lambda: f"{self.progress(name)}")
        return self.progress(name)

    async def leave(self) -> None:
        for client in self.clients:
            client.living.cancel()
        await asyncio.gather(*(one.living for one in self.clients), return_exceptions=True)
        for client in self.clients:
            client.raw.close()


async def cast(stage: Stage, number: int = 8, *, balance: BalanceKind = "round_robin") -> Cast:
    n7, n8 = stage.origin(echo), stage.origin(echo)
    members = (labelled(n7, "blue", "n7"), labelled(n8, "green", "n8"))
    kind = BalanceSpec(kind=balance, key="$arg_k" if balance == "hash" else None)
    running = await stage.serve(build_spec(pools=[pool(*members, balance=kind)]))
    made = Cast(stage, running, n7, n8)
    await made.join(number)
    return made


async def test_drain_by_label_empties_one_endpoint_and_leaves_the_other_alone(
    stage: Stage,
) -> None:
    made = await cast(stage)
    started = made.start(selector={"labels": (("node", "n7"),)}, code=4001, reason="node n7")
    assert (started.selected, started.closed, started.remaining, started.done) == (4, 0, 4, False)
    assert started.cordoned == ("backend/blue",)
    done = await made.done()
    assert (done.selected, done.closed, done.remaining) == (4, 4, 0)
    assert (made.splices(made.n7), made.splices(made.n8)) == (0, 4)
    told = [client.told for client in made.clients if client.told is not None]
    assert told == [b"\x0f\xa1node n7"] * 4
    await made.leave()


@pytest.mark.parametrize(
    "balance", ["round_robin", "least_connections", "random", "ip_hash", "hash"]
)
async def test_cordoned_endpoint_gets_no_new_work_until_the_drain_is_cancelled(
    stage: Stage, balance: BalanceKind
) -> None:
    made = await cast(stage, 0, balance=balance)
    made.start(selector={"endpoint": "blue"})
    assert (made.state(made.n7), made.state(made.n8)) == ("drain", "active")
    assert "x" in made.running.endpoint(made.n7.address).why
    await made.join(6)
    assert (made.splices(made.n7), made.splices(made.n8)) == (0, 6)
    assert made.running.server.cancel_drain("x")
    assert made.state(made.n7) == "active"
    assert not made.running.server.cancel_drain("x")
    assert made.running.server.drain_progress("x") is None
    if balance == "round_robin":
        await made.join(6)
        assert made.splices(made.n7) >= 3
    await made.leave()


async def test_cordon_holds_whatever_becomes_of_the_configuration(stage: Stage) -> None:
    made = await cast(stage, 0)
    made.start(selector={"labels": (("node", "n7"),)})
    spec = made.running.server.spec
    blue, green = spec.pools["backend"].endpoints
    third = stage.origin(echo)

    async def apply(*members: EndpointSpec) -> None:
        changed = replace(spec.pools["backend"], endpoints=members)
        await made.running.server.apply(replace(spec, pools={"backend": changed}))

    await apply(replace(blue, weight=7), green)
    assert made.state(made.n7) == "drain"
    await apply(green, labelled(third, "more", "n7"))
    assert made.progress().cordoned == ("backend/more",)
    await made.join(2)
    assert made.running.endpoint(third.address).splices == 0
    await apply(blue, replace(green, labels=(("node", "n7"),)))
    assert (made.state(made.n7), made.state(made.n8)) == ("drain", "drain")
    await apply(replace(blue, labels=()), green)
    assert (made.state(made.n7), made.state(made.n8)) == ("active", "active")
    await made.leave()


async def test_pool_whose_every_endpoint_is_cordoned_has_none(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"ok")))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    assert (await client.get()).status == 200
    order = DrainOrder(selector=Selector(pool="backend"), cordon=True)
    running.server.start_drain("all", order)
    assert (await client.get()).status == 502
    running.server.cancel_drain("all")
    assert (await client.get()).status == 200


async def test_whole_pool_is_not_cordoned_unless_that_is_said(stage: Stage) -> None:
    made = await cast(stage, 4)
    assert made.start(selector={"pool": "backend"}).cordoned == ()
    assert (await made.done()).selected == 4
    await made.join(1)
    await made.leave()


async def test_fraction_closes_so_many_and_cordons_nothing(stage: Stage) -> None:
    made = await cast(stage, 12)
    started = made.start(selector={"labels": (("node", "n7"),)}, fraction=0.5)
    assert (started.selected, started.cordoned) == (3, ())
    await made.done()
    assert (made.splices(made.n7), made.splices(made.n8)) == (3, 6)
    await made.leave()


async def test_same_order_again_goes_on_and_another_one_begins_anew(stage: Stage) -> None:
    made = await cast(stage, 4)
    first = made.start(selector={"endpoint": "blue"})
    again = made.start(selector={"endpoint": "blue"})
    assert again.since == first.since
    other = made.start(selector={"endpoint": "green"})
    assert other.cordoned == ("backend/green",)
    assert [one.name for one in made.running.server.drains()] == ["x"]
    assert made.state(made.n7) == "active"
    await made.done()
    await made.leave()


async def test_two_drains_cordon_one_endpoint_and_both_have_to_be_lifted(stage: Stage) -> None:
    made = await cast(stage, 0)
    made.start("one", selector={"endpoint": "blue"})
    made.start("two", selector={"labels": (("node", "n7"),)})
    assert "one, two" in made.running.endpoint(made.n7.address).why
    made.running.server.cancel_drain("one")
    assert made.state(made.n7) == "drain"
    made.running.server.cancel_drain("two")
    assert made.state(made.n7) == "active"


async def test_rate_is_kept_and_progress_tells_the_truth(stage: Stage) -> None:
    made = await cast(stage, 20)
    loop = asyncio.get_running_loop()
    began = loop.time()
    made.start(selector={"labels": (("node", "n7"),)}, rate=10.0)
    seen: set[tuple[int, int]] = set()

    def looked() -> bool:
        progress = made.progress()
        seen.add((progress.closed, progress.remaining))
        assert progress.closed + progress.remaining == progress.selected == 10
        assert progress.remaining == made.splices(made.n7)
        return progress.done

    await eventually(looked, "the drain")
    assert 0.8 <= loop.time() - began <= 3
    assert len(seen) >= 5
    await made.leave()


async def test_cancelled_drain_closes_no_more(stage: Stage) -> None:
    made = await cast(stage, 8)
    made.start(selector={"endpoint": "blue"}, rate=1.0, timeout_s=1000.0)
    made.running.server.cancel_drain("x")
    await settle()
    assert made.splices(made.n7) == 4
    await made.leave()


async def test_upgrade_under_way_when_its_endpoint_is_drained_is_closed_too(stage: Stage) -> None:
    release = asyncio.Event()

    async def slow(conn: Conn) -> None:
        head = await conn.next_head()
        assert head.get(b"upgrade")
        await release.wait()
        await conn.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        frame = await read_frame(conn)
        await conn.send(encode(frame.opcode, frame.payload))

    origin = stage.origin(slow)
    running = await stage.serve(build_spec(pools=[pool(labelled(origin, "one", "n7"))]))
    client = await running.connect()
    await client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS))
    await origin.head()
    selector = Selector(labels=(("node", "n7"),))
    running.server.start_drain("x", DrainOrder(selector=selector, **FAST))
    release.set()
    assert (await client.read_response()).status == 101
    told = await read_frame(client)
    assert told.opcode == CLOSE
    await client.send(encode(CLOSE, told.payload, mask=True))
    await client.read_eof()
    progress = running.server.drain_progress("x")
    assert progress is not None
    assert progress.selected == 1


async def test_what_does_not_answer_is_cut_at_the_timeout(stage: Stage) -> None:
    made = await cast(stage, 0)
    raw = await made.running.connect()
    assert (await raw.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    made.start(selector={"pool": "backend"}, timeout_s=0.6)
    assert (await read_frame(raw)).opcode == CLOSE
    await raw.gone(3)
    assert (await made.done()).closed == 1


async def test_http_of_a_listener_ends_after_its_request(stage: Stage) -> None:
    release = asyncio.Event()

    async def script(conn: Conn) -> None:
        while True:
            await conn.next_request()
            await release.wait()
            await conn.send(reply(b"ok"))

    spec = build_spec(stage.origin(script).address, listeners=[listener(), listener("second")])
    running = await stage.serve(spec)
    idle, busy, other = (
        await running.connect(), await running.connect(), await running.connect("second"),
    )  # fmt: skip
    await busy.send(request())
    await eventually(lambda: running.listener().counters.in_flight == 1, "the request")
    order = DrainOrder(selector=Selector(listener="public"), **FAST)
    assert running.server.start_drain("x", order).selected == 2
    await idle.read_eof()
    release.set()
    assert (await busy.read_response()).closes
    await busy.read_eof()
    assert (await other.get()).status == 200


async def test_http_is_no_business_of_a_drain_of_endpoints(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.origin(answers(reply(b"ok"))).address))
    client = await running.connect()
    await client.get()
    for number, selector in enumerate(
        [Selector(pool="backend"), Selector(route="everything"), Selector(endpoint="x")]
    ):
        order = DrainOrder(selector=selector, cordon=False)
        assert running.server.start_drain(str(number), order).selected == 0
    assert not (await client.get()).closes


async def test_selector_that_takes_everything_is_refused(stage: Stage) -> None:
    running = await stage.serve(build_spec(routes=[], pools=[]))
    with pytest.raises(ValueError, match="every connection"):
        running.server.start_drain("x", DrainOrder(selector=Selector()))


async def test_drains_that_are_over_are_forgotten_when_there_are_too_many(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "MAX_DRAINS", 2)
    running = await stage.serve(build_spec(pools=[pool()], routes=[route("all", "/")]))

    def start(name: str, timeout_s: float) -> None:
        order = DrainOrder(selector=Selector(pool="backend"), timeout_s=timeout_s)
        running.server.start_drain(name, order)

    start("short", 0.05)
    start("long", 1000.0)
    with pytest.raises(TooManyDrainsError):
        start("third", 1000.0)
    await eventually(lambda: running.server._serving.drains._drains["short"].over, "its end")
    start("third", 1000.0)
    assert [one.name for one in running.server.drains()] == ["long", "third"]


async def test_drain_is_told_from_its_begin_to_its_end(stage: Stage) -> None:
    made = await cast(stage, 8)
    told: list[tuple[str, str, int]] = []
    made.running.server.watch_drains(
        lambda state, progress: told.append((progress.name, state, progress.remaining))
    )
    made.start(selector={"pool": "backend"})
    assert told == [("x", "draining", 8)]
    await eventually(lambda: told[-1] == ("x", "drained", 0), lambda: f"{told}")
    remaining = [left for _, _, left in told]
    assert remaining == sorted(remaining, reverse=True)
    assert [state for _, state, _ in told[:-1]] == ["draining"] * (len(told) - 1)
    await made.leave()


async def test_drain_of_nothing_is_told_as_done(stage: Stage) -> None:
    made = await cast(stage, 0)
    told: list[str] = []
    made.running.server.watch_drains(lambda state, _: told.append(state))
    made.start(selector={"pool": "backend"})
    await eventually(lambda: told == ["draining", "drained"], lambda: f"{told}")


async def test_cancelled_and_replaced_drains_are_told_with_who_wanted_it(stage: Stage) -> None:
    made = await cast(stage, 4)
    told: list[tuple[str, str, str | None, int]] = []
    made.running.server.watch_drains(
        lambda state, progress: told.append(
            (state, progress.order.author, progress.order.note, progress.remaining)
        )
    )
    slow: dict[str, Any] = {"selector": {"pool": "backend"}, "rate": 0.01, "timeout_s": 900.0}
    made.start(**slow, author="alice", note="disk swap")
    made.start(**slow, author="bob")  # the same, so there is nothing to tell
    made.start(**slow, code=4001, author="bob")
    made.running.server.cancel_drain("x", "carol")
    assert told == [
        ("draining", "alice", "disk swap", 4),
        ("cancelled", "bob", None, 4),
        ("draining", "bob", None, 4),
        ("cancelled", "carol", None, 4),
    ]
    await made.leave()


async def test_progress_is_told_a_tenth_at_a_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "LOOK_S", 0.0)
    made = await cast(stage, 30)
    told: list[int] = []
    made.running.server.watch_drains(lambda _, progress: told.append(progress.remaining))
    made.start(selector={"pool": "backend"}, rate=100.0)
    await eventually(lambda: told[-1] == 0, lambda: f"{told}")
    assert 3 <= len(told) <= 1 + drains.PARTS
    await made.leave()
