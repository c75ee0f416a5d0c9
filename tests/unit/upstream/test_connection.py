"""Upstream connections as conversations: octets in, what the lessee is told, what is written."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import framing
from proxy.addresses import parse_address
from proxy.spec import KeepaliveSpec
from proxy.upstream.connection import (
    CLOSED_AT_ONCE,
    MAX_INFORMATIONAL,
    Connections,
    UpstreamConnection,
    connect,
    lease_idle,
)
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.idle import idle_connections, make_room
from proxy.upstream.response_parser import ResponseHead
from tests.peers import eventually, settle
from tests.peers.leaks import Watch
from tests.unit.fake_transport import FakeTransport

HEAD_LIMIT = 1000


class Borrower:
    """A lessee that writes down what it is told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.body = b""
        self.complete = False
        self.behind: bytes | None = None
        """What stood behind a 101."""
        self.failures: list[str] = []
        self.paused: list[bool] = []
        self.begun = 0
        self.on_response: Callable[[], None] = lambda: None
        self.on_body: Callable[[], None] = lambda: None

    def response_begun(self) -> None:
        self.begun += 1

    def informational(self, head: ResponseHead) -> None:
        self.statuses.append(head.status)

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        self.statuses.append(head.status)
        self.behind = rest

    def response(self, head: ResponseHead, body: bytes, *, last: bool) -> None:
        self.statuses.append(head.status)
        self.on_response()
        self.response_body(body, last=last)

    def response_body(self, body: bytes, *, last: bool) -> None:
        assert not self.complete
        self.body += body
        self.complete = last
        self.on_body()

    def upstream_failed(self, *, malformed: bool) -> None:
        self.failures.append("malformed" if malformed else "broken")

    def upstream_paused(self) -> None:
        self.paused.append(True)

    def upstream_resumed(self) -> None:
        self.paused.append(False)

    def crashed(self, error: Exception) -> None:
        raise error


