"""The serialised apply: the one way a configuration comes to serve.

    edit -> validate -> translate -> compile and bind -> keep -> publish

Every step up to the keeping may fail, and then nothing has happened: ``Server.prepare`` gives back
what it bound.  What is kept on disk is published between two awaits, and from there on nothing
fails.  One lock holds from the first step to the last, so an edit, with its preconditions, always
sees the document that it is going to replace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from admin.candidate import Candidate, digest_of
from admin.confirmation import Confirmation
from admin.documents.faults import DocumentError
from admin.edits import KINDS, MISSING, changed, same
from admin.events import Events, listed
from admin.examiner import Examiner
from admin.folder.ownership import Folder, laid_over
from admin.json_text import canonical
from admin.memory import Memory
from admin.offloading import INLINE_BYTES, completed, give_way, offload
from admin.overrides import Overrides
from admin.plane import DataPlane, Prepared
from admin.records import Applied, Bootstrapped, Confirmed, Owned
from admin.revisions import Applies, Attempt, Origin, Pending, Result, Revision
from admin.store import NotKeptError
from proxy.errors import Fault, SpecError
from proxy.spec import OnRemoval, Spec
from proxy.telemetry.logging import get_logger

LOGGED_FAULTS: Final = 20
"""How many faults of a refused document the log shows."""

EFFECTIVE_GROWTH: Final = 20
"""So many times its length a document may have with every default: an endpoint can be written in
10 octets, and has 200 in effect."""

_log = get_logger("admin.controller")

Edit = Callable[[object], object]
"""From the document as it stands to the one wanted; raises what its preconditions ask for."""


class RefusedError(Exception):
    """A document was refused; what served before goes on serving."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults: Final = faults


class PendingError(Exception):
    """A revision waits to be confirmed, and until then nothing else is written."""

    def __init__(self, pending: Pending) -> None:
        super().__init__(f"revision {pending.revision} waits to be confirmed")
        self.pending: Final = pending


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a change that was not refused."""

    raw: object
    """The document after the change; for a dry run, as it would be."""
    revision: int
    """The revision that serves now."""
    changed: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a change is made."""

    dry_run: bool = False
    confirm_within_s: float | None = None
    """Take it back unless it is confirmed within this time."""
    restores: int | None = None
    """The revision whose document is to serve again."""
    on_removal: OnRemoval | None = None
    """What becomes of tunnels of endpoints that it removes, in place of what their pool says."""
    from_file: bool = False
    """It is what the bootstrap file says."""
    from_folder: bool = False
    """It is what the folder says, with what is there besides."""
    come_what_may: bool = False
    """Even if it cannot be kept, or something else is pending."""


ORDINARY: Final = Terms()
RESUMED: Final = Origin("state", "hotsplice")
FROM_FOLDER: Final = Origin("folder", "hotsplice")


