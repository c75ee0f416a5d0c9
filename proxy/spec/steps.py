"""What routes do before they pass a request on, or instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from proxy.spec.pairs import Pairs

ConditionTest = Literal["truth", "equals", "matches"]
RewriteThen = Literal["next", "route", "stop"]


SILENCE: Final = 444
"""The status of an answer that is none: the connection is closed (nginx)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSpec:
    """Whether a step is taken (nginx ``if``)."""

    value: str
    """Template."""
    test: ConditionTest = "truth"
    """``truth``: anything but empty and ``0``."""
    operand: str = ""
    """Template that ``value`` equals, or regex that it matches."""
    ignore_case: bool = False
    """For a regex."""
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteSpec:
    """Another path for the request (nginx ``rewrite``)."""

    match: str
    """Regex, looked for in the normalised path."""
    to: str
    """Template of the new path, with captures.  What follows a ``?`` is its query; the present
    query is put behind it unless ``to`` ends with ``?``."""
    ignore_case: bool = False
    then: RewriteThen = "next"
    """Go on with the next step, look for a route at once, or stay at this route."""
    redirect: int | None = None
    """Send the client there instead, with this status; ``to`` is then a ``Location``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpec:
    """An answer of the proxy itself (nginx ``return``)."""

    status: int
    """From 200 to 599; 444 closes the connection without an answer."""
    body: str | None = None
    """Template; ``None`` is the usual short text for an error, and nothing for anything else."""
    content_type: str = "text/plain"
    location: str | None = None
    """Template of the ``Location`` field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """What is done to a request before it is passed on, in the order of the fields."""

    when: ConditionSpec | None = None
    set: Pairs = ()
    """Variables of the request, and templates of their values; ``args`` is the query."""
    rewrite: RewriteSpec | None = None
    answer: AnswerSpec | None = None
    stop: bool = False
    """Take no further step of this route, and stay at it (nginx ``break``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRuleSpec:
    """Clients that are let in, or turned away."""

    allows: bool
    networks: tuple[str, ...]
    """CIDRs; ``unix:`` for whoever connects over a Unix socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPageSpec:
    """What takes the place of an error (nginx ``error_page``); one of path, route and location."""

    statuses: tuple[int, ...]
    path: str | None = None
    """Template of a path, with a query if need be, that is routed as a GET."""
    route: str | None = None
    """Name of a route that the request goes to as it is."""
    location: str | None = None
    """Template of where the client is sent."""
    status: int | Literal["page"] | None = None
    """What the client sees; ``page``: what the page answers with; ``None``: the error's."""
