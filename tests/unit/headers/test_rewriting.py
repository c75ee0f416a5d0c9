"""Substitutions: which applies, and what stands there then.  tests/conformance has nginx beside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.headers.map import compile_maps
from proxy.headers.rewriting import Rewriting, absolute, compile_rewriting
from proxy.headers.template import Scope
from proxy.message import Peer
from proxy.spec import HeaderMapSpec, ResponseRulesSpec, SubstitutionSpec
from proxy.telemetry.counters import RouteCounters
from tests.unit.headers.samples import request, response

MAPS = compile_maps({"kind": HeaderMapSpec(name="kind", source="$host", default="mapped")}, [])
SCOPE = Scope(maps=MAPS, captures=frozenset({"1", "user"}), response=True)


def prefix(value: str, to: str) -> SubstitutionSpec:
    return SubstitutionSpec(kind="prefix", value=value, to=to)


def exact(value: str, to: str) -> SubstitutionSpec:
    return SubstitutionSpec(kind="exact", value=value, to=to)


def match(value: str, to: str, *, ignore_case: bool = False) -> SubstitutionSpec:
    return SubstitutionSpec(kind="match", value=value, to=to, ignore_case=ignore_case)


def compiled(spec: ResponseRulesSpec, counters: RouteCounters | None = None) -> Rewriting:
    faults: list[Fault] = []
    made = compile_rewriting(spec, SCOPE, "/r", faults, counters or RouteCounters())
    assert faults == []
    assert made is not None
    return made


def location(value: bytes, *rules: SubstitutionSpec, absolute_location: bool = False) -> bytes:
    spec = ResponseRulesSpec(rewrite_location=rules, absolute_location=absolute_location)
    asked = request(captures={"1": b"one", "user": b"joe"})
    ((_, new),) = compiled(spec).apply(asked, ((b"Location", value),))
    return new


def cookie(value: bytes, spec: ResponseRulesSpec) -> bytes:
    ((_, new),) = compiled(spec).apply(request(), ((b"sEt-cOOkie", value),))
    return new


def test_nothing_is_compiled_where_nothing_is_said() -> None:
    spec = ResponseRulesSpec(absolute_location=True, set=(("Location", "/"),))
    assert compile_rewriting(spec, SCOPE, "/r", [], RouteCounters()) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"http://a/x?y", b"/x?y"),
        (b"http://a/", b"/"),
        (b"http://a", b"http://a"),
        (b"HTTP://a/x", b"HTTP://a/x"),
        (b"", b""),
    ],
)
def test_prefix_is_replaced_and_the_rest_stays(value: bytes, expected: bytes) -> None:
    assert location(value, prefix("http://a/", "/")) == expected


def test_first_that_applies_wins() -> None:
    rules = (prefix("/a", "/1"), match("^/b(.)$", "/2$1"), prefix("/", "/3/"), prefix("/ab", "/4"))
    assert [location(value, *rules) for value in (b"/abc", b"/bx", b"/bxy", b"x")] == [
        b"/1bc",
        b"/2x",
        b"/3/bxy",
        b"x",
    ]


def test_match_replaces_the_whole_value_and_has_its_captures() -> None:
    rules = (match("^http://(?P<name>[^/]+)(/.*)?", "$name,$2,$user,$kind,$upstream_status"),)
    spec = ResponseRulesSpec(rewrite_location=rules)
    asked = request(captures={"1": b"one", "2": b"two", "user": b"joe"})
    asked.response = response()
    rewriting = compiled(spec)
    assert rewriting.asks_response
    assert rewriting.apply(asked, ((b"Location", b"http://h/p"),)) == (
        (b"Location", b"h,/p,joe,mapped,502, 200"),
    )
    assert rewriting.apply(asked, ((b"Location", b"http://h"),)) == (
        (b"Location", b"h,,joe,mapped,502, 200"),
    )
    assert asked.captures == {"1": b"one", "2": b"two", "user": b"joe"}


def test_case_counts_in_a_match_unless_it_says_otherwise() -> None:
    assert location(b"/A", match("^/a", "/x")) == b"/A"
    assert location(b"/A", match("^/a", "/x", ignore_case=True)) == b"/x"


def test_templates_are_of_the_request() -> None:
    assert location(b"http://one/x", prefix("http://$1/", "//$host/$user/")) == (
        b"//app.example.org/joe/x"
    )


def test_constant_substitutions_ask_for_no_response() -> None:
    spec = ResponseRulesSpec(rewrite_location=(prefix("http://a/", "/"),))
    assert not compiled(spec).asks_response


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"http://a/x", b"http://app.example.org:8080/x"),
        (b"/x", b"/x"),
        (b"http://b/x", b"b-http://b/x"),
    ],
)
def test_what_was_rewritten_to_a_path_becomes_absolute(value: bytes, expected: bytes) -> None:
    rules = (prefix("http://a/", "/"), prefix("http://b/", "b-http://b/"))
    assert location(value, *rules, absolute_location=True) == expected


def test_name_of_an_absolute_location_is_spelled_as_nginx_does() -> None:
    spec = ResponseRulesSpec(rewrite_location=(prefix("a", "/"),), absolute_location=True)
    fields = ((b"location", b"ab"), (b"refresh", b"0;url=ab"))
    assert compiled(spec).apply(request(), fields) == (
        (b"Location", b"http://app.example.org:8080/b"),
        (b"refresh", b"0;url=/b"),
    )


@pytest.mark.parametrize(
    ("scheme", "port", "host", "expected"),
    [
        (b"http", 80, b"h", b"http://h/x"),
        (b"http", 443, b"h", b"http://h:443/x"),
        (b"https", 443, b"h", b"https://h/x"),
        (b"https", 80, b"h", b"https://h:80/x"),
        (b"http", 0, b"h", b"http://h/x"),
        (b"http", 81, b"", b"http://198.51.100.7:81/x"),
    ],
)
def test_absolute_location_has_the_port_of_the_listener(
    scheme: bytes, port: int, host: bytes, expected: bytes
) -> None:
    asked = request()
    asked.peer = Peer(b"192.0.2.1", 4711, b"198.51.100.7", port, 1, scheme)
    asked.host = host
    assert absolute(asked, b"/x") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"5; url=http://a/x", b"5; url=/x"),
        (b"5;URL=http://a/x;url=http://a/y", b"5;URL=/x;url=http://a/y"),
        (b'5; url="http://a/x"', b'5; url="http://a/x"'),
        (b"http://a/x", b"http://a/x"),
        (b"5", b"5"),
    ],
)
def test_refresh_is_rewritten_behind_its_first_url(value: bytes, expected: bytes) -> None:
    spec = ResponseRulesSpec(rewrite_location=(prefix("http://a/", "/"),), absolute_location=True)
    assert compiled(spec).apply(request(), ((b"REFRESH", value),)) == ((b"REFRESH", expected),)


DOMAIN = ResponseRulesSpec(rewrite_cookie_domain=(exact(".A.test", ".b.test"),))
PATH = ResponseRulesSpec(rewrite_cookie_path=(prefix("/app/", "/"),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"n=v; Domain=a.test", b"n=v; Domain=b.test"),
        (b"n=v; Domain=.a.TEST", b"n=v; Domain=.b.test"),
        (b"n=v;  domain = a.test ;Secure", b"n=v; domain=b.test; Secure"),
        (b"n=v;Domain=x.a.test;  Secure ", b"n=v;Domain=x.a.test;  Secure "),
        (b"n=v; Domain", b"n=v; Domain"),
        (b"n; Domain=a.test", b"n; Domain=a.test"),
        (b"Domain=a.test; Path=/app/", b"Domain=a.test; Path=/app/"),
    ],
)
def test_domain_of_a_cookie_is_replaced_and_keeps_its_dot(value: bytes, expected: bytes) -> None:
    assert cookie(value, DOMAIN) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"n=v; Path=/app/x; HttpOnly", b"n=v; Path=/x; HttpOnly"),
        (b"n=v;PATH=/app/;", b"n=v; PATH=/; "),
        (b"n=v; Path=/app/1; Path=/app/2", b"n=v; Path=/1; Path=/2"),
        (b"n=v;Path=/APP/", b"n=v;Path=/APP/"),
        (b'n=v;Path="/app/"', b'n=v;Path="/app/"'),
    ],
)
def test_path_of_a_cookie_is_replaced(value: bytes, expected: bytes) -> None:
    assert cookie(value, PATH) == expected


def test_every_cookie_is_rewritten_and_other_fields_are_left_alone() -> None:
    fields = (
        (b"Set-Cookie", b"a=b; Path=/app/"),
        (b"X", b"y"),
        (b"Set-Cookie", b"c=d; Path=/app/"),
    )
    assert compiled(PATH).apply(request(), (*fields, (b"Location", b"/app/"))) == (
        (b"Set-Cookie", b"a=b; Path=/"),
        (b"X", b"y"),
        (b"Set-Cookie", b"c=d; Path=/"),
        (b"Location", b"/app/"),
    )


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"\0"])
def test_value_that_would_break_the_line_is_left_out_and_counted(octet: bytes) -> None:
    counters = RouteCounters()
    spec = ResponseRulesSpec(rewrite_location=(prefix("/", "/$1/"),))
    asked = request(captures={"1": b"a" + octet + b"Evil: yes"})
    fields = ((b"A", b"1"), (b"Location", b"/x"), (b"B", b"2"), (b"Location", b"x"))
    assert compiled(spec, counters).apply(asked, fields) == (fields[0], *fields[2:])
    assert counters.header_rule_failures == 1


def test_what_is_wrong_is_told_at_its_place() -> None:
    spec = ResponseRulesSpec(
        rewrite_location=(prefix("$nope", "$2"), match("(", "/")),
        rewrite_cookie_domain=(exact("a\n", "b"), match("(.)", "$1$2")),
        rewrite_cookie_path=(match("a", "$1"),),
    )
    faults: list[Fault] = []
    compile_rewriting(spec, SCOPE, "/r", faults, RouteCounters())
    assert [fault.path for fault in faults] == [
        "/r/rewrite_location/0/prefix",
        "/r/rewrite_location/0/to",
        "/r/rewrite_location/1/match",
        "/r/rewrite_cookie_domain/0/exact",
        "/r/rewrite_cookie_domain/1/to",
        "/r/rewrite_cookie_path/0/to",
    ]


@given(st.binary(max_size=40))
def test_cookie_that_nothing_applies_to_stays_to_the_last_octet(value: bytes) -> None:
    spec = ResponseRulesSpec(
        rewrite_cookie_domain=(match("never-there", ""),),
        rewrite_cookie_path=(prefix("never-there", ""),),
    )
    assert cookie(value, spec) == value
