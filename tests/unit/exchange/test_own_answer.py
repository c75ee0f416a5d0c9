"""Answers of our own, without a socket."""

from __future__ import annotations

import pytest

from proxy.message import Request
from proxy.spec import AnswerSpec, ErrorPageSpec, ResponseRulesSpec
from tests.peers.specs import build_spec, route
from tests.unit.downstream.conversation import house

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
RULES = ResponseRulesSpec(set=(("X-Uri", "$uri"),))


def broken(_: Request) -> bytes:
    raise ZeroDivisionError


async def test_rules_that_raise_leave_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    own = route("own", "/", answer=AnswerSpec(status=200, body="ok"), response_headers=RULES)
    here = house(monkeypatch, build_spec("192.0.2.1:80", routes=[own]))
    block = here.runtime.snapshot.routes["own"].response_rules.set
    monkeypatch.setattr(block, "render", broken)
    client, transport = here.client()
    transport.receive(GET % b"")
    assert transport.written.startswith(b"HTTP/1.1 500 ")
    assert b"Connection: close" in transport.written
    assert transport.is_closing()
    assert client.exchange is None
    assert [type(error) for error in here.log.errors] == [ZeroDivisionError]
    assert here.counters.in_flight == 0


async def test_answers_wait_for_a_client_that_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    large = route("own", "/", answer=AnswerSpec(status=200, body="x" * 40_000))
    here = house(monkeypatch, build_spec("192.0.2.1:80", routes=[large]))
    _, transport = here.client()
    transport.stuck = True
    transport.receive(GET % b"" * 10)
    assert transport.written.count(b"HTTP/1.1 200 OK") == 2, "no more than the buffer takes"
    for _ in range(10):
        transport.drain()
        await here.turn()
    assert transport.written.count(b"HTTP/1.1 200 OK") == 10
    here.quiet()


async def test_silence_waits_for_what_was_answered_before(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = route("none", "/none", answer=AnswerSpec(status=444))
    own = route("own", "/own", answer=AnswerSpec(status=200, body="ok"))
    here = house(monkeypatch, build_spec("192.0.2.1:80", routes=[own, silent]))
    _, transport = here.client()
    transport.stuck = True
    transport.receive(GET % b"own" + GET % b"none")
    assert (transport.is_closing(), transport.aborted) == (True, False)
    _, other = here.client()
    other.receive(GET % b"none")
    assert (other.aborted, other.written) == (True, b"")


@pytest.mark.parametrize("error", [None, ConnectionRefusedError])
async def test_nothing_is_left_of_a_page(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError] | None
) -> None:
    pages = (ErrorPageSpec(statuses=(502,), path="/page"),)
    broken_route = route("broken", "/broken", error_pages=pages)
    here = house(
        monkeypatch, build_spec("192.0.2.1:80", routes=[broken_route, route("page", "/page")])
    )
    here.answers = [ConnectionRefusedError, error]
    _, transport = here.client()
    transport.receive(GET % b"broken")
    await here.turn()
    if error is None:
        (upstream,) = here.upstreams
        assert upstream.take().startswith(b"GET /page HTTP/1.1")
        upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsorry")
        assert transport.written.endswith(b"sorry")
    assert transport.written.startswith(b"HTTP/1.1 502 Bad Gateway")
    here.quiet()


async def test_page_over_the_same_connection_is_sent_after_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = (ErrorPageSpec(statuses=(404,), path="/page"),)
    routes = [
        route("all", "/", error_pages=pages, intercept_errors=True),
        route("page", "/page", internal=True),
    ]
    here = house(monkeypatch, build_spec("192.0.2.1:80", routes=routes))
    _, transport = here.client()
    transport.receive(GET % b"x")
    await here.turn()
    (upstream,) = here.upstreams
    upstream.take()
    upstream.receive(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert upstream.take().startswith(b"GET /page HTTP/1.1")
    upstream.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsor")
    upstream.receive(b"ry\r\n0\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 404 Not Found")
    assert transport.written.endswith(b"sor\r\n2\r\nry\r\n0\r\n\r\n")
    assert len(here.upstreams) == 1
    here.quiet()
