"""A listener: a bound socket, and the connections that came in through it.

*Bound* (a change of configuration is being prepared), *accepting*, *stopped* (no new connections;
those there are live on).  A listener whose address is no longer configured is *retired*: it is
stopped, its idle connections are closed, and the others end after their request in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from time import monotonic
from typing import Final, cast

from proxy import errors
from proxy.addresses import Address, parse_address
from proxy.downstream.admission import Admission
from proxy.downstream.connection import ClientConnection
from proxy.downstream.sockets import BACKLOG, Sockets, bound_address
from proxy.errors import Failure
from proxy.exchange import respond
from proxy.exchange.accounting import count_rejected
from proxy.exchange.runtime import Runtime
from proxy.message import Peer
from proxy.site import Site
from proxy.telemetry.counters import ListenerCounters

_serial = 0


class Listener:
    """See the module's docstring.  Making one binds; raise ``OSError``."""

    def __init__(
        self,
        name: str,
        bind: Address,
        sockets: Sockets,
        site: Site,
        counters: ListenerCounters,
        runtime: Runtime,
    ) -> None:
        self.name = name
        self.bind: Final = bind
        self.site = site
        """What the last configuration that had this listener said about it."""
        self.counters = counters
        self.runtime: Final = runtime
        self.admission: Final = Admission(runtime.loop)
        self.connections: Final[set[ClientConnection]] = set()
        self.retired = False
        self._sockets: Final = sockets
        self._socket = sockets.bind(bind)
        self.address: Final = bound_address(self._socket)
        """``host:port``, ``[v6]:port`` or ``unix:/path``, as bound."""
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "accepting" if self.accepting else "stopped"
        return f"<Listener {self.name} {self.address} {state} {len(self.connections)}>"

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken."""
        return self._server is not None

    async def prepare(self) -> None:
        """Get ready to accept, so that ``start`` cannot fail.  Raise ``OSError``."""
        loop = self.runtime.loop
        if not self._sockets.takes_from_another(self._socket):
            self._sockets.listen(self._socket)

        def protocol() -> ClientConnection:
            return ClientConnection(self)

        if self.bind.kind == "unix":
            self._server = await loop.create_unix_server(
                protocol, sock=self._socket, backlog=BACKLOG, start_serving=False
            )
        else:
            self._server = await loop.create_server(
                protocol, sock=self._socket, backlog=BACKLOG, start_serving=False
            )

    def start(self) -> None:
        """Accept.

        The kernel has queued connections since ``prepare``, unless a wildcard had them until now;
        as it listens still, nobody else can have taken the address.
        """
        if self._server is not None:
            self._sockets.listen(self._socket)
            self._starting = self.runtime.loop.create_task(self._serve(self._server))

    async def _serve(self, server: asyncio.Server) -> None:
        if self._server is server:  # it may have been stopped before this task's turn
            await server.start_serving()

    async def rebind(self) -> None:
        """Accept again at the same address.  Raise ``OSError``."""
        self._socket = self._sockets.bind(parse_address(self.address))
        await self.prepare()
        self.start()
        for connection in self.connections:
            connection.last_request = False

    def accepted(self, connection: ClientConnection) -> Peer:
        """Take a new connection in, or turn it away; return who it is."""
        global _serial
        _serial += 1
        transport = connection.transport
        limit = self.site.spec.limits.connections
        counters = self.counters
        full = limit is not None and sum(counters.active.values()) >= limit
        counters.opened["http"] += 1
        self.connections.add(connection)
        self.runtime.live[_serial] = connection
        if full or self.retired:
            count_rejected(counters.rejected, errors.CONNECTION_LIMIT.reason)
            transport.write(respond.error(errors.CONNECTION_LIMIT, None, keep_alive=False))
            connection.turn_away()
        else:
            counters.active["http"] += 1
            connection.counted = True
        return _peer(transport, _serial)

    def count_refused(self, failure: Failure) -> None:
        """Count a request whose head no route ever saw."""
        requests = self.runtime.no_route.requests
        key = ("none", b"other", failure.status)
        requests[key] = requests.get(key, 0) + 1

    def sweep(self, now: float) -> None:
        """Act on deadlines that have passed."""
        for connection in [
            c for c in self.connections if now >= c.read_by or now >= c.write_by
        ]:  # fmt: skip
            try:
                connection.expire(now)
            except Exception as error:  # noqa: BLE001 - the deadlines of others go on
                connection.crashed(error)
        exchanges = [c.exchange for c in self.connections if c.exchange is not None]
        for exchange in exchanges:
            if now >= exchange.read_by or now >= exchange.send_by:
                try:
                    exchange.expire(now)
                except Exception as error:  # noqa: BLE001 - the deadlines of others go on
                    exchange.crashed(error)

    def stop(self) -> None:
        """Accept no more; established connections live on."""
        server, self._server = self._server, None
        self._sockets.forget(self._socket)
        if server is None:
            self._socket.close()
            return
        server.close()
        if self.bind.kind == "unix":
            with contextlib.suppress(FileNotFoundError):
                Path(self.bind.path).unlink()

    def retire(self) -> None:
        """Stop, and end each connection once nothing is under way on it."""
        self.retired = True
        self.stop()
        self.close_idle()

    def close_idle(self) -> None:
        """Close what waits for a request; let what is under way be the last."""
        for connection in list(self.connections):
            connection.last_request = True
            connection.close_idle()

    def abort(self, failure: Failure) -> None:
        """Cut every connection."""
        for connection in list(self.connections):
            connection.abort(failure)


def identity(name: str, bind: str) -> str:
    """Tell a listener by its address; one with a port of the kernel's choice, by its name."""
    return f"{name} {bind}" if bind.endswith(":0") else bind


def _peer(transport: asyncio.Transport, serial: int) -> Peer:
    remote = transport.get_extra_info("peername")
    local = transport.get_extra_info("sockname")
    now = monotonic()
    if not isinstance(remote, tuple) or not isinstance(local, tuple):
        path = os.fsencode(local) if isinstance(local, str | bytes) else b""
        return Peer(b"unix:", 0, b"unix:" + path, 0, serial, started=now)
    address, port = cast("tuple[str, int]", remote[:2])
    own, own_port = cast("tuple[str, int]", local[:2])
    return Peer(address.encode(), port, own.encode(), own_port, serial, started=now)
