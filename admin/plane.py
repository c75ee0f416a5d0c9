"""What the control plane asks of the data plane: ``proxy.Server``, as it is seen from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.spec import OnRemoval, Overrides, Spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.connection_view import ConnectionView
    from proxy.connections import Page, Selector
    from proxy.drains import DrainOrder, DrainProgress, DrainState
    from proxy.explain.explanation import Explanation
    from proxy.explain.question import Question
    from proxy.telemetry.failures import Failures
    from proxy.telemetry.reading import Reading
    from proxy.upstream.discovery.following import Discovered
    from proxy.upstream.transitions import Transition


class Prepared(Protocol):
    """A configuration that is compiled and bound, and not yet served."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""

    def publish(self, on_removal: OnRemoval | None = None) -> None:
        """Serve it.  Cannot fail.

        ``on_removal`` counts in place of the pools' for the endpoints that it removes.
        """

    def discard(self) -> None:
        """Give back what was bound."""


class DataPlane(Protocol):
    """What the control plane asks of ``proxy.Server``."""

    async def prepare(
        self, spec: Spec, *, revision: int | None = None, served: bool = False
    ) -> Prepared:
        """Compile and bind; raise ``SpecError`` with every fault.

        Of what has ``served`` before, a missing secret is a warning.
        """

    async def prepare_overrides(self, overrides: Overrides) -> Prepared:
        """Compile what serves with these overrides, all of them; raise ``SpecError``."""

    def drain(self, *, timeout_s: float, accept_s: float) -> None:
        """Start the drain, or join the one that runs."""

    async def undrain(self) -> None:
        """Take a drain back; raise ``OSError``, and then it goes on."""

    async def drained(self) -> None:
        """Return when a drain is done."""

    @property
    def draining(self) -> bool:
        """Whether a drain runs or is done."""

    @property
    def ready(self) -> bool:
        """Whether every listener accepts and no drain runs."""

    @property
    def remaining(self) -> int:
        """How many client connections are open."""

    @property
    def addresses(self) -> dict[str, str]:
        """Where each listener is bound."""

    def read(self) -> Reading:
        """Look at everything that is live."""

    async def explain(self, asked: Question, candidate: Spec | None = None) -> Explanation:
        """Say what would become of a request; raise ``QuestionError`` or ``SpecError``."""

    @property
    def failures(self) -> Failures:
        """The last failed requests."""

    def watch_endpoints(self, told: Callable[[Transition], None]) -> None:
        """Have ``told`` called for endpoints whose state changes."""

    def watch_discovery(self, told: Callable[[Discovered], None]) -> None:
        """Have ``told`` called when found endpoints come or go, and when nobody can tell."""

    def watch_drains(self, told: Callable[[DrainState, DrainProgress], None]) -> None:
        """Have ``told`` called for drains that begin, go on or end."""

    def connections(self, selector: Selector, cursor: str | None, limit: int) -> Page:
        """Return a page of live connections; raise ``ValueError`` if ``cursor`` is none."""

    def connection(self, name: str) -> ConnectionView | None:
        """Return a live connection by its id."""

    def close_connection(self, name: str, code: int, reason: str) -> bool:
        """Close a connection; return whether there is one of that id."""

    def start_drain(self, name: str, order: DrainOrder) -> DrainProgress:
        """Tell some connections to close, paced; raise ``TooManyDrainsError``."""

    def cancel_drain(self, name: str, author: str = "") -> bool:
        """Close no further ones, and forget it; return whether there was one."""

    def drain_progress(self, name: str) -> DrainProgress | None:
        """Return how far a drain is."""

    def drains(self) -> tuple[DrainProgress, ...]:
        """Return how far each drain is, the oldest first."""

    def reopen_logs(self) -> None:
        """Open log files anew that were rotated away."""
