"""A rolling change with a thousand live WebSockets: told, paced, back at once, no other moved."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from typing import Final

import pytest

from proxy.spec import DrainSpec, EndpointSpec, Spec
from tests.peers import Conn, Origin, Running, Stage, build_spec, endpoint, pool, within
from tests.peers.client import RawClient
from tests.peers.frames import CLOSE, HANDSHAKE_FIELDS, TEXT, encode, read_frame
from tests.peers.origin import accept_upgrade

CLIENTS: Final = 1_000
RATE: Final = 100
WITHIN_S: Final = 12.0
HELLO: Final = encode(TEXT, b"hello", mask=True)


async def echo(conn: Conn) -> None:
    await accept_upgrade(conn)
    while True:
        frame = await read_frame(conn)
        await conn.send(encode(frame.opcode, frame.payload))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have four sockets for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 5 * CLIENTS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Client:
    """A WebSocket that comes back when it is told to go."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._raw: RawClient | None = None
        self.told: list[tuple[bytes, float]] = []
        self.ended_by: list[str | None] = []
        self.back = asyncio.Event()

    async def join(self) -> RawClient:
        raw = self._raw = await RawClient.connect(self._running.address())
        answer = await raw.request(b"GET", b"/", *HANDSHAKE_FIELDS)
        assert answer.status == 101
        await raw.send(HELLO)
        assert (await raw._exactly(7))[2:] == b"hello"
        return raw

    async def live(self) -> None:
        """Wait to be told, answer, come back."""
        raw = self._raw
        assert raw is not None
        while True:
            first, size = await raw._exactly(2)
            assert first == 0x80 | CLOSE
            self.told.append((await raw._exactly(size), time.monotonic()))
            await raw.send(encode(CLOSE, self.told[-1][0], mask=True))
            await raw._to_end()
            self.ended_by.append(raw.ended)
            raw.close()
            raw = await self.join()
            self.back.set()

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()


def spec(*members: EndpointSpec) -> Spec:
    drain = DrainSpec(rate=RATE, timeout_s=30, close_code=1012, reason="service restart")
    return build_spec(pools=[pool(*members, on_removal="drain", drain=drain)])


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_websockets_move_when_one_of_two_endpoints_is_removed(
    stage: Stage,
) -> None:
    blue, green = stage.origin(echo), stage.origin(echo)
    both = endpoint(blue.address, "blue"), endpoint(green.address, "green")
    running = await stage.serve(spec(*both))
    clients = [Client(running) for _ in range(CLIENTS)]
    for start in range(0, CLIENTS, 50):
        await asyncio.gather(*(client.join() for client in clients[start : start + 50]))
    tasks = [asyncio.create_task(client.live()) for client in clients]
    on_blue = _splices(running, blue)
    assert (on_blue, _splices(running, green)) == (CLIENTS // 2, CLIENTS // 2)
    started = time.monotonic()
    await running.server.apply(spec(both[1]))

    async def all_back() -> None:
        moved = 0
        while moved < on_blue:
            told = sum(bool(client.told) for client in clients)
            ended = sum(bool(client.ended_by) for client in clients)
            left = _splices(running, blue)
            assert ended <= on_blue - left <= told, "progress tells the truth"
            moved = sum(client.back.is_set() for client in clients)
            await next_look()

    await within(all_back(), "everybody to be back", WITHIN_S)
    told = [client.told[0] for client in clients if client.told]
    assert {payload for payload, _ in told} == {b"\x03\xf4service restart"}
    assert {ended for client in clients for ended in client.ended_by} == {"fin"}
    assert [len(client.told) for client in clients if client.told] == [1] * on_blue
    # Paced: neither all at once, nor slower than the rate.
    times = sorted(moment - started for _, moment in told)
    assert times[on_blue // 2] >= 0.8 * on_blue / 2 / RATE
    assert _splices(running, green) == CLIENTS
    assert running.pool().counters.closes == {("proxy", 1012): on_blue}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for client in clients:
        client.close()
    await running.quiet()


async def next_look() -> None:
    """Let the clients have their turns."""
    loop = asyncio.get_running_loop()
    looked: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.05, looked.set_result, None)
    await looked


def _splices(running: Running, origin: Origin) -> int:
    return sum(one.splices for one in running.pool().endpoints if one.address == origin.address)
