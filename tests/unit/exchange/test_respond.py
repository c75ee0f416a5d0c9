"""Our own answers: in the form that was asked for, small, and complete."""

from __future__ import annotations

import json

import pytest

from proxy import errors
from proxy.exchange import respond
from proxy.message import Request
from proxy.steps.answer import Answer
from tests.unit.exchange.samples import lines, request


def parts(data: bytes) -> tuple[list[bytes], bytes]:
    head, end, body = data.partition(b"\r\n\r\n")
    return lines(head + end), body


def media_type(*accept: bytes) -> str:
    made = request(*[(b"Accept", value) for value in accept])
    head, body = parts(respond.error(errors.NO_ROUTE, made, keep_alive=True))
    types = [line for line in head if line.startswith(b"Content-Type: ")]
    assert len(types) == 1
    if types == [b"Content-Type: application/json"]:
        assert json.loads(body)["status"] == 404
        return "json"
    assert types == [b"Content-Type: text/plain; charset=utf-8"]
    assert body.startswith(b"404 ")
    return "text"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ((), "text"),
        ((b"*/*",), "text"),
        ((b"text/html, */*;q=0.8",), "text"),
        ((b"application/json",), "json"),
        ((b"APPLICATION/JSON",), "json"),
        ((b"application/json;charset=utf-8",), "json"),
        ((b"application/problem+json",), "json"),
        ((b"application/*",), "json"),
        ((b"text/plain, application/json",), "text"),
        ((b"application/json, text/plain",), "text"),
        ((b"text/plain;q=0.5, application/json;q=0.6",), "json"),
        ((b"text/plain;q=0.6, application/json;q=0.5",), "text"),
        ((b"application/json;q=0",), "text"),
        ((b"application/json;q=0.000",), "text"),
        ((b"application/json; q=1.000",), "json"),
        ((b"text/*;q=0.9, application/json",), "json"),
        ((b"application/json, */*;q=0.1",), "json"),
        ((b"",), "text"),
        ((b",,;;q=,=",), "text"),
        ((b"application/jsonp",), "text"),
        ((b"x/y," * 100 + b"application/json",), "text"),
    ],
)
def test_form_is_the_one_that_accept_prefers(accept: tuple[bytes, ...], expected: str) -> None:
    assert media_type(*accept) == expected


@pytest.mark.parametrize("accept", [b"", b"application/json"])
@pytest.mark.parametrize("failure", errors.ALL, ids=lambda failure: failure.reason)
def test_every_failure_has_a_complete_answer(failure: errors.Failure, accept: bytes) -> None:
    made = request((b"Accept", accept))
    head, body = parts(respond.error(failure, made, keep_alive=True))
    assert head[0].startswith(b"HTTP/1.1 %d " % failure.status)
    assert b"Content-Length: %d" % len(body) in head
    assert b"X-Request-Id: id-1" in head
    assert failure.reason.replace("_", " ").encode() in body.replace(b"_", b" ")
    if accept:
        assert json.loads(body)["request_id"] == "id-1"


def test_answer_to_head_has_the_length_and_no_body() -> None:
    got, body = parts(respond.error(errors.NO_ROUTE, request(method=b"HEAD"), keep_alive=True))
    other, whole = parts(respond.error(errors.NO_ROUTE, request(), keep_alive=True))
    assert (got, body) == (other, b"")
    assert whole


def test_answer_to_what_was_not_understood_has_a_body_and_no_id() -> None:
    head, body = parts(respond.error(errors.BAD_REQUEST, None, keep_alive=False))
    assert head[0] == b"HTTP/1.1 400 Bad Request"
    assert b"Connection: close" in head
    assert not any(line.startswith(b"X-Request-Id") for line in head)
    assert body


@pytest.mark.parametrize(
    ("version_minor", "keep_alive", "connection"),
    [(1, True, []), (1, False, [b"close"]), (0, True, [b"keep-alive"]), (0, False, [b"close"])],
)
def test_connection_is_what_becomes_of_it(
    version_minor: int, keep_alive: bool, connection: list[bytes]
) -> None:
    made = request(version_minor=version_minor)
    for data in (
        respond.error(errors.NO_ROUTE, made, keep_alive=keep_alive),
        respond.whole(301, REDIRECT, None, made, keep_alive=keep_alive),
    ):
        head, _ = parts(data)
        said = [line[12:] for line in head if line.startswith(b"Connection: ")]
        assert said == connection


REDIRECT = Answer(301, location=b"http://h/a/?b")


@pytest.mark.parametrize("made", [request(), request(method=b"HEAD")])
def test_redirect_is_empty_and_says_where_to(made: Request) -> None:
    head, body = parts(respond.whole(301, REDIRECT, None, made, keep_alive=True))
    assert head[0] == b"HTTP/1.1 301 Moved Permanently"
    assert b"Location: http://h/a/?b" in head
    assert b"Content-Length: 0" in head
    assert body == b""


def test_unregistered_status_has_an_empty_phrase() -> None:
    assert (respond.phrase(299), respond.phrase(404)) == ("", "Not Found")


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [None, b"text"])
def test_status_without_a_body_has_none(status: int, body: bytes | None) -> None:
    head, rest = parts(
        respond.whole(status, Answer(status, body), None, request(), keep_alive=True)
    )
    assert rest == b""
    names = {line.partition(b":")[0] for line in head}
    assert names.isdisjoint({b"Content-Length", b"Content-Type"})


def test_lines_of_rules_take_the_place_of_ours() -> None:
    data = respond.whole(
        301,
        Answer(301, b"text", location=b"/x"),
        None,
        request(),
        b"Content-Type: a/b\r\nX: 1\r\n",
        frozenset({b"content-type", b"location", b"content-length"}),
        keep_alive=True,
    )
    head, rest = parts(data)
    assert head[1:] == [b"Content-Type: a/b", b"X: 1", b"Content-Length: 4"]
    assert rest == b"text"


@pytest.mark.parametrize("status", [200, 299, 302, 399])
def test_answer_without_a_body_that_is_no_error_is_empty(status: int) -> None:
    head, rest = parts(respond.whole(status, Answer(status), None, request(), keep_alive=True))
    assert rest == b""
    assert b"Content-Length: 0" in head
    assert not any(line.startswith(b"Content-Type") for line in head)
