"""Classes of what the client gets in another way."""

from __future__ import annotations

import re
from typing import Final

from tests.conformance.differential.classes import differs, forget, in_front, responses
from tests.conformance.differential.observation import Side
from tests.conformance.differential.row import Row

_PLACED: Final = (
    b"content-type", b"content-length", b"last-modified", b"location", b"transfer-encoding",
    b"connection", b"upgrade",
)  # fmt: skip


@differs("server and date", "they are the upstream's; nginx writes its own over them")
def _server_and_date(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        if re.match(rb"nginx\b", yours.get(b"server") or b""):
            yours.drop(b"server", b"date")
            mine.drop(b"server", b"date")
            occurred = True
    return occurred


def _says(side: Side, reason: bytes) -> bool:
    return side.statuses == [502] and side.replies[-1].body == b"502 Bad Gateway: %b\n" % reason


@differs("broken responses", "what has no clear end, or is no HTTP, does not reach a client")
def _broken_responses(row: Row, ours: Side, theirs: Side) -> bool:
    if not row.name.startswith("bad-response-") or not _says(ours, b"bad response"):
        return False
    if theirs.statuses == [502]:
        return False
    forget(ours, theirs)
    return True


@differs("unasked switches", "101 only to what the client asked for, and said so (RFC 9110, 7.8)")
def _unasked_switches(row: Row, ours: Side, theirs: Side) -> bool:
    if not _says(ours, b"unasked upgrade") or theirs.statuses != [101]:
        return False
    forget(ours, theirs)
    return True


@differs("folded responses", "a fold becomes a space, as it may (RFC 9112, 5.2); nginx answers 502")
def _folded_responses(row: Row, ours: Side, theirs: Side) -> bool:
    if row.name != "bad-response-obs-fold" or ours.replies[-1].get(b"x-a") != b"1 b":
        return False
    forget(ours, theirs)
    return True


@differs("interim responses", "passed on as what they are; nginx takes one for the final response")
def _interim(row: Row, ours: Side, theirs: Side) -> bool:
    if not row.name.startswith("informational-"):
        return False
    finals = [re.findall(rb"HTTP/1\.1 2\d\d", side.after) for side in (ours, theirs)]
    if not finals[0] or not re.match(rb"HTTP/1\.1 1\d\d [^\r]*\r\nServer: nginx", theirs.after):
        return False
    forget(ours, theirs)
    return True


@differs("own pages", "a short text with a request id, where nginx has a page of HTML")
def _own_pages(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        paged = b"<center>nginx" in yours.body
        paged |= not yours.body and mine.get(b"x-request-id") is not None
        headed = row.methods == (b"HEAD",) and yours.get(b"content-type") == b"text/html"
        if mine.status == yours.status and (paged or headed):
            for each in (mine, yours):
                each.drop(b"content-type", b"content-length", b"x-request-id")
                each.body = b""
                each.start = each.start[: len(b"HTTP/1.1 200")]
            occurred = True
    return occurred


@differs("keep-alive unsaid", "in HTTP/1.1 it holds if nothing is said (RFC 9112, 9.3)")
def _keep_alive(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        if mine.get(b"connection") is None and yours.get(b"connection") == b"keep-alive":
            yours.drop(b"connection")
            occurred = True
    return occurred


@differs("places", "nginx moves the fields that it knows to the front; their order means nothing")
def _places(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        if mine.fields != yours.fields:
            before = list(mine.fields)
            in_front(mine, *_PLACED)
            in_front(yours, *_PLACED)
            occurred |= before != mine.fields
    return occurred


@differs("added fields", "those for every status come first; order among names means nothing")
def _added_fields(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        added = "add_header" in row.conf and " always;" in row.conf
        if added and mine.fields != yours.fields and sorted(mine.fields) == sorted(yours.fields):
            mine.fields = list(yours.fields)
            occurred = True
    return occurred


@differs("connection fields", "what concerns the upstream's connection ends here (RFC 9110, 7.6.1)")
def _connection_fields(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    names = {b"upgrade", b"trailer", b"proxy-authenticate"}
    if row.name.endswith("names-a-field"):
        names.add(b"x-a")
    for mine, yours in responses(ours, theirs):
        for name in names:
            if mine.get(name) is None and mine.status != 101 and yours.drop(name):
                occurred = True
    return occurred


@differs("length of nothing", "a 204 has none (RFC 9110, 8.6)")
def _length_of_nothing(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        if mine.status == 204 and mine.get(b"content-length") is None:
            occurred |= bool(yours.drop(b"content-length"))
    return occurred


@differs("continue unsaid", "to a client whose body is already there (RFC 9110, 10.1.1)")
def _continue_unsaid(row: Row, ours: Side, theirs: Side) -> bool:
    said = [bool(side.replies) and side.replies[0].status == 100 for side in (ours, theirs)]
    if row.waits or said != [False, True]:
        return False
    del theirs.replies[0]
    # What the classes before this one looked at stood one place further on.
    return bool(_server_and_date(row, ours, theirs) | _keep_alive(row, ours, theirs) | True)


_OLD_REASONS: Final = (b"", b"Service Temporarily Unavailable")


@differs("reasons", "the registered ones; nginx has some of its own, and none for some statuses")
def _reasons(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        old = [b"HTTP/1.1 %d %b" % (mine.status, reason) for reason in _OLD_REASONS]
        if yours.start in old and mine.start not in old:
            mine.start = yours.start
            occurred = True
    return occurred


@differs("open after errors", "an answer with 400 or 500 that is told us ends no sound connection")
def _open_after_errors(row: Row, ours: Side, theirs: Side) -> bool:
    told = row.name.startswith(("return-", "rewrite-", "error-", "intercept-"))
    if not told or (ours.after, theirs.after) != (b"open", b"closed"):
        return False
    if ours.statuses not in ([400], [500]) and not row.name.endswith("-500"):
        return False
    theirs.after = b"open"
    theirs.replies[-1].drop(b"connection")
    return True


@differs("still open", "a request that is too large and all there does not end the connection")
def _still_open(row: Row, ours: Side, theirs: Side) -> bool:
    if 413 not in ours.statuses or ours.after != b"open" or theirs.after != b"closed":
        return False
    count = theirs.statuses.index(413) + 1
    for side in (ours, theirs):
        del side.replies[count:]
        del side.seen[count - 1 :]
        side.replies[-1].drop(b"connection")
        side.after = b""
    return True


@differs("closing said", "a response that comes before the request has ended says that it closes")
def _closing_said(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        said = mine.get(b"connection"), yours.get(b"connection")
        if row.unread and said == (b"close", b"keep-alive") and theirs.after == b"closed":
            mine.drop(b"connection")
            yours.drop(b"connection")
            occurred = True
    return occurred


@differs("octets behind", "behind a refused upgrade they are another protocol's: it closes")
def _octets_behind(row: Row, ours: Side, theirs: Side) -> bool:
    behind = row.writes[0].partition(b"\r\n\r\n")[2]
    if not behind or b"Upgrade:" not in row.writes[0]:
        return False
    if (ours.after, theirs.after) != (b"closed", b"open"):
        return False
    forget(ours, theirs)
    return True


@differs("redirected authority", "host and port that the client named, not the server's own port")
def _redirected_authority(row: Row, ours: Side, theirs: Side) -> bool:
    occurred = False
    for mine, yours in responses(ours, theirs):
        places = [each.get(b"location") or b"" for each in (mine, yours)]
        paths = [re.sub(rb"\Ahttp://(?:unix:[^ ]*\.sock|[^/]*)", b"", place) for place in places]
        if mine.status == 301 and places[0] != places[1] and paths[0] == paths[1]:
            mine.drop(b"location")
            yours.drop(b"location")
            occurred = True
    return occurred
