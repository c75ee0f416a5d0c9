"""The telemetry listener: ``/metrics``, ``/livez``, ``/readyz``, ``/drained``.  It only reads.

It is reached by Prometheus and the kubelet over the pod's address, so it is apart from the admin
listener, and nothing here changes anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from aiohttp import web
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from admin import collector
from admin.controller import Controller
from admin.documents.units import seconds
from admin.offloading import in_turns
from admin.plane import DataPlane
from proxy.background import in_background
from proxy.errors import FaultError
from proxy.telemetry.exposition import ending, pieces, render

MAX_WAIT_S: Final = 3600.0
"""``/drained`` waits no longer than this, in seconds."""

ENDPOINTS_INLINE: Final = 400
"""More endpoints, of all pools together, are looked at in a thread: one look at so many takes 1 ms.
For fewer a thread would be dearer: two of them share a core in turns of some milliseconds."""

PREFIX: Final = "hotsplice_"


def application(
    server: DataPlane,
    controller: Controller,
    admin_requests: Counter[int],
    started: Callable[[], bool],
) -> web.Application:
    """Make the application.

    ``admin_requests`` are the admin API's answers by status; ``started`` tells whether the process
    serves what it was started with.
    """

    async def metrics(request: web.Request) -> web.Response:
        reading = server.read()
        extra = tuple(control_plane(controller, admin_requests))
        accept = ",".join(request.headers.getall("Accept", []))
        if sum(len(pool.endpoints) for pool in reading.pools) > ENDPOINTS_INLINE:
            collector.wait()
            body, content_type = await in_background(render, reading, accept, extra)
        else:
            parts = await in_turns(pieces(reading, accept))
            rest, content_type = await asyncio.to_thread(ending, accept, extra)
            body = b"".join([*parts, rest])
        return web.Response(body=body, headers={"Content-Type": content_type, "Vary": "Accept"})

    async def livez(request: web.Request) -> web.Response:
        return _said(200, "ok")

    async def readyz(request: web.Request) -> web.Response:
        if server.draining:
            return _said(503, "draining")
        return _said(200, "ok") if started() and server.ready else _said(503, "starting")

    async def drained(request: web.Request) -> web.Response:
        wait = request.query.get("wait", "0s")
        times_s = {}
        for name, text in (("wait", wait), ("begin", request.query.get("begin", wait))):
            try:
                times_s[name] = min(seconds(text), MAX_WAIT_S)
            except FaultError as error:
                return _said(400, f"{name}: {error.message}; {error.hint}")
        begin_s = min(times_s["begin"], times_s["wait"])
        for most_s in (begin_s, times_s["wait"] - begin_s):
            try:
                async with asyncio.timeout(most_s):
                    await server.drained()
            except TimeoutError:
                if not server.draining:
                    return _said(503, "no drain has begun")
            else:
                return _said(200, "drained")
        return _said(503, f"{server.remaining} connections remain")

    app = web.Application()
    for path, handler in (
        ("/metrics", metrics),
        ("/livez", livez),
        ("/readyz", readyz),
        ("/drained", drained),
    ):
        app.router.add_get(path, handler)
    return app


def control_plane(controller: Controller, admin_requests: Counter[int]) -> Iterator[Metric]:
    """Give the families about the configuration and the admin API."""
    applies = CounterMetricFamily(
        PREFIX + "config_applies",
        "Attempts to change the configuration.",
        labels=("source", "result"),
    )
    for (source, result), count in controller.applies.counts.items():
        applies.add_metric((source, result), count)
    yield applies
    requests = CounterMetricFamily(
        PREFIX + "admin_requests", "Answers of the admin API.", labels=("code",)
    )
    for code, count in admin_requests.items():
        requests.add_metric((str(code),), count)
    yield requests
    yield GaugeMetricFamily(
        PREFIX + "config_revision", "The revision that serves.", controller.revision.number
    )
    yield GaugeMetricFamily(
        PREFIX + "config_drift",
        "Objects in which what serves differs from the file or folder last read.",
        len(controller.drift),
    )
    yield GaugeMetricFamily(
        PREFIX + "overrides_active",
        "Overrides of endpoints that are in force, or wait for their endpoint.",
        len(controller.overrides.all()),
    )
    last = controller.applies.last
    if last is not None:
        yield GaugeMetricFamily(
            PREFIX + "config_last_apply_timestamp_seconds",
            "When a change of the configuration was last attempted.",
            last.time,
        )
        yield GaugeMetricFamily(
            PREFIX + "config_last_apply_successful",
            "Whether that attempt was not refused.",
            int(last.result != "refused"),
        )


def _said(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={"Cache-Control": "no-store"})