class Talk:
    """One connection, its transport and who leases it."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self.connections = Connections(self.loop)
        self.endpoint = endpoint or Endpoint(parse_address("127.0.0.1:80"))
        self.connection = UpstreamConnection(self.endpoint, self.connections)
        self.transport = FakeTransport()
        self.transport.connect(self.connection)
        self.lessee = Borrower()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    def lease(self, *, to_head: bool = False) -> Borrower:
        self.lessee = Borrower()
        self.connection.lease(self.lessee, to_head=to_head, head_limit=HEAD_LIMIT)
        return self.lessee

    def release(self, *, reuse: bool = True, **differs: Any) -> None:
        how: dict[str, Any] = {"max_idle": 2, "idle_timeout_s": 4.0} | differs
        now = how.pop("now", 100.0)
        self.connection.release(reuse, KeepaliveSpec(**how), now)

    def exchange(self, *pieces: bytes, to_head: bool = False) -> Borrower:
        """Lease, and let a response come in."""
        lessee = self.lease(to_head=to_head)
        for piece in pieces:
            if not lessee.failures:  # an exchange would be gone by then
                self.transport.receive(piece)
        return lessee

    def turn(self, times: int = 1) -> None:
        """Let the event loop go round."""

        async def once() -> None:
            for _ in range(times):
                self.transport.deliver()
                await asyncio.sleep(0)

        self.loop.run_until_complete(once())

    @property
    def idle(self) -> bool:
        return self.connection in idle_connections(self.endpoint)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\n"


@st.composite
def split(draw: st.DrawFn) -> tuple[list[bytes], bytes, list[int]]:
    """Draw a complete response in pieces, its body, and its statuses."""
    payload = draw(st.binary(max_size=60))
    if draw(st.booleans()):
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(payload), payload)
    else:
        cuts = [payload[at : at + 7] for at in range(0, len(payload), 7)]
        raw = CHUNKS + b"".join(map(framing.chunk, cuts)) + b"0\r\nA: b\r\n\r\n"
    before = draw(st.integers(0, 2))
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * before + raw
    cuts_at = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    edges = [0, *cuts_at, len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(edges) if a < b]
    return pieces, payload, [103] * before + [200]


@given(st.lists(split(), min_size=1, max_size=3))
def test_responses_in_any_pieces_arrive_whole_and_leave_the_connection_clean(
    responses: list[tuple[list[bytes], bytes, list[int]]],
) -> None:
    with Talk() as talk:
        for pieces, payload, statuses in responses:
            lessee = talk.exchange(*pieces)
            assert (lessee.statuses, lessee.body) == (statuses, payload)
            assert lessee.complete
            assert lessee.failures == []
            talk.release()
            assert talk.idle
            assert lease_idle(talk.endpoint, None) is talk.connection


@given(split(), st.data())
def test_response_cut_anywhere_is_a_failure_and_told_once(
    response: tuple[list[bytes], bytes, list[int]], data: st.DataObject
) -> None:
    raw = b"".join(response[0])
    cut = data.draw(st.integers(0, len(raw) - 1))
    with Talk() as talk:
        lessee = talk.exchange(*([raw[:cut]] if cut else []))
        assert not lessee.complete
        talk.transport.end()
        assert lessee.failures == ["broken"]
        talk.release(reuse=False)
        talk.transport.lose()
        assert lessee.failures == ["broken"]
        assert talk.connections.open == set()


def test_body_that_ends_with_the_connection_is_complete_at_its_fin() -> None:
    with Talk() as talk:
        lessee = talk.exchange(TO_THE_END, b"some", b" more")
        assert (lessee.body, lessee.complete) == (b"some more", False)
        talk.transport.end()
        assert lessee.complete
        talk.release()
        assert not talk.idle
        assert talk.transport.is_closing()


def test_body_that_ends_with_the_connection_is_broken_by_a_reset() -> None:
    with Talk() as talk:
        lessee = talk.exchange(TO_THE_END, b"some")
        talk.transport.lose(ConnectionResetError())
        assert (lessee.complete, lessee.failures) == (False, ["broken"])


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200),
    ],
)
def test_answer_to_head_ends_with_its_head(raw: bytes, status: int) -> None:
    with Talk() as talk:
        lessee = talk.exchange(raw, to_head=True)
        assert (lessee.statuses, lessee.body, lessee.complete) == ([status], b"", True)
        talk.release()
        assert talk.idle


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK + b"x", b"ok"),
        (OK + OK, b"ok"),
        (CHUNKS + b"1\r\na\r\n0\r\n\r\nHTTP/1.1", b"a"),
        (b"HTTP/1.1 204 No Content\r\n\r\nx", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc", b""),
    ],
)
def test_octets_behind_a_response_are_nobodys_and_end_the_connection(
    raw: bytes, body: bytes
) -> None:
    with Talk() as talk:
        lessee = talk.exchange(raw)
        assert (lessee.body, lessee.complete, lessee.failures) == (body, True, [])
        talk.release()
        assert not talk.idle
        assert talk.transport.aborted


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n",),
        (b"HTTP/2.0 200 OK\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",),
        (CHUNKS + b"x\r\n",),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_LIMIT,),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_LIMIT + b"\r\n\r\n",),
        (b"HTTP/1.1 200", b" OK\r\nA: " + b"b" * (HEAD_LIMIT - 20), b"b" * 20),
        (b"garbage\r\n\r\n",),
    ],
)
def test_what_is_no_response_is_malformed_and_nothing_of_it_is_told(
    pieces: tuple[bytes, ...],
) -> None:
    with Talk() as talk:
        lessee = talk.exchange(*pieces)
        assert lessee.failures == ["malformed"]
        assert (lessee.statuses, lessee.body) == ([], b"")


@pytest.mark.parametrize("split_at", [None, 25])
def test_bare_lf_is_malformed_however_the_head_is_split(split_at: int | None) -> None:
    """Otherwise it would be up to TCP whether a response passes."""
    raw = b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok"
    with Talk() as talk:
        lessee = talk.exchange(*([raw] if split_at is None else [raw[:split_at], raw[split_at:]]))
        assert (lessee.failures, lessee.statuses) == (["malformed"], [])


def test_broken_chunk_later_on_is_malformed() -> None:
    with Talk() as talk:
        lessee = talk.exchange(CHUNKS + b"1\r\na\r\n", b"zz\r\n")
        assert (lessee.body, lessee.failures) == (b"a", ["malformed"])


def test_informational_heads_are_told_and_bounded() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    with Talk() as talk:
        lessee = talk.exchange(hint * MAX_INFORMATIONAL + OK)
        assert lessee.statuses == [103] * MAX_INFORMATIONAL + [200]
        assert lessee.complete
    with Talk() as talk:
        lessee = talk.exchange(hint * (MAX_INFORMATIONAL + 1) + OK)
        assert lessee.failures == ["malformed"]


def test_partial_head_is_told_and_not_carried_into_the_next_response() -> None:
    with Talk() as talk:
        lessee = talk.exchange(b"HTTP/1.1 2", b"00 OK\r\n")
        assert lessee.begun == 2
        talk.transport.receive(b"Content-Length: 0\r\n\r\n")
        talk.release()
        assert talk.exchange(OK).body == b"ok"


def test_switch_is_told_with_what_stands_behind_it() -> None:
    with Talk() as talk:
        lessee = talk.exchange(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nframes")
        assert (lessee.statuses, lessee.behind) == ([101], b"frames")
        talk.connection.leave()
        assert talk.connections.open == set()
        assert not talk.transport.is_closing()


# -- release and reuse ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reuse", "kept"),
    [
        (b"", True, True),
        (b"", False, False),
        (b"Connection: close\r\n", True, False),
        (b"Connection: keep-alive\r\n", True, True),
    ],
)
def test_connection_is_kept_if_both_sides_allow_it(fields: bytes, reuse: bool, kept: bool) -> None:
    with Talk() as talk:
        talk.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + fields + b"\r\n")
        talk.release(reuse=reuse)
        assert talk.idle is kept
        assert talk.transport.is_closing() is not kept


def test_incomplete_response_is_not_kept() -> None:
    with Talk() as talk:
        talk.exchange(OK[:-1])
        talk.release()
        assert not talk.idle
        assert talk.transport.aborted


@pytest.mark.parametrize("differs", [{"max_idle": 0}, {"idle_timeout_s": 0.0}])
def test_pool_without_room_keeps_none(differs: dict[str, Any]) -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release(**differs)
        assert not talk.idle
        assert talk.transport.is_closing()


def test_pool_keeps_as_many_as_it_may_and_lends_the_youngest() -> None:
    endpoint = Endpoint(parse_address("127.0.0.1:80"))
    talks = [Talk(endpoint) for _ in range(3)]
    for talk in talks:
        talk.exchange(OK)
        talk.release(max_idle=2)
    assert list(idle_connections(endpoint)) == [talks[1].connection, talks[0].connection]
    assert lease_idle(endpoint, None) is talks[1].connection
    assert lease_idle(endpoint, None) is talks[0].connection
    assert lease_idle(endpoint, None) is None
    for talk in talks:
        talk.loop.close()


@pytest.mark.parametrize(
    ("said", "until"),
    [(b"", 104.0), (b"Keep-Alive: timeout=2\r\n", 102.0), (b"Keep-Alive: timeout=9\r\n", 104.0)],
)
def test_idle_time_is_the_shorter_of_ours_and_the_upstreams(said: bytes, until: float) -> None:
    with Talk() as talk:
        talk.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + said + b"\r\n")
        talk.release(idle_timeout_s=4.0, now=100.0)
        talk.connections.watch.close_idle(until - 0.1)
        assert not talk.transport.is_closing()
        talk.connections.watch.close_idle(until)
        assert talk.transport.is_closing()
        assert lease_idle(talk.endpoint, None) is None


def test_upstream_that_keeps_nothing_is_not_kept() -> None:
    with Talk() as talk:
        talk.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=0\r\n\r\n")
        talk.release()
        assert not talk.idle


def test_sweep_leaves_leased_and_new_connections_alone() -> None:
    """A connection stands before its lease begins, by a turn of the event loop."""
    with Talk() as talk:
        talk.connections.watch.close_idle(1e12)
        assert not talk.transport.is_closing()
        talk.lease()
        talk.connections.watch.close_idle(1e12)
        assert not talk.transport.is_closing()


def test_connection_that_served_enough_is_closed() -> None:
    with Talk() as talk:
        for _ in range(2):
            talk.exchange(OK)
            talk.release()
        assert lease_idle(talk.endpoint, 2) is None
        assert talk.transport.is_closing()


def test_octet_while_idle_ends_the_connection() -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release()
        talk.transport.receive(b"H")
        assert not talk.idle
        assert talk.transport.aborted


def test_fin_while_idle_ends_the_connection() -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release()
        talk.transport.end()
        assert not talk.idle
        assert talk.transport.is_closing()


def test_idle_connections_of_an_endpoint_that_left_are_closed_at_the_pass_after_the_next() -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release()
        talk.endpoint.retired = True
        talk.connections.leave([talk.endpoint])
        talk.connections.close_left()  # it may have left just before
        assert talk.idle
        talk.connections.close_left()
        assert not talk.idle
        assert talk.transport.is_closing()


def test_connection_in_use_when_its_endpoint_left_is_closed_like_the_idle_ones() -> None:
    with Talk() as talk:
        talk.lease()
        talk.endpoint.retired = True
        talk.connections.leave([talk.endpoint])
        talk.connections.close_left()
        talk.transport.receive(OK)
        talk.release()
        talk.connections.close_left()
        assert talk.idle
        talk.connections.close_left()
        assert talk.transport.is_closing()


def test_connections_given_back_to_an_endpoint_that_left_do_not_keep_others_open() -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release()
        talk.endpoint.retired = True
        talk.connections.leave([talk.endpoint])
        talk.connections.close_left()
        late, transport = UpstreamConnection(talk.endpoint, talk.connections), FakeTransport()
        transport.connect(late)
        late.keep(4.0, 100.0)
        talk.connections.given_back(talk.endpoint)
        talk.connections.close_left()
        assert talk.transport.is_closing()
        assert transport.is_closing()


def test_endpoint_that_came_back_before_the_pass_keeps_its_connections() -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release()
        for _ in range(5):  # and leaves again, just before the pass
            talk.endpoint.retired = True
            talk.connections.leave([talk.endpoint])
            talk.connections.close_left()
            assert talk.idle
            talk.endpoint.retired = False
        talk.connections.close_left()
        talk.connections.close_left()
        assert talk.idle
        assert not talk.transport.is_closing()
        talk.endpoint.retired = True
        talk.connections.leave([talk.endpoint])
        talk.connections.close_left()
        talk.connections.close_left()
        assert talk.transport.is_closing()


def test_many_idle_connections_are_closed_over_several_passes() -> None:
    with Talk() as talk:
        transports = []
        for _ in range(3 * CLOSED_AT_ONCE):
            connection, transport = (
                UpstreamConnection(talk.endpoint, talk.connections),
                FakeTransport(),
            )
            transport.connect(connection)
            connection.keep(4.0, 100.0)
            transports.append(transport)
        talk.endpoint.retired = True
        talk.connections.leave([talk.endpoint])
        later: list[Callable[[], None]] = []

        def call_later(seconds: float, call: Callable[[], None]) -> object:
            later.append(call)
            return call

        talk.connections.close_left()
        with mock.patch.object(talk.loop, "call_later", call_later):
            closed = []
            for _ in range(4):
                talk.connections.close_left()  # a pass in between makes it no faster
                closed.append(sum(transport.is_closing() for transport in transports))
                if later:
                    later.pop()()
        assert closed == [CLOSED_AT_ONCE, 2 * CLOSED_AT_ONCE, *2 * [3 * CLOSED_AT_ONCE]]


def test_endpoint_that_leaves_again_and_again_waits_once() -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.release()
        talk.endpoint.retired = True
        for _ in range(3):
            talk.connections.leave([talk.endpoint])
        with mock.patch.object(talk.loop, "call_later") as later:
            talk.connections.close_left()
            talk.connections.close_left()
        assert talk.transport.is_closing()
        assert not later.called


def test_connection_is_not_kept_with_a_request_still_in_its_buffer() -> None:
    """An upstream that answered early may never read the rest; the next request would wait."""
    with Talk() as talk:
        talk.lease()
        talk.transport.stuck = True
        talk.transport.write(b"the end of a body")
        talk.transport.receive(OK)
        assert talk.lessee.complete
        talk.release()
        assert not talk.idle
        assert talk.transport.aborted


# -- back-pressure --------------------------------------------------------------------------------


def test_held_connection_reads_nothing_and_goes_on_where_it_was() -> None:
    with Talk() as talk:
        lessee = talk.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        talk.connection.hold()
        talk.transport.receive(b"cd")
        assert lessee.body == b"ab"
        talk.connection.unhold()
        talk.transport.deliver()
        talk.transport.receive(b"ef")
        assert (lessee.body, lessee.complete) == (b"abcdef", True)


def test_connection_held_by_its_last_octets_reads_again_for_the_next_request() -> None:
    """The client's buffer may fill with the very write that completes the response."""
    with Talk() as talk:
        lessee = talk.lease()
        lessee.on_body = talk.connection.hold
        talk.transport.receive(OK)
        assert lessee.complete
        talk.release()
        if talk.idle:
            assert talk.transport.reading, "a paused idle connection sees neither FIN nor response"
            assert talk.exchange(OK).complete
        else:
            assert talk.transport.is_closing()


