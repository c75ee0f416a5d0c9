"""Answers that a configuration asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.headers.template import Scope
from proxy.spec import AnswerSpec
from proxy.steps.answer import Answer, AnswerPlan, compile_answer, safe_location
from tests.unit.headers.samples import request

SCOPE = Scope(captures=frozenset({"1"}))


def plan(spec: AnswerSpec) -> AnswerPlan:
    faults: list[Fault] = []
    made = compile_answer(spec, SCOPE, "", faults)
    assert faults == []
    return made


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (AnswerSpec(status=204), Answer(204)),
        (AnswerSpec(status=403), Answer(403)),
        (AnswerSpec(status=200, body=""), Answer(200, b"")),
        (AnswerSpec(status=200, body="ok\n"), Answer(200, b"ok\n")),
        (AnswerSpec(status=200, body="a\r\n$uri\0"), Answer(200, b"a\r\n/x\0")),
        (AnswerSpec(status=200, body="<$1>"), Answer(200, b"<one>")),
        (
            AnswerSpec(status=200, body="{}", content_type="application/json"),
            Answer(200, b"{}", b"application/json"),
        ),
        (
            AnswerSpec(status=301, location="https://$host$request_uri"),
            Answer(301, location=b"https://app.example.org/x?q"),
        ),
        (
            AnswerSpec(status=308, location="/$1", body="moved"),
            Answer(308, b"moved", location=b"/one"),
        ),
    ],
)
def test_answer_is_rendered_for_the_request(spec: AnswerSpec, answer: Answer) -> None:
    assert plan(spec).render(request(target=b"/x?q", captures={"1": b"one"})) == answer


def test_location_holds_nothing_that_ends_a_line() -> None:
    made = request()
    made.uri = b"/\r\nSet-Cookie: a=b\x00\x7f"
    answer = plan(AnswerSpec(status=302, location="http://h$uri")).render(made)
    assert answer.location == b"http://h/%0D%0ASet-Cookie:%20a=b%00%7F"


@given(st.binary(max_size=40))
def test_safe_location_keeps_whatever_is_safe(text: bytes) -> None:
    safe = safe_location(text)
    assert not set(safe) & {*range(0x21), 0x7F}
    if not set(text) & {*range(0x21), 0x7F}:
        assert safe == text


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        (AnswerSpec(status=199), "/x/status", "199 is no status of an answer"),
        (AnswerSpec(status=600), "/x/status", "600 is no status of an answer"),
        (AnswerSpec(status=200, content_type="a/b\r\nX: y"), "/x/type", "one line of printable"),
        (AnswerSpec(status=200, content_type="é/b"), "/x/type", "one line of printable"),
        (AnswerSpec(status=200, body="$nope"), "/x/body", "unknown variable $nope"),
        (AnswerSpec(status=200, body="$2"), "/x/body", "there is no capture $2"),
        (AnswerSpec(status=200, body="$status"), "/x/body", "only known in routes and logs"),
        (AnswerSpec(status=301, location="$nope"), "/x/location", "unknown variable $nope"),
        (AnswerSpec(status=301, location="/\n"), "/x/location", "cannot hold CR, LF or NUL"),
    ],
)
def test_bad_answer_is_one_fault_at_its_place(spec: AnswerSpec, path: str, message: str) -> None:
    faults: list[Fault] = []
    compile_answer(spec, SCOPE, "/x", faults)
    (fault,) = faults
    assert fault.path == path
    assert message in fault.message
