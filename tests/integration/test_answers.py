"""What the client gets: every row of the table, and the shape of the proxy's own answers."""

from __future__ import annotations

import json

import pytest

from proxy.spec import ListenerLimits, ListenerTimeouts, PoolTimeouts, RetrySpec
from tests.peers import (
    OK,
    Conn,
    RawClient,
    Stage,
    answers,
    build_spec,
    everything,
    listener,
    pool,
    route,
    settle,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import then, websocket


async def stall(conn: Conn) -> None:
    await conn.next_request()


async def test_no_route_is_404_and_the_connection_survives(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=[route("some", "/some/")]))
    client = await running.connect()
    assert (await client.get(b"/other")).status == 404
    assert (await client.get(b"/some/")).status == 200
    await running.counted(404, "none")


async def test_no_route_for_the_host_is_404(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(
        build_spec(origin.address, routes=[everything(hosts=("chat.example",))])
    )
    client = await running.connect()
    assert (await client.get(b"/")).status == 404
    assert (await client.request(host=b"CHAT.example:80")).status == 200


async def test_no_configuration_of_routes_is_404(stage: Stage) -> None:
    running = await stage.serve(build_spec(pools=[], routes=[]))
    assert (await (await running.connect()).get()).status == 404


async def test_body_over_the_listener_limit_by_its_length_is_413_and_never_forwarded(
    stage: Stage,
) -> None:
    origin = stage.origin()
    limited = listener(limits=ListenerLimits(body_bytes=10))
    running = await stage.serve(build_spec(origin.address, listeners=[limited]))
    client = await running.connect()
    assert (await client.request(b"POST", body=b"x" * 10)).status == 200
    await client.send(request(b"POST", b"/big", body=b"x" * 11))
    assert (await client.read_response()).status == 413
    assert [len(one.body) for one in origin.requests] == [10]
    assert b"/big" not in origin.raw


async def test_chunked_body_over_the_limit_is_413_and_never_complete(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=[everything(body_bytes=10)]))
    client = await running.connect()
    await client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"8\r\n12345678\r\n",
        b"3\r\nabc\r\n",
    )
    answer = await client.read_response()
    assert answer.status == 413
    assert answer.closes
    await client.read_eof()
    client.close()
    await running.quiet()
    assert origin.requests == []


async def test_route_limit_of_the_body_stands_over_the_listeners(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(
        build_spec(
            origin.address,
            listeners=[listener(limits=ListenerLimits(body_bytes=10))],
            routes=[route("free", "/free/", body_bytes=None), everything()],
        )
    )
    client = await running.connect()
    assert (await client.request(b"POST", b"/free/", body=b"x" * 11)).status == 200
    assert (await client.request(b"POST", b"/", body=b"x" * 11)).status == 413


async def test_413_can_be_read_by_a_client_that_goes_on_sending(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=[everything(body_bytes=10)]))
    client = await running.connect()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"
    # All of the body is on its way before the answer is looked at: a reset would destroy it.
    await client.send(head + b"x" * 3_000_000)
    answer = await client.read_response()
    assert (answer.status, answer.closes) == (413, True)
    assert origin.raw == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HT", 408),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", 408),
        (request(b"POST", body=b"body")[:-1], 408),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo", 408),
    ],
    ids=["request-line", "head", "length", "chunked"],
)
async def test_too_slow_client_is_408(stage: Stage, sent: bytes, status: int) -> None:
    origin = stage.origin()
    hasty = listener(timeouts=ListenerTimeouts(header_s=0.2, body_s=0.2))
    running = await stage.serve(build_spec(origin.address, listeners=[hasty]))
    client = await running.connect()
    await client.send(sent)
    answer = await client.read_response()
    assert (answer.status, answer.closes) == (status, True)
    await client.read_eof()
    assert origin.requests == []


async def test_silent_client_is_closed_at_the_header_timeout(stage: Stage) -> None:
    hasty = listener(timeouts=ListenerTimeouts(header_s=0.2, idle_s=30))
    running = await stage.serve(build_spec(stage.refused(), listeners=[hasty]))
    client = await running.connect()
    # Nothing was asked, so there may be a 408 or none: but the connection ends.
    answer = await client.read_to_end()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


