"""``/v1/pools/{name}/endpoints/{endpoint}/override``: the switch beside the document."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from admin.api.checked import read_checked
from admin.api.media import JSON, YAML, answer
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.api.resources import existing
from admin.documents.units import seconds
from admin.overrides import MOST, TooManyOverridesError
from admin.records import Override
from proxy.errors import SpecError

if TYPE_CHECKING:
    from admin.api.bodies.overrides import OverrideBody


async def get(call: Call) -> web.Response:
    """Answer with the override of an endpoint."""
    return await answer(asdict(_found(call)), call.media)


async def put(call: Call) -> web.Response:
    """Set or replace the override of an endpoint."""
    body: OverrideBody
    body, _ = await read_checked(
        call, (JSON, YAML), "The override has faults. Nothing was changed."
    )
    pool, endpoint = _names(call)
    _check_endpoint(call)
    now = time.time()
    override = Override(
        pool=pool,
        endpoint=endpoint,
        state=body.state,
        weight=body.weight,
        since=now,
        until=now + seconds(body.ttl),
        author=call.principal.name,
        note=body.note,
    )
    overrides = call.controller.overrides
    created = overrides.find(pool, endpoint) is None
    try:
        await overrides.put(override)
    except TooManyOverridesError:
        raise Problem(409, f"There are {MOST:,} overrides already.") from None
    except SpecError as error:
        raise Problem(422, "The pool cannot be so. Nothing was changed.", error.faults) from error
    return await answer(asdict(override), call.media, status=201 if created else 200)


async def delete(call: Call) -> web.Response:
    """End the override of an endpoint before its time."""
    _found(call)
    try:
        await call.controller.overrides.remove(*_names(call), call.principal.name)
    except SpecError as error:
        raise Problem(
            422, "The pool cannot be without it. Nothing was changed.", error.faults
        ) from error
    return web.Response(status=204)


def _names(call: Call) -> tuple[str, str]:
    names = call.request.match_info
    return names["name"], names["endpoint"]


def _check_endpoint(call: Call) -> None:
    """Check that there is such an endpoint, in the document or found; a 404 ``Problem`` if not."""
    pool, endpoint = _names(call)
    pools = (one for one in call.server.read().pools if one.name == pool and one.discovery)
    if not any(one.discovered and one.name == endpoint for each in pools for one in each.endpoints):
        existing(call.controller.raw, call.place)


def _found(call: Call) -> Override:
    pool, endpoint = _names(call)
    found = call.controller.overrides.find(pool, endpoint)
    if found is None:
        _check_endpoint(call)
        raise Problem(404, f"The endpoint {endpoint} of the pool {pool} has no override.")
    return found
