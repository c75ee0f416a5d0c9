"""Looks at everything that is live, for metrics and status: ``Server.read``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import add
from time import monotonic
from typing import Final, NamedTuple, cast

from proxy.addresses import parse_address
from proxy.downstream.listener import Listener
from proxy.serving import Serving
from proxy.snapshot import Upstream
from proxy.splice.half import FrameHalf
from proxy.splice.relay import Splice
from proxy.telemetry.counters import ListenerCounters, PoolCounters
from proxy.telemetry.reading import (
    DiscoveryReading,
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
    RouteReading,
    Rows,
)
from proxy.upstream.endpoint import Endpoint, Member
from proxy.upstream.pool import PoolPlan


def look(at: Serving, loop_lag_s: float) -> Reading:
    """Make a reading."""
    now = monotonic()
    snapshot = at.snapshot
    gone = _gone(at)
    draining = at.process_drain.active
    routes = [RouteReading(name=name, counters=counters) for name, counters in at.routes.items()]
    routes.append(RouteReading(name="none", counters=at.runtime.no_route))
    return Reading(
        draining=draining,
        drain_remaining=at.remaining if draining else 0,
        loop_lag_s=loop_lag_s,
        access_log_dropped=at.targets.dropped(),
        listeners=tuple(
            _listener(name, at.listeners.get(name), counters)
            for name, counters in at.listener_counters.items()
        ),
        pools=tuple(
            _pool(name, counters, snapshot.pools.get(name), gone.get(counters, ()), at, now)
            for name, counters in at.pool_counters.items()
        ),
        routes=tuple(routes),
        generation=snapshot.number,
    )


def _listener(name: str, listener: Listener | None, counters: ListenerCounters) -> ListenerReading:
    return ListenerReading(
        name=name,
        address=None if listener is None else listener.address,
        accepting=listener is not None and listener.accepting,
        counters=counters,
    )


def _gone(at: Serving) -> dict[PoolCounters, list[Endpoint]]:
    """Return removed endpoints on which something may still live, by whose they are."""
    gone: dict[PoolCounters, list[Endpoint]] = {}
    for pool in (*at.leaving, *at.pools.values()):
        if pool.leaving:
            gone.setdefault(pool.counters, []).extend(pool.leaving.values())
    return gone


def _pool(
    name: str,
    counters: PoolCounters,
    upstream: Upstream | None,
    gone: Sequence[Endpoint],
    at: Serving,
    now: float,
) -> PoolReading:
    plan = upstream.plan if upstream and upstream.plan.pool.counters is counters else None
    moved: dict[Endpoint, Moved] = {}
    all_moved = NONE_MOVED
    # Splices of removed endpoints count too: their pool's totals must never go back.
    for endpoint in (*(plan.pool.endpoints.values() if plan else ()), *gone):
        if endpoint.splice_set:
            moved[endpoint] = one = _moved(endpoint)
            all_moved = Moved(*map(add, all_moved, one))
    return PoolReading(
        name=name,
        live=plan is not None,
        counters=counters,
        endpoints=_endpoints(plan, [one for one in gone if one.active], moved, now),
        spliced_to_upstream=counters.spliced_to_upstream + all_moved.to_upstream,
        spliced_to_client=counters.spliced_to_client + all_moved.to_client,
        messages_to_upstream=counters.messages_to_upstream + all_moved.messages_to_upstream,
        messages_to_client=counters.messages_to_client + all_moved.messages_to_client,
        discovery=None if plan is None else _discovery(plan, at),
    )


def _discovery(plan: PoolPlan, at: Serving) -> DiscoveryReading | None:
    question = None if plan.spec.discovery is None else plan.spec.discovery.dns
    source = None if question is None else at.discovery.source(question)
    if question is None or source is None:
        return None
    return DiscoveryReading(
        name=question.name,
        records=question.records,
        found=None if source.answer is None else len(source.answer),
        answered_at=source.answered_at,
        reason=source.reason,
        lookups=source.lookups.copy(),
    )


class Moved(NamedTuple):
    """What live splices have moved so far."""

    to_upstream: int = 0
    to_client: int = 0
    messages_to_upstream: int = 0
    messages_to_client: int = 0


NONE_MOVED: Final = Moved()


def _moved(endpoint: Endpoint) -> Moved:
    to_upstream = to_client = messages_to_upstream = messages_to_client = 0
    for splice in cast("set[Splice]", endpoint.splice_set):
        client, upstream = splice.client, splice.upstream
        if isinstance(client, FrameHalf) and isinstance(upstream, FrameHalf):
            # There may be ten thousand of them, so each attribute counts.
            up, down = client.tracker, upstream.tracker
            to_upstream += up.octets
            to_client += down.octets
            messages_to_upstream += up.messages
            messages_to_client += down.messages
        else:
            to_upstream += client.octets
            to_client += upstream.octets
    return Moved(to_upstream, to_client, messages_to_upstream, messages_to_client)


def _endpoints(
    plan: PoolPlan | None, gone: Sequence[Endpoint], moved: Mapping[Endpoint, Moved], now: float
) -> Rows[EndpointReading]:
    """Have the endpoints of a pool looked at by whoever wants to see them, in any thread."""
    states: Iterator[tuple[Member, str, str]] = iter(()) if plan is None else plan.states(now)
    unresolved = () if plan is None else plan.unresolved
    before = {one: _carried(one, live) for one, live in moved.items()}

    def rows() -> Iterator[EndpointReading]:
        for member, state, why in states:
            yield _endpoint(
                member.endpoint, member.name, state, why, before,
                weight=member.weight, backup=member.backup, labels=member.labels,
                discovered=member.discovered,
            )  # fmt: skip
        for spec in unresolved:
            yield _endpoint(
                Endpoint(parse_address(spec.address)), spec.name, "unresolved",
                "its name does not resolve", before,
                weight=spec.weight, backup=spec.backup, labels=spec.labels,
            )  # fmt: skip
        for one in gone:
            yield _endpoint(one, one.address, "removed", "removed; work on it still ends", before)

    members = 0 if plan is None else len(plan.members)
    return Rows(members + len(unresolved) + len(gone), rows)


def _carried(endpoint: Endpoint, moved: Moved) -> tuple[int, int]:
    """Return octets to the endpoint and from it: once a splice ends, its counters have them."""
    return endpoint.bytes_out + moved.to_upstream, endpoint.bytes_in + moved.to_client


def _endpoint(
    endpoint: Endpoint,
    name: str,
    state: str,
    why: str,
    carried: Mapping[Endpoint, tuple[int, int]],
    *,
    weight: int = 0,
    backup: bool = False,
    labels: tuple[tuple[str, str], ...] = (),
    discovered: bool = False,
) -> EndpointReading:
    to_upstream, to_client = carried.get(endpoint) or (endpoint.bytes_out, endpoint.bytes_in)
    return EndpointReading(
        name=name,
        address=endpoint.address,
        state=state,
        why=why,
        weight=weight,
        backup=backup,
        fails=endpoint.fails,
        active_requests=endpoint.active - endpoint.splices,
        splices=endpoint.splices,
        connections_idle=endpoint.idle_count,
        labels=labels,
        counters=endpoint,
        bytes_to_upstream=to_upstream,
        bytes_to_client=to_client,
        discovered=discovered,
    )
