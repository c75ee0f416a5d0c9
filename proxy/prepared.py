"""A configuration between being prepared and serving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from proxy.errors import pointer

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener
    from proxy.logs.targets import Opened
    from proxy.server import Server
    from proxy.snapshot import Snapshot
    from proxy.spec import OnRemoval
    from proxy.upstream.denied import Denied


class Prepared:
    """A configuration that is ready to serve: ``publish`` it, or ``discard`` it.

    Until one of the two is called no other configuration can be prepared.
    """

    __slots__ = ("_listeners", "_server", "_snapshot", "_targets", "warnings")

    def __init__(
        self,
        server: Server,
        snapshot: Snapshot,
        listeners: Mapping[str, Listener],
        targets: Opened,
        warnings: tuple[str, ...],
    ) -> None:
        self._server: Final = server
        self._snapshot: Final = snapshot
        self._listeners: Final = listeners
        self._targets: Final = targets
        self.warnings: Final = warnings
        """What is odd about it, though it can serve; one sentence each."""

    @property
    def addresses(self) -> Mapping[str, tuple[str, ...]]:
        """What the names in it stand for."""
        return self._snapshot.addresses

    def publish(self, on_removal: OnRemoval | None = None) -> None:
        """Serve it.  This cannot fail.

        ``on_removal`` counts in place of the pools' for the endpoints that it removes.
        """
        with self._server._retirement.instead(on_removal):
            self._server._publish(self._snapshot, self._listeners, self._targets)

    def discard(self) -> None:
        """Undo what preparing it took: close the sockets it bound, and the logs it opened."""
        self._server._discard(self._listeners, self._targets)


def warned(snapshot: Snapshot, previous: Snapshot, denied: Denied) -> Iterator[str]:
    """Say what is odd about a snapshot: names without addresses, and denied ones.

    Of the latter only those in pools that differ from before.
    """
    for name, found in snapshot.addresses.items():
        if not found:
            yield f"{name} does not resolve yet"
    for name, upstream in snapshot.pools.items():
        if previous.pools.get(name) is upstream:
            continue
        for member in upstream.plan.members:
            why = denied.why(member.endpoint.target)
            if why is not None:
                place = pointer("pools", name, "endpoints", member.name.partition("@")[0])
                yield f"{place}: {member.endpoint.address} is never connected to: {why}"
