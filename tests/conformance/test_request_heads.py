"""Every refused request head: the status, the end of the connection, and a silent upstream."""

from __future__ import annotations

import pytest

from tests.conformance.request_heads import ACCEPTED, ROWS, Row
from tests.peers import Origin, RawClient, Running, Stage, build_spec, reply
from tests.peers.client import request
from tests.peers.origin import answers

GOOD = request(b"GET", b"/good")
AFTER = request(b"GET", b"/after")
MUST_CLOSE = frozenset({400, 431, 414, 505})


@pytest.fixture
async def origin(stage: Stage) -> Origin:
    return stage.origin(answers(reply(b"fine")))


@pytest.fixture
async def running(stage: Stage, origin: Origin) -> Running:
    return await stage.serve(build_spec(origin.address))


async def read_refusal(client: RawClient, row: Row) -> bool:
    """Read the answer to a row; return whether the connection ends with it."""
    # A refusal answers the method that was meant, and none of the rows is a HEAD.
    answer = await client.read_response()
    assert answer.status in row.status, answer
    assert answer.framing == "length", "an error has a length"
    assert b"hidden" not in client.received, "nothing is echoed"
    if answer.status in MUST_CLOSE:
        assert answer.closes, answer.head.raw
    return answer.closes


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_bad_head_alone_is_refused_and_never_forwarded(
    running: Running, origin: Origin, row: Row
) -> None:
    client = await running.connect()
    await client.send(row.raw)
    if await read_refusal(client, row):
        await client.read_eof()
    assert origin.raw == b""


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_bad_head_between_good_ones_in_one_read_costs_only_what_follows(
    running: Running, origin: Origin, row: Row
) -> None:
    client = await running.connect()
    await client.send(GOOD + row.raw + AFTER)
    first = await client.read_response()
    assert (first.status, first.body) == (200, b"fine")
    expected = [b"/good"]
    if await read_refusal(client, row):
        await client.read_eof()
    else:
        assert (await client.read_response()).body == b"fine"
        expected.append(b"/after")
    assert [one.target for one in origin.requests] == expected
    assert b"hidden" not in origin.raw


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED)
async def test_unusual_but_valid_head_is_forwarded(
    running: Running, origin: Origin, raw: bytes
) -> None:
    client = await running.connect()
    await client.send(raw)
    answer = await client.read_response()
    assert (answer.status, answer.body) == (200, b"fine")
    assert origin.requests[0].target.startswith(b"/good")


async def test_refusals_are_counted_by_reason(running: Running) -> None:
    for raw in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"):
        client = await running.connect()
        await client.send(raw)
        await client.gone()
    assert running.rejected() == {"bad_request": 1, "version_unknown": 1}


def test_table_is_large_and_its_names_are_unique() -> None:
    names = [row.name for row in ROWS]
    assert len(names) > 300
    assert len(set(names)) == len(names)
