"""Faults: where, what is wrong, and what would be right; and the words that say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from proxy.errors import Fault

MAX_FAULTS: Final = 1000
"""Faults reported one by one; beyond that they are counted."""

SHOWN_CHARACTERS: Final = 60
"""How much of a wrong value a message repeats."""

IS_NOT: Final = "is_not"
"""Error type of our own schemas: ``expected`` and ``hint`` come in the context."""
UNKNOWN_KEY: Final = "unknown_key"

QUOTED_OFF: Final = 'put it in quotes: "off"; a YAML 1.1 tool made it false'
"""Hint for ``false`` where ``off`` may stand: Helm, for one, still reads YAML 1.1."""

_KNOWN_SHOWN: Final = 12
_COMPARED: Final = 500
"""How many known words are compared with a wrong one; each takes some microseconds."""


class DocumentError(Exception):
    """A document that cannot be used; ``faults`` has every fault found, at least one."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: Final = tuple(faults)
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in self.faults))


def shown(value: object) -> str:
    """Return a value as a message repeats it: JSON, shortened."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        text = repr(value[: SHOWN_CHARACTERS + 1])  # escapes what cannot be printed
    elif value is None or isinstance(value, bool | int | float):
        text = json.dumps(value) if abs(value or 0) < 1e30 else "a huge number"
    else:
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def nearest(word: str, known: Iterable[str], what: str) -> str:
    """Return a hint: the known word that looks most like this one, or the known words.

    ``what`` says what they are, in the plural.
    """
    candidates = sorted(known)
    if close := meant(word, candidates):
        return close
    if not candidates:
        return f"there are no {what}"
    listed = ", ".join(candidates[:_KNOWN_SHOWN])
    return f"{what}: {listed}" + (", …" if len(candidates) > _KNOWN_SHOWN else "")


def meant(word: object, known: Iterable[str]) -> str | None:
    """Return a hint if one of the known words looks much like this one."""
    if not isinstance(word, str):
        return None
    from difflib import get_close_matches

    close = get_close_matches(word[:200], list(known)[:_COMPARED], n=1)
    return f"did you mean `{close[0]}`?" if close else None


def bounded(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults by place, each once, at most ``MAX_FAULTS`` of them."""
    ordered = sorted(set(faults), key=lambda fault: (fault.path, fault.message))
    if len(ordered) <= MAX_FAULTS:
        return tuple(ordered)
    return (*ordered[:MAX_FAULTS], Fault("", f"more than {MAX_FAULTS:,} faults"))


def one_of(words: Sequence[str]) -> str:
    """Return the words as an English choice: ``a, b or c``."""
    quoted = [f"`{word}`" for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
