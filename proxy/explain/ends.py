"""The ends of the play: a client's transport, an event loop, a listener, an upstream, all of air.

They take what is written, and nothing else ever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from proxy.downstream.admission import Admission
from proxy.downstream.connection import ClientConnection
from proxy.exchange.runtime import Runtime
from proxy.message import Peer
from proxy.telemetry.counters import ListenerCounters
from proxy.telemetry.logging import get_logger

if TYPE_CHECKING:
    from proxy.addresses import Address
    from proxy.downstream.listener import Listener
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.explain.notes import Notes
    from proxy.explain.question import Question
    from proxy.site import Site
    from proxy.snapshot import Snapshot

REQUEST_ID: Final = "0" * 32
"""Stands for the id that each request is given anew."""


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep octets."""
        self.written += data

    def write_eof(self) -> None:
        """Do nothing."""

    def can_write_eof(self) -> bool:
        """Tell that it can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Tell that the other side has taken everything."""
        return 0

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def is_closing(self) -> bool:
        """Tell whether one of the next two was called."""
        return self._closing

    def close(self) -> None:
        """Be closing."""
        self._closing = True

    def abort(self) -> None:
        """Be closing."""
        self._closing = True


class _Still:
    """A task or a handle that never runs."""

    def cancel(self) -> None:
        """Do nothing."""


class _StillLoop:
    """An event loop, as far as the data plane uses one, on which nothing happens."""

    def create_task(self, coro: Coroutine[Any, Any, Any]) -> _Still:
        """Drop a coroutine: the one that would open a connection."""
        coro.close()
        return _Still()

    def call_soon(self, *args: object) -> _Still:
        """Drop a callback."""
        return _Still()


class StillRuntime(Runtime):
    """A runtime of its own: nothing is logged or counted, and ids are not used up."""

    __slots__ = ()

    def __init__(self, snapshot: Snapshot) -> None:
        loop = cast("asyncio.AbstractEventLoop", _StillLoop())
        super().__init__(loop, get_logger("proxy.explain"), None)
        self.snapshot = snapshot

    def new_request_id(self) -> bytes:
        """Return what stands for one."""
        return REQUEST_ID.encode()


class Door:
    """A listener, as its connections see it."""

    def __init__(self, site: Site, at: Address, asked: Question, runtime: Runtime) -> None:
        self.name: Final = site.spec.name
        self.site: Final = site
        self.runtime: Final = runtime
        self.counters: Final = ListenerCounters()
        self.admission: Final = Admission(runtime.loop)
        self.connections: Final[set[ClientConnection]] = set()
        self.retired: Final = False
        self.refused: Failure | None = None
        """Why the request did not get in."""
        self._at: Final = at
        self._asked: Final = asked

    def accepted(self, connection: ClientConnection) -> Peer:
        """Let a connection in; return who it is."""
        connection.counted = True
        at, asked = self._at, self._asked
        own = at.text if at.kind == "unix" else at.host
        return Peer(
            asked.client.encode(), asked.client_port, own.encode(), at.port, 0, started=monotonic()
        )

    def count_refused(self, failure: Failure) -> None:
        """Note why a head was refused."""
        self.refused = failure


class Caller(ClientConnection):
    """A client connection that keeps its exchange, and has notes taken of it."""

    __slots__ = ("_notes", "_present", "seen")

    def __init__(self, door: Door, notes: Notes) -> None:
        self._notes: Final = notes
        self._present: Exchange | None = None
        self.seen: Exchange | None = None
        """The exchange, when it is over too."""
        super().__init__(cast("Listener", door))

    @property
    def exchange(self) -> Exchange | None:
        """The exchange under way."""
        return self._present

    @exchange.setter
    def exchange(self, exchange: Exchange | None) -> None:
        self._present = exchange
        if exchange is not None:
            self.seen = exchange
            self._notes.watch(exchange.request)
