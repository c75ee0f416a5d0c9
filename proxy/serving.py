"""What serves: the snapshot in force, and the listeners, pools and counters that outlive it.

Publishing a snapshot is one assignment, after which whatever it replaced is retired: listeners
accept no more, endpoints give up their idle connections, and what still lives on either is closed
as drains and ``on_removal`` have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from proxy.connections import Connections
from proxy.downstream.listener import Listener
from proxy.drains import Drains
from proxy.errors import DRAIN_TIMEOUT
from proxy.exchange.runtime import Runtime
from proxy.logs.targets import Opened, Targets
from proxy.process_drain import ProcessDrain
from proxy.retirement import Retirement
from proxy.snapshot import Snapshot
from proxy.spec import OnRemoval, Spec
from proxy.splice.relay import Splice
from proxy.telemetry.counters import Ledger, ListenerCounters, PoolCounters, RouteCounters
from proxy.upstream.discovery.following import Discovery
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.pool import Pool, PoolPlan


class Serving:
    """Everything that is live, and everybody who closes some of it."""

    def __init__(self, runtime: Runtime, targets: Targets) -> None:
        self.runtime: Final = runtime
        self.targets: Final = targets
        self.listeners: dict[str, Listener] = {}
        self.retired: Final[set[Listener]] = set()
        """Listeners that were removed and still have connections."""
        self.pools: dict[str, Pool] = {}
        self.leaving: Final[list[Pool]] = []
        """Pools that were removed, as long as something lives on their endpoints."""
        self.routes: Final[Ledger[RouteCounters]] = Ledger()
        self.listener_counters: Final[Ledger[ListenerCounters]] = Ledger()
        self.pool_counters: Final[Ledger[PoolCounters]] = Ledger()
        self.connections: Final = Connections(runtime)
        self.retirement: Final = Retirement()
        self.drains: Final = Drains(runtime, self.connections)
        self.process_drain: Final = ProcessDrain()
        self.discovery: Final = Discovery()
        runtime.joined = self._joined

    @property
    def snapshot(self) -> Snapshot:
        """The compiled configuration that serves."""
        return self.runtime.snapshot

    @property
    def all_listeners(self) -> tuple[Listener, ...]:
        """Those of the configuration, and retired ones."""
        return (*self.listeners.values(), *self.retired)

    @property
    def remaining(self) -> int:
        """Client connections open now, spliced ones included."""
        return sum(len(one.connections) for one in self.all_listeners) + len(self.runtime.splices)

    def known_pools(self, spec: Spec) -> dict[str, Pool]:
        """Return the pools that go on: live ones, leaving ones, and those still counted."""
        counted = {
            name: Pool(name, counters)
            for name, counters in self.pool_counters.items()
            if name in spec.pools
        }
        return counted | {pool.name: pool for pool in self.leaving} | self.pools

    def publish(
        self,
        snapshot: Snapshot,
        listeners: Mapping[str, Listener],
        targets: Opened,
        on_removal: OnRemoval | None,
    ) -> None:
        """Serve a snapshot, by listeners that are ready to start.  This cannot fail.

        ``on_removal`` counts in place of the pools' for the endpoints that it removes.
        """
        now = monotonic()
        previous = self.runtime.snapshot
        self.runtime.snapshot = snapshot
        self.targets.publish(targets, now)
        with self.retirement.instead(on_removal):
            self._publish_pools(previous, snapshot, now)
        self._publish_listeners(snapshot, listeners, now)
        if snapshot.routes is not previous.routes:
            self.routes.publish({name: one.counters for name, one in snapshot.routes.items()}, now)

    def _publish_pools(self, previous: Snapshot, snapshot: Snapshot, now: float) -> None:
        pools = {name: upstream.plan.pool for name, upstream in snapshot.pools.items()}
        for upstream in snapshot.pools.values():
            plan = upstream.plan
            self._remove(plan.publish(), plan, now)
        for name, pool in self.pools.items():
            if pools.get(name) is not pool:
                self.leaving.append(pool)
                self._remove(pool.retire(), previous.pools[name].plan, now)
        self.pools = pools
        self.leaving[:] = [pool for pool in self.leaving if pools.get(pool.name) is not pool]
        self.pool_counters.publish({name: one.counters for name, one in pools.items()}, now)
        self.drains.published()

    def _remove(self, endpoints: Sequence[Endpoint], plan: PoolPlan, now: float) -> None:
        self.runtime.upstreams.leave(endpoints)
        self.retirement.retire(endpoints, plan.pool, plan.spec, now)

    def _publish_listeners(
        self, snapshot: Snapshot, listeners: Mapping[str, Listener], now: float
    ) -> None:
        present = set(self.listeners.values())
        for name, listener in listeners.items():
            listener.name = name
            listener.site = snapshot.sites[name]
            if listener in present:
                continue
            if self.process_drain.doors_closed:
                listener.stop()  # until the drain is undone
            else:
                listener.start()
        for listener in present.difference(listeners.values()):
            self.retired.add(listener)
            listener.retire()
        self.listeners = dict(listeners)
        self.listener_counters.publish({name: one.counters for name, one in listeners.items()}, now)

    async def accept_again(self) -> None:
        """Have every listener accept, where it was bound.  Raise ``OSError``; then none is new."""
        opened: list[Listener] = []
        try:
            for listener in self.listeners.values():
                if not listener.accepting:
                    await listener.rebind()
                    opened.append(listener)
        except OSError:
            for listener in opened:
                listener.stop()
            raise

    def forget(self, now: float) -> None:
        """Let go of what is removed and no longer used."""
        for listener in [one for one in self.retired if not one.connections]:
            self.retired.discard(listener)
        for pool in self.leaving:
            pool.prune()
        self.leaving[:] = [pool for pool in self.leaving if pool.leaving]
        for ledger in (self.routes, self.listener_counters, self.pool_counters):
            ledger.expire(now)
        self.targets.sweep(now)

    def cut(self) -> bool:
        """Abort whatever is open; return whether anything was."""
        for listener in self.all_listeners:
            listener.abort(DRAIN_TIMEOUT)
        for splice in list(self.runtime.splices):
            splice.abort()
        self.runtime.upstreams.abort()
        return bool(self.remaining or self.runtime.upstreams.open)

    def _joined(self, splice: Splice) -> None:
        """Receive: a splice was made; whoever closes its like closes it too."""
        now = monotonic()
        self.retirement.joined(splice, now)
        self.drains.joined(splice, now)
        self.process_drain.joined(splice, now)
