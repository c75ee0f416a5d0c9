"""Responses that RFC 9112 forbids or leaves ambiguous: 502, and not a byte of them goes on."""

from __future__ import annotations

import pytest

from proxy.spec import RetrySpec
from tests.peers import OK, Conn, Running, Stage, build_spec, pool, reply
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import Script, answers, then, websocket
from tests.peers.wire import chunked

LEAK = b"LEAK"


def head(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    lines = [line, b"X-Leak: " + LEAK, *fields]
    return b"".join(one + b"\r\n" for one in lines) + b"\r\n"


def framed(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head(*fields, line=line) + LEAK + b"\r\n0\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: 4"

BAD = {
    "two-lengths-same": framed(LENGTH, LENGTH),
    "two-lengths-differing": framed(LENGTH, b"Content-Length: 5"),
    "two-lengths-other-case": framed(LENGTH, b"content-length: 4"),
    "length-list-same": framed(b"Content-Length: 4, 4"),
    "length-list-differing": framed(b"Content-Length: 4, 5"),
    "length-plus": framed(b"Content-Length: +4"),
    "length-minus": framed(b"Content-Length: -4"),
    "length-hex": framed(b"Content-Length: 0x4"),
    "length-letters": framed(b"Content-Length: four"),
    "length-empty": framed(b"Content-Length:"),
    "length-trailing-letter": framed(b"Content-Length: 4a"),
    "length-inner-space": framed(b"Content-Length: 4 4"),
    "length-over-64-bits": framed(b"Content-Length: 18446744073709551616"),
    "length-with-chunked": framed(LENGTH, CHUNKED),
    "chunked-with-length": framed(CHUNKED, LENGTH),
    "coding-gzip": framed(b"Transfer-Encoding: gzip"),
    "coding-gzip-chunked": framed(b"Transfer-Encoding: gzip, chunked"),
    "coding-chunked-identity": framed(b"Transfer-Encoding: chunked, identity"),
    "coding-chunked-chunked": framed(b"Transfer-Encoding: chunked, chunked"),
    "coding-identity": framed(b"Transfer-Encoding: identity"),
    "coding-empty": framed(b"Transfer-Encoding:"),
    "coding-leading-comma": framed(b"Transfer-Encoding: , chunked"),
    "coding-parameter": framed(b"Transfer-Encoding: chunked;a=b"),
    "coding-unknown": framed(b"Transfer-Encoding: xchunked"),
    "coding-vertical-tab": framed(b"Transfer-Encoding: \x0bchunked"),
    "two-codings": framed(CHUNKED, CHUNKED),
    "two-codings-differing": framed(b"Transfer-Encoding: gzip", CHUNKED),
    "chunked-in-1.0": framed(CHUNKED, line=b"HTTP/1.0 200 OK"),
    "version-0.9": framed(LENGTH, line=b"HTTP/0.9 200 OK"),
    "version-1.2": framed(LENGTH, line=b"HTTP/1.2 200 OK"),
    "version-2.0": framed(LENGTH, line=b"HTTP/2.0 200 OK"),
    "version-3.0": framed(LENGTH, line=b"HTTP/3.0 200 OK"),
    "version-lower-case": framed(LENGTH, line=b"http/1.1 200 OK"),
    "version-misspelt": framed(LENGTH, line=b"HTP/1.1 200 OK"),
    "version-icy": framed(LENGTH, line=b"ICY 200 OK"),
    "version-none": framed(LENGTH, line=b"200 OK"),
    "status-two-digits": framed(LENGTH, line=b"HTTP/1.1 20 OK"),
    "status-four-digits": framed(LENGTH, line=b"HTTP/1.1 2000 OK"),
    "status-letters": framed(LENGTH, line=b"HTTP/1.1 abc OK"),
    "status-zero": framed(LENGTH, line=b"HTTP/1.1 000 OK"),
    "status-minus": framed(LENGTH, line=b"HTTP/1.1 -20 OK"),
    "status-none": framed(LENGTH, line=b"HTTP/1.1"),
    "request-instead": framed(LENGTH, line=b"GET / HTTP/1.1"),
    "no-colon": framed(LENGTH, b"X"),
    "no-name": framed(LENGTH, b": x"),
    "space-in-name": framed(LENGTH, b"X Y: x"),
    "nul-in-name": framed(LENGTH, b"X\x00Y: x"),
    "nul-in-value": framed(LENGTH, b"X: a\x00b"),
    "cr-in-value": framed(LENGTH, b"X: a\rSet-Cookie: " + LEAK),
    "garbage": b"\x00\x01\x02" + LEAK + b"\r\n\r\n",
    "smtp": b"220 " + LEAK + b" ESMTP ready\r\n\r\n",
    "tls-alert": b"\x15\x03\x01\x00\x02\x02\x16" + LEAK + b"\r\n\r\n",
    "empty-lines": b"\r\n\r\n" + framed(LENGTH),
    "head-too-large": head(LENGTH, b"X: " + b"a" * 70_000) + LEAK,
    "head-too-large-many-fields": head(LENGTH, *[b"X: " + b"a" * 1000] * 70) + LEAK,
    "informational-without-end": head(line=b"HTTP/1.1 103 Early Hints") * 2000,
    "unasked-upgrade": head(
        b"Connection: upgrade", b"Upgrade: websocket", line=b"HTTP/1.1 101 Switching Protocols"
    )
    + LEAK,
    "unasked-upgrade-bare": head(line=b"HTTP/1.1 101 Switching Protocols") + LEAK,
}

CUT = {
    "nothing": b"",
    "status-line": b"HTTP/1.1 200 OK\r\n",
    "half-a-status-line": b"HTTP/1.1 2",
    "half-a-head": head(LENGTH)[:-2],
    "half-a-field": b"HTTP/1.1 200 OK\r\nX-Leak: " + LEAK,
    "after-informational": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}

FRAMED = {
    "204-length-zero": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "204-length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "204-chunked": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    "103-length": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + OK,
    "103-chunked": b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + OK,
}
"""RFC 9110, 8.6 and RFC 9112, 6.1: no framing on a 1xx or a 204; the reader here refuses it."""

EITHER = {
    "bare-lf-after-field": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok",
    "bare-lf-after-status": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
    "obs-fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok",
    "control-in-value": b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",
    "no-reason-no-space": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "two-spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
}
"""RFC 9112 lets a proxy repair these or refuse them; what goes on must be well-formed."""


async def serve(stage: Stage, *scripts: Script) -> Running:
    return await stage.serve(build_spec(stage.origin(*scripts).address))


@pytest.mark.parametrize("name", BAD)
async def test_bad_response_becomes_502_and_its_connection_is_dropped(
    stage: Stage, name: str
) -> None:
    origin = stage.origin(answers(BAD[name]), answers(OK))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    answer = await client.get()
    assert answer.status == 502
    assert answer.informational == () or "informational" in name
    assert (await client.get()).body == b"ok", "the client's connection survives"
    assert len(origin.connections) == 2
    await origin.closed(1)
    if "informational" not in name:
        assert LEAK not in client.received
    errors = running.pool().counters.errors
    assert sum(errors.values()) == 1, errors
    assert set(errors) <= {"bad_response", "unasked_upgrade"}


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("name", CUT)
async def test_response_cut_within_its_head_becomes_502(
    stage: Stage, name: str, ending: str
) -> None:
    running = await serve(stage, then("rst" if ending == "rst" else "fin", CUT[name]))
    client = await running.connect()
    # POST: not retried, and a fresh connection gives no free try.
    answer = await client.request(b"POST", body=b"x")
    assert answer.status == 502
    assert LEAK not in client.received


@pytest.mark.parametrize("name", FRAMED)
async def test_framing_of_a_response_that_has_no_body_is_not_passed_on(
    stage: Stage, name: str
) -> None:
    running = await serve(stage, answers(FRAMED[name], OK))
    client = await running.connect()
    assert (await client.get()).status in (200, 204)
    assert (await client.get()).body == b"ok"


async def test_framing_of_a_101_is_not_passed_on(stage: Stage) -> None:
    running = await serve(stage, websocket(b"Content-Length: 5"))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status in (101, 502)


@pytest.mark.parametrize("name", EITHER)
async def test_response_with_a_repairable_fault_is_repaired_or_refused(
    stage: Stage, name: str
) -> None:
    running = await serve(stage, answers(EITHER[name]))
    client = await running.connect()
    answer = await client.get()
    assert answer.status in (200, 502)
    if answer.status == 200:
        assert answer.body == b"ok"
    assert b"\n" not in answer.head.raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith(("two-", "length-"))])
