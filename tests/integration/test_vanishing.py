"""Client, upstream or both vanish, by FIN or RST, at every stage of a request's life.

Whatever happens, nothing may hang, nothing may leak, and every gauge returns to 0: the stage checks
that at its end.  Here is the product of stages, sides and endings, with what the surviving side
must see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from proxy.spec import ListenerTimeouts, PoolTimeouts, TunnelSpec
from proxy.splice import closing, relay
from tests.peers import (
    OK,
    Conn,
    Origin,
    RawClient,
    Running,
    Stage,
    build_spec,
    endpoint,
    everything,
    listener,
    pool,
    settle,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import Script, accept_upgrade, then
from tests.peers.stream import Ending

BRIEF = 0.5
"""What a paused transport cannot see ends by timer, seconds."""


@pytest.fixture(autouse=True)
def flush_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait out the seconds that a closing splice gives a stuck peer to answer."""
    monkeypatch.setattr(relay, "FLUSH_S", BRIEF)
    monkeypatch.setattr(closing, "FLUSH_S", BRIEF)
    monkeypatch.setattr(closing, "ECHO_S", BRIEF)


@dataclass
class Scene:
    """A request brought to one stage of its life."""

    stage: Stage
    brief: bool = False
    running: Running = field(init=False)
    client: RawClient = field(init=False)
    origin: Origin | None = None
    conn: Conn | None = None

    async def open(
        self,
        *scripts: Script,
        first: str | None = None,
        second: str | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        """Start an origin with ``scripts``, between other addresses, and a client."""
        timeouts = ListenerTimeouts()
        upstream = PoolTimeouts()
        if self.brief:
            timeouts = ListenerTimeouts(write_s=BRIEF, body_s=BRIEF)
            upstream = PoolTimeouts(send_s=BRIEF, read_s=BRIEF, connect_s=BRIEF)
        if scripts:
            self.origin = self.stage.origin(*scripts, receive_buffer=receive_buffer)
        addresses = [first] if first else []
        if self.origin is not None:
            addresses.append(self.origin.address)
        addresses += [second] if second else []
        ends = [endpoint(address, passive_health=None) for address in addresses]
        tunnel = TunnelSpec(idle_timeout_s=BRIEF if self.brief else 60.0)
        self.running = await self.stage.serve(
            build_spec(
                listeners=[listener(timeouts=timeouts)],
                pools=[pool(*ends, timeouts=upstream)],
                routes=[everything(tunnel=tunnel)],
            )
        )
        self.client = await self.running.connect(receive_buffer=receive_buffer)

    async def upstream(self) -> None:
        """Take hold of the origin's latest connection."""
        assert self.origin is not None
        self.conn = await self.origin.connection()


async def stall(conn: Conn) -> None:
    await conn.next_request()


async def stall_at_head(conn: Conn) -> None:
    await conn.next_head()


def saying(*pieces: bytes) -> Script:
    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(*pieces)

    return script


# -- the stages -----------------------------------------------------------------------------------


async def before_head(scene: Scene) -> None:
    await scene.open(stall)


async def mid_head(scene: Scene) -> None:
    await scene.open(stall)
    await scene.client.send(b"GET / HTTP/1.1\r\nHos")


async def body_awaited(scene: Scene) -> None:
    await scene.open(stall_at_head)
    await scene.client.send(request(b"POST", b"/", b"Content-Length: 9"))
    await scene.upstream()


async def mid_body(scene: Scene) -> None:
    await scene.open(stall_at_head)
    await scene.client.send(request(b"POST", b"/", b"Content-Length: 9") + b"half")
    await scene.upstream()
    assert scene.origin is not None
    await scene.origin.head()


async def mid_chunk(scene: Scene) -> None:
    await scene.open(stall_at_head)
    head = request(b"POST", b"/", b"Transfer-Encoding: chunked")
    await scene.client.send(head + b"9\r\nhalf")
    await scene.upstream()
    assert scene.origin is not None
    await scene.origin.head()


async def waiting(scene: Scene) -> None:
    await scene.open(stall)
    await scene.client.send(request(b"POST", body=b"x"))
    await scene.upstream()
    assert scene.origin is not None
    await scene.origin.request()


async def waiting_with_a_backlog(scene: Scene) -> None:
    await scene.open(stall)
    await scene.client.send(request(b"POST", body=b"x") * 3)
    await scene.upstream()
    assert scene.origin is not None
    await scene.origin.request()


async def continue_given(scene: Scene) -> None:
    await scene.open(stall_at_head)
    await scene.client.send(request(b"POST", b"/", b"Expect: 100-continue", b"Content-Length: 9"))
    assert (await scene.client.read_head()).status == 100
    await scene.upstream()


async def after_informational(scene: Scene) -> None:
    await scene.open(saying(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"))
    await scene.client.send(request(b"POST", body=b"x"))
    await scene.upstream()
    assert (await scene.client.read_head()).status == 103


async def mid_response_head(scene: Scene) -> None:
    await scene.open(saying(b"HTTP/1.1 200 OK\r\nConten"))
    await scene.client.send(request(b"POST", body=b"x"))
    await scene.upstream()
    await settle()


async def mid_response_body(scene: Scene) -> None:
    await scene.open(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
    await scene.client.send(request())
    await scene.upstream()
    await scene.client.read_until(b"half")


async def mid_response_chunk(scene: Scene) -> None:
    await scene.open(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"))
    await scene.client.send(request())
    await scene.upstream()
    await scene.client.read_until(b"half")


async def early_answer(scene: Scene) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_head()
        await conn.send(OK)

    await scene.open(script)
    await scene.client.send(request(b"POST", b"/", b"Content-Length: 100000") + b"x" * 1000)
    assert (await scene.client.read_response()).status == 200


async def lingering(scene: Scene) -> None:
    await scene.open(stall)
    await scene.client.send(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 1000)
    assert (await scene.client.read_response()).status == 400


async def kept_alive(scene: Scene) -> None:
    await scene.open(saying(OK))
    await scene.client.get()
    await scene.upstream()


async def response_paused(scene: Scene) -> None:
    poured = asyncio.Event()

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        await conn.pour(999_999_999)
        poured.set()

    scene.brief = True
    await scene.open(script, receive_buffer=32768)
    await scene.client.send(request())
    await scene.upstream()
    await asyncio.wait_for(poured.wait(), 20)


async def request_paused(scene: Scene) -> None:
    async def script(conn: Conn) -> None:
        await conn.hold()

    scene.brief = True
    await scene.open(script, receive_buffer=32768)
    await scene.client.send(request(b"PUT", b"/", b"Content-Length: 999999999"))
    await scene.upstream()
    await scene.client.pour(999_999_999)


async def connecting(scene: Scene) -> None:
    await scene.open(first=scene.stage.unreachable())
    await scene.client.send(request())
    await settle()


async def connecting_with_a_body(scene: Scene) -> None:
    scene.brief = True
    await scene.open(first=scene.stage.unreachable())
    await scene.client.send(request(b"POST", b"/", b"Content-Length: 9999999"))
    await scene.client.pour(1_000_000)


async def retrying(scene: Scene) -> None:
    await scene.open(stall, first=scene.stage.origin(then("fin")).address)
    await scene.client.send(request())
    await scene.upstream()
    assert scene.origin is not None
    await scene.origin.request()


async def retry_connecting(scene: Scene) -> None:
    dead = scene.stage.origin(then("fin"))
    await scene.open(first=dead.address, second=scene.stage.unreachable())
    await scene.client.send(request())
    await dead.request()
    await settle()


async def upgrade_awaited(scene: Scene) -> None:
    await scene.open(stall_at_head)
    await scene.client.send(request(b"GET", b"/", *HANDSHAKE_FIELDS) + b"early")
    await scene.upstream()
    assert scene.origin is not None
    await scene.origin.head()


async def switch(conn: Conn) -> None:
    await accept_upgrade(conn)


async def spliced(scene: Scene, script: Script = switch) -> None:
    await scene.open(script)
    assert (await scene.client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    await scene.upstream()


async def spliced_client_half_closed(scene: Scene) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        assert await conn.gone() == "fin"
        await conn.hold()

    scene.brief = True
    await spliced(scene, script)
    scene.client.half_close()
    assert scene.origin is not None
    await scene.origin.closed()


async def spliced_upstream_half_closed(scene: Scene) -> None:
    scene.brief = True
    await spliced(scene)
    assert scene.conn is not None
    scene.conn.half_close()
    await scene.client.read_eof()


async def splice_to_client_paused(scene: Scene) -> None:
    poured = asyncio.Event()

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.pour(999_999_999)
        poured.set()

    scene.brief = True
    await scene.open(script, receive_buffer=32768)
    assert (await scene.client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    await scene.upstream()
    await asyncio.wait_for(poured.wait(), 20)


async def splice_to_upstream_paused(scene: Scene) -> None:
    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.hold()

    scene.brief = True
    await scene.open(script, receive_buffer=32768)
    assert (await scene.client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    await scene.upstream()
    await scene.client.pour(999_999_999)


async def splice_paused_both_ways(scene: Scene) -> None:
    poured = asyncio.Event()

    async def script(conn: Conn) -> None:
        await accept_upgrade(conn)
        await conn.pour(999_999_999)
        poured.set()
        await conn.hold()

    scene.brief = True
    await scene.open(script, receive_buffer=32768)
    assert (await scene.client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    await scene.upstream()
    await scene.client.pour(999_999_999)
    await asyncio.wait_for(poured.wait(), 20)


Setting = Callable[[Scene], Awaitable[None]]

WITHOUT_UPSTREAM: tuple[Setting, ...] = (
    before_head,
    mid_head,
    lingering,
    early_answer,
    connecting,
    connecting_with_a_body,
    retry_connecting,
)
WITH_UPSTREAM: dict[Setting, int | None] = {
    body_awaited: 502,
    mid_body: 502,
    mid_chunk: 502,
    waiting: 502,
    waiting_with_a_backlog: 502,
    continue_given: 502,
    after_informational: 502,
    mid_response_head: 502,
    mid_response_body: None,
    mid_response_chunk: None,
    kept_alive: None,
    response_paused: None,
    request_paused: None,
    retrying: 502,
    upgrade_awaited: 502,
    spliced: None,
    spliced_client_half_closed: None,
    spliced_upstream_half_closed: None,
    splice_to_client_paused: None,
    splice_to_upstream_paused: None,
    splice_paused_both_ways: None,
}
"""What a client that stays gets when the upstream vanishes; ``None``: no whole answer any more."""


def name_of(setting: Setting) -> str:
    return getattr(setting, "__name__", "scene")


HOW = pytest.mark.parametrize("how", ["fin", "rst"])


@HOW
@pytest.mark.parametrize("setting", [*WITHOUT_UPSTREAM, *WITH_UPSTREAM], ids=name_of)
async def test_client_vanishes_and_nothing_is_left(
    stage: Stage, setting: Setting, how: Ending
) -> None:
    scene = Scene(stage)
    await setting(scene)
    scene.client.vanish(how)
    await scene.running.quiet()
    if scene.origin is not None and setting not in (kept_alive, *WITHOUT_UPSTREAM):
        assert scene.running.endpoint(scene.origin.address).connections_idle == 0


@HOW
@pytest.mark.parametrize("setting", WITH_UPSTREAM, ids=name_of)
async def test_upstream_vanishes_and_the_client_is_told(
    stage: Stage, setting: Setting, how: Ending
) -> None:
    scene = Scene(stage)
    await setting(scene)
    assert scene.conn is not None
    scene.conn.vanish(how)
    status = WITH_UPSTREAM[setting]
    if status is not None:
        assert (await scene.client.read_response()).status == status
    elif setting is kept_alive:
        await settle()
        assert scene.origin is not None
        assert scene.running.endpoint(scene.origin.address).connections_idle == 0
        await scene.client.read_nothing()
    elif setting is spliced_upstream_half_closed and how == "fin":
        pass  # Nothing that the client could be told: it saw this side's end already.
    else:
        await scene.client.gone()


@HOW
@pytest.mark.parametrize("first", ["client", "upstream"])
@pytest.mark.parametrize("setting", WITH_UPSTREAM, ids=name_of)
async def test_both_vanish_and_nothing_is_left(
    stage: Stage, setting: Setting, first: str, how: Ending
) -> None:
    scene = Scene(stage)
    await setting(scene)
    assert scene.conn is not None
    sides = [scene.client, scene.conn]
    for side in sides if first == "client" else reversed(sides):
        side.vanish(how)
    await scene.running.quiet()


@HOW
async def test_client_vanishes_between_two_attempts_and_no_third_is_made(
    stage: Stage, how: Ending
) -> None:
    first = stage.origin(stall)
    second = stage.origin()
    running = await stage.serve(
        build_spec(*(endpoint(one.address, passive_health=None) for one in (first, second)))
    )
    client = await running.connect()
    await client.send(request())
    await first.request()
    client.vanish(how)
    first.connections[0].vanish("rst")
    await running.quiet()
    assert len(second.requests) <= 1
    await settle()
    await running.quiet()


async def test_hundred_clients_vanishing_at_once_leave_nothing(stage: Stage) -> None:
    origin = stage.origin(stall)
    running = await stage.serve(build_spec(origin.address))
    clients = [await running.connect() for _ in range(100)]
    for client in clients:
        await client.send(request())
    await origin.request(100)
    assert running.listener().counters.in_flight == 100
    for client in clients:
        client.reset()
    await running.quiet()
    await running.counted(499, count=100)


async def test_origin_that_stops_listening_mid_way_costs_one_answer_each(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    assert (await client.get()).status == 200
    origin.stop_listening()
    origin.connections[0].vanish("fin")
    await settle()
    assert [(await client.get()).status for _ in range(3)] == [502] * 3
