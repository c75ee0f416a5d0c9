"""YAML 1.2, core schema (https://yaml.org/spec/1.2.2/#103-core-schema), to and from JSON values.

ruamel.yaml does the parsing; values are made here, straight from its events.  That leaves no room
for tags, timestamps or YAML 1.1 words (``on``, ``yes``), finds duplicate keys with their places,
and bounds what aliases may expand to.  Keys are text, whatever they look like.  ``<<`` merges, as
every reader of YAML does although the 1.2 schema has dropped it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from admin.documents.faults import DocumentError, bounded, shown
from proxy.errors import Fault, pointer

MAX_VALUES: Final = 1_000_000
"""Values of one document, with every alias expanded."""

_MERGE: Final = "<<"
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT: Final = re.compile(r"[-+]?[0-9]{1,100}")
_OCTAL_OR_HEX: Final = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG: Final = "tag:yaml.org,2002:"

Place: TypeAlias = tuple[str | int, ...]


def load_yaml(text: str, max_depth: int) -> object:
    """Return the JSON value of the one YAML document in ``text``.

    Raises:
        DocumentError: it is not YAML, or not that of a JSON value.
    """
    reader = _Reader(text, max_depth)
    try:
        value = reader.read()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError([Fault("", f"not YAML{_at(mark)}: {error.problem}")]) from None
    except YAMLError as error:
        said = str(error).partition("\n")[0]
        raise DocumentError([Fault("", f"not YAML: {said}")]) from None
    if reader.faults:
        raise DocumentError(bounded(reader.faults))
    return value


def _at(mark: Any) -> str:
    return "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"


def _refusal(event: Any, place: Place, message: str, hint: str | None = None) -> DocumentError:
    return DocumentError([Fault(pointer(*place), f"{message}{_at(event.start_mark)}", hint)])


class _Reader:
    """Builds a value from parsing events."""

    def __init__(self, text: str, max_depth: int) -> None:
        self.faults: Final[list[Fault]] = []
        """Duplicate keys; everything else that is wrong ends the reading."""
        self._events: Final[Iterator[Any]] = iter(YAML(typ="safe", pure=True).parse(text))
        self._max_depth: Final = max_depth
        self._anchors: Final[dict[str, tuple[object, int]]] = {}
        """Values by anchor, each with how many values it holds."""
        self._values = 0

    def read(self) -> object:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), StreamEndEvent):
            fault = Fault("", "the document is empty", "write {} for no configuration")
            raise DocumentError([fault])
        value = self._value(next(self._events), ())
        next(self._events)  # the document ends
        event = next(self._events)
        if not isinstance(event, StreamEndEvent):
            raise _refusal(event, (), "a second document begins")
        return value

    def _value(self, event: Any, place: Place) -> object:
        before = self._values
        self._values += 1
        if isinstance(event, AliasEvent):
            value = self._expand(event, place)
        elif isinstance(event, ScalarEvent):
            value = _scalar(event, place)
        else:
            value = self._container(event, place)
        if self._values > MAX_VALUES:
            raise _refusal(event, place, f"more than {MAX_VALUES:,} values, aliases expanded")
        if event.anchor is not None and not isinstance(event, AliasEvent):
            self._anchors[event.anchor] = value, self._values - before
        return value

    def _expand(self, event: AliasEvent, place: Place) -> object:
        # An anchor is known once its value is complete, so no value can hold itself.
        if event.anchor not in self._anchors:
            hint = f'in quotes it is text: "*{event.anchor}"'
            raise _refusal(event, place, f"no anchor &{event.anchor} comes before this", hint)
        value, size = self._anchors[event.anchor]
        self._values += size
        return value

    def _container(self, event: Any, place: Place) -> object:
        if len(place) >= self._max_depth:
            raise _refusal(event, place, f"more than {self._max_depth} levels deep")
        mapping = isinstance(event, MappingStartEvent)
        if event.tag not in {None, "!", _TAG + ("map" if mapping else "seq")}:
            raise _refusal(event, place, f"tag {event.tag}", "tags are not supported")
        if mapping:
            return self._mapping(place)
        items: list[object] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._value(event, (*place, len(items))))
        return items

    def _mapping(self, place: Place) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise _refusal(event, place, "a key that is not text")
            key = event.value
            value = self._value(next(self._events), (*place, key))
            if key == _MERGE and event.style is None:
                for some in value if isinstance(value, list) else [value]:
                    if not isinstance(some, dict):
                        raise _refusal(event, place, "`<<` merges objects only")
                    merged = some | merged  # the first wins
            elif key in own:
                at = _at(event.start_mark)
                self.faults.append(Fault(pointer(*place, key), f"this key is there twice{at}"))
            else:
                own[key] = value
        return {**merged, **own} if merged else own


def _scalar(event: ScalarEvent, place: Place) -> object:
    text: str = event.value
    if event.tag is not None and event.tag != "!":
        if event.tag == f"{_TAG}str":
            return text
        raise _refusal(event, place, f"tag {event.tag}", "tags are not supported")
    if event.style is not None or event.tag == "!":
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _NOT_FINITE.fullmatch(text):
        raise _refusal(event, place, f"{text} is not a finite number")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise _refusal(event, place, f"{shown(text)} is not a finite number")
        return number
    return text


_PLAIN: Final = re.compile(r"[A-Za-z/_][A-Za-z0-9_./*-]*|[0-9]+(ms|s|m|h|B|KiB|MiB|GiB|KB|MB|GB)")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What some reader of YAML, 1.1 or 1.2, takes for something else than text."""
_SIMPLE_KEY: Final = 1000
"""A longer key has a line of its own; YAML's limit is 1,024 characters."""
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def dump_yaml(raw: object) -> str:
    """Return a JSON value as YAML that every reader, of YAML 1.1 or 1.2, understands alike."""
    return "\n".join(_lines(raw, "")) + "\n"


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            head = _text(key)
            if len(head) > _SIMPLE_KEY:
                yield f"{indent}? {head}"
                head = ""
            yield from _entry(f"{indent}{head}:", item, f"{indent}  ")
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item, f"{indent}  ")
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
    else:
        yield indent + _text(value)


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from _lines(value, indent)
    else:
        yield f"{head} {_text(value)}"


def _text(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