def test_held_connection_sees_the_end_only_when_it_reads_again() -> None:
    with Talk() as talk:
        lessee = talk.exchange(TO_THE_END + b"a")
        talk.connection.hold()
        talk.connection.hold()
        assert not talk.transport.reading
        talk.connection.unhold()
        talk.connection.unhold()
        talk.transport.end()
        assert (lessee.body, lessee.complete) == (b"a", True)


def test_hold_and_unhold_after_the_end_do_nothing() -> None:
    with Talk() as talk:
        talk.lease()
        talk.transport.lose()
        talk.connection.hold()
        talk.connection.unhold()
        assert talk.lessee.failures == ["broken"]


@settings(max_examples=50, deadline=None)
@given(
    number=st.integers(1, 40),
    per_feed=st.integers(1, 5),
    size=st.integers(1, 60),
    actions=st.lists(st.sampled_from(["hold", "unhold", "turn"]), max_size=30),
)
def test_many_chunks_arrive_in_order_however_reading_is_interrupted(
    number: int, per_feed: int, size: int, actions: list[str]
) -> None:
    payload = bytes(65 + at % 26 for at in range(number))
    raw = CHUNKS + b"".join(framing.chunk(payload[at : at + 1]) for at in range(number))
    raw += framing.LAST_CHUNK
    with pytest.MonkeyPatch.context() as patch, Talk() as talk:
        patch.setattr(framing, "MAX_CHUNKS_PER_FEED", per_feed)
        lessee = talk.lease()
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]

        async def converse() -> None:
            for at, piece in enumerate(pieces):
                talk.transport.receive(piece)
                action = actions[at] if at < len(actions) else "turn"
                if action == "hold" and not lessee.complete:
                    talk.connection.hold()
                elif action == "unhold":
                    talk.connection.unhold()
                else:
                    await asyncio.sleep(0)
            talk.connection.unhold()
            for _ in range(number + len(pieces) + 5):
                await asyncio.sleep(0)
                talk.transport.deliver()

        talk.loop.run_until_complete(converse())
        assert (lessee.body, lessee.complete, lessee.failures) == (payload, True, [])
        talk.release()
        assert talk.idle
        assert talk.transport.reading


