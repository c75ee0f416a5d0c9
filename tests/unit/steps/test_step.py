"""The steps of a route, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers.template import compile_template
from proxy.message import Request
from proxy.spec import AnswerSpec, HeaderMapSpec, StepSpec
from proxy.steps import step as steps
from proxy.steps.answer import Answer
from proxy.steps.step import Course, defined, defined_by, take
from tests.unit.headers.samples import request
from tests.unit.steps.samples import compiled, faults_of, scope_of, step, when

NEVER = when("")
ALWAYS = when("1")


def taken(*specs: StepSpec, target: bytes = b"/a?q") -> tuple[Course | Answer, Request]:
    made = request(target=target)
    return take(compiled(*specs), made), made


def course(*specs: StepSpec, target: bytes = b"/a?q") -> Course | Answer:
    return taken(*specs, target=target)[0]


# -- what follows ---------------------------------------------------------------------------------


def test_no_steps_change_nothing() -> None:
    assert course() is Course.ON


@pytest.mark.parametrize(
    ("specs", "follows"),
    [
        ((step(set={"a": "1"}),), Course.ON),
        ((step(stop=True),), Course.ON),
        ((step(set={"args": "x"}),), Course.REQUERIED),
        ((step(set={"args": "x"}), step(stop=True)), Course.REQUERIED),
        ((step(rewrite=("a", "/b")),), Course.REROUTE),
        ((step(rewrite=("a", "/b", "route")),), Course.REROUTE),
        ((step(rewrite=("a", "/b", "stop")),), Course.REWRITTEN),
        ((step(rewrite=("a", "/b")), step(stop=True)), Course.REWRITTEN),
        ((step(rewrite=("a", "/b"), stop=True),), Course.REWRITTEN),
        ((step(rewrite=("a", "/b", "route"), stop=True),), Course.REROUTE),
        ((step(rewrite=("nope", "/b", "stop")),), Course.ON),
        ((step(rewrite=("nope", "/b"), stop=True),), Course.ON),
        ((step(set={"args": "x"}), step(rewrite=("a", "/b", "stop"))), Course.REWRITTEN),
        ((step(rewrite=("a", "/b")), step(answer=403)), Answer(403)),
        ((step(answer=403), step(rewrite=("a", "/b"))), Answer(403)),
        ((step(rewrite=("a", "/b", "stop")), step(answer=403)), Course.REWRITTEN),
        ((step(rewrite=("a", "/b", "route")), step(answer=403)), Course.REROUTE),
        ((step(stop=True), step(answer=403)), Course.ON),
        ((step(when=NEVER, stop=True), step(answer=403)), Answer(403)),
        ((step(when=NEVER, answer=403),), Course.ON),
        ((step(when=ALWAYS, answer=403),), Answer(403)),
        ((step(rewrite=("a", "/b", 301)), step(answer=403)), Answer(301, location=b"/b?q")),
        ((step(rewrite=("nope", "/b", 301)), step(answer=403)), Answer(403)),
        ((step(rewrite=("nope", "/b"), answer=403),), Answer(403)),
    ],
)
def test_steps_are_taken_in_order_until_one_is_the_last(
    specs: tuple[StepSpec, ...], follows: Course | Answer
) -> None:
    assert course(*specs) == follows


def test_step_sets_before_it_rewrites_and_rewrites_before_it_answers() -> None:
    answer = AnswerSpec(status=200, body="$v $uri $1")
    one = step(set={"v": "[$arg_x]"}, rewrite=("^/(a)", "/$v"), answer=answer)
    assert course(one, target=b"/a?x=1") == Answer(200, b"[1] /[1] a")


def test_each_rewrite_sees_what_the_one_before_made() -> None:
    follows, made = taken(step(rewrite=("^/a$", "/b")), step(rewrite=("^/b$", "/c?n")))
    assert follows is Course.REROUTE
    assert (made.uri, made.query) == (b"/c", b"n&q")


def test_step_that_is_passed_over_assigns_nothing() -> None:
    _, made = taken(step(when=NEVER, set={"a": "1", "args": "x"}))
    assert made.maps is None
    assert made.query == b"q"


# -- variables ------------------------------------------------------------------------------------


def test_assigned_variable_is_there_for_everything_behind() -> None:
    specs = (step(set={"a": "1"}), step(set={"a": "$a$a", "b": "<$a>"}))
    _, made = taken(*specs)
    template = compile_template("$a $B", scope_of(*specs))
    assert template.render(made) == b"11 <11>"


def test_variable_that_no_step_assigned_is_empty() -> None:
    template = compile_template("[$a]", scope_of(step(when=NEVER, set={"a": "1"})))
    assert template.render(request()) == b"[]"


def test_header_map_sees_a_variable_and_is_remembered() -> None:
    mapped = HeaderMapSpec(name="m", source="$a", exact=(("1", "one"), ("2", "two")))
    specs = (step(set={"a": "1"}), step(set={"b": "$m"}), step(set={"a": "2"}))
    made = request()
    take(compiled(*specs, maps=(mapped,)), made)
    template = compile_template("$b $m $a", scope_of(*specs, maps=(mapped,)))
    assert template.render(made) == b"one one 2"


def test_what_the_path_captures_is_a_variable_too_once_it_is_set() -> None:
    specs = (step(set={"user": "$user"}), step(set={"user": "<$user>"}))
    made = request(captures={"user": b"me"})
    take(compiled(*specs, captures="user"), made)
    assert made.maps == {"user": b"<me>"}
    template = compile_template("$user", scope_of(*specs, captures="user"))
    assert template.render(made) == b"<me>"


def test_args_are_the_query() -> None:
    follows, made = taken(step(set={"args": "a=$arg_x&b"}), target=b"/?x=1")
    assert (follows, made.query) == (Course.REQUERIED, b"a=1&b")
    assert made.maps is None


def test_empty_args_are_no_query() -> None:
    _, made = taken(step(set={"args": "$arg_none"}), target=b"/?x=1")
    assert made.query is None


def test_args_cannot_end_the_line_that_goes_upstream() -> None:
    made = request(target=b"/%0d")
    made.uri = b"/\r\nX: 1 \x00#"
    take(compiled(step(set={"args": "u=$uri"})), made)
    assert made.query == b"u=/%0D%0AX:%201%20%00%23"


@pytest.mark.parametrize(
    ("specs", "value"),
    [
        ((), b"a%26b"),
        ((step(rewrite=("nope", "/x")),), b"a%26b"),
        ((step(rewrite=("^/(.*)$", "/x/$1")),), b"a&b"),
    ],
)
def test_capture_goes_into_a_variable_escaped_until_a_rewrite_has_matched(
    specs: tuple[StepSpec, ...], value: bytes
) -> None:
    made = request(target=b"/a%26b?q=a%26b")
    made.uri = b"/a&b"
    equal = when("$arg_q", equals="$1")
    capture = step(when=when("$uri", matches="([^/]*)$"), set={"v": "$1", "args": "$args&n=$1"})
    last = step(when=equal, set={"same": "$1"})
    take(compiled(*specs, capture, last), made)
    assert made.maps is not None
    assert made.maps["v"] == value
    assert made.query == b"q=a%26b&n=" + value
    assert ("same" in made.maps) is (value == b"a%26b")


@pytest.mark.parametrize("uri", [b"/a&b", b"/a%2Fb"])
def test_capture_of_a_strict_path_goes_into_a_variable_as_it_is(uri: bytes) -> None:
    made = request(target=b"/a%26b%2F")
    made.uri, made.keeps_escapes = uri, True
    take(compiled(step(when=when("$uri", matches="^/(.*)$"), set={"v": "$1"})), made)
    assert made.maps == {"v": uri[1:]}


def test_what_steps_make_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_RENDERED_BYTES", 1000)
    doubling = [step(set={"a": "x"}), *(step(set={"a": "$a$a"}) for _ in range(20))]
    assert course(*doubling[:9]) is Course.ON
    assert course(*doubling) == Answer(500)
    growing = [step(rewrite=("^(.*)$", "$1$1")) for _ in range(20)]
    assert course(*growing) == Answer(500)
    assert course(step(set={"args": "$args" * 500}), target=b"/?xxx") == Answer(500)


# -- names ----------------------------------------------------------------------------------------


def test_variables_are_what_is_set_and_what_is_captured_by_name() -> None:
    specs = (
        step(set={"a": "", "args": ""}),
        step(when=when("$uri", matches="(?P<Kind>x)(y)")),
        step(when=when("$uri", equals="(?P<no>x)")),
        step(rewrite=("(?P<rest>.*)", "/")),
    )
    variables, numbers = frozenset({"a", "kind", "rest"}), frozenset({"1", "2"})
    assert defined(specs) == (variables, numbers)
    assert defined(()) == (frozenset(), frozenset())
    both = defined_by([defined(specs), defined([step(set={"z": ""})])])
    assert both == (variables | {"z"}, numbers)


def test_bad_regex_may_have_captured_anything() -> None:
    variables, numbers = defined([step(rewrite=("(?P<a>x)(?<b>", "/"))])
    assert variables == {"a", "b"}
    assert numbers >= {"1", "9", "99"}


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("host", "$host is a built-in variable", "only `args` can be set"),
        ("query_string", "$query_string is a built-in variable", "only `args`"),
        ("arg_x", "$arg_x is a built-in variable", "only `args`"),
        ("status", "$status is a built-in variable", "only `args`"),
        ("tier", "$tier is a header map", "choose another name"),
    ],
)
def test_name_that_is_taken_cannot_be_set(name: str, message: str, hint: str) -> None:
    tier = HeaderMapSpec(name="tier", source="")
    (fault,) = faults_of(step(set={name: "x"}), maps=(tier,))
    assert (fault.path, fault.message) == (f"/steps/0/set/{name}", message)
    assert hint in (fault.hint or "")


def test_each_fault_is_at_its_own_step() -> None:
    found = faults_of(
        step(set={"a": "$x", "b/c": "$y"}),
        step(answer=AnswerSpec(status=200, body="$x")),
        step(answer=AnswerSpec(status=301, location="$x")),
    )
    assert [fault.path for fault in found] == [
        "/steps/0/set/a",
        "/steps/0/set/b~1c",
        "/steps/1/respond/body",
        "/steps/2/respond/location",
    ]


# -- anything -------------------------------------------------------------------------------------

DEFINES_V = step(when=NEVER, set={"v": ""})
PATHS = st.sampled_from(["/a", "/b", "/c?n", "/a?", "/$1", "/b?$args"])
STEPS = st.builds(
    StepSpec,
    when=st.none() | st.sampled_from([NEVER, ALWAYS, when("$uri", matches="(b)"), when("$v")]),
    set=st.sampled_from([(), (("v", "1"),), (("v", ""), ("args", "$uri"))]),
    rewrite=st.none()
    | st.builds(
        lambda to, then: step(rewrite=("^(.*)$", to, then)).rewrite,
        PATHS,
        st.sampled_from(["next", "route", "stop", 301]),
    ),
    answer=st.none() | st.just(AnswerSpec(status=403)),
    stop=st.booleans(),
)


@given(st.lists(STEPS, max_size=6))
def test_whatever_the_steps_a_course_is_true_to_the_request(specs: list[StepSpec]) -> None:
    follows, made = taken(*specs, DEFINES_V)
    changed = made.uri != b"/a"
    assert made.uri.startswith(b"/")
    if follows is Course.ON:
        assert (made.uri, made.query) == (b"/a", b"q")
    elif follows is Course.REQUERIED:
        assert not changed
    elif isinstance(follows, Answer):
        assert follows.status in (301, 403)
    if not any(one.rewrite for one in specs):
        assert not changed


@given(st.lists(STEPS, max_size=5), st.integers(0, 5))
def test_what_stands_behind_an_answer_is_not_looked_at(
    specs: list[StepSpec], position: int
) -> None:
    ended = [*specs[:position], StepSpec(answer=AnswerSpec(status=410)), *specs[position:]]
    shorter = ended[: min(position, len(specs)) + 1]
    assert course(*ended, DEFINES_V) == course(*shorter, DEFINES_V)
