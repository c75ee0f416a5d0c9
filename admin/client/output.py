"""What a command says: tables and sentences for people, JSON for programs.

Colours are for terminals, and not where ``NO_COLOR`` is set or the terminal is ``dumb``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TextIO

from admin.client.problems import printable

COLOURS: Final = {
    "bold": "1", "faint": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"
}  # fmt: skip

STATES: Final = {
    "active": "green", "ready": "green", "accepting": "green", "open": "green", "done": "green",
    "drain": "yellow", "draining": "yellow", "closing": "yellow", "full": "yellow",
    "unresolved": "red", "ejected": "red", "down": "red", "not ready": "red", "closed": "red",
    "removed": "faint", "idle": "faint",
}  # fmt: skip
"""The colours of states."""

MIB: Final = 1024 * 1024


class Cell(NamedTuple):
    """Text in a colour."""

    text: str
    colour: str | None = None


def state(word: str) -> Cell:
    """Colour a state."""
    return Cell(word, STATES.get(word))


class Output:
    """Where a command says what it has to say, and as what."""

    def __init__(
        self, out: TextIO, err: TextIO, environ: Mapping[str, str], format_: str = "table"
    ) -> None:
        self.err: Final = err
        self.format: Final = format_
        self._out: Final = out
        calm = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self._colours: Final = out.isatty() and not calm
        self._movable: Final = err.isatty() and environ.get("TERM") != "dumb"

    @property
    def for_people(self) -> bool:
        """Neither JSON nor YAML is asked for."""
        return self.format == "table"

    @property
    def live(self) -> bool:
        """Somebody looks on who may see a line change."""
        return self.for_people and self._movable

    @property
    def columns(self) -> int:
        """How wide the terminal of standard error is now."""
        return os.get_terminal_size(self.err.fileno()).columns or 80

    def json(self, value: object) -> None:
        """Say a value as JSON."""
        print(json.dumps(value, ensure_ascii=False, indent=2), file=self._out)

    def json_line(self, value: object) -> None:
        """Say a value as one line of JSON, at once."""
        print(json.dumps(value, ensure_ascii=False), file=self._out, flush=True)

    def raw(self, text: str) -> None:
        """Say text that came as it is to be."""
        self._out.write(text if text.endswith("\n") else text + "\n")

    def line(self, *parts: str | Cell) -> None:
        """Say one line, at once."""
        print("".join(self.paint(part) for part in parts), file=self._out, flush=True)

    def aside(self, text: str) -> None:
        """Say what is no part of the result."""
        print(printable(text), file=self.err)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> None:
        """Say rows in columns, those left out that are empty; nothing at all without rows."""
        cells = [[_cell(cell) for cell in row] for row in rows]
        columns = zip(*cells, strict=True)
        widths = [max(len(printable(cell.text)) for cell in column) for column in columns]
        kept = [at for at, width in enumerate(widths) if width]
        titles = [Cell(heading, "bold") for heading in headings]
        for row in [titles, *cells] if cells else []:
            spaced = [
                self.paint(row[at])
                + " " * (max(widths[at], len(headings[at])) - len(printable(row[at].text)))
                for at in kept
            ]
            print("  ".join(spaced).rstrip(), file=self._out)

    def paint(self, cell: str | Cell) -> str:
        """Return text as it is shown."""
        text, colour = _cell(cell)
        shown = printable(text)
        if not self._colours or colour is None:
            return shown
        return f"\x1b[{COLOURS[colour]}m{shown}\x1b[0m"


def _cell(cell: str | Cell) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def moment(seconds: float) -> str:
    """Return a time as people read it, in the zone of the machine."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """Return a time span in its two largest units."""
    whole = max(int(seconds), 0)
    parts = [("d", whole // 86400), ("h", whole // 3600 % 24), ("m", whole // 60 % 60)]
    parts.append(("s", whole % 60))
    while len(parts) > 1 and not parts[0][1]:
        del parts[0]
    return "".join(f"{number}{unit}" for unit, number in parts[:2])


def size(octets: int) -> str:
    """Return a number of octets as people read it."""
    if octets < 1024:
        return str(octets)
    return f"{octets / 1024:.1f}K" if octets < MIB else f"{octets / MIB:.1f}M"


def compact(value: Any) -> str:
    """Return a value of a document on one line: words as they are, the rest as JSON."""
    if isinstance(value, str) and value.isprintable() and value:
        return value
    return json.dumps(value, ensure_ascii=False)
