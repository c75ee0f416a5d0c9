"""What pydantic finds, in plain words.

Every schema of this package is built so that one mistake makes one pydantic error (no unions that
report each of their branches), hence one error becomes one ``Fault``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from admin.documents.faults import IS_NOT, MAX_FAULTS, UNKNOWN_KEY, meant, nearest, one_of, shown
from proxy.errors import Fault, FaultError, pointer

_KEY_MARK: Final = "[key]"


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
