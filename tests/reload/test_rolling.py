"""Half of a thousand live WebSockets are moved: told, paced, back at once, and nobody else notices.

Once because their endpoint is removed, once by a drain of a label.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from typing import Final

import pytest

from proxy.connections import Selector
from proxy.drains import DrainOrder
from proxy.spec import DrainSpec, EndpointSpec, Spec
from tests.peers import Conn, Origin, Running, Stage, build_spec, endpoint, eventually, pool, within
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
    """A WebSocket that talks all the while, and comes back when it is told to go."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._raw: RawClient | None = None
        self.told: list[tuple[bytes, float]] = []
        self.ended_by: list[str | None] = []
        self.back = asyncio.Event()
        self.answered = 0
        """Messages that came back."""

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
            if first == 0x80 | TEXT:
                assert await raw._exactly(size) == b"hello"
                self.answered += 1
                continue
            assert first == 0x80 | CLOSE
            self.told.append((await raw._exactly(size), time.monotonic()))
            await raw.send(encode(CLOSE, self.told[-1][0], mask=True))
            await raw._to_end()
            self.ended_by.append(raw.ended)
            raw.close()
            raw = await self.join()
            self.back.set()

    async def talk(self) -> None:
        """Say something more."""
        assert self._raw is not None
        await self._raw.send(HELLO)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()


def spec(*members: EndpointSpec) -> Spec:
    drain = DrainSpec(rate=RATE, timeout_s=30, close_code=1012, reason="service restart")
    return build_spec(pools=[pool(*members, on_removal="drain", drain=drain)])


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("by", ["removal", "label"])
async def test_half_of_a_thousand_websockets_move_and_the_others_do_not_notice(
    stage: Stage, by: str
) -> None:
    blue, green = stage.origin(echo), stage.origin(echo)
    both = (
        endpoint(blue.address, "blue", labels=(("node", "n7"),)),
        endpoint(green.address, "green", labels=(("node", "n8"),)),
    )
    running = await stage.serve(spec(*both))
    clients = [Client(running) for _ in range(CLIENTS)]
    for start in range(0, CLIENTS, 50):
        await asyncio.gather(*(client.join() for client in clients[start : start + 50]))
    half = CLIENTS // 2
    assert (_splices(running, blue), _splices(running, green)) == (half, half)
    tasks = [asyncio.create_task(client.live()) for client in clients]
    started = time.monotonic()
    if by == "removal":
        await running.server.apply(spec(both[1]))
    else:
        selector = Selector(labels=(("node", "n7"),))
        order = DrainOrder(selector=selector, rate=RATE, timeout_s=30)
        assert running.server.start_drain("x", order).selected == half

    def remaining() -> int:
        """Return how many are left, as users are told."""
        if by == "removal":
            return _splices(running, blue)
        progress = running.server.drain_progress("x")
        assert progress is not None
        assert (progress.selected, progress.closed + progress.remaining) == (half, half)
        assert progress.remaining == _splices(running, blue)
        assert progress.done == (not progress.remaining)
        return progress.remaining

    talked = 0
    left = half

    async def all_back() -> None:
        nonlocal talked, left
        moved = 0
        while moved < half:
            told = sum(bool(client.told) for client in clients)
            ended = sum(bool(client.ended_by) for client in clients)
            before, left = left, remaining()
            assert left <= before
            assert ended <= half - left <= told, "progress tells the truth"
            moved = sum(client.back.is_set() for client in clients)
            # Each says something once in a second, and a twentieth of them at a time.
            for client in clients[talked % 20 :: 20]:
                if not client.told:
                    await client.talk()
            talked += 1
            await next_look()

    await within(all_back(), "everybody to be back", WITHIN_S)
    assert left == 0
    moving = [client for client in clients if client.told]
    staying = [client for client in clients if not client.told]
    assert (len(moving), len(staying)) == (half, half)
    told = [client.told[0] for client in moving]
    assert {payload for payload, _ in told} == {b"\x03\xf4service restart"}
    assert [len(client.told) for client in moving] == [1] * half
    assert [client.ended_by for client in moving] == [["fin"]] * half
    # Paced: neither all at once, nor slower than the rate.
    times = sorted(moment - started for _, moment in told)
    assert times[half // 2] >= 0.8 * half / 2 / RATE
    # The others: each was answered whatever it said, over the connection that it had.
    rounds = [talked // 20 + (at < talked % 20) for at in range(20)]
    said = sum(rounds[at % 20] for at, one in enumerate(clients) if not one.told)
    assert said >= 2 * half
    await eventually(lambda: sum(one.answered for one in staying) == said, "every answer")
    assert _splices(running, green) == CLIENTS
    assert running.pool().counters.closes == {("proxy", 1012): half}
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} == {asyncio.CancelledError}
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
