"""Classes of requests of which the whole outcome is another: mostly, one of the two refuses."""

from __future__ import annotations

import re
from typing import Final

from tests.conformance.differential.classes import USUAL, Difference, Rule, become
from tests.conformance.differential.observation import Message, Side
from tests.conformance.differential.row import Row
from tests.conformance.differential.words import is_own_error


def _refused(pattern: bytes, status: int, reason: bytes, *theirs_are: int) -> Rule:
    """Find a request that matches, that we refuse so, and for which nginx has one of these.

    Ours has said nothing else to anybody then, and has closed the connection.
    """
    compiled: Final = re.compile(pattern)
    expected: Final = [[each] if each else [] for each in theirs_are]

    def rule(row: Row, ours: Side, theirs: Side) -> bool:
        if ours.statuses != [status] or not is_own_error(ours.replies[0], reason):
            return False
        names = [name for name, _ in ours.replies[0].fields]
        if names != [b"Content-Type", b"Content-Length", b"Connection"]:
            return False  # a number would say that it was admitted
        if ours.seen or ours.after != b"closed" or theirs.statuses not in expected:
            return False
        if not compiled.search(row.writes[0]):
            return False
        become(ours, theirs)
        return True

    return rule


def _malformed(pattern: bytes) -> Rule:
    """Find what matches, is malformed for us, and is passed on by nginx."""
    return _refused(pattern, 400, b"bad request", 200)


_BARE_LF: Final = Difference(
    "bare LF", "a line ends with CRLF, in the eyes of everybody (RFC 9112, 2.2)"
)
_BARE_LF.form("anywhere in the head")(_malformed(rb"\A(?:[^\n]+\n)*[^\n]*(?<!\r)\n"))

_SYNTAX: Final = Difference(
    "syntax", "what the grammar does not know two servers may read in two ways (RFC 9112)"
)
_SYNTAX.form("more than one space in a request line (3)")(
    _malformed(rb"\A[A-Z]+ (?: [^ ]+|[^ ]+ ) HTTP/|\A[^\r\n]* \r\n")
)
_SYNTAX.form("a fragment in the target (3.2)")(_malformed(rb"\A[A-Z]+ [^ ]*#[^ ]* "))
_SYNTAX.form("octets beyond ASCII in the target (3.2)")(
    _malformed(rb"\A[A-Z]+ [^ ]*[^\x00-\x7f][^ ]* ")
)
_SYNTAX.form("a target that is not of HTTP (3.2)")(_malformed(rb"\A[A-Z]+ ws://"))
_SYNTAX.form("a Host that is no name or address with a port (3.2)")(
    _malformed(rb"\r\nHost: (?:[^\r\n]*(?:@|[^\x00-\x7f]|:x|:99999)|\[::1\r\n)")
)
_SYNTAX.form("a field without a colon (5)")(
    _malformed(rb"\A[^\r\n]+\r\n(?:[^\r\n]+\r\n)*[^:\r\n]+\r\n")
)
_SYNTAX.form("a field name that is no token (5)")(
    _malformed(rb"\r\n[^:\r\n]*[^\x00-\x7f][^:\r\n]*:")
)
_SYNTAX.form("a control octet in a value (5)")(_malformed(rb"\r\n[A-Za-z-]+: [^\r\n]*\x01"))
_SYNTAX.form("a chunk size with a space behind it (7.1)")(_malformed(rb"\r\n\r\n5 \r\n"))

_METHODS: Final = Difference(
    "methods and versions", "1.0 and 1.1 are spoken, and methods that are registered"
)
_METHODS.form("a later version")(
    _refused(rb"\A[^\r\n]* HTTP/1\.2\r\n", 505, b"version unknown", 200)
)
_METHODS.form("an earlier one, or none at all")(
    _refused(rb"\A\S+ \S+(?: HTTP/0\.9)?\r\n", 505, b"version unknown", 400, 0)
)
_METHODS.form("two digits")(_malformed(rb"\A[^\r\n]* HTTP/1\.10\r\n"))
_METHODS.form("a method that is not registered")(
    _refused(rb"\A(?:FOO|G_T|X-Y) ", 501, b"method unknown", 200)
)
_METHODS.form("one in small letters")(_refused(rb"\Aget ", 501, b"method unknown", 400))

_STATUSES: Final = Difference("other refusals", "the status that says what is wrong")
_STATUSES.form("417 for an unknown expectation (RFC 9110, 10.1.1), which nginx ignores")(
    _refused(rb"\r\nExpect: tea\r\n", 417, b"expectation unknown", 200)
)
_STATUSES.form("431 for a large head (RFC 6585, 5), for which nginx has a 400 of its own")(
    _refused(rb"\r\nX-A: a{40000}\r\n", 431, b"head too large", 400)
)
_STATUSES.form("400 for a body whose end is not clear (RFC 9112, 6.3), for nginx 501")(
    _refused(
        rb"\r\nTransfer-Encoding: (?:gzip|gzip, chunked|identity)\r\n", 400, b"bad request", 501
    )
)

_REPEATED: Final = Difference(
    "repeated fields", "of fields that can be there once only, each of the two looks at others"
)
_REPEATED.form("refused here")(
    _malformed(rb"\r\n(User-Agent|Content-Type): [^\r\n]*\r\n\1: [^\r\n]*\r\n")
)


@_REPEATED.form("refused there")
def _refused_there(row: Row, ours: Side, theirs: Side) -> bool:
    twice = rb"\r\n(Authorization|If-Modified-Since): ([^\r\n]*)\r\n\1: ([^\r\n]*)\r\n"
    found = re.search(twice, row.writes[0])
    if found is None or ours.replies != [USUAL] or theirs.statuses != [400]:
        return False
    passed = [(found[1], found[2]), (found[1], found[3])]
    if ours.seen[0][0].fields[1:] != passed or theirs.seen:
        return False
    if (ours.after, theirs.after) != (b"open", b"closed"):
        return False
    become(ours, theirs)
    return True


_LINE_BREAKS: Final = Difference(
    "line breaks", "a value with one in it makes no field, where nginx writes it out"
)


@_LINE_BREAKS.form("out of a path")
def _line_breaks(row: Row, ours: Side, theirs: Side) -> bool:
    if ours.replies != [USUAL] or theirs.statuses != [502] or theirs.seen[0][0].framing != "raw":
        return False
    broken = theirs.seen[0][0].body
    sound, count = re.subn(rb"X-(?:Document-)?Uri: [^\r\n]*[\r\n][^\r\n]+\r\n", b"", broken)
    if not count or _octets(ours.seen[0][0]) != sound:
        return False
    become(ours, theirs)
    return True


def _octets(message: Message) -> bytes:
    fields = b"".join(b"%b: %b\r\n" % field for field in message.fields)
    return b"%b\r\n%b\r\n" % (message.start, fields) + message.body


_END_OF_LINE: Final = Difference(
    "end of line", "$ of RE2 is the end; PCRE's is before a last line break too"
)


@_END_OF_LINE.form("of a path")
def _end_of_line(row: Row, ours: Side, theirs: Side) -> bool:
    if not row.writes[0].partition(b" HTTP/")[0].endswith(b"%0A") or ours.statuses != [404]:
        return False
    if ours.seen or not is_own_error(ours.replies[0], b"no route"):
        return False
    become(ours, theirs)
    return True
