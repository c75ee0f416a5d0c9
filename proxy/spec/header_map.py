"""What is said of header maps."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.spec.pairs import Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexEntry:
    """One ``regex`` entry of a header map."""

    match: str
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMapSpec:
    """A header map: a variable computed from others (nginx ``map`` and ``split_clients``)."""

    name: str
    source: str
    default: str = ""
    exact: Pairs = ()
    hostnames: Pairs = ()
    regex: tuple[RegexEntry, ...] = ()
    shares: tuple[tuple[str, int], ...] = ()
    """Values with their shares in hundredths of a per cent: a hash of the source chooses, and what
    is left over gets the default.  Excludes ``exact``, ``hostnames`` and ``regex``."""
    volatile: bool = False
    """Computed each time it is asked for, not once per request."""
