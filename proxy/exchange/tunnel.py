"""From exchange to splice: what happens at a 101, and what is counted when the splice ends."""

from __future__ import annotations

import asyncio
import socket
from time import monotonic
from typing import TYPE_CHECKING

from proxy.exchange.log_lines import tunnel_log
from proxy.splice.relay import Kind, Splice

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.telemetry.counters import PoolCounters
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
    idle_timeout_s = exchange.taken_route.spec.tunnel.idle_timeout_s
    kind: Kind = "websocket" if protocol.lower() == b"websocket" else "tunnel"
    counters, runtime = client.counters, client.runtime
    # Nothing of the exchange or of its configuration outlives it in a splice, but for the log.
    totals = exchange.pool.counters
    log_end = tunnel_log(exchange)

    def ended(splice: Splice) -> None:
        now = monotonic()
        runtime.splices.discard(splice)
        counters.active[splice.kind] -= 1
        _settle(splice, endpoint, totals, now)
        if log_end is not None:
            log_end(splice, now)

    splice = Splice(
        kind,
        client.transport,
        upstream.transport,
        idle_timeout_s=idle_timeout_s,
        on_end=ended,
        now=now,
    )
    for transport in (client.transport, upstream.transport):
        _keep_alive(transport)
    endpoint.active += 1
    endpoint.splices += 1
    endpoint.splice_set.add(splice)
    runtime.splices.add(splice)
    counters.active[kind] += 1
    counters.opened[kind] += 1
    behind_request = client.release_transport()
    exchange.upstream = None
    upstream.leave()
    exchange.settle()
    splice.start(behind_request, behind_head)


def _keep_alive(transport: asyncio.Transport) -> None:
    """Have the kernel find out about peers that vanished: a tunnel may be silent for long."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _settle(splice: Splice, endpoint: Endpoint, totals: PoolCounters, now: float) -> None:
    endpoint.active -= 1
    endpoint.splices -= 1
    endpoint.splice_set.discard(splice)
    endpoint.counters.bytes_in += splice.to_client
    endpoint.counters.bytes_out += splice.to_upstream
    totals.spliced_to_client += splice.to_client
    totals.spliced_to_upstream += splice.to_upstream
    totals.tunnel_duration.observe(now - splice.started)
