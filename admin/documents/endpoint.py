"""``pools.NAME.endpoints``: the servers of a pool."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from admin.documents.model import Maybe, Model, OrWord
from admin.documents.scalars import Count, Duration, Pattern, Whole
from admin.documents.units import limit, seconds
from proxy import spec

MAX_LABELS: Final = 32
MAX_WEIGHT: Final = 1_000_000

Weight: TypeAlias = Annotated[int, Whole(1, MAX_WEIGHT, hint="for no new work write state: drain")]
MaxFails: TypeAlias = Annotated[
    int, Whole(1, 1_000_000, hint="to count no failures write passive_health: off")
]
LabelName: TypeAlias = Annotated[
    str,
    Pattern(
        "^[A-Za-z0-9][A-Za-z0-9_./-]{0,252}$",
        "the name of a label",
        "up to 253 letters, digits and `_./-`, a letter or digit first",
    ),
]


class EndpointPassiveHealth(Model):
    """What takes this endpoint out; what is left out is as the pool has it."""

    max_fails: Maybe[MaxFails] = Field(
        default=None, description="Failures within `fail_timeout` that take it out.", examples=[3]
    )
    fail_timeout: Maybe[Duration] = Field(
        default=None,
        description="The time they are counted in, and it is out for.",
        examples=["10s"],
    )


class Endpoint(Model):
    """One server of a pool."""

    address: Maybe[Annotated[str, Field(max_length=300)]] = Field(
        default=None,
        description="`host:port`, `[v6]:port` or `unix:/path`; by default the endpoint's name. A "
        "host that is a name stands for all of its addresses, each an endpoint of its own.",
        examples=["10.0.0.7:8000", "[2001:db8::7]:8000", "unix:/run/app.sock"],
    )
    seat: Annotated[int, Whole(1, 1_000)] = Field(
        default=1,
        description="Tells endpoints of one address apart: each takes turns, counts failures and "
        "has connections for itself.",
        examples=[1],
    )
    weight: Weight = Field(
        default=1, description="Its share of the work, beside the others' weights.", examples=[1]
    )
    backup: bool = Field(
        default=False, description="Serve only when no other endpoint can.", examples=[False]
    )
    max_connections: Count = Field(
        default="unlimited",
        description="Requests and spliced connections at once, together.",
        examples=[100, "unlimited"],
    )
    state: Literal["active", "drain", "down"] = Field(
        default="active",
        description="`drain` takes no new work but keeps what it has; `down` is out.",
        examples=["active"],
    )
    labels: dict[LabelName, Annotated[str, Field(max_length=256)]] = Field(
        default_factory=dict,
        max_length=MAX_LABELS,
        description="Free labels; connections and drains can be selected by them.",
        examples=[{"node": "n7"}],
    )
    passive_health: Annotated[
        Maybe[Annotated[EndpointPassiveHealth | Literal["off"], OrWord()]],
        Field(
            description="Over the pool's; `off`: failures never take this endpoint out.",
            examples=[{"max_fails": 1}, "off"],
        ),
    ] = None

    def to_spec(self, name: str, pool: spec.PassiveHealthSpec | None) -> spec.EndpointSpec:
        """Translate; the endpoint is valid, and ``pool`` is its pool's passive health."""
        return spec.EndpointSpec(
            name=name,
            address=self.address or name,
            seat=self.seat,
            weight=self.weight,
            backup=self.backup,
            max_connections=limit(self.max_connections),
            state=self.state,
            labels=tuple(self.labels.items()),
            passive_health=pool if self.passive_health is None else self._health(pool),
        )

    def _health(self, pool: spec.PassiveHealthSpec | None) -> spec.PassiveHealthSpec | None:
        mine = self.passive_health
        if mine is None or mine == "off":
            return None
        inherited = pool or spec.PassiveHealthSpec()
        return spec.PassiveHealthSpec(
            max_fails=mine.max_fails or inherited.max_fails,
            fail_timeout_s=(
                seconds(mine.fail_timeout) if mine.fail_timeout else inherited.fail_timeout_s
            ),
        )
