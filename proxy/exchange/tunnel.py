"""From exchange to splice: what happens at a 101, and what is counted when the splice ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from proxy.exchange.log_lines import tunnel_log
from proxy.splice.place import Place
from proxy.splice.relay import Kind, Splice

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.exchange.runtime import Runtime
    from proxy.telemetry.counters import ListenerCounters, PoolCounters
    from proxy.upstream.connection import UpstreamConnection
    from proxy.upstream.endpoint import Endpoint


def join(
    exchange: Exchange,
    upstream: UpstreamConnection,
    behind_head: bytes,
    protocol: bytes,
    now: float,
) -> None:
    """Join the exchange's client with ``upstream``, and end the exchange.

    The place on the endpoint passes from the exchange to the splice.
    """
    client, endpoint = exchange.client, exchange.taken_member.endpoint
    tunnel = exchange.taken_route.spec.tunnel
    kind: Kind = "websocket" if protocol.lower() == b"websocket" else "tunnel"
    counters, runtime = client.counters, client.runtime
    place = _place(exchange)
    # Nothing of the exchange or of its configuration outlives it in a splice, but for the log.
    ended = partial(
        _ended, runtime, counters, endpoint, exchange.pool.counters, tunnel_log(exchange)
    )
    splice = Splice(
        kind,
        client.transport,
        upstream.transport,
        idle_timeout_s=tunnel.idle_timeout_s,
        ping_interval_s=tunnel.ping_interval_s,
        on_end=ended,
        now=now,
        place=place,
    )
    _keep_alive(upstream.transport)  # the client's has it of its listener
    endpoint.active += 1
    endpoint.splices += 1
    endpoint.splice_set.add(splice)
    runtime.splices.add(splice)
    runtime.live[place.serial] = splice
    counters.active[kind] += 1
    counters.opened[kind] += 1
    behind_request = client.release_transport()
    exchange.upstream = None
    upstream.leave()
    exchange.settle()
    splice.start(behind_request, behind_head)
    if runtime.joined is not None:
        runtime.joined(splice)


def _ended(
    runtime: Runtime,
    counters: ListenerCounters,
    endpoint: Endpoint,
    totals: PoolCounters,
    log_end: Callable[[Splice, float], None] | None,
    splice: Splice,
) -> None:
    now = monotonic()
    runtime.splices.discard(splice)
    if splice.place is not None:
        runtime.live.pop(splice.place.serial, None)
    counters.active[splice.kind] -= 1
    _settle(splice, endpoint, totals, now)
    if log_end is not None:
        log_end(splice, now)


def _place(exchange: Exchange) -> Place:
    member = exchange.taken_member
    peer = exchange.request.peer
    return Place(
        peer.serial,
        peer.client_end,
        peer.server_end,
        exchange.site.spec.name,
        exchange.taken_route.name,
        exchange.pool_name,
        member.name,
        member.endpoint.address,
        member.labels,
        exchange.snapshot.number,
        exchange.request.request_id,
        exchange.request.ordinal,
        member.endpoint.key,
    )


def _keep_alive(transport: asyncio.Transport) -> None:
    """Have the kernel find out about peers that vanished: a tunnel may be silent for long."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _settle(splice: Splice, endpoint: Endpoint, totals: PoolCounters, now: float) -> None:
    endpoint.active -= 1
    endpoint.splices -= 1
    endpoint.splice_set.discard(splice)
    endpoint.bytes_in += splice.to_client
    endpoint.bytes_out += splice.to_upstream
    totals.spliced_to_client += splice.to_client
    totals.spliced_to_upstream += splice.to_upstream
    totals.tunnel_duration.observe(now - splice.started)
    if splice.kind == "websocket":
        to_upstream, to_client = splice.messages
        totals.messages_to_upstream += to_upstream
        totals.messages_to_client += to_client
        totals.closes[splice.outcome] = totals.closes.get(splice.outcome, 0) + 1
