"""What is admitted, and as what; what is refused, and with which status."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import errors
from proxy.downstream import admission
from proxy.downstream.admission import Admission, decoded, drop_names, normal_host
from proxy.downstream.request_parser import MalformedHeadError
from proxy.errors import Failure
from proxy.field_block import FieldBlock
from proxy.message import Peer, Request
from proxy.spec import ListenerSpec

PEER = Peer(b"192.0.2.1", 4711, b"198.51.100.1", 80, 1)


@pytest.fixture(scope="module")
def door() -> Iterator[Admission]:
    loop = asyncio.new_event_loop()
    yield Admission(loop)
    loop.close()


def read(
    door: Admission,
    *fields: bytes,
    start: bytes = b"GET / HTTP/1.1",
    host: bytes | None = b"example.test",
    max_headers: int = 100,
) -> Request:
    lines = [start, *([] if host is None else [b"Host: " + host]), *fields]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    return door.admit(head, PEER, 3, 12.5, max_headers)


def refusal(door: Admission, *fields: bytes, **how: bytes | None) -> Failure:
    with pytest.raises(MalformedHeadError) as caught:
        read(door, *fields, **how)  # type: ignore[arg-type]
    return caught.value.failure


def test_plain_request_is_admitted_as_it_came(door: Admission) -> None:
    request = read(door, b"x-A: 1", b"X-a: 2", start=b"GET /a%20b?c=d HTTP/1.1")
    assert (request.method, request.target) == (b"GET", b"/a%20b?c=d")
    assert request.fields == ((b"Host", b"example.test"), (b"x-A", b"1"), (b"X-a", b"2"))
    assert request.headers.getall("X-A") == ["1", "2"]
    assert (request.host, request.version_minor) == (b"example.test", 1)
    assert (request.ordinal, request.started, request.peer) == (3, 12.5, PEER)
    assert request.client_ip == PEER.address
    assert (request.content_length, request.chunked, request.expects_continue) == (
        None,
        False,
        False,
    )
    assert request.keep_alive
    assert request.upgrade == request.connection == b""


def test_body_is_as_the_fields_say(door: Admission) -> None:
    start = b"POST / HTTP/1.1"
    assert read(door, b"content-LENGTH: 0042", start=start).content_length == 42
    assert read(door, b"Transfer-Encoding: ChunkeD", start=start).chunked


@pytest.mark.parametrize(
    ("start", "fields", "keeps"),
    [
        (b"GET / HTTP/1.1", (), True),
        (b"GET / HTTP/1.1", (b"Connection: close",), False),
        (b"GET / HTTP/1.1", (b"Connection: x, Close",), False),
        (b"GET / HTTP/1.0", (), False),
        (b"GET / HTTP/1.0", (b"Connection: keep-alive",), True),
    ],
)
def test_connection_is_kept_as_version_and_field_say(
    door: Admission, start: bytes, fields: tuple[bytes, ...], keeps: bool
) -> None:
    assert read(door, *fields, start=start).keep_alive is keeps


def test_all_connection_fields_count(door: Admission) -> None:
    request = read(door, b"Connection: keep-alive", b"connection: X-Hop")
    assert request.connection == b"keep-alive, X-Hop"


@pytest.mark.parametrize(
    ("start", "fields", "upgrade"),
    [
        (b"GET / HTTP/1.1", (b"Connection: Upgrade", b"Upgrade: WebSocket"), b"WebSocket"),
        (b"GET / HTTP/1.1", (b"Upgrade: websocket",), b""),
        (b"GET / HTTP/1.1", (b"Connection: upgrade",), b""),
        (b"GET / HTTP/1.0", (b"Connection: Upgrade", b"Upgrade: websocket"), b""),
    ],
)
def test_upgrade_is_asked_for_by_both_fields_in_http_1_1(
    door: Admission, start: bytes, fields: tuple[bytes, ...], upgrade: bytes
) -> None:
    assert read(door, *fields, start=start).upgrade == upgrade


def test_expectation_of_http_1_1_is_noted_and_of_http_1_0_ignored(
    door: Admission,
) -> None:
    fields = (b"Expect: 100-Continue", b"Content-Length: 3")
    assert read(door, *fields, start=b"PUT / HTTP/1.1").expects_continue
    assert not read(door, *fields, start=b"PUT / HTTP/1.0").expects_continue


@pytest.mark.parametrize(
    ("target", "host", "origin_form"),
    [
        (b"http://Other.test/a?b", b"other.test", b"/a?b"),
        (b"http://other.test", b"other.test", b"/"),
        (b"HTTPS://other.test:8443/", b"other.test", b"/"),
        (b"http://other.test?q", b"other.test", b"/?q"),
        (b"http://[2001:DB8::1]:80/x", b"[2001:db8::1]", b"/x"),
    ],
)
def test_absolute_form_becomes_origin_form_and_its_authority_the_host(
    door: Admission, target: bytes, host: bytes, origin_form: bytes
) -> None:
    request = read(door, b"A: b", start=b"GET " + target + b" HTTP/1.1")
    assert (request.host, request.target) == (host, origin_form)
    assert [name for name, _ in request.fields] == [b"Host", b"A"]
    authority = request.headers["Host"].encode()
    assert request.fields[0] == (b"Host", authority)
    assert authority.lower().startswith(host)


@pytest.mark.parametrize(
    ("failure", "start", "fields"),
    [
        (errors.METHOD_NOT_ALLOWED, b"CONNECT example.test:443 HTTP/1.1", ()),
        (errors.METHOD_NOT_ALLOWED, b"CONNECT / HTTP/1.1", ()),
        (errors.METHOD_NOT_ALLOWED, b"TRACE / HTTP/1.1", ()),
        (errors.VERSION_UNKNOWN, b"GET / HTTP/2.0", ()),
        (errors.VERSION_UNKNOWN, b"GET / HTTP/0.9", ()),
        (errors.BAD_REQUEST, b"OPTIONS * HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET /#f HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET /?a#f HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET http://h/#f HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET ftp://h/ HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET http://user@h/ HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET http://[v1.x]/ HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET  / HTTP/1.1", ()),
        (errors.BAD_REQUEST, b"GET / RTSP/1.1", ()),
        (errors.BAD_REQUEST, b"POST / HTTP/1.1", (b"Transfer-Encoding: gzip, chunked",)),
        (errors.BAD_REQUEST, b"POST / HTTP/1.1", (b"Transfer-Encoding: , chunked",)),
        (errors.BAD_REQUEST, b"POST / HTTP/1.1", (b"Transfer-Encoding:",)),
        (errors.BAD_REQUEST, b"POST / HTTP/1.1", (b"Transfer-Encoding: identity",)),
        (errors.BAD_REQUEST, b"POST / HTTP/1.1", (b"Transfer-Encoding: chunked",) * 2),
        (errors.BAD_REQUEST, b"POST / HTTP/1.0", (b"Transfer-Encoding: chunked",)),
        (errors.EXPECTATION_UNKNOWN, b"PUT / HTTP/1.1", (b"Expect: 200-ok",)),
        (errors.EXPECTATION_UNKNOWN, b"PUT / HTTP/1.1", (b"Expect: 100-continue, x",)),
    ],
)
def test_request_is_refused_with_its_status(
    door: Admission, failure: Failure, start: bytes, fields: tuple[bytes, ...]
) -> None:
    assert refusal(door, *fields, start=start) is failure


def test_request_without_a_host_is_refused(door: Admission) -> None:
    """In HTTP/1.1 only (RFC 9112, 3.2); HTTP/1.0 gets one on its way upstream."""
    assert refusal(door, start=b"GET / HTTP/1.1", host=None) is errors.BAD_REQUEST


@pytest.mark.parametrize("target", [b"http://\xff/", b"http://h:99999/", b"http:///a"])
def test_absolute_form_with_a_bad_authority_is_refused(door: Admission, target: bytes) -> None:
    assert refusal(door, start=b"GET " + target + b" HTTP/1.1") is errors.BAD_REQUEST


def test_fields_are_counted(door: Admission) -> None:
    assert len(read(door, *[b"A: b"] * 9, max_headers=10).fields) == 10
    with pytest.raises(MalformedHeadError) as caught:
        read(door, *[b"A: b"] * 10, max_headers=10)
    assert caught.value.failure is errors.HEAD_TOO_LARGE


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"Example.TEST", b"example.test"),
        (b"example.test:8080", b"example.test"),
        (b"example.test:", b"example.test"),
        (b"example.test.", b"example.test"),
        (b"example.test.:80", b"example.test"),
        (b"192.0.2.7:80", b"192.0.2.7"),
        (b"[2001:DB8::1]", b"[2001:db8::1]"),
        (b"[::ffff:192.0.2.7]:80", b"[::ffff:192.0.2.7]"),
        (b"a_b", b"a_b"),
        (b"a%20b", b"a%20b"),
        (b"h:65535", b"h"),
        (b"h:00080", b"h"),
    ],
)
def test_host_is_read_without_port_and_case(value: bytes, name: bytes) -> None:
    assert normal_host(value) == name
    assert normal_host(value) == name  # and remembered


@pytest.mark.parametrize(
    "value",
    [
        b"", b" ", b"a b", b"a/b", b"a@b", b"a,b c", b"a:b", b"a:80:80", b":80", b"h:65536",
        b"h:000080", b"h:-1", b"[::1", b"::1", b"[::1]x", b"[::1]:x", b"[1.2.3.4]", b"[::g]", b"[]",
        b"[fe80::1%25eth0]", b"a%2", b"a%zz", b"caf\xc3\xa9", b"a\\b", b"a\tb", b"a?b", b"a#b",
        b"<a>", b'"a"', b".", b"..", b"a..b", b"a..", b"..:80",
    ],
)  # fmt: skip
def test_malformed_host_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedHeadError) as caught:
        normal_host(value)
    assert caught.value.failure is errors.BAD_REQUEST


@given(st.binary(max_size=20))
def test_any_host_is_lower_case_or_refused(value: bytes) -> None:
    try:
        name = normal_host(value)
    except MalformedHeadError:
        return
    assert name == name.lower()
    assert name
    assert not set(name) & set(b" \t\r\n\x00/@?#\\")


def test_hosts_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client chooses what it sends: neither many names nor long ones may fill the memory."""
    remembered: dict[bytes, bytes] = {}
    monkeypatch.setattr(admission, "_hosts", remembered)
    for number in range(admission.HOST_MEMO + 10):
        normal_host(b"h%d.test" % number)
    assert len(remembered) <= admission.HOST_MEMO
    remembered.clear()
    for number in range(64):
        try:
            normal_host(b"%d" % number + b"y" * 20_000)
        except MalformedHeadError:
            break  # refusing such names is as good
    assert sum(map(len, remembered)) < 64 * 1024


