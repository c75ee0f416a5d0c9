"""What is known of a response when its exchange has ended."""

from __future__ import annotations

import pytest

from proxy.exchange import facts
from proxy.exchange.exchange import Exchange
from proxy.message import Response
from proxy.spec import ResponseRulesSpec, RetrySpec
from tests.peers import Stage, answers, build_spec, everything, pool, reply
from tests.peers.client import request
from tests.peers.origin import then
from tests.peers.waiting import eventually

ASKS = everything(response_headers=ResponseRulesSpec(append=(("X-Tries", "$upstream_status"),)))
"""A route that asks for a response, so that its facts are gathered."""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Response]:
    """Collect the responses of exchanges that ended."""
    found: list[Response] = []
    complete = facts.complete

    def noted(exchange: Exchange, response: Response, now: float) -> None:
        complete(exchange, response, now)
        found.append(response)

    monkeypatch.setattr(facts, "complete", noted)
    return found


async def test_octets_and_attempt_are_counted_to_the_end(
    stage: Stage, ended: list[Response]
) -> None:
    origin = stage.origin(answers(reply(b"hello", b"X-A: 1")))
    running = await stage.serve(build_spec(origin.address, routes=[ASKS]))
    client = await running.connect()
    answer = await client.request(b"POST", b"/", body=b"abc")
    (response,) = ended
    head = answer.head.raw
    assert response.complete
    assert (response.head_bytes, response.body_bytes) == (len(head), 5)
    assert response.sent == head
    assert response.request_body_bytes == 3
    (attempt,) = response.attempts
    assert (attempt.address, attempt.status) == (origin.address, "200")
    assert attempt.bytes_sent == len(origin.requests[0].head.raw) + 3
    assert attempt.bytes_received == len(reply(b"hello", b"X-A: 1"))
    assert attempt.body_bytes == 5
    assert attempt.connect_s is not None
    assert attempt.header_s is not None
    assert 0 < attempt.connect_s <= attempt.header_s <= attempt.seconds


async def test_connection_that_was_there_took_no_time(stage: Stage, ended: list[Response]) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=[ASKS]))
    client = await running.connect()
    for _ in range(2):
        await client.get(b"/")
    assert len(origin.connections) == 1
    assert ended[1].attempts[0].connect_s == 0.0


async def test_failed_attempts_are_kept_in_order(stage: Stage, ended: list[Response]) -> None:
    refused = stage.refused()
    busy = stage.origin(answers(reply(b"busy", status=b"503 Service Unavailable")))
    good = stage.origin(answers(reply(b"ok")))
    retry = RetrySpec(when=frozenset({"error", "http_503"}))
    spec = build_spec(pools=[pool(refused, busy.address, good.address, retry=retry)], routes=[ASKS])
    running = await stage.serve(spec)
    answer = await (await running.connect()).get(b"/")
    assert answer.get(b"x-tries") == b"502, 503, 200"
    first, second, third = ended[0].attempts
    assert [each.address for each in ended[0].attempts] == [refused, busy.address, good.address]
    assert (first.connect_s, first.header_s, first.bytes_sent) == (None, None, 0)
    assert second.connect_s is not None
    assert second.header_s == second.seconds
    assert third.body_bytes == 2


async def test_response_that_is_cut_is_not_complete(stage: Stage, ended: list[Response]) -> None:
    origin = stage.origin(then("fin", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))
    running = await stage.serve(build_spec(origin.address, routes=[ASKS]))
    client = await running.connect()
    await client.send(request(b"GET", b"/"))
    await eventually(lambda: ended != [], "the exchange to end")
    assert not ended[0].complete
    assert ended[0].body_bytes == 3


async def test_route_that_asks_for_no_response_gathers_nothing(
    stage: Stage, ended: list[Response]
) -> None:
    origin = stage.origin()
    plain = everything(response_headers=ResponseRulesSpec(append=(("X-Id", "$request_id"),)))
    running = await stage.serve(build_spec(origin.address, routes=[plain]))
    await (await running.connect()).get(b"/")
    await running.counted(200)
    assert ended == []
