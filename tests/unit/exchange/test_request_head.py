"""The head that goes upstream: what passes, what is made anew, what becomes of an upgrade."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.request_head import UpstreamHead, upstream_head
from proxy.message import Request
from proxy.route import Route
from proxy.spec import HeaderRulesSpec
from tests.unit.exchange.samples import CONNECTION_UPGRADE, lines, request, route, rules

PLAIN = route()


def built(made: Request, by: Route = PLAIN, *, trusted: bool = False) -> UpstreamHead:
    return upstream_head(made, by, b"/target?q", peer_trusted=trusted)


def sent(made: Request, by: Route = PLAIN, *, trusted: bool = False) -> list[bytes]:
    return lines(built(made, by, trusted=trusted).data)


def test_ordinary_fields_pass_in_order_case_and_repetition() -> None:
    made = request((b"x-B", b"1"), (b"X-a", b"caf\xff"), (b"x-b", b"2"), (b"Empty", b""))
    assert sent(made) == [
        b"GET /target?q HTTP/1.1",
        b"Host: example.test",
        b"x-B: 1",
        b"X-a: caf\xff",
        b"x-b: 2",
        b"Empty: ",
    ]


def test_request_of_http_1_0_goes_on_as_http_1_1() -> None:
    assert sent(request(version_minor=0))[0] == b"GET /target?q HTTP/1.1"


@pytest.mark.parametrize(
    "name",
    [
        b"Keep-Alive", b"proxy-connection", b"TE", b"Trailer", b"Proxy-Authenticate",
        b"PROXY-AUTHORIZATION", b"Expect", b"Connection", b"Upgrade", b"Transfer-Encoding",
        b"content-length",
    ],
)  # fmt: skip
def test_hop_by_hop_and_framing_fields_never_pass(name: bytes) -> None:
    assert sent(request((name, b"1"), (b"A", b"b")))[2:] == [b"A: b"]


@pytest.mark.parametrize(
    ("connection", "passing"),
    [
        (b"X-Hop", [b"X-End: 2"]),
        (b"close, x-hop", [b"X-End: 2"]),
        (b"keep-alive, X-HOP , x-end", []),
        (b"keep-alive", [b"X-Hop: 1", b"X-End: 2"]),
        (b"close", [b"X-Hop: 1", b"X-End: 2"]),
        (b"host, X-Hop", [b"X-End: 2"]),
    ],
)
def test_fields_that_connection_names_do_not_pass(connection: bytes, passing: list[bytes]) -> None:
    made = request((b"Connection", connection), (b"X-Hop", b"1"), (b"X-End", b"2"))
    assert sent(made)[1:] == [b"Host: example.test", *passing]


def test_body_is_framed_as_it_is_sent_on() -> None:
    made = request((b"Content-Length", b"0042"))
    made.content_length = 42
    assert sent(made)[1] == b"Content-Length: 42"
    made = request((b"Transfer-Encoding", b"ChunkeD"))
    made.chunked = True
    assert sent(made)[1] == b"Transfer-Encoding: chunked"
    assert len(sent(made)) == 3


NAMES = st.sampled_from([b"A", b"B-c", b"X_y", b"x-FORWARDED-z", b"TE", b"Cookie", b"Host2"])


@given(st.lists(st.tuples(NAMES, st.sampled_from([b"", b"v", b"a: b", b"\xff\xfe"])), max_size=8))
def test_what_passes_is_a_subsequence_of_what_came(fields: list[tuple[bytes, bytes]]) -> None:
    passed = sent(request(*fields))[2:]
    expected = [b"%b: %b" % field for field in fields if field[0] != b"TE"]
    assert passed == expected


def test_rules_remove_then_set_then_append() -> None:
    by = route(
        request_headers=rules(
            remove=("x-gone",), append=(("X-Kept", "3"), ("X-New", "4")), X_Set="$http_x_gone!"
        )
    )
    made = request((b"X-Gone", b"1"), (b"x-set", b"old"), (b"X-Kept", b"2"), (b"X-SET", b"older"))
    assert sorted(sent(made, by)[1:]) == sorted(
        [b"Host: example.test", b"X-Set: 1!", b"X-Kept: 2", b"X-Kept: 3", b"X-New: 4"]
    )
    assert sent(made, by).index(b"X-Kept: 2") < sent(made, by).index(b"X-Kept: 3")


def test_rule_value_with_a_line_break_is_left_out_and_counted() -> None:
    by = route("regex", "(?s)^/(.*)$", request_headers=rules(X_Path="$1"))
    made = request()
    made.captures = {"1": b"a\r\nEvil: yes"}
    assert sent(made, by)[1:] == [b"Host: example.test"]
    assert by.counters.header_rule_failures == 1


def test_claims_of_an_untrusted_peer_are_replaced() -> None:
    by = route(forwarded_headers=True)
    made = request(
        (b"X-Forwarded-For", b"6.6.6.6"), (b"x-forwarded-proto", b"https"), (b"Forwarded", b"x"),
        (b"X-Real-IP", b"6.6.6.6"), (b"X-Request-Id", b"theirs"), (b"X-Forwarded-Evil", b"1"),
    )  # fmt: skip
    assert sent(made, by)[1:] == [
        b"X-Forwarded-For: 192.0.2.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: example.test",
        b"X-Request-Id: id-1",
        b"Host: example.test",
    ]


def test_claims_of_a_trusted_peer_stay_and_the_way_grows() -> None:
    by = route(forwarded_headers=True)
    made = request((b"X-Forwarded-For", b"6.6.6.6"), (b"X-Forwarded-Proto", b"https"))
    got = sent(made, by, trusted=True)
    assert b"X-Forwarded-For: 6.6.6.6, 192.0.2.1" in got
    assert b"X-Forwarded-Proto: https" in got
    assert b"X-Forwarded-Proto: http" not in got
    assert sum(line.startswith(b"X-Forwarded-For") for line in got) == 1


# -- upgrades -------------------------------------------------------------------------------------

SEED = rules(Upgrade="$http_upgrade", Connection="$connection_upgrade")


def asks(protocol: bytes = b"websocket", connection: bytes = b"Upgrade") -> Request:
    return request(
        (b"Connection", connection), (b"Upgrade", protocol), (b"Sec-WebSocket-Key", b"k"),
        upgrade=protocol,
    )  # fmt: skip


def about_connection(head: UpstreamHead) -> list[bytes]:
    return [line for line in lines(head.data) if line.startswith((b"Connection:", b"Upgrade:"))]


@pytest.mark.parametrize(
    ("protocol", "allowed"),
    [
        (b"websocket", True),
        (b"WebSocket", True),
        (b"h2c", False),
        (b"foo", False),
        (b"websocket, h2c", False),
    ],
)
def test_default_route_upgrades_to_websocket_only(protocol: bytes, allowed: bool) -> None:
    head = built(asks(protocol))
    expected = [b"Connection: upgrade", b"Upgrade: " + protocol] if allowed else []
    assert about_connection(head) == expected
    assert head.upgrade == (protocol if allowed else b"")
    assert head.persistent
    assert b"Sec-WebSocket-Key: k" in lines(head.data)


@pytest.mark.parametrize("upgrades", [(), ("foo",)])
def test_protocol_that_is_not_listed_is_asked_for_in_vain(upgrades: tuple[str, ...]) -> None:
    head = built(asks(), route(upgrades=upgrades))
    assert (about_connection(head), head.upgrade) == ([], b"")


@pytest.mark.parametrize(
    ("protocol", "allowed"),
    [
        (b"anything/1.0", True),
        (b"WebSocket", True),
        (b"h2c", False),
        (b"H2C", False),
        (b"h2c, foo", False),
        (b"foo, h2c", False),
        (b"foo,H2c ,bar", False),
    ],
)
def test_star_stands_for_anything_but_h2c(protocol: bytes, allowed: bool) -> None:
    """Behind an h2c tunnel, requests would pass that no rule has seen."""
    head = built(asks(protocol), route(upgrades=("*",)))
    assert bool(head.upgrade) is allowed
    assert bool(about_connection(head)) is allowed


def test_h2c_goes_through_where_it_is_listed() -> None:
    assert built(asks(b"h2c"), route(upgrades=("h2c",))).upgrade == b"h2c"


@pytest.mark.parametrize(
    ("asked", "rule", "expected", "upgrade", "persistent"),
    [
        (True, SEED, [b"Upgrade: websocket", b"Connection: upgrade"], True, True),
        (False, SEED, [b"Connection: close"], False, False),
        (True, rules(Connection="close"), [b"Connection: close"], False, False),
        (False, rules(Connection="close"), [b"Connection: close"], False, False),
        (False, rules(Connection="keep-alive"), [b"Connection: keep-alive"], False, True),
        (True, rules(Connection="keep-alive"), [b"Connection: keep-alive"], False, True),
        (False, rules(Connection=""), [], False, True),
        (True, rules(Connection=""), [], False, True),
        (True, rules(Upgrade=""), [], False, True),
        (True, rules(remove=("upgrade",)), [], False, True),
        (True, rules(remove=("Connection",)), [], False, True),
        (True, rules(remove=("connection", "upgrade")), [], False, True),
        (False, rules(remove=("connection", "upgrade")), [], False, True),
        (
            True,
            rules(Connection="Upgrade, X-Other"),
            [b"Connection: Upgrade, X-Other", b"Upgrade: websocket"],
            True,
            True,
        ),
        (
            True,
            rules(remove=("connection",), Connection="upgrade"),
            [b"Connection: upgrade", b"Upgrade: websocket"],
            True,
            True,
        ),
        (
            True,
            rules(Upgrade="other"),
            [b"Upgrade: other", b"Connection: upgrade"],
            True,
            True,
        ),
    ],
)
def test_rules_have_the_last_word_on_an_upgrade(
    asked: bool, rule: HeaderRulesSpec, expected: list[bytes], upgrade: bool, persistent: bool
) -> None:
    by = route("prefix", "/", CONNECTION_UPGRADE, request_headers=rule)
    head = built(asks() if asked else request(), by)
    assert about_connection(head) == expected
    assert bool(head.upgrade) is upgrade
    assert head.persistent is persistent


@pytest.mark.parametrize("rule", [SEED, rules(Connection="upgrade", Upgrade="$http_upgrade")])
def test_rules_cannot_upgrade_to_what_the_route_refuses(rule: HeaderRulesSpec) -> None:
    by = route("prefix", "/", CONNECTION_UPGRADE, request_headers=rule)
    head = built(asks(b"h2c"), by)
    assert (about_connection(head), head.upgrade) == ([], b"")


def test_rule_that_writes_an_upgrade_nobody_asked_for_makes_none() -> None:
    by = route(request_headers=rules(Connection="upgrade", Upgrade="websocket"))
    head = built(request(), by)
    assert head.upgrade == b""
    assert b"Upgrade: websocket" not in lines(head.data)


def test_body_of_the_route_is_framed_whatever_the_client_sends() -> None:
    made = request((b"Transfer-Encoding", b"chunked"))
    made.chunked = True
    by = route(body="a=$arg_a", upstream_http_version="1.0")
    made.query = b"a=b"
    head = upstream_head(made, by, b"/", peer_trusted=False)
    assert lines(head.data)[:2] == [b"GET / HTTP/1.0", b"Content-Length: 3"]
    assert head.body == b"a=b"


@pytest.mark.parametrize(("text", "framing"), [("", []), ("$arg_a", [b"Content-Length: 0"])])
def test_empty_body_has_a_length_only_where_it_might_have_been_another(
    text: str, framing: list[bytes]
) -> None:
    made = request((b"Content-Length", b"5"))
    made.content_length = 5
    assert sent(made, route(body=text))[1:] == [*framing, b"Host: example.test"]


@pytest.mark.parametrize(
    ("method", "to_head"), [(b"GET", False), (b"HEAD", True), (b"head", True), (b"HEADS", False)]
)
def test_method_of_the_route_decides_what_is_answered(method: bytes, to_head: bool) -> None:
    made = request(method=b"PUT")
    made.query = b"m=" + method
    head = upstream_head(made, route(method="$arg_m"), b"/", peer_trusted=False)
    assert head.data.startswith(method + b" / ")
    assert head.to_head is to_head


def test_method_with_a_line_break_is_not_sent() -> None:
    by = route("regex", "(?s)^/(.*)$", method="$1")
    made = request()
    made.captures = {"1": b"A B"}
    assert sent(made, by)[0] == b"GET /target?q HTTP/1.1"
    made.captures = {"1": b"A\r\nX: 1"}
    assert sent(made, by)[0] == b"GET /target?q HTTP/1.1"
    assert by.counters.header_rule_failures == 2


def test_no_field_passes_where_all_are_removed_and_the_host_is_the_pools() -> None:
    by = route(request_headers=rules(remove=("*",), X_A="$http_x_b"))
    made = request((b"X-B", b"1"), (b"Cookie", b"c"), (b"Content-Type", b"a/b"))
    made.pool = b"backend"
    assert sorted(sent(made, by)[1:]) == [b"Host: backend", b"X-A: 1"]
    by = route(request_headers=rules(remove=("*",), host="own"))
    assert sent(made, by)[1:] == [b"host: own"]


def test_upgrade_does_not_pass_where_all_fields_are_removed() -> None:
    by = route(request_headers=rules(remove=("*",)))
    made = request((b"Connection", b"upgrade"), (b"Upgrade", b"websocket"), upgrade=b"websocket")
    head = upstream_head(made, by, b"/", peer_trusted=True)
    assert head.upgrade == b""
    assert b"pgrade" not in head.data
