"""What is told of failed requests."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from proxy.telemetry.failures import FAILURES


class Attempt(BaseModel):
    """One try at an endpoint."""

    model_config = ConfigDict(defer_build=True)

    endpoint: str = Field(description="Its name.")
    address: str
    reason: str | None = Field(
        description="Why it failed, of the closed list; null: it answered, with `status`."
    )
    status: int | None = Field(description="What it answered; null: nothing.")
    duration_s: float = Field(description="From the pick to the end.")
    connect_s: float | None = Field(
        description="Until there was a connection, 0 on an idle one; null: there never was one."
    )
    ttfb_s: float | None = Field(description="Until there was the head of a response.")


class FailureBody(BaseModel):
    """One request that failed.  No query, no fields, no address of a client."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(description="Its `X-Request-Id`.")
    time: float = Field(description="When it ended, in seconds since 1970.")
    listener: str
    route: str | None = Field(description="Null: no route took it.")
    pool: str | None
    method: str
    path: str = Field(description="As it was sent, without the query; cut at 2 KiB.")
    status: int = Field(description="What the client was told; 499: it went away before.")
    reason: str | None = Field(
        description="Of one closed list, as in logs and metrics; null: the upstream's own 5xx."
    )
    side: Literal["client", "upstream", "proxy"] = Field(description="Whose doing it is.")
    duration_s: float
    attempts: list[Attempt] = Field(description="In order, those that were made good for too.")
    revision: int = Field(description="The configuration that served it.")


class FailurePage(BaseModel):
    """The last requests that failed, the newest first."""

    model_config = ConfigDict(defer_build=True)

    items: list[FailureBody]
    recorded: int = Field(description=f"Since the start; the last {FAILURES} are remembered.")
