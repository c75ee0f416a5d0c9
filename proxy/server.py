"""The server: all that the data plane offers to whoever embeds it.

What serves is in ``serving``, how another configuration comes to serve in ``preparation``, and what
time brings in ``sweep``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

from proxy.connection_view import ConnectionView
from proxy.connections import ANY, PAGE, Page, Selector
from proxy.drains import DrainOrder, DrainProgress, DrainState
from proxy.exchange.runtime import Runtime
from proxy.explain.inquiry import Explanation, Live, Question, explain
from proxy.headers.secrets import NONE, Secrets
from proxy.logs.targets import Targets
from proxy.preparation import Preparation, Prepared
from proxy.reader import look
from proxy.serving import Serving
from proxy.spec import Overrides, Spec
from proxy.splice.closing import GOING_AWAY
from proxy.sweep import Sweep
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.failures import Failures
from proxy.telemetry.logging import get_logger
from proxy.telemetry.loop_lag import LoopLag
from proxy.telemetry.reading import Reading
from proxy.upstream.denied import Denied
from proxy.upstream.discovery.following import Discovered
from proxy.upstream.transitions import Transition

CLOSE_S: Final = 5.0
"""How long ``Server.close`` waits for aborted transports to report their end, in seconds."""

CLOSE_POLL_S: Final = 0.002

ACCESS_LOG_FLUSH_S: Final = 0.05
"""How long an access-log line may wait to be written with others, in seconds."""


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
        self._runtime: Final = Runtime(loop, get_logger("proxy"), access_log, denied)
        self._serving: Final = Serving(self._runtime, Targets(soon))
        self._preparation: Final = Preparation(self._serving, secrets)
        self._sweep: Final = Sweep(self._serving)
        self._lag: Final = LoopLag()
        self._lag.start()

    def __repr__(self) -> str:
        serving = self._serving
        return f"<Server snapshot={serving.snapshot.number} {list(serving.listeners.values())}>"

    # What it serves

    @property
    def spec(self) -> Spec:
        """The configuration that serves."""
        return self._serving.snapshot.spec

    @property
    def addresses(self) -> dict[str, str]:
        """Where each listener is bound: ``host:port``, ``[v6]:port`` or ``unix:/path``."""
        return {name: listener.address for name, listener in self._serving.listeners.items()}

    @property
    def ready(self) -> bool:
        """Every listener accepts, and no drain is under way."""
        listeners = self._serving.listeners.values()
        return not self.draining and all(one.accepting for one in listeners)

    @property
    def draining(self) -> bool:
        """A process drain is under way, or done."""
        return self._serving.process_drain.active

    @property
    def remaining(self) -> int:
        """Client connections open now, spliced ones included."""
        return self._serving.remaining

    @property
    def failures(self) -> Failures:
        """The last failed requests."""
        return self._runtime.failures

    def read(self) -> Reading:
        """Look at everything that is live."""
        return look(self._serving, self._lag.seconds)

    async def explain(self, asked: Question, candidate: Spec | None = None) -> Explanation:
        """Say what would become of a request, here or with ``candidate``: ``inquiry.explain``."""
        serving = self._serving
        pools = {} if candidate is None else serving.known_pools(candidate)
        if candidate is not None:
            candidate = serving.discovery.known(candidate)
        live = Live(serving.snapshot, self.addresses, pools, serving.routes)
        return await explain(asked, live, candidate)

    def watch_endpoints(self, told: Callable[[Transition], None]) -> None:
        """Have ``told`` called for endpoints whose state changes, within ``sweep.SWEEP_S``."""
        self._sweep.told = told

    def watch_discovery(self, told: Callable[[Discovered], None]) -> None:
        """Have ``told`` called when found endpoints come or go, and when nobody can tell."""
        self._serving.discovery.told = told

    # Changing it

    async def prepare(
        self, spec: Spec, *, revision: int | None = None, served: bool = False
    ) -> Prepared:
        """Make everything ready to serve ``spec``; the present configuration goes on serving.

        ``revision`` is the number that logs give it; by default it counts up.  Raise ``SpecError``
        with every fault found; that a secret is missing is a warning if it has ``served`` before.
        Preparations queue: the next one starts when this one is published or discarded.
        """
        return await self._preparation.prepare(spec, revision, served=served)

    async def apply(self, spec: Spec) -> tuple[str, ...]:
        """Prepare and publish ``spec``; return the warnings.  Raise ``SpecError``."""
        prepared = await self.prepare(spec)
        prepared.publish()
        return prepared.warnings

    async def prepare_overrides(self, overrides: Overrides) -> Prepared:
        """Make everything ready to serve the same configuration with these overrides, all of them.

        They hold for whatever configuration follows.  Raise ``SpecError``.
        """
        return await self._preparation.prepare_overrides(overrides)

    def reopen_logs(self) -> None:
        """Look now whether log files were rotated away; without it, that takes a second."""
        self._serving.targets.reopen()

    # Connections, one by one

    def connections(
        self, selector: Selector = ANY, cursor: str | None = None, limit: int = PAGE
    ) -> Page:
        """Return a page of the live connections that ``selector`` takes, the oldest first.

        ``cursor`` is the ``next`` of the page before.  Raise ``ValueError`` if it is not.
        """
        return self._serving.connections.page(selector, cursor, limit, monotonic())

    def connection(self, name: str) -> ConnectionView | None:
        """Return a live connection by its id."""
        return self._serving.connections.view(name, monotonic())

    def close_connection(self, name: str, code: int = GOING_AWAY, reason: str = "") -> bool:
        """Close a connection; return whether there is one of that id.

        Both ends of a WebSocket are told code and reason.  A request under way is cut.
        """
        return self._serving.connections.close(name, code, reason)

    # Some of them

    def start_drain(self, name: str, order: DrainOrder) -> DrainProgress:
        """Tell some connections to close, paced; idempotent by name and order.

        Raise ``ValueError`` if it would take everything, ``TooManyDrainsError``.
        """
        return self._serving.drains.start(name, order, monotonic())

    def cancel_drain(self, name: str, author: str = "") -> bool:
        """Close no further ones, give endpoints work again, and forget it, if there is one."""
        return self._serving.drains.cancel(name, author)

    def drain_progress(self, name: str) -> DrainProgress | None:
        """Return how far a drain is."""
        return self._serving.drains.get(name)

    def drains(self) -> tuple[DrainProgress, ...]:
        """Return how far each drain is, the oldest first."""
        return self._serving.drains.all()

    def watch_drains(self, told: Callable[[DrainState, DrainProgress], None]) -> None:
        """Have ``told`` called when a drain begins, for each tenth of it, and when it ends."""
        self._serving.drains.told = told

    # All of them: the end

    def drain(self, *, timeout_s: float, accept_s: float) -> None:
        """Finish what is under way and take nothing new; only the first call does anything.

        From now on every response closes its connection; listeners accept for ``accept_s`` more;
        then WebSockets are told to go, one by one; what is left after ``timeout_s`` is cut.  Both
        are seconds from now.
        """
        self._runtime.draining = True
        self._serving.process_drain.begin(monotonic(), timeout_s, accept_s)

    async def undrain(self) -> None:
        """Take a drain back: accept again, at the same addresses.  Raise ``OSError``.

        Connections that the drain has closed or cut stay so.  If an address cannot be had, the
        drain goes on.
        """
        async with self._preparation.turn:
            await self._serving.accept_again()
        self._runtime.draining = False
        self._serving.process_drain.undo()

    async def drained(self) -> None:
        """Return when a drain is done; wait for ever if none is under way."""
        await self._serving.process_drain.done.wait()

    async def close(self) -> None:
        """Cut everything at once; return when everything is closed."""
        self._sweep.stop()
        self._lag.stop()
        self._preparation.stop()
        for listener in self._serving.listeners.values():
            listener.stop()
        give_up_at = monotonic() + CLOSE_S
        while self._serving.cut() and monotonic() < give_up_at:  # noqa: ASYNC110 - of several sets
            await asyncio.sleep(CLOSE_POLL_S)
        if self._runtime.access_log is not None:
            self._runtime.access_log.flush()
        await self._serving.targets.close()
