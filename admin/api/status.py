"""``/v1/status``: what is live right now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from platform import python_version
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from admin.api.media import answer
from admin.api.operations import Call
from admin.api.overrides import OverrideStatus
from admin.api.problems import FaultDetails
from admin.api.revisions import RevisionSummary, summary
from admin.controller import Controller
from admin.folder.ownership import apart
from admin.offloading import offload
from admin.records import Override
from admin.revisions import Attempt, Result, Source
from proxy.telemetry.counters import RequestKey
from proxy.telemetry.reading import (
    DiscoveryReading,
    EndpointReading,
    ListenerReading,
    PoolReading,
    Reading,
)

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


class PendingStatus(Part):
    """A revision that is taken back unless it is confirmed in time; nothing else is written."""

    revision: int
    back_to: int = Field(description="The revision whose document serves again otherwise.")
    until: float = Field(description="In seconds since 1970.")


class ApplyStatus(Part):
    """The last attempt to change the configuration, dry runs left out."""

    time: float = Field(description="In seconds since 1970.")
    source: Source
    author: str
    result: Result
    faults: int = Field(description="How many faults a refused document had.")


class FolderStatus(Part):
    """The folder of `--config`, which owns its objects."""

    path: str
    read: float | None = Field(description="When it was last read, in seconds since 1970.")
    faults: list[FaultDetails] = Field(
        description="Why what it says does not serve, and what it said before goes on; empty if it "
        "serves. The path is `file:pointer`, or a pointer if the fault is in none of its files."
    )
    objects: dict[str, str] = Field(
        description="By pointer, the objects that only the folder may change, and their files."
    )
    beside: list[str] = Field(
        description="Of the drift, what was added by REST; a DELETE reverts that."
    )
    unserved: list[str] = Field(
        description="Of the drift, what the folder says otherwise; an end of the faults reverts it."
    )


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
    override: OverrideStatus | None = Field(description="What beats the document, if anything.")
    fails: int = Field(description="Failures within the current `fail_timeout`.")
    requests: int = Field(description="Attempts made on it.")
    active_requests: int
    splices: int = Field(description="WebSockets and other tunnels.")
    discovered: bool = Field(description="It is in no document, but was found.")
    connections_idle: int
    bytes_to_upstream: int = Field(description="Live splices included.")
    bytes_to_client: int = Field(description="Live splices included.")
    labels: dict[str, str]


class DiscoveryStatus(Part):
    """What a pool is told of its endpoints."""

    name: str = Field(description="That DNS is asked for.")
    records: str
    found: int | None = Field(
        description="Endpoints of the last good answer; `null` if there never was one."
    )
    answered_at: float | None = Field(description="When that was, in seconds since 1970.")
    failing: str | None = Field(
        description="Why the last look-up failed, and what was found before goes on; or `null`."
    )
    lookups: dict[str, int] = Field(description="How many were `answered`, and `failed`.")


class PoolStatus(Part):
    """A pool; a name that stands for several addresses gives an endpoint for each."""

    endpoints: list[EndpointStatus]
    spliced_bytes_to_upstream: int = Field(description="Live splices included.")
    spliced_bytes_to_client: int = Field(description="Live splices included.")
    retries: int
    ejections: int
    errors: dict[str, int] = Field(description="By reason.")
    discovery: DiscoveryStatus | None = Field(
        description="How it is with `discovery`, if the pool has any."
    )


class RouteStatus(Part):
    """A route; `none` counts the requests that no route took."""

    requests: int
    requests_by_code: dict[str, int]


class Status(Part):
    """Everything at one moment."""

    versions: Versions
    started: float = Field(description="When the process started, in seconds since 1970.")
    uptime_s: float
    revision: RevisionSummary = Field(description="The one that serves.")
    pending: PendingStatus | None = Field(description="The confirmation that is waited for.")
    last_apply: ApplyStatus | None = Field(description="`null` before the first.")
    drift: list[str] = Field(
        description="Pointers to the objects that differ from the file last read, which SIGHUP "
        "reverts, or from the folder."
    )
    folder: FolderStatus | None = Field(
        description="`null` if `--config` names none, and nothing is owned."
    )
    ready: bool = Field(description="Whether every listener accepts and no drain runs.")
    draining: bool
    drain_remaining: int = Field(description="Client connections that the drain waits for.")
    event_loop_lag_s: float = Field(description="The greatest of the last ten to twenty seconds.")
    overrides: list[OverrideStatus] = Field(
        description="All of them, also those whose endpoint is gone."
    )
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
    overrides = {one.key: one for one in controller.overrides.all()}
    pending = None if controller.pending is None else PendingStatus(**asdict(controller.pending))
    status = Status(
        versions=Versions(hotsplice=version(), python=python_version()),
        started=_STARTED_AT,
        uptime_s=time.monotonic() - _STARTED,
        revision=RevisionSummary.model_validate(
            summary(controller.revision, controller.revision.number)
        ),
        pending=pending,
        last_apply=_apply(controller.applies.last),
        drift=list(controller.drift),
        folder=_folder(controller),
        ready=ready,
        draining=reading.draining,
        drain_remaining=reading.drain_remaining,
        event_loop_lag_s=reading.loop_lag_s,
        overrides=[OverrideStatus(**asdict(one)) for one in overrides.values()],
        listeners={
            one.name: _listener(one) for one in reading.listeners if one.address is not None
        },
        pools={},
        routes={route.name: _route(route.counters.requests.copy()) for route in reading.routes},
    ).model_dump()
    pools = (pool for pool in reading.pools if pool.live or pool.endpoints)
    return {**status, "pools": {pool.name: _pool(pool, overrides) for pool in pools}}


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


def _folder(controller: Controller) -> FolderStatus | None:
    folder, owned = controller.folder, controller.memory.state.owned
    if folder is None:
        return None
    beside, unserved = apart(controller.drift, owned, folder.said)
    return FolderStatus(
        path=str(folder.path),
        read=folder.read_at,
        faults=[FaultDetails(**asdict(fault)) for fault in folder.faults],
        objects=dict(owned),
        beside=beside,
        unserved=unserved,
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


def _pool(pool: PoolReading, overrides: Mapping[tuple[str, str], Override]) -> dict[str, object]:
    status = PoolStatus(
        endpoints=[],
        spliced_bytes_to_upstream=pool.spliced_to_upstream,
        spliced_bytes_to_client=pool.spliced_to_client,
        retries=pool.counters.retries,
        ejections=pool.counters.ejections,
        errors=pool.counters.errors.copy(),
        discovery=_discovery(pool.discovery),
    ).model_dump()
    # One by one: pydantic does not let go of the interpreter before it is through with a value.
    endpoints = [
        _endpoint(one, _override(pool.name, one.name, overrides)).model_dump()
        for one in pool.endpoints
    ]
    return {**status, "endpoints": endpoints}


def _discovery(one: DiscoveryReading | None) -> DiscoveryStatus | None:
    if one is None:
        return None
    return DiscoveryStatus(
        name=one.name,
        records=one.records,
        found=one.found,
        answered_at=one.answered_at,
        failing=one.reason or None,
        lookups=dict(one.lookups),
    )


def _override(
    pool: str, endpoint: str, overrides: Mapping[tuple[str, str], Override]
) -> Override | None:
    # One of several addresses of a name is called name@address.
    return overrides.get((pool, endpoint)) or overrides.get((pool, endpoint.partition("@")[0]))


def _endpoint(one: EndpointReading, override: Override | None) -> EndpointStatus:
    return EndpointStatus(
        name=one.name,
        address=one.address,
        state=one.state,
        why=_why(override) if override and override.state == one.state else one.why,
        weight=one.weight,
        backup=one.backup,
        override=None if override is None else OverrideStatus(**asdict(override)),
        fails=one.fails,
        requests=one.counters.requests,
        active_requests=one.active_requests,
        splices=one.splices,
        discovered=one.discovered,
        connections_idle=one.connections_idle,
        bytes_to_upstream=one.bytes_to_upstream,
        bytes_to_client=one.bytes_to_client,
        labels=dict(one.labels),
    )


def _why(override: Override) -> str:
    until = datetime.fromtimestamp(override.until, UTC).isoformat(timespec="seconds")
    note = f": {override.note}" if override.note else ""
    return f"overridden by {override.author} until {until}{note}"


def _route(requests: dict[RequestKey, int]) -> RouteStatus:
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
