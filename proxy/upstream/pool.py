"""A pool, which outlives configurations, and its plan: the pool as one configuration has it.

``compile_pool`` makes a plan without touching anything that serves; ``PoolPlan.publish`` makes it
the one in force.  An endpoint that the new plan no longer has is *leaving*: the pool remembers it
while requests or splices live on it, and takes the same object back if its address returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from proxy.addresses import parse_address
from proxy.errors import Fault, FaultError, pointer
from proxy.spec import EndpointSpec, PoolSpec
from proxy.telemetry.counters import PoolCounters
from proxy.upstream import health
from proxy.upstream.balancing.assembly import assemble
from proxy.upstream.balancing.tier import KeyKind, Pick, Standing, Tier
from proxy.upstream.endpoint import Endpoint, Member, seat_key

Resolved = tuple[tuple[str, ...], ...]
"""For each endpoint of a spec, its canonical addresses in order."""

Key = str
"""What identifies an endpoint within its pool: ``endpoint.seat_key``."""

Given = tuple[tuple[str, ...] | None, ...]
"""For each endpoint of a spec, the addresses that the resolver has for it, if it was asked."""


class PoolFaultError(FaultError):
    """A pool cannot be compiled; ``faults`` are all that was found, each with its place."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.message for fault in faults), faults[0].hint)
        self.faults: Final = faults


class Pool:
    """What goes on living when the configuration of a pool changes."""

    __slots__ = ("counters", "endpoints", "leaving", "name", "standing")

    def __init__(self, name: str, counters: PoolCounters | None = None) -> None:
        self.name: Final = name
        self.counters: Final = PoolCounters() if counters is None else counters
        self.endpoints: Mapping[str, Endpoint] = {}
        """Those of the published plan, by key."""
        self.leaving: dict[str, Endpoint] = {}
        """Those that were removed and may still have requests, splices or idle connections."""
        self.standing: Final = Standing()

    @property
    def suspects(self) -> int:
        """How many endpoints have fails or a penalty."""
        return len(self.standing.suspects)

    def find(self, key: Key) -> Endpoint | None:
        """Return the endpoint with that key, a leaving one too."""
        return self.endpoints.get(key) or self.leaving.get(key)

    def cordon(self, endpoint: Endpoint, drains: str) -> None:
        """Give an endpoint no new work because of some drains; without any, give it work again."""
        self.standing.settle()
        endpoint.cordoned = drains
        if not endpoint.suspect:
            self.standing.suspects.discard(endpoint)
        elif self.endpoints.get(endpoint.key) is endpoint:
            self.standing.suspects.add(endpoint)

    def prune(self) -> None:
        """Forget the leaving endpoints on which nothing lives any more."""
        self.leaving = _still_leaving(self.leaving)

    def retire(self) -> list[Endpoint]:
        """Let all endpoints leave, because the pool itself is removed; return them."""
        return self.adopt(Succession.between(self.endpoints, {}), None)

    def adopt(self, succession: Succession, first: Tier | None) -> list[Endpoint]:
        """Take other endpoints, ``first`` the tier to ask; return who is removed.

        It runs on the event loop, so what can be done ahead is done.
        """
        standing = self.standing
        standing.settle()
        _, endpoints, removed, back = succession
        for endpoint in back:
            endpoint.retired = False
        leaving = _still_leaving(self.leaving)
        for endpoint in removed:
            endpoint.retired = True
            leaving[endpoint.key] = endpoint
        self.leaving = leaving
        if standing.suspects:
            standing.suspects.difference_update(removed)
        standing.suspects.update([endpoint for endpoint in back if endpoint.suspect])
        standing.first = first
        self.endpoints = endpoints
        return removed

    def __repr__(self) -> str:
        return (
            f"<Pool {self.name} endpoints={len(self.endpoints)} leaving={len(self.leaving)} "
            f"suspects={self.suspects}>"
        )


class Succession(NamedTuple):
    """Endpoints that are to take the place of others in a pool."""

    before: Mapping[str, Endpoint]
    after: Mapping[str, Endpoint]
    removed: list[Endpoint]
    back: list[Endpoint]
    """Those that had been removed and are there again."""

    @classmethod
    def between(cls, before: Mapping[str, Endpoint], after: Mapping[str, Endpoint]) -> Succession:
        """Find who comes and goes; true as long as the pool has what it has."""
        removed = [old for key, old in before.items() if after.get(key) is not old]
        return cls(before, after, removed, [one for one in after.values() if one.retired])


