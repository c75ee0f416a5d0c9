"""Links of OpenAPI 3.1: where an answer leads, so that a program goes on without knowing the paths.

What is written by name is read, changed and removed under that name; what an answer names (an item
of a list, the revision of a write) is found under that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from admin.api.operations import Operation, Reply

_VARYING: Final = re.compile(r"\{(\w+)\}")

Json = dict[str, Any]


def links(operation: Operation, reply: Reply, operations: Iterable[Operation]) -> Json:
    """Return the links of an answer, each under the name of the operation that it leads to."""
    own = _VARYING.findall(operation.path)
    sent = {name: f"$request.path.{name}" for name in own}
    leads = {} if reply.body is None else dict(reply.body.leads)
    found: Json = {}
    for other in operations:
        if other is operation:
            continue
        needed = _VARYING.findall(other.path)
        if own and needed == own and operation.method == "PUT" and _below(operation.path, other):
            found[other.name] = _link(other, sent)
        for path, pointer in leads.items():
            if needed == _VARYING.findall(path) and _below(path, other):
                given = {name: sent[name] for name in needed[:-1]}
                named = {needed[-1]: f"$response.body#{pointer}"}
                found[other.name] = _link(other, given | named)
    return found


def _below(path: str, other: Operation) -> bool:
    return other.path == path or other.path.startswith(f"{path}/")


def _link(to: Operation, parameters: Json) -> Json:
    return {"operationId": to.name, "parameters": parameters}
