"""``/v1/pools/{name}/endpoints/{endpoint}/override``: the switch beside the document."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from admin.api.media import JSON, YAML, answer, read_body
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.api.resources import existing
from admin.documents.endpoint import Weight
from admin.documents.faults import located
from admin.documents.model import Maybe, Model
from admin.documents.scalars import Duration, seconds
from admin.overrides import MOST, TooManyOverridesError
from admin.records import Override
from proxy.errors import Fault, SpecError

NOTE_CHARACTERS: Final = 500

State = Literal["active", "drain", "down"]


class OverrideBody(Model):
    """What an endpoint is to be for a while, whatever the document says."""

    state: State = Field(
        description="`drain` takes no new work but keeps what it has; `down` is out; `active` "
        "serves, whatever the document says.",
        examples=["drain"],
    )
    weight: Maybe[Weight] = Field(
        default=None, description="Its share of the work; by default the document's.", examples=[1]
    )
    ttl: Duration = Field(description="It ends by itself after this.", examples=["1h"])
    note: Maybe[Annotated[str, Field(max_length=NOTE_CHARACTERS)]] = Field(
        default=None, description="Why; shown in status, and logged.", examples=["disk swap"]
    )


class OverrideStatus(BaseModel):
    """An override, also of an endpoint that the document does not have at present."""

    model_config = ConfigDict(defer_build=True)

    pool: str
    endpoint: str
    state: State
    weight: int | None = Field(description="Null: the document's.")
    since: float = Field(description="In seconds since 1970.")
    until: float = Field(description="In seconds since 1970.")
    author: str = Field(description="A token's name, `unix` or `anonymous`.")
    note: str | None


async def get(call: Call) -> web.Response:
    """Answer with the override of an endpoint."""
    return await answer(asdict(_found(call)), call.media)


async def put(call: Call) -> web.Response:
    """Set or replace the override of an endpoint."""
    body = _read((await read_body(call.request, (JSON, YAML))).value)
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


def _read(value: object) -> OverrideBody:
    try:
        return OverrideBody.model_validate(value)
    except ValidationError as error:
        faults: list[Fault] = located(error.errors(include_url=False), OverrideBody)
        raise Problem(422, "The override has faults. Nothing was changed.", faults) from error
