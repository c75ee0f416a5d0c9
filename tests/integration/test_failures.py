"""Which requests are remembered as failed, and what of them."""

from __future__ import annotations

import pytest

from proxy import errors
from proxy.spec import (
    AnswerSpec,
    ErrorPageSpec,
    PathSpec,
    RetrySpec,
    RouteSpec,
)
from proxy.telemetry.failures import FailedRequest
from tests.peers import (
    Conn,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    eventually,
    everything,
    pool,
    reply,
)
from tests.peers.origin import then

BAD = reply(b"no", status=b"503 Service Unavailable")


async def one_failure(running: Running) -> FailedRequest:
    """Wait for the only failure there is to be."""
    failures = running.server.failures
    await eventually(lambda: len(failures) == 1, lambda: f"one failure, not {list(failures)}")
    return next(iter(failures))


async def test_refused_connections_are_remembered_attempt_by_attempt(stage: Stage) -> None:
    first, second = stage.refused(), stage.refused()
    endpoints = [endpoint(first, "a", passive_health=None), endpoint(second, "b")]
    running = await stage.serve(build_spec(pools=[pool(*endpoints)]))
    client = await running.connect()
    response = await client.get(b"/secret/path?token=hidden")
    assert response.status == 502
    failed = await one_failure(running)
    assert (failed.status, failed.reason, failed.side) == (502, "connect_failed", "upstream")
    assert (failed.listener, failed.route, failed.pool) == ("public", "everything", "backend")
    assert (failed.method, failed.path, failed.revision) == ("GET", "/secret/path", 1)
    assert [(one.endpoint, one.address, one.reason) for one in failed.attempts] == [
        ("a", first, "connect_failed"),
        ("b", second, "connect_failed"),
    ]
    assert all(one.status is None and one.connect_s is None for one in failed.attempts)
    assert failed.id.encode() == response.head.get(b"x-request-id")
    assert running.server.failures.find(failed.id) is failed


async def test_retried_request_that_succeeds_is_not_remembered(stage: Stage) -> None:
    good = stage.origin()
    running = await stage.serve(build_spec(stage.refused(), good.address))
    client = await running.connect()
    for _ in range(4):
        assert (await client.get()).status == 200
    assert running.pool().counters.retries
    assert list(running.server.failures) == []


async def test_upstreams_5xx_is_remembered_with_its_status_and_no_reason(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.origin(answers(BAD)).address))
    client = await running.connect()
    assert (await client.get()).status == 503
    failed = await one_failure(running)
    assert (failed.status, failed.reason, failed.side) == (503, None, "upstream")
    (attempt,) = failed.attempts
    assert (attempt.status, attempt.reason) == (503, None)
    assert attempt.ttfb_s is not None
    assert 0 <= attempt.ttfb_s <= attempt.duration_s <= failed.duration_s
    assert attempt.connect_s is not None


async def test_statuses_that_led_to_other_attempts_are_in_the_record(stage: Stage) -> None:
    first = stage.origin(answers(BAD))
    second = stage.origin(answers(reply(b"", status=b"500 Internal Server Error")))
    retry = RetrySpec(when=frozenset({"http_503"}))
    running = await stage.serve(
        build_spec(pools=[pool(first.address, second.address, retry=retry)])
    )
    client = await running.connect()
    assert (await client.get()).status == 500
    failed = await one_failure(running)
    assert [one.status for one in failed.attempts] == [503, 500]


async def test_client_error_of_an_upstream_is_no_failure(stage: Stage) -> None:
    running = await stage.serve(
        build_spec(stage.origin(answers(reply(b"", status=b"404 Not Found"))).address)
    )
    client = await running.connect()
    assert (await client.get()).status == 404
    assert list(running.server.failures) == []


async def test_answer_that_the_configuration_gives_is_no_failure(stage: Stage) -> None:
    maintenance = RouteSpec(
        name="closed", path=PathSpec(kind="prefix", value="/"), answer=AnswerSpec(status=503)
    )
    running = await stage.serve(build_spec(stage.refused(), routes=[maintenance]))
    client = await running.connect()
    assert (await client.get()).status == 503
    assert list(running.server.failures) == []


async def test_no_route_is_the_clients_doing(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused(), routes=[]))
    client = await running.connect()
    assert (await client.get(b"/nowhere")).status == 404
    failed = await one_failure(running)
    assert (failed.reason, failed.side, failed.route) == ("no_route", "client", None)
    assert (failed.pool, failed.attempts) == (None, ())


async def test_client_that_went_away_leaves_the_attempt_it_waited_for(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    running = await stage.serve(build_spec(endpoint(origin.address, "slow")))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await origin.request()
    client.vanish("fin")
    failed = await one_failure(running)
    assert (failed.status, failed.reason) == (499, "client_gone")
    assert [(one.endpoint, one.status) for one in failed.attempts] == [("slow", None)]


async def test_response_that_broke_off_says_what_had_been_answered(stage: Stage) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"
    running = await stage.serve(build_spec(stage.origin(then("fin", begun)).address))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    failed = await one_failure(running)
    assert (failed.status, failed.reason) == (200, "response_truncated")
    assert [(one.status, one.reason) for one in failed.attempts] == [(200, "response_truncated")]


@pytest.mark.parametrize("page_status", [None, "page"])
async def test_error_page_does_not_hide_the_failure_nor_count_as_one(
    stage: Stage, page_status: None
) -> None:
    page = ErrorPageSpec(statuses=(502,), path="/sorry", status=page_status)
    sorry = RouteSpec(
        name="sorry", path=PathSpec(kind="exact", value="/sorry"), pools=(("pages", 1),)
    )
    refused = stage.refused()
    running = await stage.serve(
        build_spec(
            pools=[pool(refused), pool(stage.origin().address, name="pages")],
            routes=[everything(error_pages=(page,)), sorry],
        )
    )
    client = await running.connect()
    status = (await client.get()).status
    assert status == (200 if page_status else 502)
    failed = await one_failure(running)
    assert (failed.status, failed.reason) == (status, "connect_failed")
    assert [one.address for one in failed.attempts] == [refused]


async def test_every_reason_is_of_the_closed_list(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    await client.get()
    failed = await one_failure(running)
    assert failed.reason in {failure.reason for failure in errors.ALL}
