"""The play: a request goes from its octets to what an endpoint or the client would get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.exchange import dispatch
from proxy.exchange.detour import rules_route
from proxy.exchange.routing import body_limit
from proxy.explain.ends import REQUEST_ID, Caller, Door, StillRuntime, Wire
from proxy.explain.explanation import (
    Client,
    Explanation,
    Limits,
    OwnAnswer,
    Page,
    Passing,
    Retrying,
    shown,
)
from proxy.explain.notes import Notes, ObservedRoutes, ObservedSite, Searched
from proxy.explain.pool_view import pool_choice
from proxy.explain.question import Question, choose_listener
from proxy.explain.understudy import Understudies
from proxy.headers.secrets import masked
from proxy.spec import SILENCE, ErrorPageSpec
from proxy.upstream.connection import UpstreamConnection

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange
    from proxy.snapshot import Snapshot

PLACEHOLDERS: Final = {REQUEST_ID: "the id that each request is given anew"}


def rehearse(
    asked: Question,
    snapshot: Snapshot,
    addresses: Mapping[str, str],
    pools: Understudies,
    *,
    candidate: bool = False,
) -> tuple[Explanation, list[Searched]]:
    """Play a request; ``rivals.tell`` completes the explanation.  Raise ``QuestionError``.

    ``addresses`` are those where listeners are bound.  Runs on the event loop's thread, since it
    goes through the code that serves.
    """
    listener, at = choose_listener(asked, snapshot.spec, addresses)
    notes = Notes(snapshot.names)
    site = ObservedSite(snapshot.sites[listener.name], notes)
    stage = replace(
        snapshot,
        sites={listener.name: site},
        pools=pools,
        routes=ObservedRoutes(snapshot.routes, notes),
    )
    door = Door(site, at, asked, StillRuntime(stage))
    wire = Wire()
    caller = Caller(door, notes)
    with notes.uncounted(), masked():
        caller.connection_made(wire)
        caller.data_received(asked.head)
        exchange = caller.seen
        if exchange is not None and not exchange.finished and exchange.task is None:
            dispatch.dispatch(exchange)  # it waits for the body, which nobody asks about
        passed = exchange is not None and exchange.task is not None
        octets = _passed_on(exchange) if exchange is not None and passed else b""
    route = None if exchange is None else exchange.route
    explanation = Explanation(
        revision=None if candidate else snapshot.number,
        request=shown(asked.head),
        listener=listener,
        client=_client(asked, exchange, site),
        route=None if route is None else route.name,
        lookups=notes.lookups,
        steps=notes.steps,
        access=notes.access,
        header_maps=notes.header_maps,
        named=notes.entered,
        error_pages=_pages(exchange),
        pool=None if exchange is None or pools.sketched else pool_choice(exchange, snapshot),
        answer=None if passed else _answer(door, wire, exchange),
        passing=_passing(exchange, octets) if exchange is not None and passed else None,
        placeholders=PLACEHOLDERS,
    )
    if exchange is not None and hasattr(exchange, "pool"):
        del exchange.pool  # the exchange is in a cycle, and the understudy may be large
    return explanation, notes.searched


def _passed_on(exchange: Exchange) -> bytes:
    """Send the request over a connection of air; return what that got."""
    upstream = UpstreamConnection(exchange.taken_member.endpoint, exchange.client.runtime.upstreams)
    upstream.transport = wire = Wire()
    dispatch.send(exchange, upstream)
    return wire.written


def _client(asked: Question, exchange: Exchange | None, site: ObservedSite) -> Client:
    route = None if exchange is None else exchange.route
    asked_of = (site.trust, None if route is None else route.trust)
    trusted = any(one is not None and one.holds_for(asked.client.encode()) for one in asked_of)
    address = asked.client if exchange is None else shown(exchange.request.client_ip)
    return Client(asked.client, address, trusted)


def _answer(door: Door, wire: Wire, exchange: Exchange | None) -> OwnAnswer:
    failure = door.refused if exchange is None else exchange.failure
    if exchange is not None:
        status = exchange.status
    else:
        status = SILENCE if failure is None else failure.status
    return OwnAnswer(status, None if failure is None else failure.reason, shown(wire.written))


def _pages(exchange: Exchange | None) -> list[Page]:
    route = None if exchange is None else rules_route(exchange)
    return [] if route is None else [_page(spec) for spec in route.spec.error_pages]


def _page(spec: ErrorPageSpec) -> Page:
    if spec.route is not None:
        leads_to = f"route {spec.route}"
    elif spec.location is not None:
        leads_to = f"redirect to {spec.location}"
    else:
        leads_to = f"path {spec.path}"
    return Page(list(spec.statuses), leads_to, "same" if spec.status is None else str(spec.status))


def _passing(exchange: Exchange, octets: bytes) -> Passing:
    member = exchange.taken_member
    return Passing(
        endpoint=member.name,
        address=member.endpoint.address,
        octets=shown(octets),
        retry=_retrying(exchange),
        limits=_limits(exchange),
    )


def _retrying(exchange: Exchange) -> Retrying:
    plan, spec = exchange.pool.plan, exchange.retry.spec
    most = plan.in_service if spec.max_attempts is None else min(spec.max_attempts, plan.in_service)
    return Retrying(
        when=sorted(spec.when),
        max_attempts=most,
        budget_s=spec.budget_s,
        non_idempotent=spec.non_idempotent,
        replay_bytes=spec.replay_bytes,
    )


def _limits(exchange: Exchange) -> Limits:
    route = exchange.taken_route.spec
    own, pool = route.timeouts, exchange.pool.plan.spec.timeouts
    upgrade = exchange.head.upgrade
    return Limits(
        connect_s=own.connect_s or pool.connect_s,
        send_s=own.send_s or pool.send_s,
        read_s=exchange.read_s,
        body_bytes=body_limit(exchange),
        upgrade=shown(upgrade) if upgrade else None,
        tunnel_idle_s=route.tunnel.idle_timeout_s if upgrade else None,
    )
