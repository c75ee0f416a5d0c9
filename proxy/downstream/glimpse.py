"""What can be read of a head that was refused, for logs.

nginx logs a request as far as it got with it: the line as it came, and the fields before the one
that it took offence at.
"""

from __future__ import annotations

import contextlib
import re
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.downstream.admission import decoded
from proxy.exchange.log_lines import log_refused
from proxy.field_block import FieldBlock
from proxy.message import NO_HEADERS, Fields, Peer, Request, UnusualRequest
from proxy.routing.normalise import BadTarget, normalise

if TYPE_CHECKING:
    from proxy.downstream.connection import ClientConnection
    from proxy.errors import Failure

_LINE: Final = re.compile(rb"([A-Z_-]+) +([^ \x00-\x1f\x7f]+) +HTTP/1\.([01])")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*\r\n")
_LINE_END: Final = re.compile(rb"[\r\n]|\Z")


def log_seen(
    client: ClientConnection, failure: Failure, seen: Request | bytes, answer: bytes = b""
) -> None:
    """Log what was refused, if a document says where; the process's log has no line of it.

    ``seen`` are the octets if they were not understood.
    """
    logs = client.site().logs
    if logs:
        if isinstance(seen, bytes):
            seen = glimpse(seen, client.peer, client.requests + 1)
            seen.started = monotonic()
        log_refused(client.runtime, logs, seen, failure, answer)


def glimpse(head: bytes, peer: Peer, ordinal: int) -> UnusualRequest:
    """Return what a head looks like; whatever cannot be made out is empty."""
    end = _LINE_END.search(head)
    line = head[: end.start()] if end is not None else head
    found = _LINE.fullmatch(line)
    if found is None:
        nothing = FieldBlock((), NO_HEADERS, 1, keep_alive=False)
        request = UnusualRequest(peer, b"", b"", nothing, ordinal)
        request.line = line
        return request
    fields = _fields(head, len(line) + 2)
    method, target, minor = found.groups()
    block = FieldBlock(fields, decoded(fields), int(minor), keep_alive=False)
    request = UnusualRequest(peer, method, target, block, ordinal)
    request.line = line
    path, mark, query = target.partition(b"?")
    request.query = query if mark else None
    with contextlib.suppress(BadTarget):
        request.uri = normalise(path, "nginx").path
    return request


def _fields(head: bytes, start: int) -> Fields:
    """Return the fields up to the first that is none."""
    fields: list[tuple[bytes, bytes]] = []
    while (found := _FIELD.match(head, start)) is not None:
        fields.append((found[1], found[2]))
        start = found.end()
    return tuple(fields)
