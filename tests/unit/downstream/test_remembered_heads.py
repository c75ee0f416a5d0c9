"""What admission remembers of heads: version and fields, whatever stands before them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.downstream.admission import Admission
from proxy.downstream.request_parser import MalformedHeadError
from proxy.field_block import BLOCK_BYTES, BLOCKS
from proxy.message import Peer, Request

PEER = Peer(b"192.0.2.1", 4711, b"198.51.100.1", 80, 1)
LOOP = asyncio.new_event_loop()
LOOP.close()  # parsers only keep it

METHODS = st.sampled_from(
    [*b"GET HEAD POST PUT DELETE OPTIONS CONNECT TRACE PROPFIND PRI get GETT".split(), b""]
)
TARGETS = st.one_of(
    st.binary(max_size=12).map(lambda rest: b"/" + rest),
    st.text('/ab?#%2f.:@[]{}|\\^`"<>*\t ', max_size=12).map(lambda rest: b"/" + rest.encode()),
    st.sampled_from([b"*", b"http://a/b", b"HTTPS://a", b"//a/b", b"a", b"/a:b//c@d?e?f", b""]),
)
BLOCK = st.sampled_from(
    [
        b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b" HTTP/1.0\r\n\r\n",
        b" HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b" HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nX_A: 1\r\nX.A: 2\r\n\r\n",
        b" HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        b" HTTP/1.1\r\nHost: A.\r\nTransfer-Encoding: chunked\r\n\r\n",
        b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b" HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b" HTTP/1.1\r\nX : 1\r\nHost: a\r\n\r\n",
        b" HTTP/1.2\r\nHost: a\r\n\r\n",
    ]
)


@pytest.fixture
def door() -> Admission:
    return Admission(LOOP)


def admitted(door: Admission, head: bytes) -> Request | str:
    """Return the request, or how it is refused."""
    try:
        return door.admit(head, PEER, 1, 0.0, 100)
    except MalformedHeadError as error:
        return repr(error.failure)


def facts(of: Request | str) -> object:
    """Return all that a head says."""
    if isinstance(of, str):
        return of
    named = [name for name in Request.__slots__ if hasattr(of, name)]
    named = [name for name in named if name not in ("block", "headers")]
    return {name: getattr(of, name) for name in named} | {"headers": list(of.headers.items())}


def head(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


@given(method=METHODS, target=TARGETS, block=BLOCK)
def test_head_with_known_fields_is_what_it_is_without(
    method: bytes, target: bytes, block: bytes
) -> None:
    door = Admission(LOOP)
    asked = method + b" " + target + block
    first = facts(admitted(door, asked))
    admitted(door, b"GET /known" + block)
    assert facts(admitted(door, asked)) == first


def test_fields_are_understood_once_whatever_the_path(door: Admission) -> None:
    first = door.admit(head("/a", "X-A: 1"), PEER, 1, 0.0, 100)
    other = door.admit(head("/b?c", "X-A: 1"), PEER, 2, 0.0, 100)
    assert other.block is first.block
    assert (other.target, other.ordinal) == (b"/b?c", 2)
    assert door.admit(head("/a", "X-A: 2"), PEER, 3, 0.0, 100).headers["X-A"] == "2"


def test_closing_head_is_followed_by_others_as_if_it_were_new(door: Admission) -> None:
    for _ in range(3):
        assert not door.admit(head("/a", "Connection: close"), PEER, 1, 0.0, 100).keep_alive
        assert door.admit(head("/b"), PEER, 1, 0.0, 100).keep_alive


def test_bad_head_is_refused_every_time(door: Admission) -> None:
    for _ in range(3):
        assert isinstance(admitted(door, head("/a", "X : 1")), str)


def test_number_of_fields_is_looked_at_each_time(door: Admission) -> None:
    assert isinstance(admitted(door, head("/a", "X-A: 1")), Request)
    with pytest.raises(MalformedHeadError):
        door.admit(head("/a", "X-A: 1"), PEER, 1, 0.0, 1)


def test_memory_is_bounded_in_number_and_size(door: Admission) -> None:
    for number in range(3 * BLOCKS):
        door.admit(head("/", f"X-A: {number}"), PEER, 1, 0.0, 100)
        assert len(door._blocks) <= BLOCKS
    long = head("/", "X-A: " + "a" * BLOCK_BYTES)
    kept = [door.admit(long, PEER, 1, 0.0, 100).block for _ in range(2)]
    assert kept[0] is not kept[1]
