"""One test's cast: origins, clients and a running proxy, all gone and accounted for at its end."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

from proxy.headers.secrets import NONE, Secrets
from proxy.server import Server
from proxy.spec import Spec
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.reading import (
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
    RouteReading,
)
from proxy.upstream.denied import Denied
from tests.peers.client import RawClient
from tests.peers.dns_server import DnsServer
from tests.peers.listening import full_backlog, refused_address
from tests.peers.origin import Family, Origin, Script
from tests.peers.waiting import eventually, within

T = TypeVar("T")


class _Transport(Protocol):
    def get_write_buffer_size(self) -> int: ...


class Running:
    """A server with one configuration applied, and its clients."""

    def __init__(self, server: Server) -> None:
        self.server: Final = server
        self.clients: Final[list[RawClient]] = []

    def address(self, listener: str = "public") -> str:
        """Return where a listener is bound."""
        return self.server.addresses[listener]

    async def connect(
        self, listener: str = "public", *, receive_buffer: int | None = None
    ) -> RawClient:
        """Connect a client."""
        client = await RawClient.connect(
            self.address(listener),
            receive_buffer=receive_buffer,
            name=f"client {len(self.clients) + 1}",
        )
        self.clients.append(client)
        return client

    # -- what the server says of itself ---------------------------------------------------------

    def read(self) -> Reading:
        """Take a reading."""
        return self.server.read()

    def listener(self, name: str = "public") -> ListenerReading:
        """Return the reading of a listener."""
        return _one(self.read().listeners, lambda reading: reading.name == name)

    def pool(self, name: str = "backend") -> PoolReading:
        """Return the reading of a pool."""
        return _one(self.read().pools, lambda reading: reading.name == name)

    def endpoint(self, address: str, pool: str = "backend") -> EndpointReading:
        """Return the reading of an endpoint."""
        return _one(self.pool(pool).endpoints, lambda reading: reading.address == address)

    def route(self, name: str = "everything") -> RouteReading:
        """Return the reading of a route."""
        return _one(self.read().routes, lambda reading: reading.name == name)

    def statuses(self, route: str = "everything") -> dict[int, int]:
        """Return how many requests of a route ended with which status."""
        counted: dict[int, int] = {}
        for (_pool, _method, status), count in self.route(route).counters.requests.items():
            counted[status] = counted.get(status, 0) + count
        return counted

    async def counted(self, status: int, route: str = "everything", count: int = 1) -> None:
        """Wait until ``count`` requests of a route are counted with ``status``."""
        await eventually(
            lambda: self.statuses(route).get(status, 0) == count,
            lambda: f"{count} × {status} on {route}; there are {self.statuses(route)}",
        )

    def rejected(self, listener: str = "public") -> dict[str, int]:
        """Return what a listener refused, by reason."""
        return self.listener(listener).counters.rejected

    def busy(self) -> list[str]:
        """Name every gauge that is not 0."""
        reading = self.read()
        found: list[str] = []
        for one in reading.listeners:
            gauges = {"in_flight": one.counters.in_flight, **one.counters.active}
            found += [f"{one.name}.{name}={value}" for name, value in gauges.items() if value]
        for pool in reading.pools:
            for at in pool.endpoints:
                gauges = {"active": at.active_requests, "splices": at.splices}
                found += [f"{at.name}.{name}={value}" for name, value in gauges.items() if value]
        if self.server.remaining:
            found.append(f"remaining={self.server.remaining}")
        return found

    async def quiet(self) -> None:
        """Wait until every gauge is back to 0."""
        await eventually(lambda: not self.busy(), lambda: f"gauges at 0: {self.busy()}", 5.0)

    async def close(self) -> None:
        """End all clients, see the gauges return to 0 and the books balance, close the server."""
        for client in self.clients:
            client.close()
        try:
            await self.quiet()
            self._audit()
        finally:
            await within(self.server.close(), "the server to close")

    def _audit(self) -> None:
        for pool in self.read().pools:
            for at in pool.endpoints:
                counters = at.counters
                assert sum(counters.by_class) == counters.requests, (
                    f"{at.name}: {counters.requests} attempts, outcomes {counters.by_class}"
                )


class Stage:
    """Makes origins, servers and bad addresses for one test."""

    def __init__(self) -> None:
        self._stack: Final = AsyncExitStack()
        self._origins = 0

    def origin(
        self,
        *scripts: Script,
        family: Family = "ipv4",
        receive_buffer: int | None = None,
        bind: tuple[str, int] | None = None,
    ) -> Origin:
        """Start an origin; without a script it answers ``200 ok`` to everything."""
        self._origins += 1
        name = f"origin-{self._origins}"
        unix_path = self.path(name) if family == "unix" else None
        origin = Origin.listen(
            *scripts,
            family=family,
            unix_path=unix_path,
            receive_buffer=receive_buffer,
            bind=bind,
            name=name,
        )
        self._stack.push_async_callback(origin.close)
        return origin

    async def dns(self) -> DnsServer:
        """Start a server of DNS that knows nothing yet."""
        server = await DnsServer.listen()
        self._stack.callback(server.close)
        return server

    def path(self, name: str) -> Path:
        """Return a path short enough for a Unix socket, gone at the end of the test."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="peers"))
        return Path(folder) / name

    def refused(self) -> str:
        """Return an address that refuses connections."""
        return self._stack.enter_context(refused_address())

    def unreachable(self) -> str:
        """Return an address where connecting takes for ever."""
        return self._stack.enter_context(full_backlog())

    async def serve(
        self,
        spec: Spec,
        *,
        access_log: AccessLog | None = None,
        denied: Denied | None = None,
        secrets: Secrets = NONE,
    ) -> Running:
        """Start a server with ``spec`` applied."""
        running = Running(Server(access_log=access_log, denied=denied, secrets=secrets))
        self._stack.push_async_callback(running.close)
        await within(running.server.apply(spec), "the spec to be applied")
        return running

    async def close(self) -> None:
        """End everything, the youngest first, and check that it ends well."""
        await self._stack.aclose()


def largest_write_buffer() -> int:
    """Return the octets that the fullest transport of the process has buffered.

    The peers use plain sockets, so that every transport there is belongs to the proxy.
    """
    names = {"TCPTransport", "UnixTransport", "_SelectorSocketTransport"}
    transports = [one for one in gc.get_objects() if type(one).__name__ in names]
    sizes = [cast(_Transport, one).get_write_buffer_size() for one in transports]
    return max(sizes, default=0)


def _one(items: Sequence[T], wanted: Callable[[T], bool]) -> T:
    found = [item for item in items if wanted(item)]
    assert len(found) == 1, f"{len(found)} of {items}"
    return found[0]
