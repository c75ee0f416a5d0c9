"""What ``/v1/status`` tells: everything that is live."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from admin.api.bodies.overrides import OverrideStatus
from admin.api.bodies.problems import FaultDetails
from admin.api.bodies.revisions import RevisionSummary
from admin.revisions import Result, Source


class Part(BaseModel):
    """A part of the answer, built when it is first asked for: every start would pay for it."""

    model_config = ConfigDict(defer_build=True)


class Versions(Part):
    """What runs."""

    hotsplice: str
    python: str


class PendingStatus(Part):
    """A revision that is taken back unless it is confirmed in time; nothing else is written."""

    revision: int
    back_to: int = Field(description="The revision whose document serves again otherwise.")
    until: float = Field(description="In seconds since 1970.")


class ApplyStatus(Part):
    """The last attempt to change the configuration, dry runs left out."""

    time: float = Field(description="In seconds since 1970.")
    source: Source
    author: str
    result: Result
    faults: int = Field(description="How many faults a refused document had.")


class FolderStatus(Part):
    """The folder of `--config`, which owns its objects."""

    path: str
    read: float | None = Field(description="When it was last read, in seconds since 1970.")
    faults: list[FaultDetails] = Field(
        description="Why what it says does not serve, and what it said before goes on; empty if it "
        "serves. The path is `file:pointer`, or a pointer if the fault is in none of its files."
    )
    objects: dict[str, str] = Field(
        description="By pointer, the objects that only the folder may change, and their files."
    )
    beside: list[str] = Field(
        description="Of the drift, what was added by REST; a DELETE reverts that."
    )
    unserved: list[str] = Field(
        description="Of the drift, what the folder says otherwise; an end of the faults reverts it."
    )


class ListenerStatus(Part):
    """A listener."""

    address: str | None = Field(description="What it is bound to.")
    accepting: bool
    connections_active: dict[str, int] = Field(description="By kind: http, websocket, tunnel.")
    connections_opened: dict[str, int] = Field(description="By kind, from the start.")
    requests_in_flight: int = Field(description="Without tunnels.")
    rejected: dict[str, int] = Field(description="By reason.")


class EndpointStatus(Part):
    """An endpoint of a pool."""

    name: str
    address: str
    state: str = Field(
        description="`active`, `drain`, `down`, `ejected`, `full`, `unresolved`, or `removed` "
        "while something on it still lives."
    )
    why: str = Field(description="Why it is in that state.")
    weight: int
    backup: bool
    override: OverrideStatus | None = Field(description="What beats the document, if anything.")
    fails: int = Field(description="Failures within the current `fail_timeout`.")
    requests: int = Field(description="Attempts made on it.")
    active_requests: int
    splices: int = Field(description="WebSockets and other tunnels.")
    discovered: bool = Field(description="It is in no document, but was found.")
    connections_idle: int
    bytes_to_upstream: int = Field(description="Live splices included.")
    bytes_to_client: int = Field(description="Live splices included.")
    labels: dict[str, str]


class DiscoveryStatus(Part):
    """What a pool is told of its endpoints."""

    name: str = Field(description="That DNS is asked for.")
    records: str
    found: int | None = Field(
        description="Endpoints of the last good answer; `null` if there never was one."
    )
    answered_at: float | None = Field(description="When that was, in seconds since 1970.")
    failing: str | None = Field(
        description="Why the last look-up failed, and what was found before goes on; or `null`."
    )
    lookups: dict[str, int] = Field(description="How many were `answered`, and `failed`.")


class PoolStatus(Part):
    """A pool; a name that stands for several addresses gives an endpoint for each."""

    endpoints: list[EndpointStatus]
    spliced_bytes_to_upstream: int = Field(description="Live splices included.")
    spliced_bytes_to_client: int = Field(description="Live splices included.")
    retries: int
    ejections: int
    errors: dict[str, int] = Field(description="By reason.")
    discovery: DiscoveryStatus | None = Field(
        description="How it is with `discovery`, if the pool has any."
    )


class RouteStatus(Part):
    """A route; `none` counts the requests that no route took."""

    requests: int
    requests_by_code: dict[str, int]


class Status(Part):
    """Everything at one moment."""

    versions: Versions
    started: float = Field(description="When the process started, in seconds since 1970.")
    uptime_s: float
    revision: RevisionSummary = Field(description="The one that serves.")
    pending: PendingStatus | None = Field(description="The confirmation that is waited for.")
    last_apply: ApplyStatus | None = Field(description="`null` before the first.")
    drift: list[str] = Field(
        description="Pointers to the objects that differ from the file last read, which SIGHUP "
        "reverts, or from the folder."
    )
    folder: FolderStatus | None = Field(
        description="`null` if `--config` names none, and nothing is owned."
    )
    ready: bool = Field(description="Whether every listener accepts and no drain runs.")
    draining: bool
    drain_remaining: int = Field(description="Client connections that the drain waits for.")
    event_loop_lag_s: float = Field(description="The greatest of the last ten to twenty seconds.")
    overrides: list[OverrideStatus] = Field(
        description="All of them, also those whose endpoint is gone."
    )
    listeners: dict[str, ListenerStatus]
    pools: dict[str, PoolStatus]
    routes: dict[str, RouteStatus]
