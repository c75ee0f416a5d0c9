"""One client connection: heads parsed and admitted, bodies cut out, answers kept in order.

States:

=======  ==========================================  ==========================================
state    what comes in is                            left when
=======  ==========================================  ==========================================
HEAD     collected until a blank line, then parsed   a request was admitted or refused
BODY     the request body, handed to the exchange    the body is complete, or the exchange ended
WAIT     kept in the backlog, never parsed           the exchange ended
LINGER   discarded, so that the client reads our     EOF, or a limit
         last answer before a reset could reach it
SPLICED  not ours any more                           never
CLOSED   ignored                                     never
=======  ==========================================  ==========================================

A request behind another starts from the flat loop of ``data_received``, never from inside the
previous response's write.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from proxy import errors
from proxy.downstream.admission import drop_names, without_empty_lines
from proxy.downstream.glimpse import log_seen
from proxy.downstream.request_parser import MalformedHeadError
from proxy.errors import Failure
from proxy.exchange import respond
from proxy.exchange.accounting import count_rejected
from proxy.exchange.exchange import Exchange
from proxy.exchange.runtime import NEVER
from proxy.framing import ChunkedDecoder, FramingError
from proxy.message import Peer, Request

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener
    from proxy.site import Site
    from proxy.snapshot import Snapshot
    from proxy.spec import ListenerTimeouts

BACKLOG_BYTES: Final = 64 * 1024
"""Octets kept of what a client sends ahead of its turn; then it is not read from."""

LINGER_BYTES: Final = 4 * 1024 * 1024
LINGER_S: Final = 5.0
"""How much, and how long, is read and discarded so that a client gets our last answer."""

FLUSH_S: Final = 10.0
"""How long a closing connection may take to flush what it holds, in seconds."""

MAX_HEADS_PER_TURN: Final = 64
"""Thousands of pipelined requests fit into one read; others have their turn in between."""

HEAD, BODY, WAIT, LINGER, SPLICED, CLOSED = range(6)
_STATES: Final = ("HEAD", "BODY", "WAIT", "LINGER", "SPLICED", "CLOSED")

_LINE_END: Final = b"\r\n"


class ClientConnection(asyncio.Protocol):
    """See the module's docstring."""

    __slots__ = (
        "_backlog", "_decoder", "_discarded", "_held", "_in_head", "_left", "_stalled", "_state",
        "_timeouts", "counted", "counters", "exchange", "last_request", "listener", "peer",
        "read_by", "requests", "runtime", "transport", "write_by", "write_paused",
    )  # fmt: skip

    transport: asyncio.Transport
    peer: Peer

    def __init__(self, listener: Listener) -> None:
        self.listener: Final = listener
        self.runtime: Final = listener.runtime
        self.counters: Final = listener.counters
        self.exchange: Exchange | None = None
        self.requests = 0
        self.read_by = NEVER
        """When the client must have sent what we wait for (monotonic seconds)."""
        self.write_by = NEVER
        """When the client must have taken something of what we wrote."""
        self.write_paused = False
        self.last_request = False
        self.counted = False
        """It is one of the listener's active connections."""
        self._state = HEAD
        self._backlog = b""
        self._held = False
        self._timeouts = listener.site.spec.timeouts  # a request's route may say others
        self._in_head = False
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._discarded = 0
        self._stalled = 0

    def __repr__(self) -> str:
        return f"<ClientConnection {_STATES[self._state]} requests={self.requests} {self.exchange}>"

    @property
    def idle_since(self) -> float:
        """When the last exchange ended; of a connection that waits for a request."""
        return self.read_by - self._timeouts.idle_s if self.requests else self.peer.started

    @property
    def has_backlog(self) -> bool:
        """Octets wait behind the present request."""
        return bool(self._backlog)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.peer = self.listener.accepted(self)
        if self._state == HEAD:
            self._timeouts = self.site().spec.timeouts
            self.read_by = monotonic() + self._timeouts.header_s

    def data_received(self, data: bytes) -> None:
        """Hand octets to whoever the state says they are for, until there are none."""
        try:
            if self._backlog:
                data = self._backlog + data
                self._backlog = b""
            heads = MAX_HEADS_PER_TURN
            while data:
                state = self._state
                if state == HEAD and not self.write_paused:
                    if not heads:
                        self._backlog = data
                        self.runtime.loop.call_soon(self._resume)
                        return
                    heads -= 1
                    data = self._head(data)
                elif state == BODY:
                    data = self._body(data)
                elif state in (HEAD, WAIT):
                    self._wait(data)
                    return
                else:
                    self._discard(data)
                    return
        except Exception as error:  # noqa: BLE001 - the exchange's other side would hang
            self.crashed(error)

    def eof_received(self) -> bool:
        """Take a FIN as the end: in HTTP a client that closes its side is gone."""
        if self.exchange is not None:
            self.exchange.client_gone()
        elif self._state == HEAD and self._backlog:
            count_rejected(self.counters.rejected, errors.CLIENT_GONE.reason)
            log_seen(self, errors.CLIENT_GONE, self._backlog)
        self._state = CLOSED
        self.read_by = monotonic() + FLUSH_S
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state != SPLICED:
            self._state = CLOSED
        if self.counted:
            self.counted = False
            self.counters.active["http"] -= 1
        self.listener.connections.discard(self)
        self.runtime.live.pop(self.peer.serial, None)
        self.read_by = self.write_by = NEVER
        if self.exchange is not None:
            self.exchange.client_gone()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._stalled = self.transport.get_write_buffer_size()
        self.write_by = monotonic() + self._timeouts.write_s
        if self.exchange is not None:
            self.exchange.client_paused()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.write_by = NEVER
        if self.exchange is not None:
            self.exchange.client_resumed()
        elif self._backlog:
            self.runtime.loop.call_soon(self._resume)

    # Reading

    def _head(self, data: bytes) -> bytes:
        """Start an exchange if there is a whole head; return what is behind it."""
        if data[0] in _LINE_END:
            data = without_empty_lines(data)
            if not data:
                return b""
        snapshot = self.runtime.snapshot
        site = snapshot.sites.get(self.listener.name) or self.listener.site
        limits = site.spec.limits
        end = data.find(b"\r\n\r\n", 0, limits.header_bytes) + 4
        if end == 3:
            self._incomplete(data, site)
            return b""
        rest = data[end:] if end < len(data) else b""
        head = data[:end] if rest else data
        ordinal = self.requests + 1
        self._in_head = False
        self.read_by = NEVER
        self._timeouts = site.spec.timeouts
        now = monotonic()
        try:
            request = self.listener.admission.admit(
                head, self.peer, ordinal, now, limits.headers, site.default_host
            )
        except MalformedHeadError as error:
            self._refuse(error.failure, head)
            return b""
        self.requests = ordinal
        block = request.block
        if block.has_underscores or block.has_odd_names:
            for reason, dropped in drop_names(request, site.spec):
                count_rejected(self.counters.rejected, reason, dropped)
        most = limits.requests_per_connection
        if most is not None and ordinal >= most:
            self.last_request = True
        return self._begin(snapshot, site, request, rest)

    def _begin(self, snapshot: Snapshot, site: Site, request: Request, rest: bytes) -> bytes:
        if request.chunked:
            return self._begin_chunked(Exchange(self, snapshot, site, request), rest)
        exchange = self.exchange = Exchange(self, snapshot, site, request)
        length = request.content_length
        if not length:
            self._state = WAIT
            exchange.begin(b"", last=True)
            return rest
        if len(rest) >= length:
            self._state = WAIT
            exchange.begin(rest[:length], last=True)
            return rest[length:]
        self._left = length - len(rest)
        self._state = BODY
        self._body_due()
        exchange.begin(rest, last=False)
        return b""

    def _begin_chunked(self, exchange: Exchange, rest: bytes) -> bytes:
        decoder = ChunkedDecoder()
        try:
            body = b"".join(decoder.feed(rest))
        except FramingError:
            self._refuse(errors.BAD_REQUEST, exchange.request)
            return b""
        self.exchange = exchange
        if decoder.done:
            self._state = WAIT
            exchange.begin(body, last=True)
            return decoder.rest
        self._decoder = decoder
        self._state = BODY
        self._body_due()
        exchange.begin(body, last=False)
        self._more_chunks(decoder)
        return b""

    def _body_due(self) -> None:
        if not self._held:
            self.read_by = monotonic() + self._timeouts.body_s

    def allow(self, timeouts: ListenerTimeouts) -> None:
        """Wait for this client so long, until its next request."""
        self._timeouts = timeouts
        if self._state == BODY:
            self._body_due()

    def _body(self, data: bytes) -> bytes:
        """Hand on what belongs to the request body; return what is behind it."""
        exchange = self.exchange
        if exchange is None:
            raise AssertionError
        decoder = self._decoder
        if decoder is None:
            payload, rest = data[: self._left], data[self._left :]
            self._left -= len(payload)
            last = not self._left
        else:
            try:
                payload = b"".join(decoder.feed(data))
            except FramingError:
                exchange.fail(errors.BAD_REQUEST)
                return b""
            last = decoder.done
            rest = decoder.rest if last else b""
        if last:
            self._decoder = None
            self._state = WAIT
            self.read_by = NEVER
            if self._held:  # a paused transport would not see the client go away
                self._held = False
                self.transport.resume_reading()
        else:
            self._body_due()
        if payload or last:
            exchange.request_body(payload, last=last)
        if decoder is not None and not last:
            self._more_chunks(decoder)
        return rest

    def _more_chunks(self, decoder: ChunkedDecoder) -> None:
        """Let the loop serve others before the rest of a read full of tiny chunks."""
        if decoder.more and self._decoder is decoder:
            self.transport.pause_reading()
            self.runtime.loop.call_soon(self._go_on, decoder)

    def _go_on(self, decoder: ChunkedDecoder) -> None:
        if self._decoder is not decoder or self._state != BODY or self._held:
            return
        if not self.transport.is_closing():
            self.transport.resume_reading()
        try:
            rest = self._body(b"")
        except Exception as error:  # noqa: BLE001 - the exchange's other side would hang
            self.crashed(error)
            return
        if rest:
            self.data_received(rest)

    def _wait(self, data: bytes) -> None:
        """Keep what a client sends ahead of its turn.

        It is read from as long as that is little, so that its going away is seen.
        """
        self._backlog = data
        if len(data) > BACKLOG_BYTES and not self._held:
            self._held = True
            self.transport.pause_reading()

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self._state = CLOSED
            self.transport.abort()

    def _incomplete(self, data: bytes, site: Site) -> None:
        """Keep part of a head, unless it can only become a bad one."""
        limit = site.spec.limits.header_bytes
        if len(data) >= limit:
            long_line = b"\r\n" not in data[:limit]
            self._refuse(errors.TARGET_TOO_LONG if long_line else errors.HEAD_TOO_LARGE, data)
        elif data.count(b"\n") != data.count(_LINE_END):
            self._refuse(errors.BAD_REQUEST, data)
        else:
            if not self._in_head and data != b"\r":
                self._in_head = True
                if self.requests:  # of the first one, the time runs since the accept
                    self.read_by = monotonic() + site.spec.timeouts.header_s
            self._backlog = data

    # What an exchange asks for

    def hold(self) -> None:
        """Read no more of the request body for now; its timer stops."""
        if not self._held and not self.transport.is_closing():
            self._held = True
            self.read_by = NEVER
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on."""
        if not self._held or self.transport.is_closing():
            return
        self._held = False
        if self._state == BODY and self.exchange is not None:
            self._body_due()
        if self._decoder is not None and self._decoder.more:
            self.runtime.loop.call_soon(self._go_on, self._decoder)
        else:
            self.transport.resume_reading()

    def exchange_done(self, *, keep_alive: bool) -> None:
        """Go on to the next request, or close once what was written is flushed."""
        self.exchange = None
        if self._state == CLOSED:
            return
        if not keep_alive:
            self._close_gently()
            return
        self._state = HEAD
        if self._held:
            self._held = False
            self.transport.resume_reading()
        if self._backlog:
            self.runtime.loop.call_soon(self._resume)
        else:
            self.read_by = monotonic() + self._timeouts.idle_s
            if self.last_request:
                self.close_idle()

    def _resume(self) -> None:
        if self._state == HEAD and self._backlog:
            self.data_received(b"")

    def cut(self) -> None:
        """Close at once: the response cannot be completed."""
        self.exchange = None
        if self._state != CLOSED:
            self._state = CLOSED
            self.transport.abort()

    def release_transport(self) -> bytes:
        """Let go of the transport; return what was read behind the request."""
        self._state = SPLICED
        self.exchange = None  # each holds the other, and the exchange its configuration
        self.counted = False
        self.counters.active["http"] -= 1
        self.listener.connections.discard(self)
        backlog, self._backlog = self._backlog, b""
        return backlog

    # Closing

    def _refuse(self, failure: Failure, seen: Request | bytes) -> None:
        """Answer a head that no exchange is made of, understood or not, and close."""
        request = None if isinstance(seen, bytes) else seen
        count_rejected(self.counters.rejected, failure.reason)
        self.listener.count_refused(failure)
        answer = respond.error(failure, request, keep_alive=False)
        self.transport.write(answer)
        log_seen(self, failure, seen, answer)
        self._backlog = b""
        self._close_gently(linger=True)

    def _close_gently(self, *, linger: bool = False) -> None:
        """Close; if the client may still be sending, after a bounded reading of what comes.

        Closing with unread input resets the connection, and the reset overtakes our answer.
        """
        mid_body = self._state == BODY
        self._decoder = None
        now = monotonic()
        if linger or mid_body or self._backlog:
            self._state = LINGER
            self._backlog = b""
            self.read_by = now + LINGER_S
            if self.transport.is_closing():
                return
            if self._held:
                self._held = False
                self.transport.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        """Close once what is written is flushed; a client that never takes it is cut."""
        self._state = CLOSED
        self.read_by = monotonic() + FLUSH_S
        self.transport.close()

    def turn_away(self) -> None:
        """Close right after the accept."""
        self._close_gently(linger=True)

    def close_idle(self) -> None:
        """Close if no request is under way."""
        if self._state == HEAD and not self._backlog and self.exchange is None:
            self._close()

    def abort(self, failure: Failure) -> None:
        """End whatever is under way, and the connection, at once."""
        if self.exchange is not None:
            self.exchange.fail(failure)
        self._state = CLOSED
        self.transport.abort()

    def expire(self, now: float) -> None:
        """Act on a deadline that passed."""
        if now >= self.write_by:
            waiting = self.transport.get_write_buffer_size()
            if waiting < self._stalled:
                self._stalled = waiting
                self.write_by = now + self._timeouts.write_s
                return
            self._stalled_out()
            return
        self.read_by = NEVER
        if self._state == HEAD:
            if self._backlog:
                self._refuse(errors.HEAD_TIMEOUT, self._backlog)
            else:
                self._close()
        elif self._state == BODY and self.exchange is not None:
            self.exchange.fail(errors.BODY_TIMEOUT)
        else:
            self._state = CLOSED
            self.transport.abort()

    def _stalled_out(self) -> None:
        if self.exchange is not None:
            self.exchange.fail(errors.CLIENT_STALLED)
        self._state = CLOSED
        self.transport.abort()

    def crashed(self, error: Exception) -> None:
        """End after a callback raised: whoever waits for this connection would hang."""
        if self.exchange is not None:
            self.exchange.crashed(error)
        else:
            self.runtime.log.error("internal error", exc_info=error, connection=repr(self))
            self._state = CLOSED
            self.transport.abort()

    def site(self) -> Site:
        """Return what the present configuration says about the listener."""
        return self.runtime.snapshot.sites.get(self.listener.name) or self.listener.site
