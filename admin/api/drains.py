"""``/v1/drains``: some connections are told to close, paced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, TypeAlias

from aiohttp import web
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from admin.api.connections import SELECTS, Kind
from admin.api.media import JSON, YAML, answer, fresh, read_body
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.documents.endpoint import MAX_LABELS, LabelName
from admin.documents.faults import IS_NOT, located
from admin.documents.model import Maybe, Model
from admin.documents.pool import CLOSE_REASON_BYTES, sendable_code, sendable_reason
from admin.documents.scalars import Duration, Name, Whole, seconds
from proxy.connections import ANY, Selector
from proxy.drains import DrainOrder, DrainProgress, TooManyDrainsError
from proxy.errors import Fault

SMALLEST: Final = 0.001
"""The least rate and fraction; less would never close anything."""

MAX_RATE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Between:
    """Annotates a number within bounds, whole or not."""

    least: float
    most: float

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.float_schema(ge=self.least, le=self.most, strict=True, allow_inf_nan=False),
            custom_error_type=IS_NOT,
            custom_error_message="not such a number",
            custom_error_context={
                "expected": f"a number from {self.least:g} to {self.most:,g}",
                "hint": None,
            },
        )


Text: TypeAlias = Maybe[Annotated[str, Field(max_length=300)]]


class DrainSelector(Model):
    """Which connections: those for which everything that is given holds."""

    kind: Maybe[Kind] = Field(default=None, description="Of this kind.", examples=["websocket"])
    listener: Text = Field(
        default=None, description="That came to this listener.", examples=["public"]
    )
    route: Text = Field(default=None, description="Of this route.", examples=["chat"])
    pool: Text = Field(default=None, description="That go to this pool.", examples=["backend"])
    endpoint: Text = Field(
        default=None,
        description="That go to this endpoint, by name or address.",
        examples=["blue-0"],
    )
    labels: dict[LabelName, Annotated[str, Field(max_length=256)]] = Field(
        default_factory=dict,
        max_length=MAX_LABELS,
        description="Whose endpoint has all of these labels.",
        examples=[{"node": "n7"}],
    )
    min_age: Maybe[Duration] = Field(
        default=None, description="That are at least so old.", examples=["10m"]
    )
    min_idle: Maybe[Duration] = Field(
        default=None,
        description="Over which nothing came for at least so long.",
        examples=["5m"],
    )


class DrainBody(Model):
    """What a drain is to do."""

    selector: DrainSelector = Field(
        description="Which connections; at least one thing has to be said.",
        examples=[{"labels": {"node": "n7"}}],
    )
    cordon: Maybe[bool] = Field(
        default=None,
        description="Give the endpoints of `pool`, `endpoint` and `labels` no new work until the "
        "drain is cancelled. By default, if the selector names an endpoint or labels and there is "
        "no `fraction`.",
        examples=[True],
    )
    fraction: Maybe[Annotated[float, Between(SMALLEST, 1)]] = Field(
        default=None,
        description="Close only so much of what is selected, chosen at random.",
        examples=[0.25],
    )
    code: Annotated[int, Whole(1000, 4999), AfterValidator(sendable_code)] = Field(
        default=1012, description="What WebSockets are told.", examples=[1001, 1012]
    )
    reason: Annotated[
        str, Field(max_length=CLOSE_REASON_BYTES), AfterValidator(sendable_reason)
    ] = Field(
        default="service restart",
        description="The same in words.",
        examples=["service restart"],
    )
    rate: Annotated[float, Between(SMALLEST, MAX_RATE)] = Field(
        default=100.0,
        description="Connections closed per second; more, if `timeout` asks for it.",
        examples=[100],
    )
    timeout: Duration = Field(
        default="30s", description="What is still open after this is cut.", examples=["30s"]
    )

    def order(self, author: str, note: str | None) -> DrainOrder:
        """Translate; who wants it, and why, is added."""
        chosen = self.selector
        order = DrainOrder(
            selector=Selector(
                **{name: getattr(chosen, name) for name in SELECTS},
                labels=tuple(sorted(chosen.labels.items())),
                min_age_s=None if chosen.min_age is None else seconds(chosen.min_age),
                min_idle_s=None if chosen.min_idle is None else seconds(chosen.min_idle),
            ),
            cordon=self.cordon,
            fraction=self.fraction,
            code=self.code,
            reason=self.reason,
            rate=self.rate,
            timeout_s=seconds(self.timeout),
            author=author,
            note=note,
        )
        # What was answered can be sent again, and is the same order.
        return replace(order, cordon=order.cordons)


class DrainStatus(BaseModel):
    """A drain, and how far it is."""

    model_config = ConfigDict(defer_build=True)

    name: str
    selector: dict[str, Any] = Field(description="What was said in it, as DrainSelector.")
    cordon: bool
    fraction: float | None = Field(description="Null: all of what is selected.")
    code: int
    reason: str
    rate: float
    timeout: str
    author: str = Field(description="Who started it.")
    note: str | None
    since: float = Field(description="In seconds since 1970.")
    selected: int = Field(description="Connections chosen, those that came since included.")
    closed: int
    remaining: int
    cordoned: list[str] = Field(
        description="Endpoints that get no new work because of it, as `pool/endpoint`."
    )
    done: bool = Field(description="None of the connections is left.")


class DrainList(BaseModel):
    """Every drain that is remembered, the oldest first."""

    model_config = ConfigDict(defer_build=True)

    items: list[DrainStatus]


_NAME: Final = TypeAdapter(Name)


async def get_list(call: Call) -> web.Response:
    """Answer with every drain."""
    return await fresh({"items": [_shown(one) for one in call.server.drains()]}, call.media)


async def get(call: Call) -> web.Response:
    """Answer with how far a drain is."""
    name = _name(call)
    progress = call.server.drain_progress(name)
    if progress is None:
        raise _nothing(name)
    return await fresh(_shown(progress), call.media)


async def put(call: Call) -> web.Response:
    """Start a drain, or let the same one go on."""
    order = _read((await read_body(call.request, (JSON, YAML))).value, call)
    name = _checked(_name(call))
    created = call.server.drain_progress(name) is None
    try:
        progress = call.server.start_drain(name, order)
    except TooManyDrainsError as error:
        fault = Fault("", str(error), "cancel one: DELETE /v1/drains/{name}")
        raise Problem(409, "There are too many drains already.", [fault]) from None
    return await answer(_shown(progress), call.media, status=201 if created else 200)


async def delete(call: Call) -> web.Response:
    """Cancel a drain."""
    name = _name(call)
    if not call.server.cancel_drain(name, call.principal.name):
        raise _nothing(name)
    return web.Response(status=204)


def _name(call: Call) -> str:
    return call.request.match_info["name"]


def _checked(name: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        hint = "up to 63 letters, digits, `_`, `.` and `-`, a letter or digit first"
        fault = Fault("name", "not the name of a drain", hint)
        raise Problem(422, "A drain cannot have this name.", [fault]) from None


def _nothing(name: str) -> Problem:
    return Problem(404, f"There is no drain {name}; GET /v1/drains lists them.")


def _read(value: object, call: Call) -> DrainOrder:
    refusal = "The drain has faults. Nothing was changed."
    try:
        body = DrainBody.model_validate(value)
    except ValidationError as error:
        faults = located(error.errors(include_url=False), DrainBody)
        raise Problem(422, refusal, faults) from error
    order = body.order(call.principal.name, call.query.get("note"))
    if order.selector == ANY:
        hint = f"say at least one of {', '.join(DrainSelector.model_fields)}"
        raise Problem(422, refusal, [Fault("/selector", "takes every connection", hint)])
    return order


def _shown(progress: DrainProgress) -> dict[str, Any]:
    order = progress.order
    return {
        "name": progress.name,
        "selector": _selector(order.selector),
        "cordon": order.cordons,
        "fraction": order.fraction,
        "code": order.code,
        "reason": order.reason,
        "rate": order.rate,
        "timeout": _duration(order.timeout_s),
        "author": order.author,
        "note": order.note,
        "since": progress.since,
        "selected": progress.selected,
        "closed": progress.closed,
        "remaining": progress.remaining,
        "cordoned": list(progress.cordoned),
        "done": progress.done,
    }


def _selector(selector: Selector) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(selector, name) for name in SELECTS}
    shown["labels"] = dict(selector.labels) or None
    for name, span_s in (("min_age", selector.min_age_s), ("min_idle", selector.min_idle_s)):
        shown[name] = None if span_s is None else _duration(span_s)
    return {name: value for name, value in shown.items() if value is not None}


def _duration(span_s: float) -> str:
    whole_s, rest_ms = divmod(round(span_s * 1000), 1000)
    return f"{whole_s}s" * bool(whole_s) + f"{rest_ms}ms" * bool(rest_ms)
