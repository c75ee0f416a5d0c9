"""The serialised apply: the one way a configuration comes to serve.

    edit -> validate -> translate -> compile and bind -> revision -> publish

Every step up to the binding may fail, and then nothing has happened: ``Server.prepare`` gives back
what it bound.  From there on nothing fails: the revision is made and published between two awaits.
One lock holds from the first step to the last, so an edit, with its preconditions, always sees the
document that it is going to replace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

from admin.documents import Document, DocumentError, effective, validate
from admin.documents.document import Validated
from admin.edits import MISSING, canonical, changed, same
from admin.revisions import Applies, Attempt, Origin, Result, Revision
from admin.translate import to_spec
from proxy.errors import Fault, SpecError
from proxy.spec import Spec
from proxy.telemetry.logging import get_logger

if TYPE_CHECKING:
    from proxy.telemetry.reading import Reading

P = ParamSpec("P")
T = TypeVar("T")

EMPTY: Final[object] = {"version": 1}
"""The document of a process that was given none."""

INLINE_BYTES: Final = 64 * 1024
"""What is smaller is worked on where it stands (at 64 KiB, some 5 ms); what is larger would hold up
the traffic on the same event loop, and goes to a thread.  A thread costs its start and the wait for
the interpreter lock, which a small document does not repay."""

LOGGED_FAULTS: Final = 20
"""How many faults of a refused document the log shows."""

_log = get_logger("admin.controller")


class Prepared(Protocol):
    """A configuration that is compiled and bound, and not yet served."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""

    def publish(self) -> None:
        """Serve it.  Cannot fail."""

    def discard(self) -> None:
        """Give back what was bound."""


class DataPlane(Protocol):
    """What the control plane asks of ``proxy.Server``."""

    async def prepare(self, spec: Spec, *, revision: int | None = None) -> Prepared:
        """Compile and bind; raise ``SpecError`` with every fault."""

    def drain(self, *, timeout_s: float, accept_s: float) -> None:
        """Start the drain, or join the one that runs."""

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

    def reopen_logs(self) -> None:
        """Open log files anew that were rotated away."""


Edit = Callable[[object], object]
"""From the document as it stands to the one wanted; raises what its preconditions ask for."""


class RefusedError(Exception):
    """A document was refused; what served before goes on serving."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults: Final = faults


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a change that was not refused."""

    raw: object
    """The document after the change; for a dry run, as it would be."""
    revision: int
    """The revision that serves now."""
    changed: tuple[str, ...]
    warnings: tuple[str, ...] = ()


async def offload(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on about ``size`` octets of JSON, in a thread if that is a lot."""
    if size <= INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


class Controller:
    """Holds the document, and is the only one to change it."""

    def __init__(self, server: DataPlane) -> None:
        """Start with the empty document as revision 0."""
        self._server: Final = server
        self.published: Callable[[], None] | None = None
        """Called after every new revision."""
        self._lock: Final = asyncio.Lock()
        self._document: Document = validate(EMPTY)
        self._spec: Spec = to_spec(self._document)
        self.raw: object = EMPTY
        """The document as it was written."""
        self.size = len(canonical(EMPTY))
        """Octets of the document as compact JSON."""
        self._bootstrap: object = MISSING
        self._drift: tuple[object, object, tuple[str, ...]] = (MISSING, MISSING, ())
        self.revision = Revision(0, time.time(), Origin("start", "hotsplice"), ())
        self.applies: Final = Applies()

    async def change(
        self, edit: Edit, origin: Origin, *, dry_run: bool = False, added: int = 0
    ) -> Outcome:
        """Apply an edit of the document as one revision, or raise ``RefusedError``.

        ``added`` is about how many octets the edit may add.  An edit that changes nothing makes no
        revision and touches nothing.
        """
        async with self._lock:
            try:
                return await self._change(edit, origin, dry_run, self.size + added)
            except (DocumentError, SpecError) as error:
                faults = tuple(error.faults)
                if not dry_run:
                    self._record(origin, "refused", faults)
                raise RefusedError(faults) from error

    async def read(self, source: Callable[[], object], origin: Origin) -> Outcome:
        """Apply a whole document from somewhere that may block, such as a file."""
        outcome = await self.change(lambda _: source(), origin, added=INLINE_BYTES)
        self._bootstrap = outcome.raw
        return outcome

    @property
    def drift(self) -> tuple[str, ...]:
        """Pointers to the objects in which what serves differs from the file last read.

        Found once per revision; empty if no file was ever read.
        """
        bootstrap, raw = self._bootstrap, self.raw
        if bootstrap is MISSING:
            return ()
        if self._drift[0] is not bootstrap or self._drift[1] is not raw:
            self._drift = (bootstrap, raw, changed(bootstrap, raw))
        return self._drift[2]

    async def effective(self) -> object:
        """Return the document with every default filled in."""
        return await offload(self.size, effective, self._document)

    async def _change(self, edit: Edit, origin: Origin, dry_run: bool, size: int) -> Outcome:
        raw = await offload(size, edit, self.raw)
        if await offload(size, same, self.raw, raw):
            if not dry_run:
                self._record(origin, "unchanged")
            return Outcome(self.raw, self.revision.number, ())
        old = Validated(self.raw, self._document)
        candidate = await offload(size, _examine, old, self._spec, raw)
        number = self.revision.number + 1
        prepared = await self._server.prepare(candidate.spec, revision=number)
        if dry_run:
            prepared.discard()
        else:
            self._publish(prepared, candidate, origin)
        return Outcome(raw, self.revision.number, candidate.changed, prepared.warnings)

    def _publish(self, prepared: Prepared, candidate: _Candidate, origin: Origin) -> None:
        prepared.publish()
        self.raw, self.size = candidate.raw, candidate.size
        self._document, self._spec = candidate.document, candidate.spec
        self.revision = Revision(self.revision.number + 1, time.time(), origin, candidate.changed)
        self._record(origin, "applied", warnings=prepared.warnings)
        if self.published is not None:
            self.published()

    def _record(
        self,
        origin: Origin,
        result: Result,
        faults: tuple[Fault, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.applies.record(Attempt(time.time(), origin, result, len(faults)))
        say = _log.warning if faults or warnings else _log.info
        say(
            f"config_{result}",
            source=origin.source,
            author=origin.author,
            note=origin.note,
            revision=self.revision.number,
            changed=self.revision.changed if result == "applied" else (),
            warnings=warnings,
            faults=[f"{fault.path}: {fault.message}" for fault in faults[:LOGGED_FAULTS]],
        )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A document without faults, and what was worked out from it."""

    raw: object
    size: int
    document: Document
    spec: Spec
    changed: tuple[str, ...]


def _examine(old: Validated, old_spec: Spec, raw: object) -> _Candidate:
    document = validate(raw, old)
    spec = to_spec(document, (old.document, old_spec))
    return _Candidate(raw, len(canonical(raw)), document, spec, changed(old.raw, raw))
