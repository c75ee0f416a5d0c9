"""``/v1/status``: what is live right now."""

from __future__ import annotations

import time
from functools import cache
from importlib import metadata
from platform import python_version
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from admin.api.media import answer
from admin.api.operations import Call
from admin.controller import Controller, offload
from admin.revisions import Attempt, Result, Revision, Source
from proxy.telemetry.reading import EndpointReading, ListenerReading, PoolReading, Reading

ENDPOINT_OCTETS: Final = 1024
"""About what an endpoint takes in the answer."""

_STARTED_AT: Final = time.time()
_STARTED: Final = time.monotonic()


class Part(BaseModel):
    """A part of the answer, built when it is first asked for: every start would pay for it."""

    model_config = ConfigDict(defer_build=True)


class Versions(Part):
    """What runs."""

    hotsplice: str
    python: str


class RevisionStatus(Part):
    """The configuration that serves."""

    number: int = Field(description="0 is the empty document a process starts with.")
    time: float = Field(description="When it was published, in seconds since 1970.")
    source: Source = Field(description="Where it came from.")
    author: str = Field(description="A token's name, `unix`, `anonymous` or `hotsplice` itself.")
    note: str | None = Field(description="What its author said of it.")
    changed: list[str] = Field(description="Pointers to what differed from the one before.")


class ApplyStatus(Part):
    """The last attempt to change the configuration, dry runs left out."""

    time: float = Field(description="In seconds since 1970.")
    source: Source
    author: str
    result: Result
    faults: int = Field(description="How many faults a refused document had.")


class ListenerStatus(Part):
    """A listener."""

    address: str | None = Field(description="What it is bound to.")
    accepting: bool
    connections_active: dict[str, int] = Field(description="By kind: http, websocket, tunnel.")
    connections_opened: dict[str, int] = Field(description="By kind, from the start.")
    requests_in_flight: int = Field(description="Without tunnels.")
    rejected: dict[str, int] = Field(description="By reason.")


class EndpointStatus(Part):
    """An endpoint of a pool."""

    name: str
    address: str
    state: str = Field(
        description="`active`, `drain`, `down`, `ejected`, `full`, `unresolved`, or `removed` "
        "while something on it still lives."
    )
    why: str = Field(description="Why it is in that state.")
    weight: int
    backup: bool
    fails: int = Field(description="Failures within the current `fail_timeout`.")
    requests: int = Field(description="Attempts made on it.")
    active_requests: int
    splices: int = Field(description="WebSockets and other tunnels.")
    connections_idle: int
    bytes_to_upstream: int = Field(description="Live splices included.")
    bytes_to_client: int = Field(description="Live splices included.")
    labels: dict[str, str]


class PoolStatus(Part):
    """A pool; a name that stands for several addresses gives an endpoint for each."""

    endpoints: list[EndpointStatus]
    spliced_bytes_to_upstream: int = Field(description="Live splices included.")
    spliced_bytes_to_client: int = Field(description="Live splices included.")
    retries: int
    ejections: int
    errors: dict[str, int] = Field(description="By reason.")


class RouteStatus(Part):
    """A route; `none` counts the requests that no route took."""

    requests: int
    requests_by_code: dict[str, int]


class Status(Part):
    """Everything at one moment."""

    versions: Versions
    started: float = Field(description="When the process started, in seconds since 1970.")
    uptime_s: float
    revision: RevisionStatus
    last_apply: ApplyStatus | None = Field(description="`null` before the first.")
    drift: list[str] = Field(
        description="Pointers to the objects that differ from the file last read; SIGHUP reverts."
    )
    ready: bool = Field(description="Whether every listener accepts and no drain runs.")
    draining: bool
    drain_remaining: int = Field(description="Client connections that the drain waits for.")
    event_loop_lag_s: float = Field(description="The greatest of the last ten to twenty seconds.")
    listeners: dict[str, ListenerStatus]
    pools: dict[str, PoolStatus]
    routes: dict[str, RouteStatus]


async def get(call: Call) -> web.Response:
    """Answer with everything that is live."""
    reading = call.server.read()
    size = ENDPOINT_OCTETS * sum(len(pool.endpoints) for pool in reading.pools)
    view = await offload(size, _view, reading, call.controller, call.server.ready)
    response = await answer(view, call.media, size=size)
    response.headers["Cache-Control"] = "no-store"
    return response


def _view(reading: Reading, controller: Controller, ready: bool) -> dict[str, object]:
    return Status(
        versions=Versions(hotsplice=version(), python=python_version()),
        started=_STARTED_AT,
        uptime_s=time.monotonic() - _STARTED,
        revision=_revision(controller.revision),
        last_apply=_apply(controller.applies.last),
        drift=list(controller.drift),
        ready=ready,
        draining=reading.draining,
        drain_remaining=reading.drain_remaining,
        event_loop_lag_s=reading.loop_lag_s,
        listeners={
            one.name: _listener(one) for one in reading.listeners if one.address is not None
        },
        pools={pool.name: _pool(pool) for pool in reading.pools if pool.live or pool.endpoints},
        routes={route.name: _route(route.counters.requests.copy()) for route in reading.routes},
    ).model_dump()


def _revision(revision: Revision) -> RevisionStatus:
    return RevisionStatus(
        number=revision.number,
        time=revision.time,
        source=revision.origin.source,
        author=revision.origin.author,
        note=revision.origin.note,
        changed=list(revision.changed),
    )


def _apply(last: Attempt | None) -> ApplyStatus | None:
    if last is None:
        return None
    return ApplyStatus(
        time=last.time,
        source=last.origin.source,
        author=last.origin.author,
        result=last.result,
        faults=last.faults,
    )


def _listener(one: ListenerReading) -> ListenerStatus:
    return ListenerStatus(
        address=one.address,
        accepting=one.accepting,
        connections_active=one.counters.active.copy(),
        connections_opened=one.counters.opened.copy(),
        requests_in_flight=one.counters.in_flight,
        rejected=one.counters.rejected.copy(),
    )


def _pool(pool: PoolReading) -> PoolStatus:
    return PoolStatus(
        endpoints=[_endpoint(one) for one in pool.endpoints],
        spliced_bytes_to_upstream=pool.spliced_to_upstream,
        spliced_bytes_to_client=pool.spliced_to_client,
        retries=pool.counters.retries,
        ejections=pool.counters.ejections,
        errors=pool.counters.errors.copy(),
    )


def _endpoint(one: EndpointReading) -> EndpointStatus:
    return EndpointStatus(
        name=one.name,
        address=one.address,
        state=one.state,
        why=one.why,
        weight=one.weight,
        backup=one.backup,
        fails=one.fails,
        requests=one.counters.requests,
        active_requests=one.active_requests,
        splices=one.splices,
        connections_idle=one.connections_idle,
        bytes_to_upstream=one.bytes_to_upstream,
        bytes_to_client=one.bytes_to_client,
        labels=dict(one.labels),
    )


def _route(requests: dict[tuple[str, str, int], int]) -> RouteStatus:
    by_code: dict[str, int] = {}
    for (_, _, code), count in sorted(requests.items(), key=lambda item: item[0][2]):
        by_code[str(code)] = by_code.get(str(code), 0) + count
    return RouteStatus(requests=sum(by_code.values()), requests_by_code=by_code)


@cache
def version() -> str:
    """Return the version of the distribution; ``unknown`` in a checkout that is not installed."""
    try:
        return metadata.version("hotsplice")
    except metadata.PackageNotFoundError:
        return "unknown"