async def test_pool_without_endpoints_is_502(stage: Stage) -> None:
    running = await stage.serve(build_spec(pools=[pool()]))
    client = await running.connect()
    assert (await client.get()).status == 502
    assert running.pool().counters.errors == {"no_endpoint": 1}


async def test_refused_connection_is_502_and_the_client_goes_on(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    assert [(await client.get()).status for _ in range(2)] == [502, 502]
    assert running.pool().counters.errors == {"connect_failed": 2}


async def test_upstream_that_does_not_answer_in_time_is_504(stage: Stage) -> None:
    origin = stage.origin(stall)
    slow = pool(origin.address, timeouts=PoolTimeouts(read_s=0.2))
    running = await stage.serve(build_spec(pools=[slow]))
    client = await running.connect()
    assert (await client.get()).status == 504
    await origin.closed(1)
    assert running.pool().counters.errors == {"read_timeout": 1}


async def test_spent_retry_budget_is_504(stage: Stage) -> None:
    addresses = [stage.unreachable() for _ in range(3)]
    retry = RetrySpec(when=frozenset({"error", "timeout"}), budget_s=0.3, max_attempts=None)
    slow = pool(*addresses, timeouts=PoolTimeouts(connect_s=0.2), retry=retry)
    running = await stage.serve(build_spec(pools=[slow]))
    client = await running.connect()
    assert (await client.get()).status == 504


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_client_that_goes_away_cancels_the_upstream_and_is_499(
    stage: Stage, how: str
) -> None:
    origin = stage.origin(stall)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(request())
    await origin.request()
    client.vanish("rst" if how == "rst" else "fin")
    await origin.closed(1)
    await running.counted(499)


async def test_half_closed_client_counts_as_gone(stage: Stage) -> None:
    origin = stage.origin(stall)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(request())
    await origin.request()
    client.half_close()
    await origin.closed(1)
    await running.counted(499)


async def test_connections_over_the_limit_are_turned_away(stage: Stage) -> None:
    origin = stage.origin()
    one = listener(limits=ListenerLimits(connections=1))
    running = await stage.serve(build_spec(origin.address, listeners=[one]))
    first, second = await running.connect(), await running.connect()
    await second.send(request())
    refused = await second.read_response()
    assert (refused.status, refused.closes) == (503, True)
    assert (await first.get()).status == 200
    first.close()
    second.close()
    await running.quiet()
    third = await running.connect()
    assert (await third.get()).status == 200


async def test_connections_turned_away_do_not_keep_others_out(stage: Stage) -> None:
    one = listener(limits=ListenerLimits(connections=1))
    running = await stage.serve(build_spec(stage.origin().address, listeners=[one]))
    first, second = await running.connect(), await running.connect()
    assert (await second.get()).status == 503
    first.close()
    await settle()
    # The second one has not gone yet, but it is not served either.
    third = await running.connect()
    assert (await third.get()).status == 200


async def test_spliced_connections_count_towards_the_limit(stage: Stage) -> None:
    one = listener(limits=ListenerLimits(connections=1))
    running = await stage.serve(build_spec(stage.origin(websocket()).address, listeners=[one]))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    other = await running.connect()
    await other.send(request())
    assert (await other.read_head()).status == 503


async def test_requests_per_connection_are_bounded(stage: Stage) -> None:
    origin = stage.origin()
    two = listener(limits=ListenerLimits(requests_per_connection=2))
    running = await stage.serve(build_spec(origin.address, listeners=[two]))
    client = await running.connect()
    await client.send(request() * 3)
    replies = await client.read_responses([b"GET", b"GET"])
    assert [one.closes for one in replies] == [False, True]
    await client.read_eof()
    assert len(origin.requests) == 2


@pytest.mark.parametrize("octets", [100, 1000])
async def test_header_limit_counts_the_whole_head(stage: Stage, octets: int) -> None:
    origin = stage.origin()
    small = listener(limits=ListenerLimits(header_bytes=octets))
    running = await stage.serve(build_spec(origin.address, listeners=[small]))
    frame = len(request(b"GET", b"/", b"X: "))
    fits = request(b"GET", b"/", b"X: " + b"a" * (octets - frame))
    assert len(fits) == octets
    client = await running.connect()
    await client.send(fits)
    assert (await client.read_response()).status == 200
    await client.send(fits.replace(b"X: a", b"X: aa"))
    assert (await client.read_response()).status == 431
    await client.read_eof()
    assert len(origin.requests) == 1


async def test_head_without_end_is_431_as_soon_as_it_is_too_large(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000)
    assert (await client.read_response()).status == 431
    await client.read_eof()


async def test_target_without_end_is_414_as_soon_as_it_is_too_long(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    await client.send(b"GET /" + b"a" * 40_000)
    assert (await client.read_response()).status == 414
    await client.read_eof()


async def test_number_of_fields_is_bounded_by_the_listener(stage: Stage) -> None:
    few = listener(limits=ListenerLimits(headers=3))
    running = await stage.serve(build_spec(stage.origin().address, listeners=[few]))
    client = await running.connect()
    assert (await client.get(b"/", b"A: 1", b"B: 2")).status == 200
    assert (await client.get(b"/", b"A: 1", b"B: 2", b"C: 3")).status == 431


# -- the shape of our own answers -----------------------------------------------------------------


async def refused_by(stage: Stage, *fields: bytes, method: bytes = b"GET") -> RawClient:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    await client.send(request(method, b"/secret", *fields))
    return client


async def test_error_is_small_plain_text_with_a_request_id(stage: Stage) -> None:
    answer = await (await refused_by(stage)).read_response()
    assert (answer.get(b"content-type") or b"").startswith(b"text/plain")
    assert answer.get(b"x-request-id")
    assert 0 < len(answer.body) < 300
    assert answer.framing == "length"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (b"Accept: application/json", b"application/json"),
        (b"Accept: text/html, application/json;q=0.9", b"application/json"),
        (b"Accept: text/plain", b"text/plain"),
        (b"Accept: */*", b"text/plain"),
        (b"X: y", b"text/plain"),
    ],
)
async def test_error_follows_accept(stage: Stage, accept: bytes, kind: bytes) -> None:
    answer = await (await refused_by(stage, accept)).read_response()
    assert answer.status == 502
    assert (answer.get(b"content-type") or b"").split(b";")[0] == kind
    if kind == b"application/json":
        document = json.loads(answer.body)
        assert document["status"] == 502
        request_id = answer.get(b"x-request-id")
        assert request_id is not None
        assert request_id.decode() in json.dumps(document)


