"""Which idle connections an endpoint keeps, in what order, and when they are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.addresses import parse_address
from proxy.spec import KeepaliveSpec
from proxy.upstream.connection import Connections, UpstreamConnection, lease_idle
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.idle import Kept, Watch, idle_connections
from tests.unit.fake_transport import FakeTransport


class Looked(Kept):
    """Counts how often it is looked at."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.transport = FakeTransport()
        self.looks = 0

    @property
    def idle(self) -> bool:
        self.looks += 1
        return super().idle


class Keeping:
    """Connections of one endpoint that are opened, used and released by the clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.endpoint = Endpoint(parse_address("127.0.0.1:80"))
        self.connections = Connections(loop)
        self.watch = self.connections.watch

    def open(self) -> UpstreamConnection:
        connection = UpstreamConnection(self.endpoint, self.connections)
        FakeTransport().connect(connection)
        return connection

    def release(self, connection: UpstreamConnection, idle_s: float, now: float) -> None:
        connection.clean = connection.persistent = True
        connection.release(True, KeepaliveSpec(max_idle=100, idle_timeout_s=idle_s), now)

    def closed(self, connection: UpstreamConnection) -> bool:
        return connection.transport.is_closing()


@pytest.fixture
def keeping() -> Iterator[Keeping]:
    loop = asyncio.new_event_loop()
    yield Keeping(loop)
    loop.close()


def test_connection_is_looked_at_when_it_may_be_due_and_not_before() -> None:
    endpoint = Endpoint(parse_address("127.0.0.1:80"))
    watch, connection = Watch(), Looked(endpoint)
    connection.keep(60.0, 100.0)
    watch.add(connection)
    for tenth in range(1000, 1600, 2):
        watch.close_idle(tenth / 10)
    assert connection.looks == 0
    watch.close_idle(160.0)
    assert connection.looks == 1
    assert connection.transport.is_closing()


def test_connection_used_meanwhile_is_closed_by_its_last_use(keeping: Keeping) -> None:
    connection = keeping.open()
    for now in (100.0, 103.0, 105.5):
        keeping.release(connection, 4.0, now)
        if now < 105.0:
            assert lease_idle(keeping.endpoint, None) is connection
        keeping.watch.close_idle(now)
    keeping.watch.close_idle(109.4)
    assert not keeping.closed(connection)
    keeping.watch.close_idle(109.5)
    assert keeping.closed(connection)


@pytest.mark.parametrize(("first_s", "then_s"), [(60.0, 5.0), (5.0, 60.0)])
def test_time_that_changes_holds_from_the_next_use_on(
    keeping: Keeping, first_s: float, then_s: float
) -> None:
    connection = keeping.open()
    keeping.release(connection, first_s, 100.0)
    assert lease_idle(keeping.endpoint, None) is connection
    keeping.release(connection, then_s, 101.0)
    keeping.watch.close_idle(101.0 + then_s - 0.1)
    assert not keeping.closed(connection)
    keeping.watch.close_idle(101.0 + then_s)
    assert keeping.closed(connection)


def test_connection_in_use_when_it_would_be_due_is_closed_later(keeping: Keeping) -> None:
    connection = keeping.open()
    keeping.release(connection, 4.0, 100.0)
    assert lease_idle(keeping.endpoint, None) is connection
    keeping.watch.close_idle(104.0)
    assert not keeping.closed(connection)
    keeping.release(connection, 4.0, 120.0)
    keeping.watch.close_idle(124.0)
    assert keeping.closed(connection)


@pytest.mark.parametrize("joined", [True, False])
def test_connection_that_is_gone_is_held_by_nothing(keeping: Keeping, joined: bool) -> None:
    connection = keeping.open()
    keeping.release(connection, 4.0, 100.0)
    watched = connection.watched
    assert watched == {connection}
    assert lease_idle(keeping.endpoint, None) is connection
    if joined:
        connection.leave()
    else:
        connection.connection_lost(None)
    assert watched == set()
    assert keeping.connections.open == set()
    assert (connection.older, connection.newer, keeping.endpoint.idle) == (None, None, None)


STEPS = st.one_of(
    st.tuples(st.just("open"), st.just(0)),
    st.tuples(st.just("lease"), st.just(0)),
    st.tuples(st.just("release"), st.integers(0, 5)),
    st.tuples(st.just("lose"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=60),
    times=st.lists(st.sampled_from([1.0, 1.5, 3.0, 10.0]), min_size=60, max_size=60),
)
def test_as_many_are_kept_as_a_plain_list_would_keep(
    steps: list[tuple[str, int]], times: list[float]
) -> None:
    """The model: a list, and a look at every deadline in it at every pass."""
    loop = asyncio.new_event_loop()
    keeping = Keeping(loop)
    leased: list[UpstreamConnection] = []
    kept: list[tuple[UpstreamConnection, float]] = []
    now = 100.0
    for (step, number), idle_s in zip(steps, times, strict=False):
        if step == "open":
            leased.append(keeping.open())
        elif step == "lease":
            connection = lease_idle(keeping.endpoint, None)
            assert connection is (kept.pop()[0] if kept else None)
            if connection is not None:
                leased.append(connection)
        elif step == "release" and leased:
            connection = leased.pop(number % len(leased))
            keeping.release(connection, idle_s, now)
            kept.append((connection, now + idle_s))
        elif step == "lose" and kept:
            kept.pop(number % len(kept))[0].connection_lost(None)
        elif step == "wait":
            now += number / 10
            keeping.watch.close_idle(now)
            due = [one for one, until in kept if until <= now]
            assert [one for one, _ in kept if keeping.closed(one)] == due
            for one in due:
                one.connection_lost(None)
            kept = [(one, until) for one, until in kept if until > now]
        assert list(idle_connections(keeping.endpoint)) == [one for one, _ in reversed(kept)]
        assert keeping.endpoint.idle_count == len(kept)
    loop.close()
