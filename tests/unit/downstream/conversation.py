"""A client connection, its exchanges and their upstream connections, without a single socket."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from proxy.downstream.admission import Admission
from proxy.downstream.connection import ClientConnection
from proxy.downstream.listener import Listener
from proxy.errors import Failure
from proxy.exchange import dispatch
from proxy.exchange.runtime import Runtime
from proxy.message import Peer
from proxy.site import Site
from proxy.snapshot import NOTHING, Snapshot, compile_snapshot
from proxy.spec import Spec
from proxy.telemetry.counters import Ledger, ListenerCounters, RouteCounters
from proxy.upstream.connection import Connections, UpstreamConnection
from proxy.upstream.endpoint import Endpoint
from tests.unit.fake_transport import FakeTransport

PEER = Peer(b"192.0.2.1", 4711, b"198.51.100.1", 80, 1)


class Log:
    """Keeps what would be logged as an internal error."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def error(self, _event: str, *, exc_info: BaseException, **_: Any) -> None:
        self.errors.append(exc_info)


class House:
    """Stands in for a listener, and opens upstream connections on fake transports."""

    def __init__(self, spec: Spec) -> None:
        self.log = Log()
        self.runtime = Runtime(asyncio.get_running_loop(), self.log, None)
        self.counters = ListenerCounters()
        self.admission = Admission(self.runtime.loop)
        self.connections: set[ClientConnection] = set()
        self.name = "public"
        self.refused: list[int] = []
        self.upstreams: list[FakeTransport] = []
        """Every upstream connection opened, in order."""
        self.answers: list[type[OSError] | None] = []
        """What the next attempts to connect meet; ``None`` and beyond the end: success."""
        self.gate: asyncio.Event | None = None
        """If there is one, connecting waits for it."""
        self.publish(spec)

    def publish(self, spec: Spec) -> Snapshot:
        ledger: Ledger[RouteCounters] = Ledger()
        snapshot = compile_snapshot(spec, NOTHING, {}, {}, ledger)
        for upstream in snapshot.pools.values():
            upstream.plan.publish()
        self.runtime.snapshot = snapshot
        return snapshot

    @property
    def site(self) -> Site:
        return self.runtime.snapshot.sites[self.name]

    def accepted(self, connection: ClientConnection) -> Peer:
        self.counters.active["http"] += 1
        connection.counted = True
        self.connections.add(connection)
        return PEER

    def count_refused(self, failure: Failure) -> None:
        self.refused.append(failure.status)

    def client(self) -> tuple[ClientConnection, FakeTransport]:
        """Let a client connect."""
        connection = ClientConnection(cast("Listener", self))
        transport = FakeTransport()
        transport.connect(connection)
        return connection, transport

    async def connect(self, endpoint: Endpoint, connections: Connections) -> UpstreamConnection:
        """Stand in for ``proxy.upstream.connection.connect``."""
        if self.gate is not None:
            await self.gate.wait()
        error = self.answers.pop(0) if self.answers else None
        if error is not None:
            raise error
        connection = UpstreamConnection(endpoint, connections)
        transport = FakeTransport()
        self.upstreams.append(transport)
        transport.connect(connection)
        return connection

    async def turn(self, times: int = 8) -> None:
        """Let the event loop go round, with what waits to be read."""
        for _ in range(times):
            for upstream in self.upstreams:
                upstream.deliver()
            await asyncio.sleep(0)

    def quiet(self) -> None:
        """Check that nothing is left of any exchange."""
        assert self.counters.in_flight == 0
        assert self.log.errors == []
        for upstream in self.runtime.snapshot.pools.values():
            for member in upstream.plan.members:
                assert member.endpoint.active == 0


def house(patch: pytest.MonkeyPatch, spec: Spec) -> House:
    """Serve ``spec``, with upstream connections that are none."""
    made = House(spec)
    patch.setattr(dispatch, "connect", made.connect)
    return made
