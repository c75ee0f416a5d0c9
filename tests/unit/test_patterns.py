"""RE2 behind one door, and host names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import patterns
from proxy.errors import FaultError
from proxy.patterns import (
    MAX_CHARACTERS,
    HostNames,
    Pattern,
    PatternList,
    captured_names,
    host_keys,
)


def test_pattern_captures_by_number_and_name() -> None:
    pattern = Pattern(r"^/(?<user>\w+)/(x)?(?P<rest>.*)$")
    assert pattern.names == {"1", "2", "3", "user", "rest"}
    assert pattern.captures(b"/ann/y") == {
        "1": b"ann", "user": b"ann", "2": b"", "3": b"y", "rest": b"y",
    }  # fmt: skip
    assert pattern.captures(b"no") is None


def test_pattern_matches_any_octet_as_a_character() -> None:
    assert Pattern("^a(.*)b$").captures(b"a\xff\xc3\xa9b") == {"1": b"\xff\xc3\xa9"}
    assert Pattern("^é$").captures("é".encode()) == {}


def test_end_of_text_is_not_before_a_line_break() -> None:
    assert Pattern("a$").captures(b"a\n") is None


def test_ignore_case_holds_for_every_alternative() -> None:
    pattern = Pattern("a|b", ignore_case=True)
    assert pattern.captures(b"B") == {}
    assert Pattern("a|b").captures(b"B") is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a(?=b)", "lookaround"),
        ("a(?!b)", "lookaround"),
        ("(?<=a)b", "lookaround"),
        ("(?<!a)b", "lookaround"),
        (r"(a)\1", "backreferences"),
        (r"(?P<n>a)\k<n>", "backreferences"),
        ("(?P<n>a)(?P=n)", "backreferences"),
        ("a++", "possessive"),
        ("a*+", "possessive"),
        ("a?+", "possessive"),
        ("a{2}+", "possessive"),
        ("(?>a)", "atomic"),
        (r"a\Z", r"\z"),
        ("(?'n'a)", "(?P<name>"),
        ("(*UTF8)a", "octets"),
        ("a{1001}", "1,000"),
        ("(?R)", "RE2's"),
    ],
)
def test_syntax_that_re2_lacks_is_a_fault_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(FaultError, match="not an RE2 regular expression") as caught:
        Pattern(text)
    assert caught.value.hint is not None
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["(", "[a", "a)", "*", "\\", "[z-a]"])
def test_malformed_pattern_is_a_fault_that_says_why(
    text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FaultError, match="not an RE2 regular expression: "):
        Pattern(text)
    assert capfd.readouterr().err == ""


def test_pattern_at_the_limit_compiles_and_one_more_is_a_fault() -> None:
    assert Pattern("a" * MAX_CHARACTERS).names == frozenset()
    with pytest.raises(FaultError, match="1,025 characters"):
        Pattern("a" * (MAX_CHARACTERS + 1))


def test_pattern_that_would_need_too_much_memory_is_a_fault() -> None:
    with pytest.raises(FaultError):
        Pattern(r"((\pL{50}){20}){1000}")


def test_lone_surrogate_is_a_fault() -> None:
    with pytest.raises(FaultError, match="not valid Unicode"):
        Pattern("\udc80")


def test_catastrophic_pattern_takes_linear_time() -> None:
    pattern = Pattern("^(a+)+$")
    began = time.process_time()
    assert pattern.captures(b"a" * 100_000 + b"!") is None
    assert time.process_time() - began < 1


def test_empty_list_finds_nothing() -> None:
    assert PatternList([]).find(b"a") is None


def test_first_of_several_wins_with_its_own_captures() -> None:
    some = PatternList([Pattern("^(a)b"), Pattern("(A)", ignore_case=True), Pattern("^.")])
    assert len(some) == 3
    assert some.find(b"ab") == (0, {"1": b"a"})
    assert some.find(b"xA") == (1, {"1": b"A"})
    assert some.find(b"x") == (2, {})
    assert some.find(b"") is None


def test_set_that_exceeds_its_memory_is_split_and_keeps_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patterns, "SET_MEMORY_BYTES", 32 * 1024)
    some = PatternList([Pattern(f"^/(s{n})(/|$)") for n in range(200)] + [Pattern("^/")])
    assert len(some._sets) > 1
    assert some.find(b"/s0/x") == (0, {"1": b"s0", "2": b"/"})
    assert some.find(b"/s199") == (199, {"1": b"s199", "2": b""})
    assert some.find(b"/other") == (200, {})


def test_single_pattern_that_no_set_can_hold_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "SET_MEMORY_BYTES", 1024)
    with pytest.raises(FaultError, match="too much memory"):
        PatternList([Pattern("[a-f]{20}x"), Pattern("b")])


SOURCES = ["^a", "b$", "(a)(b)?", "a.c", "[^a]", "^$"]


@given(st.lists(st.sampled_from(SOURCES), max_size=5), st.binary(max_size=6) | st.text("abc"))
def test_list_agrees_with_trying_one_by_one(sources: list[str], subject: bytes | str) -> None:
    octets = subject if isinstance(subject, bytes) else subject.encode()
    one_by_one = [Pattern(source) for source in sources]
    expected = None
    for index, pattern in enumerate(one_by_one):
        captures = pattern.captures(octets)
        if captures is not None:
            expected = (index, captures)
            break
    assert PatternList(one_by_one).find(octets) == expected


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("Example.ORG", (b"example.org",)),
        ("*.Example.org", (b"*.example.org",)),
        ("www.*", (b"www.*",)),
        (".example.org", (b"example.org", b"*.example.org")),
        ("", (b"",)),
        ("[::1]", (b"[::1]",)),
    ],
)
def test_host_pattern_has_its_keys(pattern: str, keys: tuple[bytes, ...]) -> None:
    assert host_keys(pattern) == keys


@pytest.mark.parametrize(
    "pattern",
    ["*", "*.", ".*", ".", "**.a", "*.a.*", ".a.*", "a*", "a..b", "a b", "a/b", "a:1", "\0", "ü"],
)
def test_bad_host_pattern_is_a_fault_with_a_hint(pattern: str) -> None:
    with pytest.raises(FaultError, match="is not a host name") as caught:
        host_keys(pattern)
    assert caught.value.hint


def test_host_names_are_found_by_the_longest_wildcard() -> None:
    names = HostNames({b"a.b": 1, b"*.b": 2, b"*.a.b": 3, b"a.*": 4, b"a.c.*": 5})
    found = {host: names.find(host) for host in (b"a.b", b"x.b", b"x.a.b", b"a.x", b"a.c.x", b"b")}
    assert found == {b"a.b": 1, b"x.b": 2, b"x.a.b": 3, b"a.x": 4, b"a.c.x": 5, b"b": None}
    assert names.wildcards
    assert not HostNames({b"a": 1}).wildcards


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", set()),
        ("(a)(?P<b>c)", {"1", "2", "b"}),
        ("(?:a)", set()),
    ],
)
def test_names_captured_are_numbers_and_names(text: str, names: set[str]) -> None:
    assert captured_names(text) == names


@pytest.mark.parametrize("text", ["(", "(?P<a>x)(?<b>y", "(?=z)", "x" * 2000, "\ud800"])
def test_bad_regex_may_capture_whatever_it_may_have_meant_to(text: str) -> None:
    assert captured_names(text) >= {"1", "9", "10"}
    assert ("a" in captured_names(text)) is ("<a>" in text)
