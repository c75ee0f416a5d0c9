"""The head that goes back to the client."""

from __future__ import annotations

import pytest

from proxy.exchange.response_head import client_head, informational_head, status_line
from proxy.message import Response
from proxy.spec import ResponseRulesSpec, SubstitutionSpec, SuccessRulesSpec
from proxy.upstream.response_parser import ResponseHead
from tests.unit.exchange.samples import lines, request, response, route, rules

PLAIN = route()


def sent(
    head: ResponseHead, *, keep_alive: bool = True, rechunk: bool = False, version_minor: int = 1
) -> list[bytes]:
    made = request(version_minor=version_minor)
    data = client_head(made, head, PLAIN, head.status, keep_alive=keep_alive, rechunk=rechunk)
    return lines(data)


def test_ordinary_fields_pass_in_order_case_and_repetition() -> None:
    head = response(b"b: 1", b"Set-Cookie: x", b"A: \xff", b"set-cookie: y", b"Content-Length: 3")
    assert sent(head) == [
        b"HTTP/1.1 200 OK",
        b"b: 1",
        b"Set-Cookie: x",
        b"A: \xff",
        b"set-cookie: y",
        b"Content-Length: 3",
    ]


def test_hop_by_hop_fields_and_those_that_connection_names_do_not_pass() -> None:
    head = response(
        b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Trailer: x",
        b"Proxy-Authenticate: x", b"Upgrade: h2c", b"TE: x", b"X-End: 2", b"Content-Length: 0",
    )  # fmt: skip
    assert sent(head)[1:] == [b"X-End: 2", b"Content-Length: 0"]


def test_connection_cannot_take_the_length_away() -> None:
    head = response(b"Connection: content-length", b"Content-Length: 5")
    assert sent(head)[1:] == [b"Content-Length: 5"]


@pytest.mark.parametrize(
    ("keep_alive", "version_minor", "expected"),
    [
        (True, 1, []),
        (False, 1, [b"Connection: close"]),
        (True, 0, [b"Connection: keep-alive"]),
        (False, 0, [b"Connection: close"]),
    ],
)
def test_connection_is_what_becomes_of_the_clients(
    keep_alive: bool, version_minor: int, expected: list[bytes]
) -> None:
    head = response(b"Content-Length: 0", b"Connection: close")
    assert sent(head, keep_alive=keep_alive, version_minor=version_minor)[2:] == expected


def test_chunks_are_ours() -> None:
    head = response(b"Transfer-Encoding: chunked")
    assert sent(head, rechunk=True)[1:] == [b"Transfer-Encoding: chunked"]
    assert sent(head)[1:] == []


def test_switch_names_its_protocol() -> None:
    head = response(
        b"Connection: upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Accept: x",
        status=b"101 Switching Protocols",
    )  # fmt: skip
    data = client_head(
        request(), head, PLAIN, 101, keep_alive=True, rechunk=False, upgrade=b"websocket"
    )
    assert lines(data) == [
        b"HTTP/1.1 101 Switching Protocols",
        b"Sec-WebSocket-Accept: x",
        b"Connection: upgrade",
        b"Upgrade: websocket",
    ]


def test_rules_remove_then_set_then_append() -> None:
    by = route(response_headers=rules(remove=("Server",), append=(("A", "2"),), X_Status="$status"))
    made = request()
    head = response(b"server: x", b"X-Status: theirs", b"A: 1", b"Content-Length: 0")
    made.response = Response(200, head.fields, head.headers)
    got = lines(client_head(made, head, by, 200, keep_alive=True, rechunk=False))[1:]
    assert sorted(got) == [b"A: 1", b"A: 2", b"Content-Length: 0", b"X-Status: 200"]
    assert got.index(b"A: 1") < got.index(b"A: 2")


def test_status_that_the_client_is_to_see_has_its_own_reason() -> None:
    head = response(b"Content-Length: 0", status=b"200 Fine")
    data = client_head(request(), head, PLAIN, 404, keep_alive=True, rechunk=False)
    assert lines(data)[0] == b"HTTP/1.1 404 Not Found"


