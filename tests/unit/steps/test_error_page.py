"""Error pages, compiled."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import Fault
from proxy.headers.template import Scope
from proxy.spec import ErrorPageSpec
from proxy.steps.error_page import ErrorPage, compile_error_pages
from tests.unit.headers.samples import request


def page(*statuses: int, **differs: Any) -> ErrorPageSpec:
    return ErrorPageSpec(statuses=statuses, **differs)


def pages(*specs: ErrorPageSpec) -> dict[int, ErrorPage]:
    faults: list[Fault] = []
    made = compile_error_pages(specs, Scope(), "", faults)
    assert faults == []
    return made


def test_page_is_found_by_each_of_its_statuses_and_the_first_wins() -> None:
    made = pages(page(502, 504, route="a"), page(404, 502, route="b"))
    assert {status: one.route for status, one in made.items()} == {502: "a", 504: "a", 404: "b"}


@pytest.mark.parametrize(
    ("path", "rendered", "query"),
    [
        ("/sorry.html", b"/sorry.html", None),
        ("/e?", b"/e", b""),
        ("/e?code=1&u=$request_uri", b"/e", b"code=1&u=/x?q"),
        ("/e$uri?a?b", b"/e/x", b"a?b"),
        ("$uri", b"/x", None),
    ],
)
def test_path_may_have_a_query(path: str, rendered: bytes, query: bytes | None) -> None:
    made = pages(page(502, path=path))[502]
    asked = request(target=b"/x?q")
    assert made.path is not None
    assert made.path.render(asked) == rendered
    assert (None if made.query is None else made.query.render(asked)) == query
    assert (made.route, made.location) == (None, None)


@pytest.mark.parametrize("status", [None, 200, 599, "page"])
def test_status_is_kept(status: Any) -> None:
    assert pages(page(502, path="/", status=status))[502].status == status


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        (page(502, path="/$nope"), "/p/1/path", "unknown variable $nope"),
        (page(502, path="/?$nope"), "/p/1/path", "unknown variable $nope"),
        (page(502, location="$nope"), "/p/1/location", "unknown variable $nope"),
        (page(502, location="/\r"), "/p/1/location", "cannot hold CR, LF or NUL"),
        (page(502, path="/", status=100), "/p/1/status", "100 is no status of an answer"),
        (page(502, path="/", status=600), "/p/1/status", "600 is no status of an answer"),
    ],
)
def test_bad_page_is_one_fault_at_its_place(spec: ErrorPageSpec, path: str, message: str) -> None:
    faults: list[Fault] = []
    compile_error_pages([page(404, path="/"), spec], Scope(), "/p", faults)
    (fault,) = faults
    assert fault.path == path
    assert message in fault.message
