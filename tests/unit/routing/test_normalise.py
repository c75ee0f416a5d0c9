"""Targets: what is refused, what is matched, what goes on; and escaping."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.routing.normalise import (
    BadTarget,
    Target,
    escape_path,
    escape_target,
    normalise,
    target_of,
)
from proxy.spec import PathsMode

MODES: tuple[PathsMode, ...] = ("strict", "nginx")


def parts(target: Target) -> tuple[bytes, bytes, bytes, bytes | None]:
    return target.path, target.forward, target.raw_path, target.query


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("raw", "path", "query"),
    [
        (b"/", b"/", None),
        (b"/a/b-c_d~e", b"/a/b-c_d~e", None),
        (b"/a?", b"/a", b""),
        (b"/a?b=/../c//d?e%zz\\", b"/a", b"b=/../c//d?e%zz\\"),
        (b"/.well-known/x", b"/.well-known/x", None),
        (b"/a.b/..c/...", b"/a.b/..c/...", None),
        (b"/\xff\xc3\xa9", b"/\xff\xc3\xa9", None),
        (b"/%c3%A9%20", b"/\xc3\xa9 ", None),
        (b"/a%3Fb%23c", b"/a?b#c", None),
        (b"/a%0d%0a", b"/a\r\n", None),
        (b'/;,:@&=+$!*()"<>^`{|}', b'/;,:@&=+$!*()"<>^`{|}', None),
    ],
)
def test_unambiguous_target_is_decoded_and_goes_on_as_sent(
    raw: bytes, path: bytes, query: bytes | None, mode: PathsMode
) -> None:
    assert parts(normalise(raw, mode)) == (path, raw, raw.partition(b"?")[0], query)


RESOLVED = [
    (b"//", b"/"),
    (b"/a//b///", b"/a/b/"),
    (b"/a/./b", b"/a/b"),
    (b"/a/.", b"/a/"),
    (b"/a/..", b"/"),
    (b"/a/b/..", b"/a/"),
    (b"/a/b/../c", b"/a/c"),
    (b"/a//../b", b"/b"),
    (b"/a/b/../../", b"/"),
    (b"/./", b"/"),
]


@pytest.mark.parametrize(("raw", "path"), RESOLVED)
def test_dots_and_slashes_in_strict_mode_change_what_goes_on(raw: bytes, path: bytes) -> None:
    assert parts(normalise(raw, "strict")) == (path, path, raw, None)
    assert parts(normalise(raw + b"?q=//", "strict")) == (path, path + b"?q=//", raw, b"q=//")


@pytest.mark.parametrize(("raw", "path"), RESOLVED)
def test_dots_and_slashes_in_nginx_mode_go_on_as_sent(raw: bytes, path: bytes) -> None:
    assert parts(normalise(raw + b"?q=//", "nginx")) == (path, raw + b"?q=//", raw, b"q=//")


@pytest.mark.parametrize(
    ("raw", "path", "forward"),
    [
        (b"/a%2Fb", b"/a%2Fb", b"/a%2Fb"),
        (b"/a%2fb", b"/a%2Fb", b"/a%2fb"),
        (b"/a%25b", b"/a%25b", b"/a%25b"),
        (b"/a%252Fb", b"/a%252Fb", b"/a%252Fb"),
        (b"/a%252e%252e/b", b"/a%252e%252e/b", b"/a%252e%252e/b"),
        (b"/x/../a%2fb%20", b"/a%2Fb ", b"/a%2fb%20"),
    ],
)
def test_slash_and_percent_in_strict_mode_stay_encoded(
    raw: bytes, path: bytes, forward: bytes
) -> None:
    target = normalise(raw, "strict")
    assert (target.path, target.forward) == (path, forward)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/a%2Fb", b"/a/b"),
        (b"/a/%2e%2E/b", b"/b"),
        (b"/a/.%2e%2fb", b"/b"),
        (b"/a%2f%2Fb", b"/a/b"),
        (b"/a%25b", b"/a%b"),
        (b"/a%252e", b"/a%2e"),
        (b"/a\\..\\b%5c", b"/a\\..\\b\\"),
    ],
)
def test_encoded_specials_in_nginx_mode_mean_what_they_decode_to(raw: bytes, path: bytes) -> None:
    target = normalise(raw, "nginx")
    assert (target.path, target.forward) == (path, raw)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"*", b"a", b"?", b"http://a/", b"/..", b"/../a", b"/a/../..", b"//..", b"/./..",
        b"/%", b"/%4", b"/%g0", b"/%4g", b"/% 1", b"/a%00", b"/a b", b"/a\tb", b"/a\nb", b"/\0",
        b"/\x7f", b"/a?b c", b"/a?b\r", b"/a?\0", b"/a?\x7f", b"/a#b", b"/a?b#c", b"#", b" /",
    ],
)  # fmt: skip
def test_malformed_target_is_refused(raw: bytes, mode: PathsMode) -> None:
    with pytest.raises(BadTarget):
        normalise(raw, mode)


@pytest.mark.parametrize(
    "raw", [b"/%2e", b"/a%2Eb", b"/a/%2e%2e/b", b"/.%2e/", b"/\\", b"/a%5cb", b"/a%5Cb"]
)
def test_ambiguous_target_in_strict_mode_is_refused(raw: bytes) -> None:
    with pytest.raises(BadTarget):
        normalise(raw, "strict")
    assert normalise(b"/x" + raw, "nginx").path


@given(st.binary(), st.sampled_from(MODES))
def test_any_octets_are_understood_or_refused(raw: bytes, mode: PathsMode) -> None:
    try:
        target = normalise(raw, mode)
    except BadTarget:
        return
    assert target.path.startswith(b"/")
    assert raw.startswith(target.raw_path)


PIECES = st.sampled_from([
    b"/", b"//", b".", b"..", b"/.", b"/..", b"%2F", b"%2f", b"%25", b"%2e", b"%5C", b"\\", b"%41",
    b"%c3", b"%20", b"%3f", b"%", b"%00", b"a", b"b", b"\xff", b"?", b";", b"+", b"%0a", b'"',
])  # fmt: skip
TARGETS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


@given(TARGETS, st.sampled_from(MODES))
@example(b"/a%252F/../%2f", "strict")
def test_what_goes_on_means_what_was_matched(raw: bytes, mode: PathsMode) -> None:
    try:
        once = normalise(raw, mode)
    except BadTarget:
        return
    again = normalise(once.forward, mode)
    assert again.path == once.path
    assert again.forward == once.forward
    assert again.query == once.query


@given(TARGETS, st.sampled_from(MODES))
def test_normalised_path_has_no_dot_segments_or_double_slashes(raw: bytes, mode: PathsMode) -> None:
    try:
        target = normalise(raw, mode)
    except BadTarget:
        return
    segments = target.path.split(b"/")
    assert not {b".", b".."} & set(segments)
    assert b"" not in segments[1:-1]
    if mode == "strict":
        assert target.path.count(b"/") == target.forward.partition(b"?")[0].count(b"/")


@given(TARGETS, st.sampled_from(MODES))
def test_escaped_path_is_matched_alike(raw: bytes, mode: PathsMode) -> None:
    try:
        path = normalise(raw, mode).path
    except BadTarget:
        return
    assert normalise(escape_path(path, mode), mode).path == path


def test_path_is_escaped_as_nginx_escapes_it() -> None:
    unsafe = {*range(0x21), *range(0x7F, 0x100), *b'"#%<>?\\^`{|}'}
    for octet in range(256):
        escaped = b"%%%02X" % octet if octet in unsafe else bytes((octet,))
        assert escape_path(bytes((octet,))) == escaped


def test_strict_path_keeps_the_escapes_it_holds() -> None:
    assert escape_path(b"/a%2Fb%25 %2f%", "strict") == b"/a%2Fb%25%20%252f%25"
    assert escape_path(b"/a%2Fb%25") == b"/a%252Fb%2525"


KEPT_SLASHES = [
    (b"//", b"//"),
    (b"/a//b///", b"/a//b///"),
    (b"//a", b"//a"),
    (b"/a//../b", b"/a/b"),
    (b"/a/.//b", b"/a//b"),
    (b"/a//..", b"/a/"),
    (b"//../b", b"/b"),
    (b"/a/b/..", b"/a/"),
    (b"/a%2F%2Fb", b"/a//b"),
    (b"/.", b"/"),
]


@pytest.mark.parametrize(("raw", "path"), KEPT_SLASHES)
def test_slashes_stay_where_they_are_not_merged(raw: bytes, path: bytes) -> None:
    assert parts(normalise(raw, "nginx", merge=False)) == (path, raw, raw, None)


def test_unmerged_path_above_the_root_is_refused() -> None:
    with pytest.raises(BadTarget):
        normalise(b"//../../a", "nginx", merge=False)


@given(st.binary())
def test_escaped_target_is_one_token(target: bytes) -> None:
    escaped = escape_target(target)
    assert all(0x20 < octet < 0x7F and octet != ord("#") for octet in escaped)
    assert escape_target(escaped) == escaped


@pytest.mark.parametrize(
    ("path", "strict", "nginx"),
    [
        (b"/a/b", b"/a/b", b"/a/b"),
        (b"/a b?#", b"/a%20b%3F%23", b"/a%20b%3F%23"),
        (b"/a%2Fb%25", b"/a%2Fb%25", b"/a%252Fb%2525"),
        (b"/a%41", b"/a%2541", b"/a%2541"),
        (b"//a/../b/./c", b"/b/c", b"//a/../b/./c"),
        (b"/%", b"/%25", b"/%25"),
        (b"/\r\n", b"/%0D%0A", b"/%0D%0A"),
    ],
)
def test_path_that_the_configuration_made_is_escaped_and_strictly_resolved(
    path: bytes, strict: bytes, nginx: bytes
) -> None:
    for mode, expected in zip(MODES, (strict, nginx), strict=True):
        target = target_of(path, mode)
        assert (target.forward, target.query) == (expected, None)
        assert target_of(target.path, mode).path == target.path


@pytest.mark.parametrize("path", [b"/a/../../b", b"/a\\b", b"/\0"])
def test_ambiguous_path_that_the_configuration_made_is_strictly_refused(path: bytes) -> None:
    with pytest.raises(BadTarget):
        target_of(path, "strict")
    assert target_of(path, "nginx").path == path


@given(st.binary(max_size=20).map(lambda text: b"/" + text), st.sampled_from(MODES))
def test_any_made_path_is_fit_for_a_request_line(path: bytes, mode: PathsMode) -> None:
    try:
        target = target_of(path, mode)
    except BadTarget:
        assert mode == "strict"
        return
    assert target.forward.startswith(b"/")
    assert all(0x21 <= octet <= 0x7E for octet in target.forward)
    assert not set(target.forward) & set(b"?#")
    if mode == "strict":
        assert normalise(target.forward, mode).path == target.path
