"""Overrides of endpoints: what is asked for, and what holds."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from admin.documents.endpoint import Weight
from admin.documents.model import Maybe, Model
from admin.documents.scalars import Duration

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