def test_rewritten_values_stand_where_they_stood() -> None:
    rewritten = ResponseRulesSpec(
        remove=("Refresh",),
        append=(("Location", "/added"),),
        rewrite_location=(SubstitutionSpec(kind="prefix", value="http://a/", to="/"),),
    )
    by = route(response_headers=rewritten)
    assert not by.asks_response
    head = response(b"A: 1", b"location: http://a/x", b"Refresh: 1", b"Location: /y", b"B: 2")
    assert lines(client_head(request(), head, by, 200, keep_alive=True, rechunk=False))[1:] == [
        b"A: 1", b"location: /x", b"Location: /y", b"B: 2", b"Location: /added",
    ]  # fmt: skip


NARROW = ResponseRulesSpec(
    remove=("X-Gone",),
    set=(("ETag", "always"), ("X-Set", "$status")),
    append=(("X-Add", "1"), ("X-Add", "2")),
    on_success=SuccessRulesSpec(
        set=(("etag", "success"), ("X-Theirs", "ours")), append=(("X-Add", "3"), ("X-Ok", "$uri"))
    ),
)


@pytest.mark.parametrize(
    ("status", "success"),
    [
        *((status, True) for status in (200, 201, 204, 206, 301, 302, 303, 304, 307, 308)),
        *((status, False) for status in (202, 203, 205, 300, 305, 400, 404, 500, 502)),
    ],
)
def test_rules_for_successes_hold_for_their_statuses_only(status: int, success: bool) -> None:
    by = route(response_headers=NARROW)
    fields = (b"ETag: theirs", b"X-Theirs: theirs", b"X-Gone: 1", b"X-Add: 0")
    head = response(*fields, status=b"%d Some" % status)
    made = request()
    made.response = Response(status, head.fields, head.headers)
    got = lines(client_head(made, head, by, status, keep_alive=True, rechunk=False))[1:]
    if success:
        added = [b"X-Set: %d" % status, b"etag: success", b"X-Theirs: ours"]
        added += [b"X-Add: 1", b"X-Add: 2", b"X-Add: 3", b"X-Ok: /"]
        assert got == [b"X-Add: 0", *added]
    else:
        added = [b"ETag: always", b"X-Set: %d" % status, b"X-Add: 1", b"X-Add: 2"]
        assert got == [b"X-Theirs: theirs", b"X-Add: 0", *added]
    # An answer of our own has no upstream's head.
    mine = by.rules_for(status)
    own = mine.set.render(made) + mine.appended.render(made)
    assert own == b"".join(line + b"\r\n" for line in added)


def test_switch_is_no_success() -> None:
    by = route(response_headers=ResponseRulesSpec(on_success=NARROW.on_success))
    head = response(b"Connection: upgrade", b"Upgrade: x", status=b"101 Switching Protocols")
    data = client_head(request(), head, by, 101, keep_alive=True, rechunk=False, upgrade=b"x")
    assert lines(data)[1:] == [b"Connection: upgrade", b"Upgrade: x"]


def test_informational_head_passes_without_what_concerns_one_hop() -> None:
    head = response(
        b"Link: </a>; rel=preload", b"Connection: X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5",
        status=b"103 Early Hints",
    )  # fmt: skip
    assert lines(informational_head(head)) == [
        b"HTTP/1.1 103 Early Hints",
        b"Link: </a>; rel=preload",
    ]


def test_informational_head_has_no_length() -> None:
    """RFC 9110, 8.6: a client that believed it would take the next head for a body."""
    head = response(b"Content-Length: 10", b"Link: </a>", status=b"103 Early Hints")
    assert lines(informational_head(head))[1:] == [b"Link: </a>"]


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        (200, "OK", b"HTTP/1.1 200 OK\r\n"),
        (200, "Alright, then", b"HTTP/1.1 200 Alright, then\r\n"),
        (200, "", b"HTTP/1.1 200 \r\n"),
        (404, "a\x00b", b"HTTP/1.1 404 Not Found\r\n"),
        (404, "a\r\nEvil: yes", b"HTTP/1.1 404 Not Found\r\n"),
        (799, "\x7f", b"HTTP/1.1 799 \r\n"),
        (404, "caf\udcff", b"HTTP/1.1 404 Not Found\r\n"),
    ],
)
def test_reason_is_passed_on_if_it_is_text(status: int, reason: str, line: bytes) -> None:
    assert status_line(status, reason) == line
    assert status_line(status, reason) == line  # and remembered
