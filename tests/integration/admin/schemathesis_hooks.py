"""What schemathesis is to leave out of most requests.

It makes up ETags that nothing ever has, so hardly a write would come further than its precondition,
or past one that waits to be confirmed.

Loaded by ``SCHEMATHESIS_HOOKS``.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import schemathesis

KEPT_ONE_IN: Final = 8


def _without(values: dict[str, Any] | None, *names: str) -> dict[str, Any] | None:
    return values and {
        name: value
        for name, value in values.items()
        if name not in names or zlib.crc32(repr(value).encode()) % KEPT_ONE_IN == 0
    }


@schemathesis.hook
def map_headers(_: Any, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    return _without(headers, "If-Match", "If-None-Match")


@schemathesis.hook
def map_query(_: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    return _without(query, "confirm_within", "dry_run")
