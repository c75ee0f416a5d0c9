"""Classes of what the client gets in another way."""

from __future__ import annotations

import re
from typing import Final

from tests.conformance.differential.classes import Difference, become, put_back, responses
from tests.conformance.differential.observation import Field, Message, Side
from tests.conformance.differential.row import Row
from tests.conformance.differential.words import (
    is_own_error,
    is_own_redirect,
    nginx_page,
    nginx_start,
    our_start,
)

_STRICT: Final = Difference(
    "responses by the book", "they are read as RFC 9110 and RFC 9112 have them, ends above all"
)


def _answers_for(ours: Side, theirs: Side, reason: bytes) -> bool:
    """Tell whether we say 502 for a response that nginx has passed on."""
    if ours.statuses != [502] or not is_own_error(ours.replies[0], reason):
        return False
    alike = all(mine == yours for mine, yours in zip(ours.seen, theirs.seen, strict=False))
    return theirs.statuses != [502] and bool(theirs.seen) and alike


@_STRICT.form("502 for what has no clear end, or is no HTTP")
def _broken(row: Row, ours: Side, theirs: Side) -> bool:
    if not row.name.startswith("bad-response-"):
        return False
    if not _answers_for(ours, theirs, b"bad response") or ours.after != b"open":
        return False
    become(ours, theirs)
    return True


@_STRICT.form("502 for a switch to what the client did not ask for (RFC 9110, 7.8)")
def _unasked(row: Row, ours: Side, theirs: Side) -> bool:
    if theirs.statuses != [101] or not _answers_for(ours, theirs, b"unasked upgrade"):
        return False
    become(ours, theirs)
    return True


@_STRICT.form("a fold becomes a space (RFC 9112, 5.2), nginx answers 502")
def _folded(row: Row, ours: Side, theirs: Side) -> bool:
    if row.name != "bad-response-obs-fold" or theirs.statuses != [502]:
        return False
    unfolded = [(b"X-A", b"1 b"), (b"Content-Length", b"0")]
    if ours.replies != [Message(b"HTTP/1.1 200 OK", unfolded, framing="length")]:
        return False
    if ours.seen != theirs.seen:
        return False
    become(ours, theirs)
    return True


_INTERIM: Final = re.compile(
    rb"(HTTP/1\.1 1(\d\d) [^\r]*\r\n)Server: nginx[^\r]*\r\nDate: [^\r]*\r\nConnection: [^\r]*\r\n"
    rb"((?:[^\r]+\r\n)*\r\n)"
)


@_STRICT.form("1xx are no final responses (RFC 9110, 15.2), nor anything to HTTP/1.0")
def _interim(row: Row, ours: Side, theirs: Side) -> bool:
    old = b" HTTP/1.0\r\n" in row.writes[0]

    def passed_on(found: re.Match[bytes]) -> bytes:
        return b"" if old or found[2] == b"00" else found[1] + found[3]

    expected, count = _INTERIM.subn(passed_on, theirs.after)
    # What nginx takes for a body was the final response, so it says nothing of the connection.
    if not count or ours.after.replace(b"Connection: close\r\n", b"") != expected:
        return False
    ours.after = theirs.after
    return True


_CONTINUE: Final = Difference(
    "continue unsaid", "to a client whose body is already there (RFC 9110, 10.1.1)"
)


@_CONTINUE.form("the request came whole")
def _continue_unsaid(row: Row, ours: Side, theirs: Side) -> bool:
    said = [bool(side.replies) and side.replies[0].status == 100 for side in (ours, theirs)]
    if row.waits or said != [False, True] or b"\r\nExpect: 100-continue\r\n" not in row.writes[0]:
        return False
    ours.replies.insert(0, Message(b"HTTP/1.1 100 Continue", []))
    return True


_ENDS: Final = Difference(
    "ends of connections", "it ends where it is not clear what comes next on it, and only there"
)


@_ENDS.form("not for a 400, 413 or 500 about a request that was read to its end")
def _open_after_errors(row: Row, ours: Side, theirs: Side) -> bool:
    count = len(theirs.replies)
    if not count or (ours.after, theirs.after) != (b"open", b"closed"):
        return False
    mine, yours = ours.replies[count - 1], theirs.replies[-1]
    error = mine.status in (400, 413, 500) or row.name.endswith("-500")  # the page of one
    said = mine.get(b"connection"), yours.get(b"connection")
    if not error or mine.status != yours.status or said != (None, b"close"):
        return False
    mine.fields.append((b"Connection", b"close"))
    del ours.replies[count:]
    del ours.seen[len(theirs.seen) :]
    ours.after = b"closed"
    return True


