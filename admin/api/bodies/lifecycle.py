"""How far the drain of the process is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from admin.drain import State


class DrainProgress(BaseModel):
    """How far the drain of the process is."""

    model_config = ConfigDict(defer_build=True)

    state: State = Field(description="`serving`: there is none.")
    remaining: int = Field(description="Client connections that it waits for.")
    since: float | None = Field(description="In seconds since 1970.")
    accepting_until: float | None = Field(description="Listeners accept until then.")
    until: float | None = Field(description="What is left then is cut.")
    author: str | None = Field(description="Who started it; `hotsplice` for a signal.")
    note: str | None
    stopping: bool = Field(description="Whether the process ends with it, told by a signal.")