class PoolPlan:
    """A pool as one configuration has it; made by ``compile_pool``, never changes."""

    __slots__ = ("_at", "_succession", "_tiers", "given", "in_service", "key_kind", "members",
                 "pick", "pool", "resolved", "single", "spec", "unresolved")  # fmt: skip

    def __init__(
        self, pool: Pool, spec: PoolSpec, given: Given, resolved: Resolved,
        members: tuple[Member, ...], previous: PoolPlan | None,
    ) -> None:  # fmt: skip
        self.pool: Final = pool
        self.spec: Final = spec
        self.given: Final = given
        self.resolved: Final = resolved
        self.members: Final = members
        """Every endpoint that has an address, whatever its state."""
        self.in_service: Final = sum(member.state == "active" for member in members)
        """How many of them may be picked at all (nginx ``tries``)."""
        self.unresolved: Final[tuple[EndpointSpec, ...]] = tuple(
            endpoint for endpoint, found in zip(spec.endpoints, resolved, strict=True) if not found
        )
        """Endpoints whose names have no address."""
        self.single: Final = len(members) == 1
        """A pool of one: its endpoint is never taken out (nginx ``single``)."""
        self._at: dict[str, Member] | None = None
        endpoints = {member.endpoint.key: member.endpoint for member in members}
        self._succession = Succession.between(pool.endpoints, endpoints)
        self._tiers: Final[list[Tier]] = assemble(
            members,
            spec.balance,
            pool.standing,
            0 if self.single else spec.max_ejected_percent,
            [] if previous is None else previous._tiers,
        )
        self.key_kind: Final[KeyKind] = self._tiers[0].key_kind
        """What ``pick`` wants for a key: nothing, the client's textual IP address, or the value of
        ``spec.balance.key``."""
        self.pick: Final[Pick] = self._tiers[0].pick
        """Pick a member; see ``Pick``."""

    @property
    def all_active(self) -> bool:
        """Whether the configuration takes none out of service."""
        return self.in_service == len(self.members)

    def member_at(self, key: Key) -> Member | None:
        """Return the member with that key."""
        if self._at is None:
            self._at = {member.endpoint.key: member for member in self.members}
        return self._at.get(key)

    def publish(self) -> list[Endpoint]:
        """Make this the plan in force; return the endpoints that it no longer has."""
        if self.pool.standing.first is self._tiers[0]:
            return []
        pool, succession = self.pool, self._succession
        if succession.before is not pool.endpoints:
            succession = Succession.between(pool.endpoints, succession.after)
        # It is in force now, and has no use for those that went before.
        self._succession = Succession(succession.after, succession.after, [], [])
        return pool.adopt(succession, self._tiers[0])

    def failed(self, member: Member, now: float) -> bool:
        """Count a failure of ``member``.  Return whether it took the endpoint out."""
        if self.single:
            return False
        flipped = health.failed(member, now)
        endpoint = member.endpoint
        standing = self.pool.standing
        if endpoint.suspect and self.pool.endpoints.get(endpoint.key) is endpoint:
            standing.settle()
            standing.suspects.add(endpoint)
        return flipped and endpoint in self.ejected(now)

    def succeeded(self, member: Member, now: float) -> bool:
        """Count a success of ``member``.  Return whether it ended an ejection."""
        endpoint = member.endpoint
        if not endpoint.fails:
            return False
        flipped = health.succeeded(member)
        if not endpoint.suspect:
            self.pool.standing.suspects.discard(endpoint)
        return flipped

    def state_of(self, member: Member, now: float) -> tuple[str, str]:
        """Return the member's state (``active drain down ejected full``) and why, for people."""
        return _state_of(member, now, self.ejected(now))

    def states(self, now: float) -> Iterator[tuple[Member, str, str]]:
        """Give every member with its state and why; cheaper than asking one by one.

        Who is ejected is found out at once, the rest member by member, in any thread.
        """
        ejected = self.ejected(now)
        return ((member, *_state_of(member, now, ejected)) for member in self.members)

    def ejected(self, now: float) -> set[Endpoint]:
        """Return the endpoints that failures keep out."""
        if not self.pool.standing.suspects:
            return set()
        return {endpoint for tier in self._tiers for endpoint in tier.ejected(now)}

    def __repr__(self) -> str:
        return f"<PoolPlan {self.members!r} of {self.pool!r}>"


