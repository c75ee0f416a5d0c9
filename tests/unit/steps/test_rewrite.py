"""What a rewrite makes of path and query.  The escapes were read off nginx 1.22."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.message import Request
from proxy.spec import RewriteSpec
from proxy.steps.answer import Answer
from proxy.steps.escapes import safe_query
from proxy.steps.rewrite import Rewrite, compile_rewrite
from tests.unit.headers.samples import request
from tests.unit.steps.samples import faults_of, scope_of, step

ESCAPED_IN_QUERY = frozenset(b"\"#%&+;<>?\\^`{|}") | frozenset(range(0x21)) | frozenset(
    range(0x7F, 0x100)
)  # fmt: skip
ESCAPED_IN_REDIRECT = frozenset(b'"#%') | frozenset(range(0x21)) | frozenset(range(0x7F, 0x100))


def rewrite(match: str, to: str, **differs: Any) -> Rewrite:
    spec = RewriteSpec(match=match, to=to, **differs)
    faults: list[Fault] = []
    made = compile_rewrite(spec, scope_of(step(rewrite=spec)), "", faults)
    assert faults == []
    assert made is not None
    return made


def decoded(target: bytes) -> Request:
    """Make a request whose path is normalised."""
    made = request(target=target)
    made.uri = unquote_to_bytes(made.path)
    return made


def rewritten(target: bytes, match: str, to: str, **differs: Any) -> tuple[bytes, bytes | None]:
    made = decoded(target)
    assert rewrite(match, to, **differs).apply(made) is True
    return made.uri, made.query


def redirected(target: bytes, match: str, to: str) -> bytes | None:
    answer = rewrite(match, to, redirect=301).apply(decoded(target))
    assert isinstance(answer, Answer)
    assert answer.status == 301
    return answer.location


@pytest.mark.parametrize(
    ("target", "match", "to", "path", "query"),
    [
        (b"/old/a", "^/old/(.*)$", "/new/$1", b"/new/a", None),
        (b"/old/a", "old", "/new", b"/new", None),
        (b"/a", "^/(?P<name>.*)$", "/$name", b"/a", None),
        (b"/a/b", "^/(.)/(.)$", "/$2/$1", b"/b/a", None),
        (b"/a", "a", "relative", b"/relative", None),
        (b"/a", "a", "/$host", b"/app.example.org", None),
        # The path is text as it stands: what is captured stays decoded.
        (b"/a%20b", "^/(.*)$", "/x$1", b"/xa b", None),
        (b"/a", "a", "/%20", b"/%20", None),
        # The query that there is comes behind the new one, unless ``to`` ends with a mark.
        (b"/a?q=1", "a", "/b", b"/b", b"q=1"),
        (b"/a?q=1", "a", "/b?n=2", b"/b", b"n=2&q=1"),
        (b"/a?q=1", "a", "/b?n=2?", b"/b", b"n=2"),
        (b"/a?q=1", "a", "/b?", b"/b", None),
        (b"/a?", "a", "/b", b"/b", None),
        (b"/a?", "a", "/b?n=2", b"/b", b"n=2"),
        (b"/a", "a", "/b?n=2", b"/b", b"n=2"),
        (b"/a", "a", "/b?x?y", b"/b", b"x?y"),
        (b"/a?q", "a", "/b?$arg_none", b"/b", b"&q"),
        (b"/a?x=1", "a", "/b?y=$arg_x?", b"/b", b"y=1"),
    ],
)
def test_match_has_another_path_and_query(
    target: bytes, match: str, to: str, path: bytes, query: bytes | None
) -> None:
    assert rewritten(target, match, to) == (path, query)


def test_no_match_changes_nothing_but_forgets_numbers() -> None:
    made = request(target=b"/a?q")
    made.captures = {"1": b"one"}
    assert rewrite("^/b(.*)$", "/c").apply(made) is False
    assert (made.uri, made.query, made.captures) == (b"/a", b"q", {})


def test_match_ignores_case_where_that_is_said() -> None:
    assert rewritten(b"/OLD", "^/old$", "/new", ignore_case=True) == (b"/new", None)
    assert rewrite("^/old$", "/new").apply(request(target=b"/OLD")) is False


def test_captures_are_remembered() -> None:
    made = request(target=b"/a/b")
    rewrite("^/(.)/(?P<last>.)$", "/x").apply(made)
    assert made.captures == {"1": b"a", "2": b"b"}
    assert made.maps == {"last": b"b"}


@pytest.mark.parametrize("octet", sorted(set(range(0x100)) - {0x2F}))
def test_capture_in_a_query_is_escaped_if_the_path_was(octet: int) -> None:
    text = bytes((octet,))
    made = request(target=b"/%41")
    made.uri = b"/" + text
    rewrite("(?s)^/(.*)$", "/x?a=$1").apply(made)
    expected = b"%%%02X" % octet if octet in ESCAPED_IN_QUERY else text
    assert made.query == b"a=" + expected


@pytest.mark.parametrize("octet", sorted(set(range(0x100)) - {0x2F}))
def test_capture_in_a_redirect_is_escaped_if_the_path_was(octet: int) -> None:
    text = bytes((octet,))
    made = request(target=b"/%41")
    made.uri = b"/" + text
    answer = rewrite("(?s)^/(.*)$", "http://h/$1", redirect=302).apply(made)
    assert isinstance(answer, Answer)
    expected = b"%%%02X" % octet if octet in ESCAPED_IN_REDIRECT else text
    assert answer.location == b"http://h/" + expected


@pytest.mark.parametrize(
    ("sent", "query"),
    [
        (b"/a&b", b"x=a&b"),
        (b"/a&b+", b"x=a%26b%2B"),
        (b"/a&%62", b"x=a%26b"),
    ],
)
def test_capture_is_escaped_only_if_an_escape_or_plus_was_sent(sent: bytes, query: bytes) -> None:
    assert rewritten(sent, "^/(.*)$", "/?x=$1") == (b"/", query)


@pytest.mark.parametrize("to", ["/?x=$1", "http://h/$1"])
def test_escapes_that_a_strict_path_keeps_are_not_escaped_again(to: str) -> None:
    made = request(target=b"/a%2Fb%25%26%2e")
    made.uri, made.keeps_escapes = b"/a%2Fb%25& %41", True
    answer = rewrite("^/(.*)$", to, redirect=302).apply(made)
    assert isinstance(answer, Answer)
    assert answer.location is not None
    kept = answer.location.removeprefix(b"http://h/").removeprefix(b"/?x=")
    assert kept in (b"a%2Fb%25&%20%2541", b"a%2Fb%25%26%20%2541")


def test_only_numbered_captures_are_escaped() -> None:
    made = decoded(b"/%26?q=%2B&r=a+b")
    rewrite("^/(?P<name>.*)$", "/x?u=$uri&c=$1&n=$name&r=$arg_r").apply(made)
    assert made.query == b"u=/&&c=%26&n=&&r=a+b&q=%2B&r=a+b"


@pytest.mark.parametrize(
    ("target", "to", "location"),
    [
        (b"/a", "/b", b"/b"),
        (b"/a?q=1", "/b", b"/b?q=1"),
        (b"/a?q=1", "/b?", b"/b"),
        (b"/a?q=1", "https://h/b?n=2", b"https://h/b?n=2&q=1"),
        (b"/a%20b", "/b/$1?x=$1?", b"/b/a%20b?x=a%20b"),
        (b"/a%26", "/b/$1?x=$1?", b"/b/a&?x=a%26"),
    ],
)
def test_redirect_sends_the_client_there(target: bytes, to: str, location: bytes) -> None:
    assert redirected(target, "^/(.*)$", to) == location


def test_redirect_leaves_the_request_as_it_was() -> None:
    made = request(target=b"/a?q")
    rewrite("a", "/b?n", redirect=301).apply(made)
    assert (made.uri, made.query) == (b"/a", b"q")


@pytest.mark.parametrize("to", ["/x?u=$uri", "/x?u=$http_x", "/x?u=$arg_none$uri?"])
def test_nothing_can_end_the_line_that_goes_upstream(to: str) -> None:
    made = request(("X", "a b"), target=b"/%0d%0aX-Evil:%201%23%00")
    made.uri = b"/\r\nX-Evil: 1#\x00\x7f"
    rewrite("(?s)^", to).apply(made)
    assert made.query is not None
    assert not set(made.query) & set(b"\r\n \x00\x7f#")


@pytest.mark.parametrize("to", ["/x$uri", "http://h$uri", "/x?q=$uri"])
def test_nothing_can_end_the_line_that_goes_to_the_client(to: str) -> None:
    made = request(target=b"/a")
    made.uri = b"/\r\nSet-Cookie: a\x00"
    answer = rewrite("(?s)^", to, redirect=302).apply(made)
    assert isinstance(answer, Answer)
    assert answer.location is not None
    assert not set(answer.location) & set(b"\r\n \x00")


@given(st.binary(max_size=40))
def test_safe_query_means_the_same_and_is_safe(text: bytes) -> None:
    safe = safe_query(text)
    assert not set(safe) & {*range(0x21), 0x23, 0x7F}
    assert unquote_to_bytes(safe) == unquote_to_bytes(text)


@given(st.binary(max_size=30).filter(lambda text: b"\n" not in text), st.booleans())
def test_capture_survives_a_query_whatever_it_is(text: bytes, escaped: bool) -> None:
    made = request(target=b"/%41" if escaped else b"/A")
    made.uri = b"/" + text
    rewrite("^/(.*)$", "/x?a=$1&b=2").apply(made)
    assert made.query is not None
    if escaped:
        value, _, rest = made.query.removeprefix(b"a=").partition(b"&")
        assert (unquote_to_bytes(value), rest) == (text, b"b=2")


@pytest.mark.parametrize(
    ("parts", "path", "message", "hint"),
    [
        (("(", "/"), "/steps/0/rewrite/match", "not an RE2 regular expression", None),
        (("(?P<host>a)", "/"), "/steps/0/rewrite/match", "$host is a built-in", "rename"),
        (("(a)", "/$2"), "/steps/0/rewrite/to", "there is no capture $2", "the regex has 1"),
        (("a", "/$nope"), "/steps/0/rewrite/to", "unknown variable $nope", None),
        (("a", "/?x=$nope"), "/steps/0/rewrite/to", "unknown variable $nope", None),
        (("a", "/\n"), "/steps/0/rewrite/to", "cannot hold CR, LF or NUL", None),
    ],
)
def test_bad_rewrite_is_one_fault_at_its_place(
    parts: tuple[str, str], path: str, message: str, hint: str | None
) -> None:
    (fault,) = faults_of(step(rewrite=parts))
    assert fault.path == path
    assert message in fault.message
    assert hint is None or hint in (fault.hint or "")


def test_rewrite_may_name_only_what_it_captures_itself() -> None:
    earlier = step(rewrite=("^/(a)(b)$", "/$2"))
    (fault,) = faults_of(earlier, step(rewrite=("^/(c)$", "/$2")))
    assert fault.path == "/steps/1/rewrite/to"
