"""From a configuration to one that serves, in an order that leaves the old one serving meanwhile.

Names are resolved, log files are opened, the snapshot is compiled (what is unchanged is reused),
new listeners are bound.  Whatever can fail has failed by then, so publishing cannot.  Names are
followed afterwards: when one stands for other addresses, the same is done again with these.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from proxy.background import in_background
from proxy.binding import bind_listeners, stop_new
from proxy.downstream.listener import Listener
from proxy.downstream.sockets import Sockets
from proxy.errors import SpecError, pointer
from proxy.headers.secrets import ExpectedSecrets, Secrets, missing
from proxy.logs.targets import Opened
from proxy.serving import Serving
from proxy.snapshot import Snapshot, compile_overrides, compile_snapshot
from proxy.spec import OnRemoval, Overrides, Spec
from proxy.telemetry.log_sink import LogSink
from proxy.upstream.denied import Denied
from proxy.upstream.discovery.names import REFRESH_S, RETRY_S, Names, written

COMPILE_INLINE: Final = 500
"""Objects (routes and endpoints) that are compiled on the event loop; more go to a thread."""

Addresses = Mapping[str, tuple[str, ...]]


class Prepared:
    """A configuration that is ready to serve: ``publish`` it, or ``discard`` it.

    Until one of the two is called no other configuration can be prepared.
    """

    __slots__ = ("_listeners", "_preparation", "_snapshot", "_targets", "warnings")

    def __init__(
        self,
        preparation: Preparation,
        snapshot: Snapshot,
        listeners: Mapping[str, Listener],
        targets: Opened,
        warnings: tuple[str, ...],
    ) -> None:
        self._preparation: Final = preparation
        self._snapshot: Final = snapshot
        self._listeners: Final = listeners
        self._targets: Final = targets
        self.warnings: Final = warnings
        """What is odd about it, though it can serve; one sentence each."""

    @property
    def addresses(self) -> Addresses:
        """What the names in it stand for."""
        return self._snapshot.addresses

    def publish(self, on_removal: OnRemoval | None = None) -> None:
        """Serve it.  This cannot fail.

        ``on_removal`` counts in place of the pools' for the endpoints that it removes.
        """
        preparation = self._preparation
        preparation.serving.publish(self._snapshot, self._listeners, self._targets, on_removal)
        preparation.follow()
        preparation.turn.release()

    def discard(self) -> None:
        """Undo what preparing it took: close the sockets it bound, and the logs it opened."""
        preparation = self._preparation
        stop_new(self._listeners, preparation.serving.listeners)
        preparation.serving.targets.abandon(self._targets)
        preparation.turn.release()


class Preparation:
    """Prepares one configuration after the other, and follows the names in the one that serves."""

    def __init__(self, serving: Serving, secrets: Secrets) -> None:
        self.serving: Final = serving
        self.turn: Final = asyncio.Lock()
        """Held from the begin of a preparation until it is published or discarded."""
        self._secrets: Final = secrets
        self._sockets: Final = Sockets()
        self._names: Final = Names()
        self._following: asyncio.Task[None] | None = None
        serving.discovery.moved = self._move

    async def prepare(self, spec: Spec, revision: int | None, *, served: bool) -> Prepared:
        """Make everything ready to serve ``spec``: ``Server.prepare``."""
        async with self._begun():
            if revision is None:
                revision = self.serving.snapshot.number + 1
            spec = await self.serving.discovery.resolve(spec)
            addresses = await self._names.resolve(written(spec))
            secrets = ExpectedSecrets(self._secrets) if served else self._secrets
            return await self._prepare(spec, revision, addresses, secrets)

    async def prepare_overrides(self, overrides: Overrides) -> Prepared:
        """Make everything ready to serve the same with these overrides."""
        async with self._begun():
            serving, spec = self.serving, self.serving.snapshot.spec
            pools = serving.known_pools(spec)
            snapshot = compile_overrides(serving.snapshot, overrides, pools)
            targets = await serving.targets.open(spec)  # those that are open
            return Prepared(self, snapshot, serving.listeners, targets, ())

    def follow(self) -> None:
        """Look names up again and again, if there are any, and whatever else finds endpoints."""
        self.serving.discovery.follow(self.serving.snapshot.spec)
        if self._following is None and self.serving.snapshot.addresses:
            self._following = self.serving.runtime.loop.create_task(self._follow())

    def stop(self) -> None:
        """Follow nothing any more."""
        self.serving.discovery.stop()
        if self._following is not None:
            self._following.cancel()

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[None]:
        """Wait for one's turn, and keep it, unless the preparation fails."""
        await self.turn.acquire()
        try:
            yield
        except BaseException:
            self.turn.release()
            raise

    async def _prepare(
        self, spec: Spec, revision: int, addresses: Addresses, secrets: Secrets
    ) -> Prepared:
        serving = self.serving
        targets = await serving.targets.open(spec)
        try:
            sinks = {name: target.sink for name, target in targets.items()}
            snapshot, warnings = await self._compile(spec, revision, addresses, sinks, secrets)
            listeners = await bind_listeners(
                spec, snapshot, serving.listeners, serving.listener_counters, serving.runtime,
                self._sockets,
            )  # fmt: skip
        except BaseException:
            serving.targets.abandon(targets)
            raise
        found = serving.discovery.unanswered(spec)
        return Prepared(self, snapshot, listeners, targets, (*missing(secrets), *found, *warnings))

    async def _compile(
        self,
        spec: Spec,
        revision: int,
        addresses: Addresses,
        sinks: Mapping[str, LogSink],
        secrets: Secrets,
    ) -> tuple[Snapshot, tuple[str, ...]]:
        """Return the snapshot, and what is to be said of it."""
        serving = self.serving
        previous, denied = serving.snapshot, serving.runtime.upstreams.denied
        pools = serving.known_pools(spec)

        def compiling() -> tuple[Snapshot, tuple[str, ...]]:
            snapshot = compile_snapshot(
                spec, previous, addresses, pools, serving.routes, revision, sinks, secrets
            )
            return snapshot, tuple(warned(snapshot, previous, denied))

        endpoints = sum(len(pool.endpoints) for pool in spec.pools.values())
        if endpoints + len(spec.routes) > COMPILE_INLINE:
            return await in_background(compiling)
        compiled = compiling()
        await asyncio.sleep(0)  # requests first
        return compiled

    async def _follow(self) -> None:
        """Follow the names in the configuration for as long as there are any."""
        serving = self.serving
        while addresses := serving.snapshot.addresses:
            await asyncio.sleep(REFRESH_S if all(addresses.values()) else RETRY_S)
            try:
                await self._names.refresh(written(serving.snapshot.spec))  # no change waits for it
                await self._move()
            except SpecError as error:
                serving.runtime.log.warning("new addresses refused", detail=str(error))
            except Exception as error:  # names are followed for ever
                serving.runtime.log.error("names could not be looked up", exc_info=error)
        self._following = None

    async def _move(self) -> None:
        """Serve the present configuration with what is known of names and discovery by now."""
        async with self._begun():
            present, discovery = self.serving.snapshot, self.serving.discovery
            spec = discovery.known(present.spec)
            known = self._names.known(written(spec))
            prepared = await self._prepare(spec, present.number, known, self._secrets)
        if prepared.addresses == present.addresses and spec is present.spec:
            prepared.discard()
        else:
            prepared.publish()
            discovery.tell_moved(present.spec, spec)


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