class Controller:
    """Holds the document, and is the only one to change it."""

    def __init__(
        self, server: DataPlane, memory: Memory | None = None, examiner: Examiner | None = None
    ) -> None:
        """Begin with what is remembered, which nobody serves before ``resume`` or a change."""
        self._server: Final = server
        self.memory: Final = Memory() if memory is None else memory
        self._examiner: Final = Examiner() if examiner is None else examiner
        self.events: Final = Events()
        self.overrides: Final = Overrides(server, self.memory, self.events)
        self.published: Callable[[], None] | None = None
        """Called after every new revision."""
        self._lock: Final = asyncio.Lock()
        self._serving = Candidate.empty()
        history = self.memory.state.history
        self.examining: Final = asyncio.Lock()
        """Held while somebody looks at a document that is not to serve: one at a time."""
        self.raw: object = history.document(history.latest.number)
        """The document as it was written."""
        self.size = len(canonical(self.raw))
        """Octets of the document as compact JSON."""
        self.bootstrap: object = MISSING
        """What the file of ``--config`` said when it was last read."""
        self.folder: Folder | None = None
        """The folder of ``--config``, which owns its objects."""
        self._drift: tuple[object, object, tuple[str, ...]] = (MISSING, MISSING, ())
        self._confirmation: Final = Confirmation(self.memory, self._roll_back)
        self.applies: Final = Applies()

    @property
    def revision(self) -> Revision:
        """The revision that serves."""
        return self.memory.state.history.latest

    @property
    def pending(self) -> Pending | None:
        """The confirmation that is waited for."""
        return self.memory.state.pending

    async def examined(self, raw: object, size: int) -> Spec:
        """Return what a document of about ``size`` octets, that is not to serve, asks for.

        Raise ``DocumentError`` with every fault.
        """
        return (await self._examiner.examine(size, raw, await self._modelled())).spec

    async def change(
        self, edit: Edit, origin: Origin, terms: Terms = ORDINARY, *, added: int = 0
    ) -> Outcome:
        """Apply an edit of the document as one revision.

        ``added`` is about how many octets the edit may add.  An edit that changes nothing makes no
        revision and touches nothing.  Raise ``RefusedError``, ``PendingError``, ``NotKeptError``,
        ``OwnedError``.
        """
        async with self._lock:
            self._check_pending(terms)
            try:
                return await self._change(edit, origin, terms, self.size + added)
            except (DocumentError, SpecError) as error:
                faults = tuple(error.faults)
                if terms.from_folder and self.folder is not None:
                    faults = tuple(map(self.folder.said.located, faults))
                if not terms.dry_run:
                    self._record(origin, "refused", faults)
                raise RefusedError(faults) from error
            except NotKeptError as error:
                self._record(origin, "refused", (Fault("", f"not kept: {error}"),))
                raise

    async def read(
        self, source: Callable[[], object], origin: Origin, *, come_what_may: bool = False
    ) -> Outcome:
        """Apply a whole document from somewhere that may block, such as a file."""
        terms = Terms(from_file=True, come_what_may=come_what_may)
        outcome = await self.change(lambda _: source(), origin, terms, added=INLINE_BYTES)
        self.bootstrap = outcome.raw
        return outcome

    async def read_folder(self, *, come_what_may: bool = False) -> Outcome:
        """Apply what the folder says, beside what is there besides."""
        folder = self.folder
        assert folder is not None

        def edit(raw: object) -> object:
            return laid_over(raw, self.memory.state.owned, folder.read())

        terms = Terms(from_folder=True, come_what_may=come_what_may)
        try:
            return await self.change(edit, FROM_FOLDER, terms, added=INLINE_BYTES)
        except NotKeptError:
            folder.seen = None  # until it is read again
            raise

    async def restore(self, number: int, origin: Origin, terms: Terms, check: Edit) -> Outcome:
        """Apply the document of a revision again, which is kept; ``check`` sees the present one."""

        def edit(raw: object) -> object:
            check(raw)
            return self.memory.state.history.document(number)

        terms = replace(terms, restores=number)
        return await self.change(edit, origin, terms, added=self.memory.state.history.octets)

    async def resume(self) -> None:
        """Serve what is remembered, as the revision that it was; ``RefusedError``.

        What nobody confirmed in time does not serve again.
        """
        if self.pending is not None and self.pending.until <= time.time():
            try:
                await self._roll_back(self.pending)
            except RefusedError:
                _log.warning("rollback_refused", revision=self.revision.number)
            else:
                return
        async with self._lock:
            try:
                candidate = await self._examiner.examine(self.size, self.raw, self._serving)
                number = self.revision.number
                prepared = await self._server.prepare(candidate.spec, revision=number, served=True)
            except (DocumentError, SpecError) as error:
                faults = tuple(error.faults)
                self._record(RESUMED, "refused", faults)
                raise RefusedError(faults) from error
            await self._publish(prepared, candidate, RESUMED)

    async def confirm(self, number: int) -> bool:
        """Let a pending revision stay; tell whether it stays (a second time, it stays as well).

        ``NotKeptError``, and then it is still pending.
        """
        async with self._lock:
            pending = self.pending
            if pending is None:
                return number == self.revision.number
            if pending.revision != number:
                return False
            await completed(self.memory.keep(Confirmed()))
            self._confirmation.watch()
            _log.info("config_confirmed", revision=number)
            self._tell("confirmed")
            return True

    def close(self) -> None:
        """Take nothing back and let nothing expire any more."""
        self.overrides.close()
        self._confirmation.close()

    @property
    def drift(self) -> tuple[str, ...]:
        """Pointers to the objects in which what serves differs from the file or folder last read.

        Found once per revision; empty if nothing was ever read.
        """
        bootstrap, raw = self.bootstrap, self.raw
        if self.folder is not None:
            bootstrap = self.folder.said.document or MISSING
        if bootstrap is MISSING:
            return ()
        if self._drift[0] is not bootstrap or self._drift[1] is not raw:
            differing = changed(bootstrap, raw)
            # An empty section says the same as none.
            drift = tuple(at for at in differing if at[1:] not in KINDS)
            self._drift = (bootstrap, raw, drift)
        return self._drift[2]

    async def effective(self) -> object:
        """Return the document with every default filled in."""
        size = self.size * EFFECTIVE_GROWTH
        return await self._examiner.effective(size, await self._modelled())

    async def _modelled(self) -> Candidate:
        """Return what serves with its models, which are made once."""
        serving = self._serving
        if serving.document is not None:
            return serving
        modelled = await self._examiner.modelled(self.size, serving)
        if self._serving is serving:  # and nothing newer
            self._serving = modelled
        return modelled

    async def _change(self, edit: Edit, origin: Origin, terms: Terms, size: int) -> Outcome:
        raw = await offload(size, edit, self.raw)
        folder, owned = self.folder, self.memory.state.owned
        if folder is not None and terms.from_folder:
            owned = folder.said.files
        elif folder is not None and not terms.come_what_may:
            await offload(size, folder.check, self.raw, raw, owned)
        digest = await offload(size, digest_of, raw) if terms.from_file else None
        if await offload(size, same, self.raw, raw):
            if digest not in (None, self.memory.state.bootstrap):
                await completed(self.memory.keep(Bootstrapped(digest), come_what_may=True))
            if owned != self.memory.state.owned:
                await completed(self.memory.keep(Owned(owned), come_what_may=True))
            if not terms.dry_run:
                self._record(origin, "unchanged")
            return Outcome(self.raw, self.revision.number, ())
        change = await self._examiner.examine_change(size, self.raw, raw, self._serving)
        number = self.revision.number + 1
        served = terms.come_what_may and terms.restores is not None
        prepared = await self._server.prepare(change.candidate.spec, revision=number, served=served)
        if terms.dry_run:
            prepared.discard()
        else:
            revision = Revision(number, time.time(), origin, change.changed, terms.restores)
            record = Applied(
                revision,
                change.delta,
                bootstrap=digest,
                owned=owned if terms.from_folder else None,
            )
            await completed(self._commit(prepared, change.candidate, record, terms))
        return Outcome(
            change.candidate.raw, self.revision.number, change.changed, prepared.warnings
        )

    async def _commit(
        self, prepared: Prepared, candidate: Candidate, record: Applied, terms: Terms
    ) -> None:
        revision = record.revision
        # What takes a pending one back ends the matter.
        if terms.confirm_within_s is not None and self.pending is None:
            until = revision.time + terms.confirm_within_s
            pending = Pending(revision.number, self.revision.number, until)
            record = replace(record, pending=pending)
        try:
            await self.memory.keep(record, come_what_may=terms.come_what_may)
        except BaseException:
            prepared.discard()
            raise
        await self._publish(prepared, candidate, revision.origin, terms.on_removal)

    async def _publish(
        self,
        prepared: Prepared,
        candidate: Candidate,
        origin: Origin,
        on_removal: OnRemoval | None = None,
    ) -> None:
        prepared.publish(on_removal)
        self._serving = candidate
        self.raw, self.size = candidate.raw, candidate.size
        self._tell("applied" if origin is not RESUMED else "resumed")
        self._confirmation.watch()
        if self.published is not None:
            self.published()
        self._count(origin, "applied")
        await give_way()
        self._say(origin, "applied", warnings=prepared.warnings)

    def _tell(self, what: str) -> None:
        revision, pending = self.revision, self.pending
        self.events.emit(
            "revision",
            what=what,
            revision=revision.number,
            source=revision.origin.source,
            author=revision.origin.author,
            note=revision.origin.note,
            restores=revision.restores,
            confirm_until=None if pending is None else pending.until,
            **listed(revision.changed),
        )

    def _check_pending(self, terms: Terms) -> None:
        pending = self.pending
        if pending is None or terms.dry_run or terms.come_what_may:
            return
        if terms.restores != pending.back_to:
            raise PendingError(pending)

    async def _roll_back(self, pending: Pending) -> None:
        def edit(raw: object) -> object:
            if self.pending != pending:
                return raw  # it was confirmed in the last moment
            return self.memory.state.history.document(pending.back_to)

        note = f"revision {pending.revision} was not confirmed"
        # A full disk keeps nobody on a revision that went wrong: after a restart it would be taken
        # back again.
        terms = Terms(restores=pending.back_to, come_what_may=True)
        octets = self.memory.state.history.octets
        await self.change(edit, Origin("rollback", "hotsplice", note), terms, added=octets)

    def _record(self, origin: Origin, result: Result, faults: tuple[Fault, ...] = ()) -> None:
        self._count(origin, result, faults)
        self._say(origin, result, faults)

    def _count(self, origin: Origin, result: Result, faults: tuple[Fault, ...] = ()) -> None:
        self.applies.record(Attempt(time.time(), origin, result, len(faults)))
        if origin is FROM_FOLDER and self.folder is not None:
            self.folder.faults, self.folder.refused_at = faults, self.revision.number

    def _say(
        self,
        origin: Origin,
        result: Result,
        faults: tuple[Fault, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> None:
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
