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

from admin.api.media import answer
from admin.api.operations import Call
from admin.api.revisions import summary
from admin.controller import Controller
from admin.folder.ownership import apart
from admin.offloading import offload
from admin.records import Override
from admin.revisions import Attempt
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
    pending = controller.pending
    pools = (pool for pool in reading.pools if pool.live or pool.endpoints)
    return {
        "versions": {"hotsplice": version(), "python": python_version()},
        "started": _STARTED_AT,
        "uptime_s": time.monotonic() - _STARTED,
        "revision": summary(controller.revision, controller.revision.number),
        "pending": None if pending is None else asdict(pending),
        "last_apply": _apply(controller.applies.last),
        "drift": list(controller.drift),
        "folder": _folder(controller),
        "ready": ready,
        "draining": reading.draining,
        "drain_remaining": reading.drain_remaining,
        "event_loop_lag_s": reading.loop_lag_s,
        "overrides": [asdict(one) for one in overrides.values()],
        "listeners": {
            one.name: _listener(one) for one in reading.listeners if one.address is not None
        },
        "pools": {pool.name: _pool(pool, overrides) for pool in pools},
        "routes": {route.name: _route(route.counters.requests.copy()) for route in reading.routes},
    }


def _apply(last: Attempt | None) -> dict[str, object] | None:
    if last is None:
        return None
    return {
        "time": last.time,
        "source": last.origin.source,
        "author": last.origin.author,
        "result": last.result,
        "faults": last.faults,
    }


def _folder(controller: Controller) -> dict[str, object] | None:
    folder, owned = controller.folder, controller.memory.state.owned
    if folder is None:
        return None
    beside, unserved = apart(controller.drift, owned, folder.said)
    return {
        "path": str(folder.path),
        "read": folder.read_at,
        "faults": [asdict(fault) for fault in folder.faults],
        "objects": dict(owned),
        "beside": beside,
        "unserved": unserved,
    }


def _listener(one: ListenerReading) -> dict[str, object]:
    return {
        "address": one.address,
        "accepting": one.accepting,
        "connections_active": one.counters.active.copy(),
        "connections_opened": one.counters.opened.copy(),
        "requests_in_flight": one.counters.in_flight,
        "rejected": one.counters.rejected.copy(),
    }


def _pool(pool: PoolReading, overrides: Mapping[tuple[str, str], Override]) -> dict[str, object]:
    return {
        "endpoints": [
            _endpoint(one, _override(pool.name, one.name, overrides)) for one in pool.endpoints
        ],
        "spliced_bytes_to_upstream": pool.spliced_to_upstream,
        "spliced_bytes_to_client": pool.spliced_to_client,
        "retries": pool.counters.retries,
        "ejections": pool.counters.ejections,
        "errors": pool.counters.errors.copy(),
        "discovery": _discovery(pool.discovery),
    }


def _discovery(one: DiscoveryReading | None) -> dict[str, object] | None:
    if one is None:
        return None
    return {
        "name": one.name,
        "records": one.records,
        "found": one.found,
        "answered_at": one.answered_at,
        "failing": one.reason or None,
        "lookups": dict(one.lookups),
    }


def _override(
    pool: str, endpoint: str, overrides: Mapping[tuple[str, str], Override]
) -> Override | None:
    # One of several addresses of a name is called name@address.
    return overrides.get((pool, endpoint)) or overrides.get((pool, endpoint.partition("@")[0]))


def _endpoint(one: EndpointReading, override: Override | None) -> dict[str, object]:
    return {
        "name": one.name,
        "address": one.address,
        "state": one.state,
        "why": _why(override) if override and override.state == one.state else one.why,
        "weight": one.weight,
        "backup": one.backup,
        "override": None if override is None else asdict(override),
        "fails": one.fails,
        "requests": one.counters.requests,
        "active_requests": one.active_requests,
        "splices": one.splices,
        "discovered": one.discovered,
        "connections_idle": one.connections_idle,
        "bytes_to_upstream": one.bytes_to_upstream,
        "bytes_to_client": one.bytes_to_client,
        "labels": dict(one.labels),
    }


def _why(override: Override) -> str:
    until = datetime.fromtimestamp(override.until, UTC).isoformat(timespec="seconds")
    note = f": {override.note}" if override.note else ""
    return f"overridden by {override.author} until {until}{note}"


def _route(requests: dict[RequestKey, int]) -> dict[str, object]:
    by_code: dict[str, int] = {}
    for (_, _, code), count in sorted(requests.items(), key=lambda item: item[0][2]):
        by_code[str(code)] = by_code.get(str(code), 0) + count
    return {"requests": sum(by_code.values()), "requests_by_code": by_code}


@cache
def version() -> str:
    """Return the version of the distribution; ``unknown`` in a checkout that is not installed."""
    try:
        return metadata.version("hotsplice")
    except metadata.PackageNotFoundError:
        return "unknown"
