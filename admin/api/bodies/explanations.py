"""What ``/v1/explain`` answers with, described: the fields of ``proxy.explain.explanation``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_OCTETS = "UTF-8, with `\\xNN` for what is not."


class Part(BaseModel):
    """A part of the answer, built when it is first asked for: every start would pay for it."""

    model_config = ConfigDict(defer_build=True)


class ListenerChoice(Part):
    """The listener that takes the request."""

    name: str
    why: str


class ExplainedClient(Part):
    """Who asks."""

    peer: str = Field(description="The other end of the connection.")
    address: str = Field(description="Who it is taken for.")
    trusted: bool = Field(description="Whether the peer is a trusted proxy.")


class Rival(Part):
    """A route that does not take the request."""

    route: str
    lost: Literal["path", "host", "listener", "named", "prelude", "within", "beaten"] = Field(
        description="By what; `beaten`: it matches too."
    )
    why: str


class Lookup(Part):
    """One search for a route."""

    host: str
    path: str = Field(description="Decoded and normalised: what routes match.")
    table: str | None = Field(
        description="The host whose routes were searched; `*`: those for any other host; null: "
        "there are none for it."
    )
    route: str | None = Field(description="The one found.")
    why: str
    internal: bool = Field(description="Whether the route is not for what clients ask for.")
    redirect: bool = Field(description="Whether the path lacks only the prefix's last slash.")
    rivals: list[Rival] = Field(description="The others, those that match first.")
    rivals_left_out: int


class ExplainedCondition(Part):
    """The condition of a step."""

    value: str = Field(description="As it is written.")
    was: str = Field(description="What it came to.")
    test: Literal["truth", "equals", "matches"]
    operand: str
    negated: bool


class Rewritten(Part):
    """What a rewrite did."""

    match: str
    matched: bool
    path: str | None = Field(description="The new path.")
    query: str | None
    location: str | None = Field(description="Where it sends the client, if it does.")
    then: Literal["next", "route", "stop"]


class StepTaken(Part):
    """One step of a route, or of a prelude."""

    place: str = Field(description="A JSON pointer into the document.")
    condition: ExplainedCondition | None
    taken: bool = Field(description="Whether the condition held, or there is none.")
    set: dict[str, str] = Field(description="Variables that it assigned or captured.")
    rewrite: Rewritten | None
    answer: int | None = Field(description="The status it answers with.")


class Verdict(Part):
    """Whether a route let the client in."""

    route: str
    client: str
    rule: str | None = Field(description="A JSON pointer; null: no rule names the client.")
    allowed: bool


class MapValue(Part):
    """One evaluation of a header map."""

    name: str
    source: str = Field(description="As it is written.")
    was: str = Field(description="What it came to.")
    entry: str = Field(description="A JSON pointer to the entry that matched, or to `default`.")
    value: str


class OwnAnswer(Part):
    """An answer of the proxy itself."""

    status: int = Field(description="444: the connection is closed without one.")
    reason: str | None = Field(description="Of the closed list of failures, if it is one.")
    octets: str = Field(description=f"As the client would get it. {_OCTETS}")


class Page(Part):
    """What takes the place of an error, should there be one."""

    statuses: list[int]
    leads_to: str
    status: str = Field(description="What the client sees: a status, `page`, or `same`.")


class EndpointView(Part):
    """An endpoint of the pool, as it stands."""

    name: str
    address: str
    state: str = Field(description="As in `/v1/status`.")
    why: str
    eligible: bool = Field(description="Whether it might be picked for this request.")
    weight: int
    backup: bool
    active: int = Field(description="Requests and tunnels on it now.")
    labels: dict[str, str]
    override: str | None = Field(description="What an operator said of it beside the document.")


class Retrying(Part):
    """When the request would be tried on another endpoint."""

    when: list[str]
    max_attempts: int = Field(description="With as many endpoints as are in service.")
    budget_s: float | None
    non_idempotent: bool
    replay_bytes: int


class ExplainedLimits(Part):
    """What holds for the request on its way."""

    connect_s: float
    send_s: float
    read_s: float
    body_bytes: int | None = Field(description="Null: any number.")
    upgrade: str | None = Field(description="The protocol that it asks the upstream to change to.")
    tunnel_idle_s: float | None


class PoolChoice(Part):
    """The pool that the request is for."""

    name: str
    why: str
    balance: str
    key: str | None = Field(description="What is hashed, if something is.")
    chance: bool = Field(description="Whether pool or endpoint are drawn by chance.")
    endpoints: list[EndpointView] = Field(
        description="The first hundred, and the one that is picked."
    )
    endpoints_left_out: dict[str, int] = Field(description="How many more there are, by state.")


class Passing(Part):
    """The request as it is passed on."""

    endpoint: str = Field(description="Who is picked now; the next request may get another.")
    address: str
    octets: str = Field(
        description=f"What the endpoint would get, but for the `placeholders`. {_OCTETS}"
    )
    retry: Retrying
    limits: ExplainedLimits


class ExplanationBody(Part):
    """What would become of a request, and why: by the code that serves, with nothing touched."""

    revision: int | None = Field(description="Of the configuration; null: the one in `config`.")
    request: str = Field(description="The head as a client would send it.")
    listener: ListenerChoice
    client: ExplainedClient
    route: str | None = Field(description="The one that takes it in the end.")
    lookups: list[Lookup] = Field(description="Searches for a route: more than one after reroutes.")
    steps: list[StepTaken] = Field(description="Steps in the order in which they were looked at.")
    access: list[Verdict]
    header_maps: list[MapValue] = Field(description="Evaluations, in order.")
    named: list[str] = Field(description="Routes that it was led to by name, by error pages.")
    error_pages: list[Page] = Field(description="Those of the route.")
    pool: PoolChoice | None = Field(description="Null: it came to none.")
    answer: OwnAnswer | None = Field(description="Null: it is passed on.")
    passing: Passing | None = Field(description="Null: the proxy answers itself.")
    placeholders: dict[str, str] = Field(description="What stands for what differs each time.")
