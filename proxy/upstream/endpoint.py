"""Endpoints, which outlive configurations, and members: endpoints as one configuration has them."""

from __future__ import annotations

import sys
from typing import Any, Final

from proxy.addresses import Address
from proxy.spec import EndpointSpec, EndpointState, Pairs
from proxy.telemetry.counters import EndpointCounters


class _Busy(EndpointCounters):
    """What each request touches of an endpoint: slots of a base come first, side by side.

    Of one among thousands, each further line of memory costs a request more than what is done with
    it; therefore an endpoint is its own counters, too.
    """

    __slots__ = ("active", "fails", "idle", "idle_count", "retired")


class Endpoint(_Busy):
    """One address of a pool, for as long as anything of it lives.

    Its identity is pool, canonical address and seat: counters, connections, health and its place in
    the balancing survive every change of configuration that keeps these.
    """

    __slots__ = ("accessed", "address", "checked", "cordoned", "current", "key", "penalty",
                 "splice_set", "splices", "target")  # fmt: skip

    def __init__(self, target: Address, seat: int = 1) -> None:
        super().__init__()
        self.target: Final = target
        self.address: Final = target.text
        """Canonical text."""
        self.key: Final = seat_key(target.text, seat)
        """Its identity within its pool."""
        self.active = 0
        """Requests and splices on it now."""
        self.splices = 0
        """Splices on it now."""
        self.splice_set: Final[set[object]] = set()
        """The live splices themselves; owned by who makes them."""
        self.idle: Any = None
        """The idle connection that was used last; it knows the others (``idle``)."""
        self.idle_count = 0
        self.retired = False
        """Its pool no longer has it: what is under way on it ends, and nothing of it is kept."""
        self.cordoned = ""
        """Names of the drains because of which it is given no new work."""
        self.fails = 0
        """Failures that still count."""
        self.accessed = 0.0
        """Monotonic seconds of the last failure."""
        self.checked = 0.0
        """Monotonic seconds at which the last ``fail_timeout`` began."""
        self.penalty = 0
        """What failures took off the weight and picks have not yet given back."""
        self.current = 0
        """nginx ``current_weight``; a running rotation's share of it is added when that ends."""

    @property
    def suspect(self) -> bool:
        """Whether a pick has to look at it: failures still tell, or it is cordoned."""
        return self.fails > 0 or self.penalty > 0 or self.cordoned != ""

    def __repr__(self) -> str:
        return (
            f"<Endpoint {self.address} active={self.active} fails={self.fails} "
            f"penalty={self.penalty} current={self.current}>"
        )


class Member:
    """An endpoint with what one configuration says about it; never changes."""

    __slots__ = ("backup", "capacity", "discovered", "endpoint", "fail_timeout_s", "labels",
                 "max_connections", "max_fails", "name", "state", "weight")  # fmt: skip

    def __init__(self, endpoint: Endpoint, name: str, spec: EndpointSpec) -> None:
        health = spec.passive_health
        self.endpoint: Final = endpoint
        self.name: Final = name
        """The spec's name; ``name@address`` where a host name has several addresses."""
        self.weight: Final = spec.weight
        self.backup: Final = spec.backup
        self.max_connections: Final = spec.max_connections
        self.capacity: Final = sys.maxsize if spec.max_connections is None else spec.max_connections
        """``max_connections`` as a number to compare with."""
        self.state: Final[EndpointState] = spec.state
        self.labels: Final[Pairs] = spec.labels
        self.discovered: Final = spec.discovered
        self.max_fails: Final = 0 if health is None else health.max_fails
        """0: failures never take it out."""
        self.fail_timeout_s: Final = 0.0 if health is None else health.fail_timeout_s

    def __repr__(self) -> str:
        return f"<Member {self.name} {self.state} weight={self.weight} of {self.endpoint!r}>"


def seat_key(address: str, seat: int) -> str:
    """Return the identity of an endpoint within its pool: its address, and which one there."""
    return address if seat == 1 else f"{address}#{seat}"