def compile_pool(
    spec: PoolSpec,
    addresses: Mapping[str, tuple[str, ...]],
    previous: PoolPlan | None,
    pool: Pool | None,
) -> PoolPlan:
    """Compile a pool; return ``previous`` itself if that is the same.

    ``addresses`` has the socket addresses of each endpoint address that is a name, as written;
    none means that it is unresolved.  An address that needs no resolving may be absent.  Nothing
    long-lived is changed before ``publish``.  Raise ``PoolFaultError`` with all faults.
    """
    given = tuple(addresses.get(endpoint.address) for endpoint in spec.endpoints)
    candidate = previous
    if previous is not None and (previous.spec != spec or pool not in (None, previous.pool)):
        candidate = None
    if candidate is not None and candidate.given == given:
        return candidate
    if pool is None:
        pool = Pool(spec.name)
    resolved = _resolve(spec, given, pool)
    if candidate is not None and candidate.resolved == resolved:
        return candidate
    members = tuple(
        Member(
            pool.find(seat_key(text, endpoint.seat))
            or Endpoint(parse_address(text), endpoint.seat),
            endpoint.name if len(found) == 1 else f"{endpoint.name}@{text}",
            endpoint,
        )
        for endpoint, found in zip(spec.endpoints, resolved, strict=True)
        for text in found
    )
    try:
        return PoolPlan(pool, spec, given, resolved, members, previous)
    except FaultError as fault:
        path = pointer("pools", spec.name, "endpoints")
        raise PoolFaultError((Fault(path, fault.message, fault.hint),)) from None


def _still_leaving(endpoints: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
    """Return those that are not back, and on which something lives."""
    return {
        key: one for key, one in endpoints.items() if one.retired and (one.active or one.idle_count)
    }


def _resolve(spec: PoolSpec, given: Given, pool: Pool) -> Resolved:
    faults: list[Fault] = []
    owners: dict[str, str] = {}
    resolved: list[tuple[str, ...]] = []
    for endpoint, texts in zip(spec.endpoints, given, strict=True):
        found: tuple[str, ...] = ()
        try:
            found = _canonical(endpoint.address, texts or (), pool)
            for text in found:
                key = seat_key(text, endpoint.seat)
                if owners.setdefault(key, endpoint.name) != endpoint.name:
                    message = f"endpoint {owners[key]!r} has the same address {text}"
                    hint = "remove one of them; weights express shares, a `seat` tells them apart"
                    raise FaultError(message, hint)
        except FaultError as fault:
            path = pointer("pools", spec.name, "endpoints", endpoint.name, "address")
            faults.append(Fault(path, fault.message, fault.hint))
        resolved.append(found)
    if faults:
        raise PoolFaultError(tuple(faults))
    return tuple(resolved)


def _canonical(written: str, given: tuple[str, ...], pool: Pool) -> tuple[str, ...]:
    """Return canonical addresses in order; none for a name that has not been resolved."""
    if pool.find(written) is not None:
        return (written,)
    address = parse_address(written)
    if address.is_literal:
        return (address.text,)
    return tuple(sorted({parse_address(text).text for text in given}))


def _state_of(member: Member, now: float, ejected: set[Endpoint]) -> tuple[str, str]:
    endpoint = member.endpoint
    if member.state == "drain":
        return "drain", "takes no new work, keeps what it has"
    if member.state == "down":
        return "down", "taken out of service"
    if endpoint.cordoned:
        return "drain", f"takes no new work while it is drained by {endpoint.cordoned}"
    fails = f"{endpoint.fails} of {member.max_fails} failures" if endpoint.fails else ""
    if endpoint in ejected:
        left = endpoint.checked + member.fail_timeout_s - now
        return "ejected", f"{fails}, out for {left:.1f} s more"
    if endpoint.active >= member.capacity:
        return "full", f"{endpoint.active} of {member.capacity} connections"
    if health.ejected(member, now):
        return "active", f"{fails}, ignored because too many endpoints would be out"
    if fails and member.max_fails:
        return "active", fails
    return "active", "serves when no other can" if member.backup else "serves"