async def test_error_to_head_has_no_body(stage: Stage) -> None:
    client = await refused_by(stage, method=b"HEAD")
    assert (await client.read_response(b"HEAD")).status == 502
    await client.read_nothing()


async def test_error_tells_nothing_of_the_inside(stage: Stage) -> None:
    client = await refused_by(stage)
    answer = await client.read_response()
    for inside in (b"127.0.0.1", b"backend", b"everything", b"Traceback", b"Errno", b"/secret"):
        assert inside not in answer.head.raw + answer.body


async def test_request_id_of_an_error_is_unique(stage: Stage) -> None:
    running = await stage.serve(build_spec(stage.refused()))
    client = await running.connect()
    ids = {(await client.get()).get(b"x-request-id") for _ in range(20)}
    assert len(ids) == 20


async def test_request_id_is_the_one_that_went_upstream(stage: Stage) -> None:
    origin = stage.origin(then("fin"))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    answer = await client.request(b"POST", body=b"")
    assert answer.status == 502
    assert origin.requests[0].get(b"x-request-id") == answer.get(b"x-request-id")


async def test_responses_are_counted_by_route_pool_method_and_status(stage: Stage) -> None:
    origin = stage.origin(answers(OK, OK, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.get()
    await client.request(b"PUT", body=b"x")
    await client.get()
    assert running.route().counters.requests == {
        ("backend", b"GET", 200): 1,
        ("backend", b"PUT", 200): 1,
        ("backend", b"GET", 404): 1,
    }
    at = running.endpoint(origin.address).counters
    assert (at.requests, at.by_class) == (3, [0, 0, 2, 0, 1, 0])
