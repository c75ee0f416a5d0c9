r"""An explanation: what would become of a request, and why.  Plain data, text and numbers.

What is octets on the wire is UTF-8 here, with ``\xNN`` for what is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ListenerChoice:
    """The listener that takes the request."""

    name: str
    why: str


@dataclass(slots=True)
class Client:
    """Who asks."""

    peer: str
    """The other end of the connection."""
    address: str
    """Who it is taken for."""
    trusted: bool
    """The peer is a trusted proxy, so it is believed on who the client is."""


@dataclass(slots=True)
class Rival:
    """A route that does not take the request."""

    route: str
    lost: str
    """``path``, ``host``, ``listener``, ``named``, ``prelude``, or ``beaten``: it matches too."""
    why: str


@dataclass(slots=True)
class Lookup:
    """One search for a route."""

    host: str
    path: str
    """Decoded and normalised: what routes match."""
    table: str | None
    """The host of the table that was searched; ``*``: that of all other hosts; ``None``: none."""
    route: str | None
    why: str
    internal: bool = False
    """The route is not for what clients ask for."""
    redirect: bool = False
    """The path lacks only the slash at the end of the route's prefix."""
    rivals: list[Rival] = field(default_factory=list)
    """Those that match first."""
    rivals_left_out: int = 0


@dataclass(slots=True)
class Condition:
    """The condition of a step."""

    value: str
    """As it is written."""
    was: str
    """What it came to."""
    test: str
    """``truth``, ``equals`` or ``matches``."""
    operand: str
    negated: bool


@dataclass(slots=True)
class Rewritten:
    """What a rewrite did."""

    match: str
    matched: bool
    path: str | None = None
    query: str | None = None
    location: str | None = None
    """Where it sends the client, if it does."""
    then: str = "next"


@dataclass(slots=True)
class StepTaken:
    """One step of a route or of a prelude."""

    place: str
    """A JSON pointer into the document."""
    condition: Condition | None
    taken: bool
    """The condition held, or there is none."""
    set: dict[str, str] = field(default_factory=dict)
    """Variables it assigned or captured."""
    rewrite: Rewritten | None = None
    answer: int | None = None
    """The status it answers with."""


@dataclass(slots=True)
class Verdict:
    """Whether a route let the client in."""

    route: str
    client: str
    rule: str | None
    """A JSON pointer to the rule that decided; ``None``: no rule names the client."""
    allowed: bool


@dataclass(slots=True)
class MapValue:
    """One evaluation of a header map."""

    name: str
    source: str
    """As it is written."""
    was: str
    """What it came to."""
    entry: str
    """A JSON pointer to the entry that matched, or to ``default``."""
    value: str


@dataclass(slots=True)
class OwnAnswer:
    """An answer of the proxy itself."""

    status: int
    """444: the connection is closed without one."""
    reason: str | None
    """Of the closed list of failures, if it is one."""
    octets: str
    """As the client would get it."""


@dataclass(slots=True)
class Page:
    """What takes the place of an error, should there be one."""

    statuses: list[int]
    leads_to: str
    status: str
    """What the client sees: a status, ``page`` (what the page answers with) or ``same``."""


@dataclass(slots=True)
class EndpointView:
    """An endpoint of the pool, as it stands."""

    name: str
    address: str
    state: str
    why: str
    eligible: bool
    """It might be picked for this request."""
    weight: int
    backup: bool
    active: int
    """Requests and tunnels on it now."""
    labels: dict[str, str]
    override: str | None
    """What an operator said of it, apart from the configuration."""


@dataclass(slots=True)
class Retrying:
    """When the request would be tried on another endpoint."""

    when: list[str]
    max_attempts: int
    """With as many endpoints as there are in service."""
    budget_s: float | None
    non_idempotent: bool
    replay_bytes: int


@dataclass(slots=True)
class Limits:
    """What holds for the request on its way."""

    connect_s: float
    send_s: float
    read_s: float
    body_bytes: int | None
    upgrade: str | None
    """The protocol that it asks the upstream to change to."""
    tunnel_idle_s: float | None


@dataclass(slots=True)
class PoolChoice:
    """The pool that the request is for."""

    name: str
    why: str
    balance: str
    key: str | None
    """What is hashed, if something is."""
    chance: bool
    """The pool or the endpoint is drawn: another time it may be another one."""
    endpoints: list[EndpointView]
    endpoints_left_out: dict[str, int]
    """How many more there are, by state."""


@dataclass(slots=True)
class Passing:
    """The request as it is passed on."""

    endpoint: str
    """The one that is picked now; the next request may get another one."""
    address: str
    octets: str
    """What the endpoint gets, exactly, but for what is made anew each time: ``placeholders``."""
    retry: Retrying
    limits: Limits


@dataclass(slots=True)
class Explanation:
    """See the module's docstring."""

    revision: int | None
    """Of the configuration; ``None``: it is a candidate that does not serve."""
    request: str
    """The head as a client would send it."""
    listener: ListenerChoice
    client: Client
    route: str | None
    """The one that takes it in the end."""
    lookups: list[Lookup]
    steps: list[StepTaken]
    access: list[Verdict]
    header_maps: list[MapValue]
    named: list[str]
    """Routes that it was led to by name."""
    error_pages: list[Page]
    pool: PoolChoice | None
    answer: OwnAnswer | None
    passing: Passing | None
    placeholders: dict[str, str]
    """What stands for things that differ each time."""


def shown(octets: bytes) -> str:
    r"""Return octets as text: UTF-8, with ``\xNN`` for what is not."""
    return octets.decode("utf-8", "backslashreplace")
