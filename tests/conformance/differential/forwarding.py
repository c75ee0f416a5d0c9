"""Classes of what goes upstream in another way."""

from __future__ import annotations

import re
from typing import Final

from tests.conformance.differential.classes import differs, forget, in_front, requests
from tests.conformance.differential.observation import Side
from tests.conformance.differential.row import Row

_HOP_BY_HOP: Final = frozenset({b"proxy-authorization", b"proxy-connection", b"trailer"})
_OPTIONS: Final = re.compile(rb"\r\nConnection: ([^\r\n]*)", re.IGNORECASE)


@differs("line breaks", "a variable with one in it makes no field, where nginx writes it out")
def _line_breaks(row: Row, ours: Side, theirs: Side) -> bool:
    statuses = (ours.statuses, theirs.statuses)
    if re.search(rb"%0[AD]", row.writes[0]) and statuses == ([200], [502]):
        sent = [message for connection in ours.seen for message in connection]
        if not sent or any(message.get(b"x-evil") is not None for message in sent):
            return False
        forget(ours, theirs)
        return True
    return False


@differs("hop by hop", "what is said to us, or named by Connection, ends here (RFC 9110, 7.6.1)")
def _hop_by_hop(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        options = b",".join(_OPTIONS.findall(row.writes[0])).lower().split(b",")
        named = {option.strip() for option in options} - {b"close", b"upgrade", b"keep-alive", b""}
        for name in named | _HOP_BY_HOP:
            if mine.get(name) is None and yours.drop(name):
                occurred = True
    return occurred


@differs("upgrades", "Upgrade goes on if Connection says so in HTTP/1.1, and never to h2c")
def _upgrades(row: Row, ours: Side, theirs: Side) -> bool:
    head = row.writes[0].lower()
    asked = re.search(rb"\r\nconnection:[^\r\n]*upgrade", head) and b"\r\nupgrade:" in head
    possible = b"http/1.0" not in head and b"\r\nupgrade: h2c" not in head
    if asked and possible:
        return False
    occurred = False
    for mine, yours in requests(ours, theirs):
        if mine.get(b"upgrade") is None and yours.drop(b"upgrade"):
            occurred = True
            if mine.get(b"connection") is None:
                yours.drop(b"connection")
    return occurred


@differs("still chunked", "a body is passed on as it comes; nginx reads all of it before it does")
def _still_chunked(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        if (mine.framing, yours.framing) == ("chunked", "length"):
            mine.drop(b"transfer-encoding")
            yours.drop(b"content-length")
            mine.framing = yours.framing
            if yours.start.endswith(b" HTTP/1.0"):  # which knows no chunks
                mine.start = mine.start.removesuffix(b" HTTP/1.1") + b" HTTP/1.0"
            occurred = True
    return occurred


@differs("absolute form", "its authority is the Host from then on (RFC 9112, 3.2.2)")
def _absolute_form(row: Row, ours: Side, theirs: Side) -> bool:
    if b"://" not in row.writes[0].partition(b"\r\n")[0]:
        return False
    occurred = False
    for mine, yours in requests(ours, theirs):
        occurred |= mine.drop(b"x-http-host") != yours.drop(b"x-http-host")
    return occurred


@differs("names", "any token is a name (RFC 9110, 5.1); nginx drops all but letters, digits, -")
def _names(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        for name in [key.lower() for key, _ in mine.fields]:
            if not re.fullmatch(rb"[a-z0-9_-]+", name) and yours.get(name) is None:
                mine.drop(name)
                occurred = True
    return occurred


@differs("set twice", "a second field of one name comes behind what the client sent")
def _set_twice(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        if mine.fields != yours.fields and len(mine.fields) > 1:
            name = mine.fields[-1][0].lower()
            if [key.lower() for key, _ in mine.fields].count(name) > 1:
                before = list(mine.fields)
                in_front(mine, name)
                in_front(yours, name)
                occurred |= before != mine.fields
    return occurred


@differs("Connection's place", "behind all that the rules set; nginx has it where it is set")
def _connections_place(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        if mine.fields != yours.fields:
            before = list(mine.fields)
            in_front(mine, b"connection", b"upgrade")
            in_front(yours, b"connection", b"upgrade")
            occurred |= before != mine.fields
    return occurred


@differs("end of line", "$ of RE2 is the end; PCRE's is before a last line break too")
def _end_of_line(row: Row, ours: Side, theirs: Side) -> bool:
    if row.writes[0].partition(b" HTTP/")[0].endswith(b"%0A") and ours.statuses == [404]:
        forget(ours, theirs)
        return True
    return False


@differs("pages without a body", "a page is asked for by GET, which has none (RFC 9110, 9.3.1)")
def _page_bodies(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        page = row.name.startswith("error-") and mine.start == yours.start
        if page and yours.body and not mine.body and yours.drop(b"content-length"):
            yours.body, yours.framing = b"", mine.framing
            occurred = True
    return occurred
