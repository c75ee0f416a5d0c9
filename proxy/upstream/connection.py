"""One connection to an endpoint: idle in its pool, or leased to one exchange.

States, by who owns the transport: *idle* (``lessee`` is ``None``; any octet or EOF closes it),
*leased* (octets go to the lessee, first as a head, then as a body), *joined* (another protocol took
the transport over) and *closed*.  A lease ends with ``release``: back to the pool, or closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Final, Protocol, cast

from proxy.framing import ChunkedDecoder, FramingError
from proxy.spec import KeepaliveSpec
from proxy.upstream.denied import Denied, EndpointDeniedError
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.idle import Kept, Watch
from proxy.upstream.response_parser import (
    CHUNKED,
    UNTIL_EOF,
    MalformedResponseError,
    ResponseHead,
    ResponseHeadParser,
)

CLOSED_AT_ONCE: Final = 32
"""Connections of endpoints that have left, closed at once: nobody is served for some 0.5 ms."""

CLOSING_PACE_S: Final = 0.004
"""Seconds from one time to the next: thousands are not in the way of requests, nor for long in that
of those that take their place, for files are limited."""

MAX_INFORMATIONAL: Final = 16
"""1xx responses before the final one; more is a broken upstream."""


class Lessee(Protocol):
    """Who leases a connection: the exchange, as this module sees it."""

    def response_begun(self) -> None:
        """Octets of a response arrived, though not yet a whole head."""

    def informational(self, head: ResponseHead) -> None:
        """Receive a 1xx that is not a 101."""

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Receive a 101, with the octets behind it."""

    def response(self, head: ResponseHead, body: bytes, *, last: bool) -> None:
        """Receive the final head, with what is already there of the body."""

    def response_body(self, body: bytes, *, last: bool) -> None:
        """Receive more of the body."""

    def upstream_failed(self, *, malformed: bool) -> None:
        """Learn that the response cannot go on: the connection broke, or what came is broken."""

    def upstream_paused(self) -> None:
        """Learn that the upstream takes no more for now."""

    def upstream_resumed(self) -> None:
        """Learn that the upstream takes more again."""

    def crashed(self, error: Exception) -> None:
        """Learn that a callback raised."""