def test_pauses_of_the_upstream_are_told_to_the_lessee_only() -> None:
    with Talk() as talk:
        lessee = talk.lease()
        talk.transport.stuck = True
        talk.transport.write(b"x" * 100_000)
        talk.transport.drain()
        assert lessee.paused == [True, False]
        talk.transport.receive(OK)
        talk.release()
        talk.connection.pause_writing()
        talk.connection.resume_writing()
        assert lessee.paused == [True, False]


def test_lessee_that_lets_go_in_a_callback_hears_no_more() -> None:
    with Talk() as talk:
        lessee = talk.lease()

        def let_go() -> None:
            talk.connection.lessee = None
            talk.transport.abort()

        lessee.on_response = let_go
        talk.transport.receive(CHUNKS + b"1\r\na\r\n")
        talk.transport.lose()
        assert (lessee.statuses, lessee.failures) == ([200], [])


def test_all_connections_can_be_cut() -> None:
    with Talk() as talk:
        lessee = talk.lease()
        talk.connections.abort()
        assert talk.transport.aborted
        talk.transport.lose()
        assert lessee.failures == ["broken"]
        assert talk.connections.open == set()


# -- opening --------------------------------------------------------------------------------------


async def test_opened_connection_is_among_the_open_ones_until_it_is_gone(no_leaks: Watch) -> None:
    connections = Connections(asyncio.get_running_loop())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = parse_address(f"127.0.0.1:{server.getsockname()[1]}")
        opened = await connect(Endpoint(address), connections)
        assert connections.open == {opened}
        opened.transport.close()
        await eventually(lambda: not connections.open, "the connection to be gone")


