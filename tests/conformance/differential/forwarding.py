"""Classes of what is passed on in another way."""

from __future__ import annotations

import re
from typing import Final

from tests.conformance.differential.answering import PLACES
from tests.conformance.differential.classes import Difference, Rule, put_back, requests, responses
from tests.conformance.differential.observation import Side
from tests.conformance.differential.row import Row

_HOP_BY_HOP: Final = Difference(
    "hop by hop", "what is said of one connection or on it ends there (RFC 9110, 7.6.1)"
)
_OPTIONS: Final = re.compile(rb"\r\nConnection: ([^\r\n]*)", re.IGNORECASE)


def _named(row: Row) -> set[bytes]:
    """Return the names of fields that the client's ``Connection`` makes those of one connection."""
    options = b",".join(_OPTIONS.findall(row.writes[0])).lower().split(b",")
    return {option.strip() for option in options} - {b"close", b"upgrade", b"keep-alive", b""}


def _of_requests(*names: bytes) -> Rule:
    """Find what the client sent and nginx passes on: these names, or those that it says."""

    def rule(row: Row, ours: Side, theirs: Side) -> bool:
        sent = row.writes[0].partition(b"\r\n\r\n")[0] + b"\r\n"
        occurred = False
        for mine, yours in requests(ours, theirs):
            for name in names or sorted(_named(row)):
                line = rb"(?i:\r\n%b:) *%b\r\n" % (name, re.escape(yours.get(name) or b""))
                if re.search(line, sent):
                    occurred |= put_back(mine, yours, name)
        return occurred

    return rule


_HOP_BY_HOP.form("of requests: what Connection names")(_of_requests())
_HOP_BY_HOP.form("of requests: Proxy-Authorization")(_of_requests(b"proxy-authorization"))
_HOP_BY_HOP.form("of requests: Proxy-Connection")(_of_requests(b"proxy-connection"))
_HOP_BY_HOP.form("of requests: Trailer")(_of_requests(b"trailer"))


@_HOP_BY_HOP.form("of requests: an Upgrade that a Connection does not name, in HTTP/1.0 or to h2c")
def _upgrades(row: Row, ours: Side, theirs: Side) -> bool:
    head = row.writes[0].lower()
    asked = re.search(rb"\r\nconnection:[^\r\n]*upgrade", head) and b"\r\nupgrade:" in head
    possible = b"http/1.0" not in head and b"\r\nupgrade: h2c" not in head
    occurred = False
    for mine, yours in requests(ours, theirs):
        said = b"upgrade" in (yours.get(b"connection") or b"").lower()
        if asked and possible and said:
            continue
        if put_back(mine, yours, b"upgrade"):
            occurred = True
            if asked and b"\r\nupgrade: h2c\r\n" in head:
                put_back(mine, yours, b"connection")
    return occurred


def _of_responses(name: bytes, rows: str = "") -> Rule:
    """Find what nginx passes on of this name, in rows whose names end so."""

    def rule(row: Row, ours: Side, theirs: Side) -> bool:
        occurred = False
        for mine, yours in responses(ours, theirs):
            if mine.status != 101 and row.name.endswith(rows):
                occurred |= put_back(mine, yours, name)
        return occurred

    return rule


_HOP_BY_HOP.form("of responses: what Connection names")(_of_responses(b"x-a", "-names-a-field"))
_HOP_BY_HOP.form("of responses: Proxy-Authenticate")(_of_responses(b"proxy-authenticate"))
_HOP_BY_HOP.form("of responses: Upgrade, but of a 101")(_of_responses(b"upgrade"))
_HOP_BY_HOP.form("of responses: Trailer")(_of_responses(b"trailer"))


_STILL_CHUNKED: Final = Difference(
    "still chunked", "a body that is streamed goes on as it came; nginx looks whether it is whole"
)


@_STILL_CHUNKED.form("although it came at once")
def _still_chunked(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in requests(ours, theirs):
        field = (b"Transfer-Encoding", b"chunked")
        streamed = b"/streamed/" in mine.start and field in mine.fields
        if streamed and (mine.framing, yours.framing) == ("chunked", "length"):
            place = mine.fields.index(field)
            mine.fields[place] = (b"Content-Length", b"%d" % len(mine.body))
            mine.framing = "length"
            occurred = True
    return occurred


_ABSOLUTE: Final = Difference(
    "absolute form", "its authority is the Host from then on (RFC 9112, 3.2.2)"
)


@_ABSOLUTE.form("in $http_host")
def _absolute_form(row: Row, ours: Side, theirs: Side) -> bool:
    target = re.match(rb"[A-Z]+ (?i:https?)://([^/? ]*)", row.writes[0])
    host = re.search(rb"\r\nHost: ([^\r]*)\r\n", row.writes[0])
    if target is None:
        return False
    occurred = False
    for mine, yours in requests(ours, theirs):
        field = (b"X-Http-Host", target[1])
        if field in mine.fields and field not in yours.fields:
            place = mine.fields.index(field)
            mine.fields[place : place + 1] = [] if host is None else [(b"X-Http-Host", host[1])]
            occurred = True
    return occurred


@PLACES.form("a second line of one name that rules set stands behind what the client sent")
def _set_twice(row: Row, ours: Side, theirs: Side) -> bool:
    named = re.findall(r"\bproxy_set_header (\S+) ", row.conf)
    twice = {name.encode() for name in named if named.count(name) > 1}
    occurred = False
    for mine, _ in requests(ours, theirs):
        names = [name for name, _ in mine.fields]
        if names and names[-1] in twice and names.count(names[-1]) > 1:
            mine.fields.insert(names.index(names[-1]) + 1, mine.fields.pop())
            occurred = True
    return occurred


_PAGE_BODIES: Final = Difference(
    "pages without a body", "a page is asked for by GET, which has none (RFC 9110, 9.3.1)"
)


@_PAGE_BODIES.form("whatever the client's request had")
def _page_bodies(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    sent = row.writes[0].partition(b"\r\n\r\n")[2]
    for mine, yours in requests(ours, theirs):
        page = mine.get(b"x-page") is not None and mine.start.startswith(b"GET ")
        if page and sent and not mine.body and put_back(mine, yours, b"content-length"):
            mine.body, mine.framing = sent, "length"
            occurred = True
    return occurred
