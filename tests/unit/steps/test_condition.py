"""Whether a step is taken, and what its regular expression leaves behind."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.message import Request
from proxy.spec import ConditionSpec, HeaderMapSpec
from proxy.steps.condition import Condition, compile_condition
from tests.unit.headers.samples import request
from tests.unit.steps.samples import faults_of, scope_of, step, when

MAP = HeaderMapSpec(name="tier", source="$http_x_tier", default="free")


def condition(spec: ConditionSpec) -> Condition:
    faults: list[Fault] = []
    made = compile_condition(spec, scope_of(step(when=spec)), "", faults)
    assert faults == []
    return made


def holds(spec: ConditionSpec, target: bytes = b"/") -> bool:
    return condition(spec)(request(target=target))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", False), ("0", False), ("00", True), ("0 ", True), ("1", True), ("false", True)],
)
@pytest.mark.parametrize("negated", [False, True])
def test_value_is_true_unless_it_is_empty_or_zero(text: str, expected: bool, negated: bool) -> None:
    assert holds(when(text, negated=negated)) is (expected is not negated)


def test_variable_without_a_value_is_false() -> None:
    assert not holds(when("$arg_missing"))
    assert not holds(when("$arg_x"), b"/?x=")
    assert holds(when("$arg_x"), b"/?x=1")


@pytest.mark.parametrize("negated", [False, True])
def test_both_sides_of_an_equation_are_templates(negated: bool) -> None:
    spec = when("$arg_a", equals="$arg_b", negated=negated)
    assert holds(spec, b"/?a=1&b=1") is not negated
    assert holds(spec, b"/?a=1&b=2") is negated
    assert holds(spec, b"/?a=A&b=a") is negated
    assert holds(when("", equals="", negated=negated)) is not negated


@pytest.mark.parametrize(
    ("pattern", "ignore_case", "subject", "expected"),
    [
        ("b", False, b"abc", True),
        ("^b", False, b"abc", False),
        ("B", False, b"abc", False),
        ("B", True, b"abc", True),
        ("", False, b"", True),
        ("^$", False, b"", True),
        ("^.$", False, b"\xe9", True),
    ],
)
@pytest.mark.parametrize("negated", [False, True])
def test_regex_is_found_anywhere_unless_it_is_anchored(
    pattern: str, ignore_case: bool, subject: bytes, expected: bool, negated: bool
) -> None:
    spec = when("$arg_x", matches=pattern, ignore_case=ignore_case, negated=negated)
    assert holds(spec, b"/?x=" + subject) is (expected is not negated)


def after(spec: ConditionSpec, before: dict[str, bytes] | None, target: bytes) -> Request:
    made = request(target=target, captures=before)
    condition(spec)(made)
    return made


def test_numbers_of_the_last_match_take_the_place_of_those_before() -> None:
    before = {"1": b"one", "2": b"two", "user": b"u"}
    made = after(when("$arg_x", matches="(a)"), before, b"/?x=a")
    assert made.captures == {"1": b"a", "user": b"u"}
    assert before == {"1": b"one", "2": b"two", "user": b"u"}, "others may share it"


@pytest.mark.parametrize("negated", [False, True])
def test_regex_with_groups_that_does_not_match_leaves_no_numbers(negated: bool) -> None:
    # As in nginx, where a failed regex forgets the captures of the location.
    other = when("$arg_x", matches="a", negated=negated)
    assert after(other, {"1": b"one"}, b"/?x=b").captures == {"1": b"one"}
    spec = when("$arg_x", matches="(a)", negated=negated)
    assert after(spec, {"1": b"one", "user": b"u"}, b"/?x=b").captures == {"user": b"u"}


def test_negated_regex_that_matches_leaves_its_captures() -> None:
    spec = when("$arg_x", matches="(a)", negated=True)
    assert after(spec, None, b"/?x=a").captures == {"1": b"a"}


def test_named_capture_is_a_variable_that_outlasts_the_next_match() -> None:
    made = after(when("$arg_x", matches="(?P<Kind>a+)"), None, b"/?x=aa")
    assert made.maps == {"kind": b"aa"}
    assert made.captures == {"1": b"aa"}
    condition(when("$arg_x", matches="(?P<other>b)"))(made)
    assert made.maps == {"kind": b"aa"}


def test_test_without_a_regex_leaves_captures_alone() -> None:
    for spec in (when("$arg_x"), when("$arg_x", equals="a")):
        assert after(spec, {"1": b"one"}, b"/?x=b").captures == {"1": b"one"}


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        (when("$nope"), "/steps/0/when/value", "unknown variable $nope"),
        (when("$nope", negated=True), "/steps/0/unless/value", "unknown variable $nope"),
        (when("", equals="$nope"), "/steps/0/when/equals", "unknown variable $nope"),
        (when("", matches="("), "/steps/0/when/matches", "not an RE2 regular expression"),
        (when("", matches="(?P<host>a)"), "/steps/0/when/matches", "$host is a built-in"),
        (when("", matches="(?P<args>a)"), "/steps/0/when/matches", "$args is a built-in"),
        (when("", matches="(?P<arg_x>a)"), "/steps/0/when/matches", "$arg_x is a built-in"),
        (when("", matches="(?P<status>a)"), "/steps/0/when/matches", "$status is a built-in"),
        (when("", matches="(?P<tier>a)"), "/steps/0/when/matches", "$tier is a header map"),
        (when("", matches="(?P<TIER>a)"), "/steps/0/when/matches", "$TIER is a header map"),
    ],
)
def test_bad_condition_is_one_fault_at_its_place(
    spec: ConditionSpec, path: str, message: str
) -> None:
    (fault,) = faults_of(step(when=spec, stop=True), maps=(MAP,))
    assert fault.path == path
    assert message in fault.message


def test_bad_regex_makes_nothing_that_it_may_capture_unknown() -> None:
    bad = step(when=when("$uri", matches="(?P<kind>a)(b"), set={"x": "$1 $2 $kind"})
    assert [fault.path for fault in faults_of(bad)] == ["/steps/0/when/matches"]


@given(
    st.sampled_from(["a", "(a)", "^(a|b)*$", "(x)?b", "", "[^a]"]),
    st.text(alphabet="abx", max_size=6),
    st.booleans(),
)
def test_regex_agrees_with_another_engine(pattern: str, subject: str, negated: bool) -> None:
    made = request(target=b"/?x=" + subject.encode(), captures={"9": b"old"})
    found = re.search(pattern, subject)
    spec = when("$arg_x", matches=pattern, negated=negated)
    assert condition(spec)(made) is ((found is not None) is not negated)
    groups = found.groups(default="") if found is not None else ()
    kept = found is None and "(" not in pattern
    captured = {str(n): text.encode() for n, text in enumerate(groups, 1)}
    assert made.captures == ({"9": b"old"} if kept else captured)