NAMED = ((b"Host", b"h"), (b"X_A", b"1"), (b"X-A", b"2"), (b"X.A", b"3"), (b"B", b"_"))
KEPT = {
    "neither": (False, False, [b"Host", b"X-A", b"B"], {"underscore_field": 1, "odd_field": 1}),
    "underscores": (True, False, [b"Host", b"X_A", b"X-A", b"B"], {"odd_field": 1}),
    "odd": (False, True, [b"Host", b"X-A", b"X.A", b"B"], {"underscore_field": 1}),
    "all": (True, True, [b"Host", b"X_A", b"X-A", b"X.A", b"B"], {}),
}


@pytest.mark.parametrize("name", KEPT)
def test_fields_that_a_listener_does_not_let_in_are_dropped_and_counted(name: str) -> None:
    underscores, odd, kept, counted = KEPT[name]
    block = FieldBlock(NAMED, decoded(NAMED), 1, keep_alive=True)
    block.has_odd_names = block.has_underscores = True
    request = Request(PEER, b"GET", b"/", block)
    spec = ListenerSpec(
        name="l", bind="127.0.0.1:0", underscores_in_headers=underscores, odd_header_names=odd
    )
    assert dict(drop_names(request, spec)) == counted
    assert [field for field, _ in request.fields] == kept
    assert list(request.headers) == [field.decode() for field in kept]


def test_request_that_names_no_host_is_for_the_default_one(door: Admission) -> None:
    for line, expected in ((b"", b"www.test"), (b"Host: a.test\r\n", b"a.test")):
        head = b"GET / HTTP/1.0\r\n" + line + b"\r\n"
        made = door.admit(head, PEER, 1, 0.0, 100, b"www.test")
        assert made.host == expected
        assert made.authority == (b"a.test" if line else b"")
