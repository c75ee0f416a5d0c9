"""What became of each directive: kept, approximated or refused; and what nginx refuses too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from admin.nginx.reading import Directive
from proxy.errors import Fault, FaultError


class Verdict(IntEnum):
    """What became of a directive; the greater is the worse."""

    KEPT = 0
    APPROXIMATED = 1
    REFUSED = 2


class RefusalError(Exception):
    """nginx can do this and a document cannot say it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message: Final = message
        self.hint: Final = hint


@dataclass(slots=True)
class Note:
    """The verdict on one directive, with everything that was said about it."""

    verdict: Verdict = Verdict.KEPT
    remarks: list[str] = field(default_factory=list)
    hint: str | None = None
    """What to do about a refusal."""


class Report:
    """Collects verdicts and faults."""

    def __init__(self) -> None:
        self.notes: Final[dict[Directive, Note]] = {}
        self.faults: Final[list[Fault]] = []
        """What no document can be made of, ``--lenient`` or not."""

    def kept(self, directive: Directive, remark: str | None = None) -> None:
        """Note that a directive means here what it means in nginx."""
        self._note(directive, Verdict.KEPT, remark)

    def approximated(self, directive: Directive, remark: str) -> None:
        """Note how the result differs from nginx."""
        self._note(directive, Verdict.APPROXIMATED, remark)

    def refused(self, directive: Directive, remark: str, hint: str | None = None) -> None:
        """Note that a directive is left out, although it changes what nginx does."""
        note = self._note(directive, Verdict.REFUSED, remark)
        note.hint = note.hint or hint

    def fault(self, directive: Directive, message: str, hint: str | None = None) -> None:
        """Note that a directive is wrong."""
        fault = Fault(str(directive.place), message, hint)
        if fault not in self.faults:
            self.faults.append(fault)

    @contextmanager
    def judging(self, directive: Directive) -> Iterator[None]:
        """Note what is raised within this context as the verdict on a directive."""
        try:
            yield
        except FaultError as error:
            self.fault(directive, error.message, error.hint)
        except RefusalError as error:
            self.refused(directive, error.message, error.hint)
            self._forget(directive.block or ())

    def refusals(self) -> tuple[Fault, ...]:
        """Return every refusal as a fault."""
        return tuple(
            Fault(str(directive.place), f"{directive}: {'; '.join(note.remarks)}", note.hint)
            for directive, note in self.notes.items()
            if note.verdict is Verdict.REFUSED
        )

    def told(self, verdict: Verdict) -> list[str]:
        """Return the lines with this verdict."""
        return [line for line in self.lines() if f": {verdict.name.lower()}: " in line]

    def lines(self) -> Iterator[str]:
        """Give a line for each directive, file by file."""
        files = {directive.place.file: None for directive in self.notes}
        order = {name: number for number, name in enumerate(files)}
        places = sorted(
            self.notes.items(), key=lambda each: (order[each[0].place.file], each[0].place.line)
        )
        for directive, note in places:
            said = f": {'; '.join(note.remarks)}" if note.remarks else ""
            advice = f" ({note.hint})" if note.hint else ""
            verdict = note.verdict.name.lower()
            yield f"{directive.place}: {verdict}: {directive}{said}{advice}"

    def count(self, verdict: Verdict) -> int:
        """Return how many directives have this verdict."""
        return sum(note.verdict is verdict for note in self.notes.values())

    def _forget(self, block: tuple[Directive, ...]) -> None:
        """Take back what was said of the content of a block that is refused as a whole."""
        for directive in block:
            self.notes.pop(directive, None)
            self._forget(directive.block or ())

    def _note(self, directive: Directive, verdict: Verdict, remark: str | None) -> Note:
        note = self.notes.setdefault(directive, Note())
        if verdict > note.verdict:
            # Why something is approximated does not matter once it is refused.
            note.verdict, note.remarks = verdict, []
        if remark is not None and verdict == note.verdict and remark not in note.remarks:
            note.remarks.append(remark)
        return note
