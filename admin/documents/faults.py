"""Faults in plain words: where, what is wrong, and what would be right.

pydantic finds them; this module says them.  Every schema of this package is built so that one
mistake makes one pydantic error (no unions that report each of their branches), hence one error
becomes one ``Fault``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from proxy.errors import Fault, FaultError, pointer

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
_KEY_MARK: Final = "[key]"


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


def located(details: Sequence[ErrorDetails], model: type[BaseModel]) -> list[Fault]:
    """Return what pydantic found in a value that should have been a ``model``.

    One more than ``MAX_FAULTS`` is enough to know that there are more.
    """
    return [_fault(detail, model) for detail in details[: MAX_FAULTS + 1]]


def _fault(detail: ErrorDetails, model: type[BaseModel]) -> Fault:
    place = list(detail["loc"])
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx") or {}
    if place and place[-1] == _KEY_MARK and kind in _KEY_ERRORS:
        place.pop()
    message, hint = _words(kind, detail, context, place, model)
    return Fault(pointer(*place), message, hint)


_KEY_ERRORS: Final = frozenset({IS_NOT, "string_type", "string_unicode"})


def _words(
    kind: str,
    detail: ErrorDetails,
    context: Mapping[str, Any],
    place: Sequence[str | int],
    model: type[BaseModel],
) -> tuple[str, str | None]:
    value = detail["input"]
    if kind == "value_error" and isinstance(fault := context.get("error"), FaultError):
        return fault.message, fault.hint
    if kind == IS_NOT:
        return f"{shown(value)} is not {context['expected']}", context.get("hint")
    if kind == UNKNOWN_KEY:
        keys = model_at(model, place[:-1]).model_fields
        return f"unknown key {shown(place[-1])}", nearest(str(place[-1]), keys, "known keys")
    if kind == "missing":
        examples = model_at(model, place[:-1]).model_fields[str(place[-1])].examples or []
        return f"`{place[-1]}` is missing", f"such as {json.dumps(examples[0])}"
    if kind in _SENTENCES:
        return _SENTENCES[kind](value, context)
    return detail["msg"], None


def _text(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    hint = None
    if isinstance(value, bool | int | float):
        hint = f'put it in quotes: "{json.dumps(value)}"'
    elif value is None:
        hint = "leave the key out for its default"
    return f"{shown(value)} is not text", hint


def _truth(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    word = str(value).lower()
    hint = None
    if word in {"yes", "on", "true", "1"}:
        hint = "write true"
    elif word in {"no", "off", "false", "0"}:
        hint = "write false"
    return f"{shown(value)} is not true or false", hint


def _object(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    hint = "write {} for one with every default" if value is None else None
    return f"{shown(value)} is not an object", hint


def _list(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    hint = f"write [{shown(value)}]" if isinstance(value, str) else None
    return f"{shown(value)} is not a list", hint


def _literal(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    words = [word.strip("'") for word in re.findall(r"'[^']*'|[0-9]+", context["expected"])]
    return f"{shown(value)} is not {one_of(words)}", meant(value, words)


def _too_long(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    return "has too many entries", f"at most {context['max_length']:,}"


def _too_short(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    return f"{shown(value)} without entries", "leave the key out, or name at least one"


def _string_too_long(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    return f"{shown(value)} is too long", f"at most {context['max_length']:,} characters"


def _key(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    return f"the key {shown(value)} is not text", None


def _surrogates(value: object, context: Mapping[str, Any]) -> tuple[str, str | None]:
    return f"{shown(value)} is not Unicode text", "surrogates come in pairs"


_SENTENCES: Final[dict[str, Callable[[object, Mapping[str, Any]], tuple[str, str | None]]]] = {
    "string_type": _text,
    "string_too_long": _string_too_long,
    "string_unicode": _surrogates,
    "invalid_key": _key,
    "bool_type": _truth,
    "model_type": _object,
    "dict_type": _object,
    "list_type": _list,
    "literal_error": _literal,
    "too_long": _too_long,
    "too_short": _too_short,
}


def one_of(words: Sequence[str]) -> str:
    """Return the words as an English choice: ``a, b or c``."""
    quoted = [f"`{word}`" for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def model_at(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel]:
    """Return the model of the object at a place of a ``model``."""
    kind: Any = model
    for part in place:
        field = kind.model_fields[str(part)].annotation if _is_model(kind) else get_args(kind)[-1]
        kind = _bare(field)
    return cast("type[BaseModel]", kind)


def _bare(annotation: Any) -> Any:
    """Strip what surrounds a container or a model: ``Annotated``, ``| None``, ``| "off"``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        branches = (_bare(branch) for branch in get_args(annotation))
        return next(b for b in branches if get_origin(b) in {dict, list} or _is_model(b))
    return annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