class Connections:
    """What all upstream connections of a server share: the parser, and the list of them."""

    __slots__ = ("_closing", "_left", "_left_before", "_loop", "_timer", "denied", "open", "parser",
                 "watch")  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, denied: Denied | None = None) -> None:
        self._loop: Final = loop
        self._left: dict[Endpoint, None] = {}
        """Endpoints that have left since the last ``close_left``, and those before."""
        self._left_before: dict[Endpoint, None] = {}
        self._closing: dict[Endpoint, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.denied: Final = Denied() if denied is None else denied
        self.parser: Final = ResponseHeadParser(loop)
        self.open: Final[set[UpstreamConnection]] = set()
        self.watch: Final = Watch()

    def gone(self, connection: UpstreamConnection) -> None:
        """Forget one that is closed, or another protocol's."""
        self.open.discard(connection)
        self.watch.remove(connection)

    def leave(self, endpoints: Iterable[Endpoint]) -> None:
        """Have the idle connections of endpoints closed, from the next ``close_left`` but one on.

        Until then one may come back, as it does when a change is undone, and find them open.
        """
        self._left |= dict.fromkeys([one for one in endpoints if one.idle is not None])

    def given_back(self, endpoint: Endpoint) -> None:
        """Have a connection of an endpoint closed that had left while this was in use."""
        if endpoint not in self._left_before:
            self._left[endpoint] = None

    def close_left(self) -> None:
        """Begin to close the idle connections of endpoints that left before the last call."""
        due, self._left_before, self._left = self._left_before, self._left, {}
        for endpoint in due.keys() & self._left_before.keys():
            del due[endpoint]  # it has been back meanwhile
        self._closing |= due
        if self._closing and self._timer is None:
            self._close_some()

    def _close_some(self) -> None:
        closing, most = self._closing, CLOSED_AT_ONCE
        while closing and most:
            endpoint, _ = closing.popitem()
            while endpoint.retired and endpoint.idle is not None:
                if not most:
                    closing[endpoint] = None
                    break
                connection: Kept = endpoint.idle
                connection.leave_idle()
                connection.transport.close()
                most -= 1
        again = self._loop.call_later(CLOSING_PACE_S, self._close_some) if closing else None
        self._timer = again

    def abort(self) -> None:
        """Cut every connection."""
        for connection in list(self.open):
            connection.transport.abort()


class UpstreamConnection(Kept, asyncio.Protocol):
    """See the module's docstring."""

    __slots__ = ("_connections", "_decoder", "_head_limit", "_held", "_informational", "_left",
                 "_parser", "_partial", "_to_head", "clean", "connect_s", "keep_alive_s", "lessee",
                 "opened", "persistent", "served")  # fmt: skip

    def __init__(self, endpoint: Endpoint, connections: Connections) -> None:
        super().__init__(endpoint)
        self._connections: Final = connections
        self._parser: Final = connections.parser
        self.lessee: Lessee | None = None
        self.served = 0
        """Requests sent on this connection."""
        self.opened = 0.0
        """When it was connected (monotonic seconds)."""
        self.keep_alive_s: float | None = None
        self.persistent = False
        """The response allows another request after it."""
        self.connect_s = 0.0
        """How long it took to connect."""
        self.clean = False
        """The response is complete and nothing came behind it."""
        self._partial = b""
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._held = False
        self._to_head = False
        self._head_limit = 0
        self._informational = 0

    def __repr__(self) -> str:
        state = "idle" if self.lessee is None else "leased"
        return f"<UpstreamConnection {self.endpoint.address} {state} served={self.served}>"

    # The lease

    def lease(self, lessee: Lessee, *, to_head: bool, head_limit: int) -> None:
        """Give the connection to ``lessee`` for one request; the caller then writes it."""
        self.lessee = lessee
        self.served += 1
        self.clean = False
        self._to_head = to_head
        self._head_limit = head_limit
        self._informational = 0
        self._held = False

    def release(self, reuse: bool, keepalive: KeepaliveSpec, now: float) -> None:
        """End the lease.  With ``reuse``, the connection goes back to its endpoint's pool."""
        self.lessee = None
        endpoint = self.endpoint
        transport = self.transport
        if (
            not (reuse and self.clean and self.persistent)
            or transport.is_closing()
            or transport.get_write_buffer_size()  # of a body that the upstream may never read
        ):
            transport.abort()
            return
        idle_timeout_s = keepalive.idle_timeout_s
        if self.keep_alive_s is not None and self.keep_alive_s < idle_timeout_s:
            idle_timeout_s = self.keep_alive_s
        if (
            endpoint.idle_count >= keepalive.max_idle
            or idle_timeout_s <= 0
            or (keepalive.max_age_s is not None and now - self.opened > keepalive.max_age_s)
        ):
            self.transport.close()
            return
        if self._held:
            self._held = False
            self.transport.resume_reading()
        self.keep(idle_timeout_s, now)
        if idle_timeout_s < self.watched_s:
            self._connections.watch.add(self)
        if endpoint.retired:
            self._connections.given_back(endpoint)

    def leave(self) -> None:
        """End the lease with the transport going to another protocol."""
        self.lessee = None
        self._connections.gone(self)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.opened = monotonic()
        self._connections.open.add(self)

    def data_received(self, data: bytes) -> None:
        lessee = self.lessee
        if lessee is None:
            self.leave_idle()
            self.transport.abort()
            return
        try:
            if self._left:
                self._body(lessee, data)
            else:
                self._head(lessee, data)
        except (MalformedResponseError, FramingError):
            lessee.upstream_failed(malformed=True)
        except Exception as error:  # noqa: BLE001 - the partner of this transport would hang
            lessee.crashed(error)

    def eof_received(self) -> bool:
        lessee = self.lessee
        if lessee is None:
            self.leave_idle()
        elif self._left == UNTIL_EOF:
            self._left = 0
            self.clean = True
            lessee.response_body(b"", last=True)
        else:
            lessee.upstream_failed(malformed=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.gone(self)
        lessee = self.lessee
        if lessee is None:
            self.leave_idle()
        else:
            lessee.upstream_failed(malformed=False)

    def pause_writing(self) -> None:
        if self.lessee is not None:
            self.lessee.upstream_paused()

    def resume_writing(self) -> None:
        if self.lessee is not None:
            self.lessee.upstream_resumed()

    # Heads and bodies

    def _head(self, lessee: Lessee, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end == 3:
                self._incomplete(lessee, data)
                return
            if end > self._head_limit:
                raise MalformedResponseError("head too large")
            rest = data[end:] if end < len(data) else b""
            head = self._parser.parse(data[:end] if rest else data, to_head=self._to_head)
            if head.status >= 200:
                break
            if head.status == 101:
                lessee.switched(head, rest)
                return
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise MalformedResponseError("too many informational responses")
            lessee.informational(head)
            if self.lessee is not lessee:
                return
            data = rest
            if not data:
                return
        self.persistent = head.persistent
        self.keep_alive_s = head.keep_alive_s
        if head.body == len(rest):
            self.clean = True
            lessee.response(head, rest, last=True)
        else:
            self._begin_body(lessee, head, rest)

    def _incomplete(self, lessee: Lessee, data: bytes) -> None:
        if len(data) > self._head_limit:
            raise MalformedResponseError("head too large")
        if data.count(b"\n") != data.count(b"\r\n"):
            raise MalformedResponseError("bare LF")
        self._partial = data
        lessee.response_begun()

    def _begin_body(self, lessee: Lessee, head: ResponseHead, rest: bytes) -> None:
        body = head.body
        if body >= 0:
            left = body - len(rest)
            if left < 0:  # more than it said: the connection is of no further use
                lessee.response(head, rest[:body], last=True)
                return
            self._left = left
            lessee.response(head, rest, last=False)
        elif body == CHUNKED:
            decoder = self._decoder = ChunkedDecoder()
            self._left = CHUNKED
            payload = b"".join(decoder.feed(rest)) if rest else b""
            last = decoder.done
            if last:
                self._chunked_done(decoder)
            lessee.response(head, payload, last=last)
            if not last and decoder.more:
                self._yield_to_others()
        else:
            self._left = UNTIL_EOF
            lessee.response(head, rest, last=False)

    def _body(self, lessee: Lessee, data: bytes) -> None:
        left = self._left
        if left > 0:
            left -= len(data)
            if left > 0:
                self._left = left
                lessee.response_body(data, last=False)
                return
            self._left = 0
            self.clean = left == 0
            lessee.response_body(data if left == 0 else data[:left], last=True)
            return
        decoder = self._decoder
        if decoder is None:
            lessee.response_body(data, last=False)
            return
        payload = b"".join(decoder.feed(data))
        last = decoder.done
        if last:
            self._chunked_done(decoder)
        if payload or last:
            lessee.response_body(payload, last=last)
        if not last and decoder.more:
            self._yield_to_others()

    def _chunked_done(self, decoder: ChunkedDecoder) -> None:
        self._decoder = None
        self._left = 0
        self.clean = not decoder.rest

    def _yield_to_others(self) -> None:
        """Let the loop serve others before the rest of a read full of tiny chunks."""
        if self.lessee is not None:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on, self._decoder)

    def _go_on(self, decoder: ChunkedDecoder | None) -> None:
        if self._decoder is not decoder or decoder is None or self.lessee is None or self._held:
            return
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self.data_received(b"")

    def hold(self) -> None:
        """Read no more for now: the client does not keep up."""
        if not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on."""
        if not self._held:
            return
        self._held = False
        if self._decoder is not None and self._decoder.more:
            asyncio.get_running_loop().call_soon(self._go_on, self._decoder)
        elif not self.transport.is_closing():
            self.transport.resume_reading()


def lease_idle(endpoint: Endpoint, max_requests: int | None) -> UpstreamConnection | None:
    """Take the connection used last from the endpoint's, if there is a usable one."""
    while True:
        connection: UpstreamConnection | None = endpoint.idle
        if connection is None:
            return None
        older = connection.older
        endpoint.idle = older
        endpoint.idle_count -= 1
        if older is not None:
            older.newer = connection.older = None
        if connection.transport.is_closing():
            continue
        if max_requests is not None and connection.served >= max_requests:
            connection.transport.close()
            continue
        return connection


async def connect(endpoint: Endpoint, connections: Connections) -> UpstreamConnection:
    """Open a connection to an endpoint.  Raise ``OSError``, ``EndpointDeniedError``."""
    loop = asyncio.get_running_loop()
    target = endpoint.target
    why = connections.denied.why(target)
    if why is not None:
        raise EndpointDeniedError(f"{target} is denied: {why}")
    connection = UpstreamConnection(endpoint, connections)
    try:
        if target.kind == "unix":
            await loop.create_unix_connection(lambda: connection, target.path)
        else:
            await loop.create_connection(lambda: connection, target.host, target.port)
    except BaseException:
        # Cancelled after connection_made: the loop closes the transport, and tells nobody.
        connections.open.discard(connection)
        raise
    return connection
