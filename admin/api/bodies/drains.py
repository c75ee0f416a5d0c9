"""Selective drains: what is asked for, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
)
from pydantic_core import CoreSchema, core_schema

from admin.api.connections import SELECTS, Kind
from admin.documents.endpoint import MAX_LABELS, LabelName
from admin.documents.faults import IS_NOT
from admin.documents.goodbye import CLOSE_REASON_BYTES, sendable_code, sendable_reason
from admin.documents.model import Maybe, Model
from admin.documents.scalars import Duration, Whole
from admin.documents.units import seconds
from proxy.connections import Selector
from proxy.drains import DrainOrder

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
