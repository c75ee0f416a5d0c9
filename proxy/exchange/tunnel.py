"""From exchange to splice: what happens at a 101, and what is counted when the splice ends."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from proxy.splice.relay import Kind, Splice

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.telemetry.counters import ListenerCounters
    from proxy.upstream.connection import UpstreamConnection
    from proxy.upstream.endpoint import Endpoint
    from proxy.upstream.pool import PoolPlan


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
    client, plan, member = exchange.client, exchange.pool.plan, exchange.taken_member
    idle_timeout_s = exchange.taken_route.spec.tunnel.idle_timeout_s
    kind: Kind = "websocket" if protocol.lower() == b"websocket" else "tunnel"
    endpoint, counters, runtime = member.endpoint, client.counters, client.runtime

    def ended(splice: Splice) -> None:
        runtime.splices.discard(splice)
        _settle(splice, endpoint, plan, counters, monotonic())

    splice = Splice(
        kind,
        client.transport,
        upstream.transport,
        idle_timeout_s=idle_timeout_s,
        on_end=ended,
        now=now,
    )
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


def _settle(
    splice: Splice, endpoint: Endpoint, plan: PoolPlan, counters: ListenerCounters, now: float
) -> None:
    endpoint.active -= 1
    endpoint.splices -= 1
    endpoint.splice_set.discard(splice)
    endpoint.counters.bytes_in += splice.to_client
    endpoint.counters.bytes_out += splice.to_upstream
    counters.active[splice.kind] -= 1
    totals = plan.pool.counters
    totals.spliced_to_client += splice.to_client
    totals.spliced_to_upstream += splice.to_upstream
    totals.tunnel_duration.observe(now - splice.started)