async def test_bad_response_to_head_is_refused_too(stage: Stage, name: str) -> None:
    running = await serve(stage, answers(BAD[name].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"))
    client = await running.connect()
    assert (await client.request(b"HEAD")).status == 502
    assert LEAK not in client.received


BEHIND = {
    "response-behind-response": (b"GET", OK + reply(LEAK)),
    "garbage-behind-response": (b"GET", OK + LEAK),
    "body-behind-head": (b"HEAD", reply(LEAK)),
    "body-behind-204": (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n" + LEAK),
    "body-behind-304": (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n" + LEAK),
    "response-behind-chunked": (
        b"GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok") + reply(LEAK),
    ),
    "response-behind-empty": (b"GET", reply(b"") + reply(LEAK)),
}


@pytest.mark.parametrize("later", [False, True], ids=["one-write", "later"])
@pytest.mark.parametrize("name", BEHIND)
async def test_bytes_behind_a_response_answer_nobody(stage: Stage, name: str, later: bool) -> None:
    method, raw = BEHIND[name]
    at = raw.index(LEAK) if b"HTTP/1.1 200 OK" not in raw[1:] else raw.rindex(b"HTTP/1.1 200 OK")
    pieces = [raw[:at], raw[at:]] if later and at else [raw]

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(*pieces)

    origin = stage.origin(script, answers(reply(b"next")))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    assert (await client.request(method)).status in (200, 204, 304)
    await origin.closed(1)
    assert (await client.get()).body == b"next"
    assert LEAK not in client.received
    assert origin.requests[1].conn == 2


async def test_bytes_on_an_idle_upstream_connection_close_it(stage: Stage) -> None:
    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(OK)
        await conn.origin.request(2)
        await conn.send(reply(LEAK))

    other = answers(reply(b"first"), reply(b"second"))
    origin = stage.origin(script, other)
    running = await stage.serve(build_spec(origin.address))
    one, two = await running.connect(), await running.connect()
    # Two connections are pooled: the first request's is older than the second's.
    await one.send(request(b"GET", b"/1"))
    await two.send(request(b"GET", b"/2"))
    assert {(await one.read_response()).body, (await two.read_response()).body} == {b"ok", b"first"}
    await origin.closed(1)
    assert (await one.get()).body == b"second"
    assert LEAK not in one.received + two.received


MISSING_101 = {
    "no-upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
    "no-connection": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "neither": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "connection-says-close": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", MISSING_101)
async def test_incomplete_switch_is_502_even_if_asked_for(stage: Stage, name: str) -> None:
    running = await serve(stage, answers(MISSING_101[name] + LEAK))
    client = await running.connect()
    answer = await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)
    assert answer.status == 502
    assert LEAK not in client.received


BAD_BODIES = {
    "chunk-size": b"5\r\nhello\r\nzz\r\n",
    "chunk-end": b"5\r\nhelloxx",
    "chunk-lf": b"5\nhello\r\n",
    "chunk-extension-lf": b"5;a\nb\r\nhello\r\n",
    "chunk-huge": b"f" * 20 + b"\r\n",
    "chunk-extension-endless": b"5;" + b"a" * 300_000,
    "trailer-endless": b"0\r\n" + b"X: aaaaaaaaaaaa\r\n" * 20_000,
    "trailer": b"5\r\nhello\r\n0\r\nno-colon\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_broken_chunked_response_body_never_looks_complete(stage: Stage, name: str) -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n"

    async def script(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(start, BAD_BODIES[name])

    origin = stage.origin(script, answers(OK))
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(request())
    head = await client.read_head()
    assert head.status == 200
    body = await client.read_to_end()
    assert b"start" in body
    assert not body.endswith(b"0\r\n\r\n"), "a truncated body must not be ended properly"
    await origin.closed(1)
    assert (await (await running.connect()).get()).body == b"ok"


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nstart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nstart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n0\r\n",
    ],
    ids=["length", "between-chunks", "within-a-chunk", "within-the-last-chunk"],
)
async def test_truncated_response_body_is_cut_for_the_client_too(
    stage: Stage, raw: bytes, ending: str
) -> None:
    running = await serve(stage, then("rst" if ending == "rst" else "fin", raw))
    client = await running.connect()
    await client.send(request())
    assert (await client.read_head()).status == 200
    body = await client.read_to_end()
    assert b"start" in body
    assert not body.endswith(b"0\r\n\r\n")


async def test_body_delimited_by_close_and_reset_is_reset_for_the_client(stage: Stage) -> None:
    running = await serve(stage, then("rst", b"HTTP/1.1 200 OK\r\n\r\nstart"))
    client = await running.connect()
    await client.send(request())
    head = await client.read_head()
    body = await client.read_to_end()
    # Re-framed as chunked the missing last chunk tells; delimited by close only a reset can.
    cut = client.ended == "rst" or (head.get(b"transfer-encoding") == b"chunked")
    assert cut
    assert not body.endswith(b"0\r\n\r\n")


async def test_bad_response_with_invalid_header_in_retry_goes_to_the_next(stage: Stage) -> None:
    bad, good = stage.origin(answers(BAD["two-lengths-same"])), stage.origin()
    retry = RetrySpec(when=frozenset({"invalid_header"}))
    running = await stage.serve(build_spec(pools=[pool(bad.address, good.address, retry=retry)]))
    client = await running.connect()
    assert [(await client.get()).status for _ in range(4)] == [200] * 4
    assert len(bad.requests) >= 1
    assert LEAK not in client.received
