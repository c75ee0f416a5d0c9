"""What routes do to the fields of requests and responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proxy.spec.pairs import Pairs

SubstitutionKind = Literal["prefix", "exact", "match"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRulesSpec:
    """What a route does to the fields of one direction, in this order: remove, set, append."""

    remove: tuple[str, ...] = ()
    """Names; of a request, ``*`` is all that the client sent."""
    set: Pairs = ()
    append: Pairs = ()
    """A name with several values stands here once for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstitutionSpec:
    """One way to replace a value, or how it begins."""

    kind: SubstitutionKind
    """``prefix``: the value begins so, and the rest of it stays; ``exact``: it is this, in any
    case and with or without a leading dot; ``match``: a regular expression finds something in it,
    and all of it is replaced."""
    value: str
    """A template, or the regular expression."""
    to: str
    """A template, with the captures of the regular expression."""
    ignore_case: bool = False
    """For a regular expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRulesSpec:
    """What is written only into a response that is no failure (nginx ``add_header``)."""

    set: Pairs = ()
    append: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRulesSpec(HeaderRulesSpec):
    """What a route does to the fields of a response.

    Of each list of substitutions the first that applies wins.
    """

    on_success: SuccessRulesSpec = SuccessRulesSpec()
    rewrite_location: tuple[SubstitutionSpec, ...] = ()
    """For ``Location``, and what follows ``url=`` in ``Refresh``."""
    absolute_location: bool = False
    """A ``Location`` that was rewritten and begins with ``/`` gets scheme, host and port."""
    rewrite_cookie_domain: tuple[SubstitutionSpec, ...] = ()
    """For the ``Domain`` of every ``Set-Cookie``."""
    rewrite_cookie_path: tuple[SubstitutionSpec, ...] = ()