async def test_connection_that_nobody_waits_for_any_more_is_not_kept(
    no_leaks: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client went, or the time was up, between the connection and the task's next turn."""
    connections = Connections(asyncio.get_running_loop())
    original = UpstreamConnection.connection_made

    def connection_made(self: UpstreamConnection, transport: asyncio.BaseTransport) -> None:
        original(self, transport)
        task.cancel()

    monkeypatch.setattr(UpstreamConnection, "connection_made", connection_made)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = parse_address(f"127.0.0.1:{server.getsockname()[1]}")
        task = asyncio.create_task(connect(Endpoint(address), connections))
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        assert connections.open == set()


async def test_address_that_refuses_is_an_os_error() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = parse_address(f"127.0.0.1:{bound.getsockname()[1]}")
        connections = Connections(asyncio.get_running_loop())
        with pytest.raises(OSError):
            await connect(Endpoint(address), connections)
        assert connections.open == set()


def test_pool_of_several_endpoints_keeps_those_that_were_idle_for_less_long() -> None:
    endpoints = [Endpoint(parse_address(f"127.0.0.1:{port}")) for port in (1, 2)]
    talks = [Talk(endpoints[number % 2]) for number in range(4)]
    for number, talk in enumerate(talks):
        talk.exchange(OK)
        talk.release(now=100.0 + number)
    make_room(endpoints, 3)
    assert [talk.transport.is_closing() for talk in talks] == [True, False, False, False]
    make_room(endpoints, 3)
    make_room(endpoints, 1)
    assert [talk.transport.is_closing() for talk in talks] == [True, True, True, False]
    for talk in talks:
        talk.loop.close()


@pytest.mark.parametrize(("age_s", "kept"), [(5.0, True), (5.1, False)])
def test_connection_that_is_too_old_is_not_kept(age_s: float, kept: bool) -> None:
    with Talk() as talk:
        talk.exchange(OK)
        talk.connection.opened = 100.0 - age_s
        talk.release(max_age_s=5.0, now=100.0)
        assert bool(talk.idle) is kept
