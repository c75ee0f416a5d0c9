"""Classes of requests that we refuse and nginx does not, or with another status."""

from __future__ import annotations

import re
from typing import Final

from tests.conformance.differential.classes import Rule, differs, forget
from tests.conformance.differential.observation import Side
from tests.conformance.differential.row import Row


def _refuses(pattern: bytes, *statuses: int) -> Rule:
    """Match the row's head; ours refuses such with one of the statuses, and sends nothing on."""
    compiled: Final = re.compile(pattern)

    def rule(row: Row, ours: Side, theirs: Side) -> bool:
        refused = len(ours.statuses) == 1 and ours.statuses[0] in statuses and not ours.seen
        agree = ours.statuses == theirs.statuses
        if not refused or ours.after != b"closed" or agree:
            return False
        octets = b"".join(row.writes)
        if not compiled.search(octets.partition(b"\r\n\r\n")[0] + b"\r\n"):
            return False
        forget(ours, theirs)
        return True

    return rule


_LINE: Final = rb"\A[^\r\n]*"

differs("bare LF", "a line ends with CRLF, in the eyes of everybody (RFC 9112, 2.2)")(
    _refuses(rb"(?<!\r)\n", 400)
)
differs("spaces", "one space between the parts of a request line, none around it (RFC 9112, 3)")(
    _refuses(rb"\A(?:[^ \r\n]+  | ?[^\r\n]*  |[^\r\n]* \r\n)", 400)
)
differs("versions", "1.0 and 1.1 are spoken, and nothing else is taken for them")(
    _refuses(rb"\A[^\r\n]*(?: HTTP/(?!1\.[01]\r\n)[^\r\n]*|\A\S+ \S+)\r\n", 400, 505)
)
differs("methods", "those that are registered; others are answered 501 (RFC 9110, 9.1)")(
    _refuses(rb"\A(?:FOO|get|G_T|X-Y) ", 501)
)
differs("targets", "no fragment, nothing beyond ASCII, HTTP only (RFC 9112, 3.2; RFC 3986)")(
    _refuses(rb"\A[A-Z]+ (?:[^ ]*(?:#|[^\x00-\x7f])|ws:)", 400)
)
differs("malformed Host", "it is a name or an address with a port (RFC 9110, 7.2)")(
    _refuses(rb"\r\nHost: (?:[^\r\n]*(?:@|[^\x00-\x7f]|:x|:99999)|\[::1\r\n)", 400)
)
differs("field lines", "a token, a colon, no control octets (RFC 9112, 5; RFC 9110, 5.5)")(
    _refuses(rb"\r\n(?:[^:\r\n]+\r\n|[^:\r\n]*[^\x00-\x7f][^:\r\n]*:|[^\r\n]*\x01)", 400)
)
differs("expectations", "one that is not known is answered 417 (RFC 9110, 10.1.1)")(
    _refuses(rb"\r\nExpect: tea", 417)
)
differs("transfer codings", "chunked is the only one: 400, where nginx answers 501")(
    _refuses(rb"\r\nTransfer-Encoding: (?:gzip|identity)", 400)
)
differs("large heads", "431 is there for it (RFC 6585, 5), nginx answers 400")(
    _refuses(rb"\r\nX-A: a{40000}\r\n", 431)
)


@differs("chunk sizes", "they end where they say: no space behind (RFC 9112, 7.1)")
def _chunk_sizes(row: Row, ours: Side, theirs: Side) -> bool:
    if ours.statuses != [400] or ours.seen or b"\r\n\r\n5 \r\n" not in row.writes[0]:
        return False
    forget(ours, theirs)
    return True


@differs("repeated fields", "of fields that are there once, each of the two refuses others")
def _repeated_fields(row: Row, ours: Side, theirs: Side) -> bool:
    head = row.writes[0].lower()
    names = re.findall(rb"\r\n([a-z-]+):", head)
    repeated = {name for name in names if names.count(name) > 1}
    refused_here = repeated & {b"user-agent", b"content-type"}
    refused_there = repeated & {b"authorization", b"if-modified-since"}
    statuses = (ours.statuses, theirs.statuses)
    if (refused_here and statuses == ([400], [200])) or (
        refused_there and statuses == ([200], [400])
    ):
        forget(ours, theirs)
        return True
    return False
