"""The server: one snapshot, the listeners, and everything that outlives a snapshot.

A configuration is applied in an order that leaves the old one serving until nothing can fail any
more: names are resolved, the snapshot is compiled (what is unchanged is reused), new listeners are
bound.  Then ``Prepared.publish`` assigns the snapshot, and what it replaced is retired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Final

from proxy.binding import bind_listeners, stop_new
from proxy.connections import ANY, PAGE, Connections, ConnectionView, Page, Selector
from proxy.downstream.connection import ClientConnection
from proxy.downstream.listener import Listener
from proxy.downstream.sockets import Sockets
from proxy.drains import DrainOrder, DrainProgress, Drains, DrainState
from proxy.errors import CLOSED_BY_OPERATOR, DRAIN_TIMEOUT, SpecError
from proxy.exchange.runtime import Runtime
from proxy.explain.inquiry import Explanation, Live, Question, explain
from proxy.headers.secrets import NONE, ExpectedSecrets, Secrets, missing
from proxy.logs.targets import Opened, Targets
from proxy.prepared import Prepared, warned
from proxy.process_drain import ProcessDrain
from proxy.reader import Look, look
from proxy.retirement import Retirement
from proxy.snapshot import Snapshot, compile_overrides, compile_snapshot
from proxy.spec import Overrides, Spec
from proxy.splice.closing import GOING_AWAY
from proxy.splice.relay import Splice
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import Ledger, ListenerCounters, PoolCounters, RouteCounters
from proxy.telemetry.failures import Failures
from proxy.telemetry.log_sink import LogSink
from proxy.telemetry.logging import get_logger
from proxy.telemetry.loop_lag import LoopLag
from proxy.telemetry.reading import Reading
from proxy.upstream.connection import close_idle
from proxy.upstream.denied import Denied
from proxy.upstream.discovery.names import REFRESH_S, RETRY_S, Names, written
from proxy.upstream.pool import Pool
from proxy.upstream.transitions import Transition, Transitions

SWEEP_S: Final = 0.2
"""Seconds between two looks at all deadlines; a timeout may be late by as much."""

PACE_S: Final = 0.02
"""Seconds between two looks at what is closed one by one, while there is anything."""

CLOSE_S: Final = 5.0
"""How long ``Server.close`` waits for aborted transports to report their end, in seconds."""

CLOSE_POLL_S: Final = 0.002

ACCESS_LOG_FLUSH_S: Final = 0.05
"""How long an access-log line may wait to be written with others, in seconds."""

COMPILE_INLINE: Final = 500
"""Objects (routes and endpoints) that are compiled on the event loop; more go to a thread."""

Addresses = Mapping[str, tuple[str, ...]]


class Server:
    """A data plane.  Make it, use it and close it on one running event loop.

    ``access_log`` is given its schedule and is flushed at the end; ``None`` logs no requests.
    What is ``denied`` is never connected to; ``None`` denies nothing.  ``secrets`` are what
    ``$secret_NAME`` stands for.
    """

    def __init__(
        self,
        *,
        access_log: AccessLog | None = None,
        denied: Denied | None = None,
        secrets: Secrets = NONE,
    ) -> None:
        loop = asyncio.get_running_loop()
        soon = partial(loop.call_later, ACCESS_LOG_FLUSH_S)
        if access_log is not None:
            access_log.schedule = soon
        self._targets: Final = Targets(soon)
        self._secrets: Final = secrets
        self._runtime: Final = Runtime(loop, get_logger("proxy"), access_log, denied)
        self._sockets: Final = Sockets()
        self._listeners: dict[str, Listener] = {}
        self._retired: Final[set[Listener]] = set()
        self._pools: dict[str, Pool] = {}
        self._leaving: Final[list[Pool]] = []
        self._routes: Final[Ledger[RouteCounters]] = Ledger()
        self._listener_counters: Final[Ledger[ListenerCounters]] = Ledger()
        self._pool_counters: Final[Ledger[PoolCounters]] = Ledger()
        self._names: Final = Names()
        self._refreshing: asyncio.Task[None] | None = None
        self._retirement: Final = Retirement()
        self._lag: Final = LoopLag()
        self._transitions: Final = Transitions()
        self._told: Callable[[Transition], None] | None = None
        self._preparing: Final = asyncio.Lock()
        self._connections: Final = Connections(self._runtime)
        self._drains: Final = Drains(self._runtime, self._connections)
        self._drain: Final = ProcessDrain()
        self._runtime.joined = self._joined
        self._lag.start()
        self._sweep_at = 0.0
        self._timer = loop.call_later(SWEEP_S, self._sweep)

    def __repr__(self) -> str:
        return f"<Server snapshot={self._runtime.snapshot.number} {list(self._listeners.values())}>"

    # What it serves

    @property
    def spec(self) -> Spec:
        """The configuration that serves."""
        return self._runtime.snapshot.spec

    @property
    def addresses(self) -> dict[str, str]:
        """Where each listener is bound: ``host:port``, ``[v6]:port`` or ``unix:/path``."""
        return {name: listener.address for name, listener in self._listeners.items()}

    @property
    def ready(self) -> bool:
        """Every listener accepts, and no drain is under way."""
        return not self.draining and all(one.accepting for one in self._listeners.values())

    @property
    def draining(self) -> bool:
        """A process drain is under way, or done."""
        return self._drain.active

    @property
    def remaining(self) -> int:
        """Client connections open now, spliced ones included."""
        listeners = (*self._listeners.values(), *self._retired)
        return sum(len(one.connections) for one in listeners) + len(self._runtime.splices)

    @property
    def failures(self) -> Failures:
        """The last failed requests."""
        return self._runtime.failures

    def read(self) -> Reading:
        """Look at everything that is live."""
        return look(
            Look(
                runtime=self._runtime,
                listeners=self._listeners,
                pools=self._pools,
                leaving=self._leaving,
                routes=self._routes,
                listener_counters=self._listener_counters,
                pool_counters=self._pool_counters,
                draining=self.draining,
                remaining=self.remaining if self.draining else 0,
                loop_lag_s=self._lag.seconds,
                log_lines_dropped=self._targets.dropped(),
            )
        )

    # Connections, one by one

    def connections(
        self, selector: Selector = ANY, cursor: str | None = None, limit: int = PAGE
    ) -> Page:
        """Return a page of the live connections that ``selector`` takes, the oldest first.

        ``cursor`` is the ``next`` of the page before.  Raise ``ValueError`` if it is not.
        """
        return self._connections.page(selector, cursor, limit, monotonic())

    def connection(self, name: str) -> ConnectionView | None:
        """Return a live connection by its id."""
        return self._connections.view(name, monotonic())

    def close_connection(self, name: str, code: int = GOING_AWAY, reason: str = "") -> bool:
        """Close a connection; return whether there is one of that id.

        Both ends of a WebSocket are told code and reason.  A request under way is cut.
        """
        found = self._connections.find(name)
        if isinstance(found, Splice):
            found.close(code, reason)
        elif isinstance(found, ClientConnection):
            found.abort(CLOSED_BY_OPERATOR)
        return found is not None

    def start_drain(self, name: str, order: DrainOrder) -> DrainProgress:
        """Tell some connections to close, paced; idempotent by name and order.

        Raise ``ValueError`` if it would take everything, ``TooManyDrainsError``.
        """
        return self._drains.start(name, order, monotonic())

    def cancel_drain(self, name: str, author: str = "") -> bool:
        """Close no further ones, give endpoints work again, and forget it, if there is one."""
        return self._drains.cancel(name, author)

    def drain_progress(self, name: str) -> DrainProgress | None:
        """Return how far a drain is."""
        return self._drains.get(name)

    def drains(self) -> tuple[DrainProgress, ...]:
        """Return how far each drain is, the oldest first."""
        return self._drains.all()

    async def explain(self, asked: Question, candidate: Spec | None = None) -> Explanation:
        """Say what would become of a request, here or with ``candidate``: ``inquiry.explain``."""
        pools = {} if candidate is None else self._known_pools(candidate)
        live = Live(self._runtime.snapshot, self.addresses, pools, self._routes)
        return await explain(asked, live, candidate)

    def watch_endpoints(self, told: Callable[[Transition], None]) -> None:
        """Have ``told`` called for endpoints whose state changes, within ``SWEEP_S``."""
        self._told = told

    def watch_drains(self, told: Callable[[DrainState, DrainProgress], None]) -> None:
        """Have ``told`` called when a drain begins, for each tenth of it, and when it ends."""
        self._drains.told = told

    # Changing it

    async def prepare(
        self, spec: Spec, *, revision: int | None = None, served: bool = False
    ) -> Prepared:
        """Make everything ready to serve ``spec``; the present configuration goes on serving.

        ``revision`` is the number that logs give it; by default it counts up.  Raise ``SpecError``
        with every fault found; that a secret is missing is a warning if it has ``served`` before.
        Preparations queue: the next one starts when this one is published or discarded.
        """
        await self._preparing.acquire()
        try:
            if revision is None:
                revision = self._runtime.snapshot.number + 1
            addresses = await self._names.resolve(written(spec))
            secrets = ExpectedSecrets(self._secrets) if served else self._secrets
            return await self._prepare(spec, revision, addresses, secrets)
        except BaseException:
            self._preparing.release()
            raise

    async def apply(self, spec: Spec) -> tuple[str, ...]:
        """Prepare and publish ``spec``; return the warnings.  Raise ``SpecError``."""
        prepared = await self.prepare(spec)
        prepared.publish()
        return prepared.warnings

    async def prepare_overrides(self, overrides: Overrides) -> Prepared:
        """Make everything ready to serve the same configuration with these overrides, all of them.

        They hold for whatever configuration follows.  Raise ``SpecError``.
        """
        await self._preparing.acquire()
        try:
            pools = self._known_pools(self.spec)
            snapshot = compile_overrides(self._runtime.snapshot, overrides, pools)
            targets = await self._targets.open(self.spec)  # those that are open
        except BaseException:
            self._preparing.release()
            raise
        return Prepared(self, snapshot, self._listeners, targets, ())

    async def _prepare(
        self, spec: Spec, revision: int, addresses: Addresses, secrets: Secrets
    ) -> Prepared:
        targets = await self._targets.open(spec)
        try:
            sinks = {name: target.sink for name, target in targets.items()}
            snapshot = await self._compile(spec, revision, addresses, sinks, secrets)
            listeners = await bind_listeners(
                spec, snapshot, self._listeners, self._listener_counters, self._runtime,
                self._sockets,
            )  # fmt: skip
        except BaseException:
            self._targets.abandon(targets)
            raise
        warnings = warned(snapshot, self._runtime.snapshot, self._runtime.upstreams.denied)
        return Prepared(self, snapshot, listeners, targets, (*missing(secrets), *warnings))

    async def _compile(
        self,
        spec: Spec,
        revision: int,
        addresses: Addresses,
        sinks: Mapping[str, LogSink],
        secrets: Secrets,
    ) -> Snapshot:
        compiling = partial(
            compile_snapshot,
            spec,
            self._runtime.snapshot,
            addresses,
            self._known_pools(spec),
            self._routes,
            revision,
            sinks,
            secrets,
        )
        endpoints = sum(len(pool.endpoints) for pool in spec.pools.values())
        if endpoints + len(spec.routes) > COMPILE_INLINE:
            return await asyncio.to_thread(compiling)
        return compiling()

    def _known_pools(self, spec: Spec) -> dict[str, Pool]:
        """Return the pools that go on: live ones, leaving ones, and those still counted."""
        counted = {
            name: Pool(name, counters)
            for name, counters in self._pool_counters.items()
            if name in spec.pools
        }
        return counted | {pool.name: pool for pool in self._leaving} | self._pools

    def _discard(self, listeners: Mapping[str, Listener], targets: Opened) -> None:
        stop_new(listeners, self._listeners)
        self._targets.abandon(targets)
        self._preparing.release()

    def _publish(
        self, snapshot: Snapshot, listeners: Mapping[str, Listener], targets: Opened
    ) -> None:
        now = monotonic()
        previous = self._runtime.snapshot
        self._runtime.snapshot = snapshot
        self._targets.publish(targets, now)
        self._publish_pools(previous, snapshot, now)
        self._publish_listeners(snapshot, listeners, now)
        if snapshot.routes is not previous.routes:
            self._routes.publish({name: one.counters for name, one in snapshot.routes.items()}, now)
        if self._refreshing is None and snapshot.addresses:
            self._refreshing = self._runtime.loop.create_task(self._refresh())
        self._preparing.release()

    def _publish_pools(self, previous: Snapshot, snapshot: Snapshot, now: float) -> None:
        pools = {name: upstream.plan.pool for name, upstream in snapshot.pools.items()}
        for upstream in snapshot.pools.values():
            plan = upstream.plan
            for endpoint in plan.publish():
                close_idle(endpoint)
                self._retirement.retire(endpoint, plan.pool, plan.spec, now)
        for name, pool in self._pools.items():
            if pools.get(name) is not pool:
                self._leaving.append(pool)
                for endpoint in pool.retire():
                    close_idle(endpoint)
                    self._retirement.retire(endpoint, pool, previous.pools[name].plan.spec, now)
        self._pools = pools
        self._leaving[:] = [pool for pool in self._leaving if pools.get(pool.name) is not pool]
        self._pool_counters.publish({name: one.counters for name, one in pools.items()}, now)
        self._drains.published()

    def _publish_listeners(
        self, snapshot: Snapshot, listeners: Mapping[str, Listener], now: float
    ) -> None:
        present = set(self._listeners.values())
        for name, listener in listeners.items():
            listener.name = name
            listener.site = snapshot.sites[name]
            if listener in present:
                continue
            if self._drain.doors_closed:
                listener.stop()  # until the drain is undone
            else:
                listener.start()
        for listener in present.difference(listeners.values()):
            self._retired.add(listener)
            listener.retire()
        self._listeners = dict(listeners)
        self._listener_counters.publish(
            {name: one.counters for name, one in listeners.items()}, now
        )

    async def _refresh(self) -> None:
        """Follow the names in the configuration for as long as there are any."""
        while addresses := self._runtime.snapshot.addresses:
            await asyncio.sleep(REFRESH_S if all(addresses.values()) else RETRY_S)
            try:
                await self._names.refresh(written(self.spec))  # changes do not wait for this
                await self._follow()
            except SpecError as error:
                self._runtime.log.warning("new addresses refused", detail=str(error))
            except Exception as error:  # names are followed for ever
                self._runtime.log.error("names could not be looked up", exc_info=error)
        self._refreshing = None

    async def _follow(self) -> None:
        """Serve the present configuration with what its names stand for by now."""
        await self._preparing.acquire()
        try:
            known = self._names.known(written(self.spec))
            prepared = await self._prepare(
                self.spec, self._runtime.snapshot.number, known, self._secrets
            )
        except BaseException:
            self._preparing.release()
            raise
        self._publish_if_moved(prepared)

    def _publish_if_moved(self, prepared: Prepared) -> None:
        if prepared.addresses == self._runtime.snapshot.addresses:
            prepared.discard()
        else:
            prepared.publish()

    # The end

    def drain(self, *, timeout_s: float, accept_s: float) -> None:
        """Finish what is under way and take nothing new; only the first call does anything.

        From now on every response closes its connection; listeners accept for ``accept_s`` more;
        then WebSockets are told to go, one by one; what is left after ``timeout_s`` is cut.  Both
        are seconds from now.
        """
        self._runtime.draining = True
        self._drain.begin(monotonic(), timeout_s, accept_s)

    async def undrain(self) -> None:
        """Take a drain back: accept again, at the same addresses.  Raise ``OSError``.

        Connections that the drain has closed or cut stay so.  If an address cannot be had, the
        drain goes on.
        """
        async with self._preparing:
            opened: list[Listener] = []
            try:
                for listener in self._listeners.values():
                    if not listener.accepting:
                        await listener.rebind()
                        opened.append(listener)
            except OSError:
                for listener in opened:
                    listener.stop()
                raise
        self._runtime.draining = False
        self._drain.undo()

    async def drained(self) -> None:
        """Return when a drain is done; wait for ever if none is under way."""
        await self._drain.done.wait()

    async def close(self) -> None:
        """Cut everything at once; return when everything is closed."""
        self._timer.cancel()
        self._lag.stop()
        if self._refreshing is not None:
            self._refreshing.cancel()
        for listener in self._listeners.values():
            listener.stop()
        give_up_at = monotonic() + CLOSE_S
        while self._cut() and monotonic() < give_up_at:  # noqa: ASYNC110 - of several sets
            await asyncio.sleep(CLOSE_POLL_S)
        if self._runtime.access_log is not None:
            self._runtime.access_log.flush()
        await self._targets.close()

    def reopen_logs(self) -> None:
        """Look now whether log files were rotated away; without it, that takes a second."""
        self._targets.reopen()

    def _cut(self) -> bool:
        """Abort whatever is open; return whether anything was."""
        runtime = self._runtime
        for listener in (*self._listeners.values(), *self._retired):
            listener.abort(DRAIN_TIMEOUT)
        for splice in list(runtime.splices):
            splice.abort()
        runtime.upstreams.abort()
        return bool(self.remaining or runtime.upstreams.open)

    # Time

    def _sweep(self) -> None:
        now = monotonic()
        paced = self._retirement.busy or self._drains.busy or self._drain.pacing
        self._timer = self._runtime.loop.call_later(PACE_S if paced else SWEEP_S, self._sweep)
        self._retirement.sweep(now)
        self._drains.sweep(now)
        if self._drain.active:
            self._sweep_drain(now)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S - PACE_S / 2
            self._sweep_all(now)

    def _sweep_all(self, now: float) -> None:
        """Look at all deadlines."""
        for listener in (*self._listeners.values(), *self._retired):
            listener.sweep(now)
        for splice in list(self._runtime.splices):
            splice.sweep(now)
        self._runtime.upstreams.close_idle(now)
        self._forget(now)
        if self._told is not None:
            plans = [upstream.plan for upstream in self._runtime.snapshot.pools.values()]
            for transition in self._transitions.look(plans, now):
                self._told(transition)

    def _forget(self, now: float) -> None:
        """Let go of what is removed and no longer used."""
        for listener in [one for one in self._retired if not one.connections]:
            self._retired.discard(listener)
        for pool in self._leaving:
            pool.prune()
        self._leaving[:] = [pool for pool in self._leaving if pool.leaving]
        for ledger in (self._routes, self._listener_counters, self._pool_counters):
            ledger.expire(now)
        self._targets.sweep(now)

    def _sweep_drain(self, now: float) -> None:
        listeners = (*self._listeners.values(), *self._retired)
        if self._drain.close_doors(now):
            for listener in listeners:
                listener.stop()
                listener.close_idle()
            self._drain.say_goodbye(self._runtime.splices, now)
        spent = self._drain.sweep(now)
        if self._drain.doors_closed and not self.remaining:
            self._drain.done.set()
        elif spent:
            self._cut()

    def _joined(self, splice: Splice) -> None:
        """Receive: a splice was made; whoever closes its like closes it too."""
        now = monotonic()
        self._retirement.joined(splice, now)
        self._drains.joined(splice, now)
        self._drain.joined(splice, now)