@_ENDS.form("behind a refused upgrade, where octets of another protocol are")
def _octets_behind(row: Row, ours: Side, theirs: Side) -> bool:
    behind = row.writes[0].partition(b"\r\n\r\n")[2]
    if not behind or b"\r\nUpgrade: " not in row.writes[0] or theirs.statuses != [400]:
        return False
    if (ours.after, theirs.after) != (b"closed", b"open"):
        return False
    if ours.replies[0].drop(b"connection") != [(b"Connection", b"close")]:
        return False
    ours.after = b"open"
    return True


_WORDS: Final = Difference(
    "own words", "short texts with the request's number, and reasons as they are registered"
)


@_WORDS.form("errors and redirects have no page of HTML")
def _pages(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        to_head = row.methods == (b"HEAD",)
        own = is_own_error(mine, to_head=to_head) or is_own_redirect(mine)
        page = nginx_page(mine.status, yours.get(b"server") or b"")
        # What says its length is a page, and no empty redirect of an upstream.
        if own and yours.get(b"content-length") == b"%d" % len(page):
            mine.drop(b"content-type", b"x-request-id")
            place = [name for name, _ in mine.fields].index(b"Content-Length")
            mine.fields[place] = (b"Content-Length", b"%d" % len(page))
            if page:
                mine.fields.insert(0, (b"Content-Type", b"text/html"))
            mine.body = b"" if to_head else page
            occurred = True
    return occurred


@_WORDS.form("nginx has some reasons of its own")
def _reasons(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        status = mine.status
        if (mine.start, yours.start) == (our_start(status), nginx_start(status)):
            occurred |= mine.start != yours.start
            mine.start = yours.start
    return occurred


PLACES: Final = Difference(
    "places", "the order among fields of different names means nothing (RFC 9110, 5.3)"
)


@PLACES.form("the Upgrade of a 101 is ours, and stands last; nginx's is the upstream's")
def _switching(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        if [name for name, _ in mine.fields[-2:]] == [b"Connection", b"Upgrade"]:
            was = mine.fields.pop()
            # Server, Date and Connection stand in front there.
            place = [name for name, _ in yours.fields].index(b"Upgrade") - 3
            mine.fields.insert(place, was)
            occurred = True
    return occurred


@PLACES.form("nginx writes what it makes anew in front, we what is ours behind what we pass on")
def _front(row: Row, ours: Side, theirs: Side) -> bool:
    """Write the order of ``ngx_http_header_filter``."""
    occurred = False
    for mine, yours in responses(ours, theirs):
        before = list(mine.fields)
        front = _ours(mine)
        if mine.get(b"connection") is not None or mine.get(b"transfer-encoding") is not None:
            mine.fields = before  # not where ours stand
            continue
        for name in (b"location", b"content-length", b"content-type"):
            if name != b"location" or _completed(yours):
                front[:0] = mine.drop(name)
        mine.fields[:0] = front
        occurred |= before != mine.fields
    return occurred


def _ours(mine: Message) -> list[Field]:
    """Take the fields that we write last off the end, where they stand in nginx's order."""
    taken: list[Field] = []
    for name in (b"Connection", b"Transfer-Encoding"):
        if mine.fields and mine.fields[-1][0] == name:
            taken.insert(0, mine.fields.pop())
    return taken


def _completed(yours: Message) -> bool:
    """Tell whether nginx made a path in ``Location`` absolute; else it is one of the rest."""
    names = [name.lower() for name, _ in yours.fields]
    front = [names.index(name) for name in (b"location", b"connection") if name in names]
    return len(front) == 2 and front[0] < front[1]


_SAID: Final = Difference(
    "said of the connection", "what has to be said, and what is true (RFC 9112, 9.3 and 9.6)"
)


@_SAID.form("that it is kept: to HTTP/1.0 only")
def _keep_alive(row: Row, ours: Side, theirs: Side) -> bool:
    versions = re.findall(rb" HTTP/(1\.[01])\r\n", b"".join(row.writes))
    finals = [both for both in responses(ours, theirs) if both[0].status >= 200]
    occurred = False
    for version, (mine, yours) in zip(versions, finals, strict=False):
        if version == b"1.1" and yours.get(b"connection") == b"keep-alive" and not row.unread:
            occurred |= put_back(mine, _without_server(yours), b"connection")
    return occurred


@_SAID.form("that it ends: also where the request has not ended")
def _closing_said(row: Row, ours: Side, theirs: Side) -> bool:
    if not row.unread or (ours.after, theirs.after) != (b"closed", b"closed"):
        return False
    mine, yours = ours.replies[0], theirs.replies[0]
    close = (b"Connection", b"close")
    if close not in mine.fields or yours.get(b"connection") != b"keep-alive":
        return False
    mine.fields[mine.fields.index(close)] = (b"Connection", b"keep-alive")
    return True


def _without_server(yours: Message) -> Message:
    return Message(yours.start, yours.fields[2:])


A_DATE: Final = b"Sat, 01 Jan 2000 00:00:00 GMT"
"""What an origin of the tables says, if anything."""

_SERVER: Final = Difference(
    "server and date", "they are the upstream's; nginx writes its own in front, over them"
)


@_SERVER.form("nginx's own")
def _server_and_date(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        own = [name for name, _ in yours.fields[:2]] == [b"Server", b"Date"]
        if own and yours.fields[0][1].startswith(b"nginx") and mine.get(b"server") is None:
            if (b"Date", A_DATE) in mine.fields:
                mine.fields.remove((b"Date", A_DATE))
            mine.fields[:0] = yours.fields[:2]
            occurred = True
    return occurred


_AUTHORITY: Final = Difference(
    "redirected authority", "host and port as the client named them, not the listener's own port"
)


@_AUTHORITY.form("of a Location that was a path")
def _redirected(row: Row, ours: Side, theirs: Side) -> bool:
    host = re.search(rb"\r\nHost: ([^\r]*)\r\n", row.writes[0])
    # Without a Host nginx has the listener's address, which is a socket's path in these tests.
    named, shown = (b"h.test", rb"unix:[^ ]*/nginx\.sock") if host is None else (host[1], b"")
    if host is not None:
        shown = re.escape(re.sub(rb":\d+\Z", b"", host[1]).lower())
    occurred = False
    for mine, yours in responses(ours, theirs):
        was, is_ = mine.get(b"location") or b"", yours.get(b"location") or b""
        path = was.removeprefix(b"http://" + named)
        found = (b"Location", was) in mine.fields and was != is_ and path != was
        if found and re.fullmatch(b"http://" + shown + re.escape(path), is_):
            mine.fields[mine.fields.index((b"Location", was))] = (b"Location", is_)
            occurred = True
    return occurred


@_STRICT.form("no length in a 204 (RFC 9110, 8.6)")
def _length_of_nothing(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        if mine.status == 204 and yours.get(b"content-length") == b"0":
            occurred |= put_back(mine, yours, b"content-length")
    return occurred


@PLACES.form("an ETag or Last-Modified that rules set is ours; nginx's stands where one was")
def _replaced(row: Row, ours: Side, theirs: Side) -> bool:
    named = {name.lower() for name in re.findall(r"\badd_header (\S+) ", row.conf)}
    replaced = {name for name in (b"etag", b"last-modified") if name.decode() in named}
    conf = row.conf.encode()
    occurred = False
    for mine, yours in responses(ours, theirs):
        before = list(mine.fields)
        for place, field in enumerate(yours.fields):
            if field[0].lower() in replaced and field[1] in conf and field in mine.fields:
                mine.fields.remove(field)
                mine.fields.insert(place, field)
        occurred |= before != mine.fields
    return occurred


@PLACES.form("added fields are ordered by whether they are for every status, and by name")
def _added(row: Row, ours: Side, theirs: Side) -> bool:
    lines = re.findall(r"\badd_header (\S+) [^;]*?( always)?;", row.conf)
    always = {name.encode(): bool(flag) for name, flag in lines}
    occurred = False
    for mine, yours in responses(ours, theirs):
        start = len(yours.fields)
        while mine.fields != yours.fields and start and yours.fields[start - 1][0] in always:
            start -= 1  # what is added stands last
            as_written = yours.fields[start:]
            names = [name for name, _ in as_written]
            compiled = sorted(as_written, key=lambda x: (not always[x[0]], names.index(x[0])))
            if mine.fields[start:] == compiled:
                mine.fields[start:] = as_written
                occurred = True
    return occurred
