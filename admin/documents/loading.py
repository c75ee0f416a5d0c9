"""Text becomes JSON values: from JSON, or from YAML 1.2.

Both refuse what two readers could understand differently: duplicate keys, numbers that are not
finite, broken Unicode, and depth or size that no configuration has.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from admin.documents.faults import DocumentError, bounded
from proxy.errors import Fault, pointer

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
MAX_YAML_BYTES: Final = 2 * 1024 * 1024
"""Less than JSON, which is read a hundred times faster; a ConfigMap holds 1 MiB."""
MAX_DEPTH: Final = 64

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def load(data: bytes, *, yaml: bool) -> object:
    """Return the JSON value that ``data`` holds, in UTF-8.

    YAML takes seconds per megabyte: not for the event loop.

    Raises:
        DocumentError: it is not JSON or YAML, or ambiguous.
    """
    most = MAX_YAML_BYTES if yaml else MAX_JSON_BYTES
    if len(data) > most:
        hint = "JSON may be larger, and is read much faster" if yaml else None
        raise DocumentError([Fault("", f"the document is larger than {most:,} bytes", hint)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the document is not UTF-8: byte {error.start:,}"
        raise DocumentError([Fault("", message)]) from None
    value = _load_yaml(text) if yaml else _Json().load(text)
    if _deeper_than(value, MAX_DEPTH):
        raise DocumentError([_too_deep()])
    return value


def dump_yaml(value: object) -> str:
    """Return a JSON value as YAML that every reader, of YAML 1.1 or 1.2, understands alike."""
    from admin.documents import yaml_text

    return yaml_text.dump_yaml(value)


def _load_yaml(text: str) -> object:
    # Its parser is a large part of a start, and of the memory, of who uses JSON alone.
    from admin.documents import yaml_text

    return yaml_text.load_yaml(text, MAX_DEPTH)


class _NotFinite:
    """Stands where a number was not finite, until its place is known."""

    def __init__(self, text: str) -> None:
        self.text: Final = text


class _Json:
    """Reads JSON; hooks note what is suspect, and only then the whole is searched for it."""

    def __init__(self) -> None:
        self._doubled: Final[dict[int, list[str]]] = {}
        self._not_finite = False

    def load(self, text: str) -> object:
        try:
            value: object = json.loads(
                text,
                object_pairs_hook=self._object,
                parse_float=self._float,
                parse_constant=self._constant,
            )
        except json.JSONDecodeError as error:
            at = f"line {error.lineno}, column {error.colno}"
            raise DocumentError([Fault("", f"not JSON at {at}: {error.msg}")]) from None
        except RecursionError:
            raise DocumentError([_too_deep()]) from None
        except ValueError:  # an integer of more digits than Python converts
            raise DocumentError([Fault("", "a number has too many digits")]) from None
        if self._doubled or self._not_finite or _SURROGATE.search(text):
            faults = bounded(self._search(value, ()))
            if faults:
                raise DocumentError(faults)
        return value

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(pairs)
        if len(made) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            self._doubled[id(made)] = [key for key, count in counts.items() if count > 1]
        return made

    def _float(self, text: str) -> float | _NotFinite:
        number = float(text)
        return number if math.isfinite(number) else self._constant(text)

    def _constant(self, text: str) -> _NotFinite:
        self._not_finite = True
        return _NotFinite(text)

    def _search(self, value: object, place: tuple[str | int, ...]) -> Iterator[Fault]:
        if isinstance(value, dict):
            for key in self._doubled.get(id(value), ()):
                yield Fault(pointer(*place, key), "this key is there twice")
            for key, item in value.items():
                yield from self._search(key, (*place, key))
                yield from self._search(item, (*place, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._search(item, (*place, index))
        elif isinstance(value, _NotFinite):
            yield Fault(pointer(*place), f"{value.text[:20]} is not a finite number")
        elif isinstance(value, str) and not _is_unicode(value):
            yield Fault(pointer(*place), "half a surrogate pair is not Unicode text")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> Fault:
    return Fault("", f"the document is more than {MAX_DEPTH} levels deep")


def _deeper_than(value: object, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return any(isinstance(item, dict | list) for item in level)
