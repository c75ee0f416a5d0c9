"""What every way of balancing has in common: who may be picked, and who steps in.

A tier is a set of members of equal standing: the primaries of a pool, or its backups.  A pick
settles first who is barred (tried before, or ejected), then lets the tier's own rule choose among
the others, and asks the backups when there is nobody.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Protocol

from proxy.upstream import health
from proxy.upstream.endpoint import Endpoint, Member

if TYPE_CHECKING:
    from proxy.upstream.balancing.round_robin import RoundRobin

KeyKind = Literal["none", "client_ip", "template"]


class Standing:
    """What a pool remembers between picks, beside what each endpoint does."""

    __slots__ = ("first", "rotating", "suspects")

    def __init__(self) -> None:
        self.first: Tier | None = None
        """The tier that the published configuration asks first; only this one may rotate."""
        self.rotating: RoundRobin | None = None
        """The tier whose rotation runs, if one does.  None of its members is a suspect."""
        self.suspects: set[Endpoint] = set()
        """The pool's endpoints that have fails or a penalty."""

    def settle(self) -> None:
        """End a running rotation, so that every endpoint's ``current`` is true again."""
        if self.rotating is not None:
            self.rotating.settle()
            self.rotating = None


class Pick(Protocol):
    """How a pool is asked for a member."""

    def __call__(
        self, now: float, key: bytes = b"", tried: Collection[Endpoint] = ()
    ) -> Member | None:
        """Pick an eligible member, or none.

        ``now`` is monotonic seconds, ``key`` what is hashed, ``tried`` the endpoints that this
        request has been to.  Counting the request as active is the caller's.
        """


class Tier(ABC):
    """Members of equal standing; a subclass says how one of them is chosen."""

    __slots__ = (
        "_by_endpoint",
        "_max_ejected_percent",
        "backup",
        "key_kind",
        "members",
        "standing",
    )

    hashes: ClassVar[KeyKind] = "none"
    """What the rule hashes, if it does."""

    def __init__(
        self,
        members: tuple[Member, ...],
        standing: Standing,
        backup: Tier | None = None,
        max_ejected_percent: int = 100,
    ) -> None:
        self.members: Final = members
        """In the order of the configuration.  All can serve: their state is active."""
        self.standing: Final = standing
        self.backup: Final = backup
        self.key_kind: Final[KeyKind] = (
            backup.key_kind if backup is not None and self.hashes == "none" else self.hashes
        )
        """What ``pick`` wants for a key, on behalf of the backups too."""
        self._max_ejected_percent: Final = max_ejected_percent
        self._by_endpoint: Final = {member.endpoint: member for member in members}

    def pick(self, now: float, key: bytes = b"", tried: Collection[Endpoint] = ()) -> Member | None:
        """Pick a member; see ``Pick``."""
        barred = self._barred(now, tried) if self.standing.suspects else tried
        member = self.choose(now, key, barred)
        return self._elsewhere(now, key, tried, barred) if member is None else member

    @abstractmethod
    def choose(self, now: float, key: bytes, barred: Collection[Endpoint]) -> Member | None:
        """Choose among the members that are neither barred nor full."""

    def ejected(self, now: float) -> list[Endpoint]:
        """Return who is to be left out because of failures; nobody, if they would be too many.

        They are not too many if they are all and there are backups to serve in their place.
        """
        found = self._by_endpoint
        marked = [
            endpoint
            for endpoint in self.standing.suspects
            if endpoint in found and health.ejected(found[endpoint], now)
        ]
        if len(marked) * 100 > self._max_ejected_percent * len(found) and not (
            self.backup is not None and len(marked) == len(found)
        ):
            return []
        return marked

    def _barred(self, now: float, tried: Collection[Endpoint]) -> Collection[Endpoint]:
        return self._with_cordoned({*ejected, *tried} if (ejected := self.ejected(now)) else tried)

    def _with_cordoned(self, barred: Collection[Endpoint]) -> Collection[Endpoint]:
        cordoned = [endpoint for endpoint in self.standing.suspects if endpoint.cordoned]
        return {*cordoned, *barred} if cordoned else barred

    def _elsewhere(
        self, now: float, key: bytes, tried: Collection[Endpoint], barred: Collection[Endpoint]
    ) -> Member | None:
        """Ask the backups; if they have nobody either, an ejected primary is better than none."""
        if self.backup is None:
            return None
        member = self.backup.pick(now, key, tried)
        if member is None and barred is not tried and self._max_ejected_percent < 100:
            return self.choose(now, key, self._with_cordoned(tried))
        return member


def eligible(member: Member, barred: Collection[Endpoint]) -> bool:
    """Tell whether a member, of whatever state, may be chosen."""
    endpoint = member.endpoint
    return member.state == "active" and endpoint not in barred and endpoint.active < member.capacity
