"""The admin API as an aiohttp application: the table of operations, and what surrounds each.

    count and log -> guard -> route -> role -> query -> Accept -> handler

Whatever is refused on that way ends as ``application/problem+json``, aiohttp's own refusals too.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from admin.api.audit import OPERATION, PRINCIPAL, REFUSAL, Audit
from admin.api.auth import Guard, require
from admin.api.media import BODY_BYTES, choose
from admin.api.operations import Call, Operation
from admin.api.problems import Problem, not_kept, owned, pending, unknown
from admin.api.table import OPERATIONS
from admin.controller import Controller, PendingError, RefusedError
from admin.drain import ACCEPT_S, DRAIN_S, ProcessDrain
from admin.folder.ownership import OwnedError
from admin.offloading import give_way
from admin.plane import DataPlane
from admin.store import NotKeptError
from proxy.errors import Fault
from proxy.telemetry.logging import get_logger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = get_logger("admin.api")


def application(
    controller: Controller,
    server: DataPlane,
    guard: Guard,
    counts: Counter[int],
    drain: ProcessDrain | None = None,
) -> web.Application:
    """Make the application; ``counts`` gets the answers by status."""
    if drain is None:
        drain = ProcessDrain(server, controller.events, timeout_s=DRAIN_S, accept_s=ACCEPT_S)
    app = web.Application(
        client_max_size=BODY_BYTES, middlewares=[_outermost(counts, controller), _guarded(guard)]
    )
    for operation in OPERATIONS:
        handler = _bound(operation, controller, server, drain, guard)
        if operation.method == "GET":
            app.router.add_get(operation.path, handler)
        else:
            app.router.add_route(operation.method, operation.path, handler)
    app.on_shutdown.append(_no_more_events(controller))
    return app


def _no_more_events(controller: Controller) -> Callable[[web.Application], Awaitable[None]]:
    async def close(_: web.Application) -> None:
        controller.events.close()

    return close


def _bound(
    operation: Operation,
    controller: Controller,
    server: DataPlane,
    drain: ProcessDrain,
    guard: Guard,
) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        principal = request[PRINCIPAL]
        request[OPERATION] = operation.name
        require(principal, operation.role)
        query = _query(request, operation)
        media = choose(",".join(request.headers.getall("Accept", ())), operation.offers)
        return await operation.handler(
            Call(request, operation, controller, server, drain, guard, principal, media, query)
        )

    return handle


def _query(request: web.Request, operation: Operation) -> dict[str, Any]:
    known = {one.name: one for one in operation.parameters if one.where == "query"}
    query: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, text in request.query.items():
        if name not in known:
            faults.append(unknown(name, "parameter", name, known))
        elif name in query and not known[name].repeats:
            faults.append(Fault(name, "given more than once"))
        else:
            try:
                value = known[name].read(text)
            except ValueError as error:
                faults.append(Fault(name, f"{text!r} is not {error}"))
            else:
                query[name] = (*query.get(name, ()), value) if known[name].repeats else value
    if faults:
        raise Problem(400, "The query has faults.", faults)
    return query


def _guarded(guard: Guard) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[PRINCIPAL] = guard.admit(request)
        await give_way()
        return await handler(request)

    return middleware


def _outermost(counts: Counter[int], controller: Controller) -> Any:
    audit = Audit(controller)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        response = await _answered(request, handler)
        counts[response.status] += 1
        audit.take(request, response, time.monotonic() - started)
        await give_way()
        return response

    return middleware


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 (a bug is answered too)
        problem = _problem(request, error)
    request[REFUSAL] = problem.detail
    return problem.response()


def _problem(request: web.Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RefusedError):
        detail = f"The document has {len(error.faults)} fault{'s' * (len(error.faults) > 1)}."
        return Problem(422, f"{detail} Nothing was changed.", error.faults)
    if isinstance(error, PendingError):
        return pending(error.pending)
    if isinstance(error, OwnedError):
        return owned(error)
    if isinstance(error, NotKeptError):
        return not_kept(str(error))
    if isinstance(error, web.HTTPException):
        return _translated(request, error)
    _log.error("admin_request_failed", method=request.method, path=request.path, exc_info=error)
    return Problem(500, "A bug of ours; the log says more. Nothing was changed.")


def _translated(request: web.Request, error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(405, f"{request.method} is not for this path.", (), {"Allow": allowed})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem(413, f"The body is over {BODY_BYTES:,} bytes.")
    if error.status == 404:
        known = sorted({operation.path for operation in OPERATIONS})
        fault = unknown("", "path", request.path, known)
        return Problem(404, "There is nothing at this path; /docs lists what there is.", [fault])
    return Problem(error.status, error.reason)
