"""Header rules: what they drop, what they render, and what they may not touch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.headers.map import compile_maps
from proxy.headers.rules import Rules, compile_response_rules, compile_rules
from proxy.headers.template import Scope
from proxy.spec import HeaderMapSpec, HeaderRulesSpec, Pairs, ResponseRulesSpec, SuccessRulesSpec
from proxy.telemetry.counters import RouteCounters
from tests.unit.headers.samples import request, response

CAPTURES = frozenset({"1"})


def compiled(
    spec: HeaderRulesSpec,
    counters: RouteCounters | None = None,
    *,
    to_client: bool = False,
    scope: Scope | None = None,
) -> Rules:
    faults: list[Fault] = []
    scope = scope or Scope(captures=CAPTURES, response=to_client)
    counters = counters or RouteCounters()
    rules = compile_rules(spec, scope, "/r", faults, counters, response=to_client)
    assert faults == []
    return rules


def faults_of(spec: HeaderRulesSpec, *, to_client: bool = False) -> list[str]:
    faults: list[Fault] = []
    compile_rules(
        spec, Scope(response=to_client), "/r", faults, RouteCounters(), response=to_client
    )
    return [fault.path for fault in faults]


def test_no_rules_drop_and_add_nothing() -> None:
    rules = compiled(HeaderRulesSpec())
    assert not rules.set
    assert not rules.appended
    assert rules.set.render(request()) == b""
    assert rules.dropped == frozenset()
    assert rules.connection is rules.upgrade is None
    assert not rules.removes_connection
    assert not rules.removes_upgrade


def test_rules_remove_set_and_append_in_this_order() -> None:
    rules = compiled(
        HeaderRulesSpec(
            remove=("X-Gone", "X-Both"),
            set=(("X-Const", "c"), ("X-Host", "$host"), ("X-Both", "b")),
            append=(("X-Const", "again"), ("X-Ip", "$client_ip"), ("X-End", "e")),
        )
    )
    assert rules.dropped == {b"x-gone", b"x-both", b"x-const", b"x-host"}
    assert rules.set.constant is None
    assert rules.set.render(request()) == (
        b"X-Const: c\r\nX-Host: app.example.org\r\nX-Both: b\r\n"
    )
    assert rules.appended.render(request()) == (
        b"X-Const: again\r\nX-Ip: 192.0.2.1\r\nX-End: e\r\n"
    )


def test_constant_rules_are_joined_beforehand() -> None:
    rules = compiled(HeaderRulesSpec(set=(("A", "1"), ("Empty", ""), ("B", "$$2"))))
    assert rules.set.constant == b"A: 1\r\nB: $2\r\n"
    assert rules.set.render(request()) == rules.set.constant
    assert b"empty" in rules.dropped


def test_value_that_comes_out_empty_has_no_line_but_still_replaces() -> None:
    rules = compiled(HeaderRulesSpec(set=(("A", "1"), ("B", "$http_b"), ("C", "3"))))
    assert rules.set.render(request()) == b"A: 1\r\nC: 3\r\n"
    assert b"b" in rules.dropped


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"\r\nX: y", b"\0"])
def test_value_with_a_line_break_is_left_out_and_counted(value: bytes) -> None:
    counters = RouteCounters()
    spec = HeaderRulesSpec(
        set=(("A", "1"), ("B", "$1"), ("C", "3"), ("Upgrade", "$1"), ("Connection", "x$1"))
    )
    rules = compiled(spec, counters)
    made = request(captures={"1": value})
    made.sent_connection = made.sent_upgrade = b""
    assert rules.set.render(made) == b"A: 1\r\nC: 3\r\n"
    assert counters.header_rule_failures == 1
    assert rules.upgrade is not None
    assert rules.connection is not None
    assert rules.upgrade.render(made) == rules.connection.render(made) == b""
    assert counters.header_rule_failures == 3


def test_connection_and_upgrade_of_a_request_are_decided_elsewhere_and_stand_in_place() -> None:
    faults: list[Fault] = []
    handbook = HeaderMapSpec(
        name="connection_upgrade", source="$http_upgrade", default="upgrade", exact=(("", "close"),)
    )
    maps = compile_maps({"connection_upgrade": handbook}, faults)
    spec = HeaderRulesSpec(
        remove=("connection", "UPGRADE"),
        set=(("upgrade", "$http_upgrade"), ("A", "1"), ("CONNECTION", "$connection_upgrade")),
    )
    rules = compiled(spec, scope=Scope(maps=maps))
    made = request(("Upgrade", "websocket"))
    made.sent_connection, made.sent_upgrade = b"decided", b"too"
    assert rules.set.render(made) == b"upgrade: too\r\nA: 1\r\nCONNECTION: decided\r\n"
    made.sent_connection = made.sent_upgrade = b""
    assert rules.set.render(made) == b"A: 1\r\n"
    assert rules.dropped == {b"a"}
    assert rules.plain.render(made) == b"A: 1\r\n"
    assert rules.connection is not None
    assert rules.upgrade is not None
    assert rules.connection.render(made) == b"upgrade"
    assert rules.upgrade.render(made) == b"websocket"
    assert rules.removes_connection
    assert rules.removes_upgrade


def test_constant_connection_rule_says_so() -> None:
    rules = compiled(HeaderRulesSpec(append=(("Connection", "close"),)))
    assert rules.connection is not None
    assert rules.connection.constant == b"close"
    made = request()
    made.sent_connection = b"close"
    assert rules.appended.render(made) == b"Connection: close\r\n"


def test_constant_connection_is_a_constant_line_where_no_upgrade_is_asked_for() -> None:
    spec = HeaderRulesSpec(
        set=(("Upgrade", "$http_upgrade"), ("Connection", "upgrade"), ("A", "1"))
    )
    rules = compiled(spec)
    assert rules.plain.constant == b"Connection: upgrade\r\nA: 1\r\n"
    assert rules.set.constant is None
    without = compiled(HeaderRulesSpec(set=(("A", "1"),)))
    assert without.plain is without.set


def test_response_rules_know_the_response() -> None:
    rules = compiled(HeaderRulesSpec(set=(("X-Status", "$status"),)), to_client=True)
    made = request()
    made.response = response(status=404)
    assert rules.set.render(made) == b"X-Status: 404\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\n", "(a)", "a\0", '"a"'])
def test_bad_name_is_a_fault_wherever_it_stands(name: str) -> None:
    pairs = ((name, "v"),)
    paths = faults_of(HeaderRulesSpec(remove=(name,), set=pairs, append=pairs))
    assert paths == ["/r/remove/0", f"/r/set/{name}", f"/r/append/{name}"]


def test_slash_in_a_name_is_escaped_in_the_path() -> None:
    assert faults_of(HeaderRulesSpec(set=(("a/b", "v"),))) == ["/r/set/a~1b"]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
@pytest.mark.parametrize("to_client", [True, False])
def test_framing_field_in_a_rule_is_a_fault(name: str, to_client: bool) -> None:
    pairs = ((name, "1"),)
    paths = faults_of(
        HeaderRulesSpec(remove=("A", name), set=pairs, append=pairs), to_client=to_client
    )
    assert paths == ["/r/remove/1", f"/r/set/{name}", f"/r/append/{name}"]


@pytest.mark.parametrize("name", ["Connection", "upgrade", "Keep-Alive", "TE", "Trailer", "Expect"])
def test_hop_by_hop_field_towards_the_client_is_a_fault(name: str) -> None:
    pairs = ((name, "1"),)
    paths = faults_of(HeaderRulesSpec(remove=(name,), set=pairs, append=pairs), to_client=True)
    assert paths == [f"/r/set/{name}", f"/r/append/{name}"]


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        (HeaderRulesSpec(set=(("A", "1"), ("a", "2"))), ["/r/set/a"]),
        (HeaderRulesSpec(set=(("A", "$nope"), ("B", "a\nb"))), ["/r/set/A", "/r/set/B"]),
        (HeaderRulesSpec(set=(("A", "$status"),)), ["/r/set/A"]),
        (HeaderRulesSpec(remove=("Host",)), ["/r/remove/0"]),
        (HeaderRulesSpec(append=(("Host", "x"),)), ["/r/append/Host"]),
        (HeaderRulesSpec(set=(("Expect", "100-continue"),)), ["/r/set/Expect"]),
        (
            HeaderRulesSpec(set=(("Upgrade", "a"),), append=(("upgrade", "b"),)),
            ["/r/append/upgrade"],
        ),
    ],
)
def test_rule_that_cannot_work_is_a_fault_at_its_place(
    spec: HeaderRulesSpec, paths: list[str]
) -> None:
    assert faults_of(spec) == paths


def test_host_may_be_set_and_appended_names_may_repeat() -> None:
    rules = compiled(HeaderRulesSpec(set=(("Host", "$pool"),), append=()), scope=SCOPE)
    assert rules.dropped == {b"host"}
    twice = compiled(HeaderRulesSpec(append=(("A", "1"), ("a", "2"))))
    assert twice.appended.constant == b"A: 1\r\na: 2\r\n"
    assert twice.dropped == frozenset()


def test_several_values_are_a_line_each_and_faults_have_their_numbers() -> None:
    spec = HeaderRulesSpec(append=(("A", "1"), ("B", "$host"), ("A", "2")))
    assert compiled(spec).appended.render(request()) == b"A: 1\r\nB: app.example.org\r\nA: 2\r\n"
    wrong = HeaderRulesSpec(append=(("A", "1"), ("B", "$nope"), ("A", "$nope")))
    assert faults_of(wrong) == ["/r/append/B", "/r/append/A/1"]


@pytest.mark.parametrize("name", ["Connection", "Upgrade"])
def test_field_of_the_connection_stands_once_in_a_request(name: str) -> None:
    assert faults_of(HeaderRulesSpec(append=((name, "a"), (name, "b")))) == [f"/r/append/{name}/1"]


def test_rules_for_successes_are_the_others_where_there_are_none() -> None:
    rules, on_success = compile_response_rules(
        ResponseRulesSpec(set=(("A", "1"),)), Scope(), "/r", [], RouteCounters()
    )
    assert on_success is rules


def test_rules_for_successes_are_checked_at_their_place() -> None:
    pairs: Pairs = (("A", "1"), ("a", "$nope"), ("Connection", "x"), ("B C", ""))
    spec = ResponseRulesSpec(
        set=(("A", "0"),), on_success=SuccessRulesSpec(set=pairs, append=pairs[2:])
    )
    faults: list[Fault] = []
    compile_response_rules(spec, Scope(response=True), "/r", faults, RouteCounters())
    assert sorted(fault.path for fault in faults) == [
        "/r/on_success/append/B C", "/r/on_success/append/Connection",
        "/r/on_success/set/B C", "/r/on_success/set/Connection",
        "/r/on_success/set/a", "/r/on_success/set/a",
    ]  # fmt: skip


SCOPE = Scope(
    maps=compile_maps({"pool": HeaderMapSpec(name="pool", source="$host", default="x")}, [])
)

NAMES = st.sampled_from(["A", "B", "C"])
TEXTS = st.sampled_from(["", "const", "$1", "$http_x", "<$1>", "$host$http_x"])
LINES = st.lists(st.tuples(NAMES, TEXTS), max_size=5)


@given(LINES, LINES, st.binary(max_size=4), st.text("xy", max_size=2))
def test_rules_agree_with_a_naive_rendering(
    set_: list[tuple[str, str]], appended: list[tuple[str, str]], capture: bytes, x: str
) -> None:
    wanted: Pairs = (*dict(set_).items(),)
    counters = RouteCounters()
    rules = compiled(HeaderRulesSpec(set=wanted, append=tuple(appended)), counters)
    made = request(("X", x), captures={"1": capture})
    lines, failures = b"", 0
    for name, text in (*wanted, *appended):
        value = text.encode().replace(b"$host", b"app.example.org").replace(b"$http_x", x.encode())
        value = value.replace(b"$1", capture)
        if any(octet in value for octet in (10, 13, 0)):
            failures += 1
        elif value:
            lines += name.encode() + b": " + value + b"\r\n"
    assert rules.set.render(made) + rules.appended.render(made) == lines
    assert counters.header_rule_failures == failures
    assert rules.dropped == {name.lower().encode() for name, _ in wanted}
