"""Every kind of mistake makes one fault, at its place, in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from admin.documents.document import validate
from admin.documents.faults import MAX_FAULTS, DocumentError
from proxy.errors import Fault, pointer
from tests.unit.admin.documents.example import RICH, SMALL, changed

# (place to change, value, where the fault is below it, part of the message, part of the hint)
ONE_MISTAKE: list[tuple[str, object, str, str, str | None]] = [
    # The whole.
    ("version", 2, "", "2 is not `1`", None),
    ("listeners", [], "", "a list is not an object", None),
    ("routes", None, "", "null is not an object", "write {}"),
    ("pool", {}, "", "unknown key 'pool'", "did you mean `pools`?"),
    ("extra", 1, "", "unknown key 'extra'", "known keys: header_maps, listeners, pools"),
    ("X-note", 1, "", "unknown key 'X-note'", "known keys"),
    # Names.
    ("listeners a/b", {"bind": "127.0.0.1:0"}, "", "'a/b' is not a name", "letters"),
    ("pools ", {}, "", "'' is not a name", "up to 63"),
    ("pools " + "x" * 64, {}, "", "is not a name", "up to 63"),
    ("routes a~b", {"path": {"exact": "/a"}, "pool": "backend"},
     "", "'a~b' is not a name", "letters"),
    ("header_maps Tier", {"source": ""}, "", "'Tier' is not the name of a variable", "lower-case"),
    # Listeners.
    ("listeners public", {}, "/bind", "`bind` is missing", '"0.0.0.0:8080"'),
    ("listeners public", None, "", "null is not an object", "write {}"),
    ("listeners public bind", 8080, "", "8080 is not text", '"8080"'),
    ("listeners public bind", "8080", "", "'8080'", "127.0.0.1:8080"),
    ("listeners public bind", "::1", "", "not an address", "brackets"),
    ("listeners public bnid", "x", "", "unknown key", "did you mean `bind`"),
    ("listeners public paths", "loose", "", "not `strict` or `nginx`", None),
    ("listeners public paths", "Strict", "", "'Strict'", "`strict`?"),
    ("listeners public timeouts", "10s", "", "not an object", None),
    ("listeners public timeouts idle", 75, "", "75", '"75s"'),
    ("listeners public timeouts idle", "75", "", "'75'", "75s"),
    ("listeners public timeouts idle", 0, "", "0 is not", "60s"),
    ("listeners public timeouts idle", "0s", "", "above zero", "1h"),
    ("listeners public timeouts idle", "off", "", "'off'", "always"),
    ("listeners public timeouts idle", "1d", "", "'1d'", "24h"),
    ("listeners public timeouts idle", "1.5s", "", "'1.5s'", "whole"),
    ("listeners public timeouts idle", "1s1m", "", "not a dur", "as"),
    ("listeners public timeouts idle", "9999h", "", "a year", "1h"),
    ("listeners public timeouts idle", True, "", "true is", "60s"),
    ("listeners public timeouts idle", None, "", "null is", "60s"),
    ("listeners public timeouts read", "1s", "", "unknown", "header"),
    ("listeners public limits body_bytes", 0,
     "", "0 is out of bounds", "for no limit write `unlimited`"),
    ("listeners public limits body_bytes", "off", "", "'off' is not a size", "write `unlimited`"),
    ("listeners public limits body_bytes", -1, "", "-1 is out of bounds", "from 1B"),
    ("listeners public limits body_bytes", "1m", "", "'1m' is not a size", "write 1MiB"),
    ("listeners public limits body_bytes", "100", "", "'100' is not a size", "write 100B"),
    ("listeners public limits body_bytes", 1.5, "", "1.5 is not a size", "64KiB"),
    ("listeners public limits body_bytes", True, "", "true is not a size", "64KiB"),
    ("listeners public limits header_bytes", "unlimited",
     "", "'unlimited' is not a size", "always has a limit"),
    ("listeners public limits header_bytes", "1GiB", "", "out of bounds", "from 1KiB to 1MiB"),
    ("listeners public limits connections", 0,
     "", "0 is not a whole number from 1", "for no limit write `unlimited`"),
    ("listeners public limits connections", "many",
     "", "'many' is not a whole number", "`unlimited`"),
    ("listeners public limits connections", None, "", "null is not a whole number", "`unlimited`"),
    ("listeners public limits headers", "unlimited",
     "", "'unlimited' is not a whole number from 1 to 10,000", None),
    ("listeners public limits headers", True, "", "true is not a whole number", None),
    ("listeners public limits headers", 3.0, "", "3.0 is not a whole number", None),
    ("listeners public limits headers", 10**40, "", "a huge number is not a whole number", None),
    ("listeners public trusted_proxies", "private",
     "", "'private' is not a list", "write ['private']"),
    ("listeners public trusted_proxies", ["privat"],
     "/0", "'privat' is not a network", "`private`"),
    ("listeners public trusted_proxies", ["10.0.0.0/255.0.0.0"], "/0", "is not a network", "CIDR"),
    ("listeners public trusted_proxies", ["fe80::1%eth0"], "/0", "is not a network", "CIDR"),
    ("listeners public trusted_proxies", ["10.0.0.1/8"], "/0", "bits set beyond", "10.0.0.0/8"),
    ("listeners public trusted_proxies", ["unix", 1], "/1", "1 is not text", '"1"'),
    ("listeners public client_address", "X-Real-IP", "", "'X-Real-IP' is not an object", None),
    ("listeners public client_address header", "X Real",
     "", "'X Real' is not the name of a field", "X-Forwarded-For"),
    ("listeners public client_address recursive", "on", "", "'on' is not true or false", None),
    ("listeners public default_host", "a/b", "", "'a/b' is not a host name", None),
    ("listeners public default_host", "*.a", "", "'*.a' is not one host", "no wildcard"),
    # Pools.
    ("pools backend balance", "robin", "", "'robin' is not an object", None),
    ("pools backend balance", "roundrobin", "", "'roundrobin'", "did you mean `round_robin`?"),
    ("pools backend balance", {"hash": "$htpp_x"},
     "/hash", "unknown variable $htpp_x", "did you mean $http_x"),
    ("pools backend balance", {"hash": "$status"}, "/hash", "only known in routes and logs", None),
    ("pools backend balance", 5, "", "5 is not an object", None),
    ("pools backend endpoints", ["a"], "", "a list is not an object", None),
    ("pools backend endpoints blue", {}, "", "'blue'", "`address`"),
    ("pools backend endpoints 127.0.0.1:8000", None, "", "null is not an object", "write {}"),
    ("pools backend endpoints localhost", {"address": "localhost"},
     "/address", "without a port", "localhost:80"),
    ("pools backend endpoints b", {"address": "http://b:80/"},
     "/address", "not an address", "no scheme"),
    ("pools backend endpoints a,b", {"address": "a:1"},
     "", "'a,b' is not a name or an address", "128"),
    ("pools backend endpoints unix:x", {}, "", "'x'", "`address`"),
    ("pools backend endpoints twin", {"address": "127.0.0.1:8000"},
     "/address", "endpoint '127.0.0.1:8000' has the same address 127.0.0.1:8000", "weights"),
    ("pools backend endpoints [::ffff:127.0.0.1]:8000", {},
     "", "has the same address 127.0.0.1", None),
    ("pools backend endpoints 127.0.0.1:8000 weight", 0,
     "", "0 is not a whole number", "state: drain"),
    ("pools backend endpoints 127.0.0.1:8000 weight", "1", "", "'1' is not a whole number", None),
    ("pools backend endpoints 127.0.0.1:8000 backup", "yes",
     "", "'yes' is not true or false", "write true"),
    ("pools backend endpoints 127.0.0.1:8000 backup", 0,
     "", "0 is not true or false", "write false"),
    ("pools backend endpoints 127.0.0.1:8000 state", "draining",
     "", "is not `active`, `drain` or `down`", "did you mean `drain`?"),
    ("pools backend endpoints 127.0.0.1:8000 max_connections", 0, "", "0 is not", "`unlimited`"),
    ("pools backend endpoints 127.0.0.1:8000 labels", {"a b": "c"},
     "/a b", "'a b' is not the name of a label", "_"),
    ("pools backend endpoints 127.0.0.1:8000 labels", {"a": 1}, "/a", "1 is not text", '"1"'),
    ("pools backend endpoints 127.0.0.1:8000 passive_health", "of", "", "'of'", "`off`?"),
    ("pools backend endpoints 127.0.0.1:8000 passive_health", {"max_fails": 0},
     "/max_fails", "0 is not", "passive_health: off"),
    ("pools backend endpoints 127.0.0.1:8000 passive_health", {"max_ejected_percent": 1},
     "/max_ejected_percent", "unknown key", "known keys: fail_timeout, max_fails"),
    ("pools backend endpoints 127.0.0.1:8000 address", None,
     "", "null is not text", "leave the key out"),
    ("pools backend passive_health", False, "", "false is not", 'in quotes: "off"'),
    ("pools backend passive_health", 3, "", "3 is not an object or `off`", None),
    ("pools backend passive_health", {"max_fails": "off"},
     "/max_fails", "'off' is not a whole number", "passive_health: off"),
    ("pools backend passive_health", {"max_ejected_percent": 101},
     "/max_ejected_percent", "from 0 to 100", None),
    ("pools backend keepalive max_idle", "off", "", "'off'", None),
    ("pools backend keepalive max_requests", 0, "", "0 is not", "`unlimited`"),
    ("pools backend retry when", "error", "", "not a list", "['error']"),
    ("pools backend retry when", ["eror"], "/0", "'eror' is not `error`", "did you mean `error`?"),
    ("pools backend retry when", ["error", "http_505"],
     "/1", "'http_505' is not", "did you mean `http_50"),
    ("pools backend retry budget", "off",
     "", "'off' is not a duration", "for no limit write `unlimited`"),
    ("pools backend retry budget", "0s", "", "above zero", "`unlimited`"),
    ("pools backend retry max_attempts", 0, "", "0 is not", "`unl"),
    ("pools backend retry replay_bytes", "1GiB", "", "out of bounds", "from 0B to 64MiB"),
    ("pools backend on_removal", "drian", "", "'drian'", "`drain`?"),
    ("pools backend drain close_code", 1005,
     "", "1005 is not a close code that can be sent", "1012"),
    ("pools backend drain close_code", 99, "", "99 is not a whole number from 1,000", None),
    ("pools backend drain reason", "ä" * 62, "", "too long", "123"),
    ("pools backend drain reason", "a" * 124, "", "is too long", "at most 123 characters"),
    ("pools backend drain rate", 0, "", "0 is not", None),
    ("pools backend limits header_bytes", 10, "", "10 is out", "1"),
    # Header maps.
    ("header_maps tier source", "$htp_x", "", "unknown variable $htp_x", "did you mean $http_x?"),
    ("header_maps tier source", None, "", "null is not text", "leave"),
    ("header_maps tier exact", {"a": 1}, "/a", "1 is not text", '"1"'),
    ("header_maps tier exact", {"a": "1", "A": "2"}, "/A", "already", "case"),
    ("header_maps tier exact", {"a/b": "$"}, "/a~1b", "dollar sign", "$$"),
    ("header_maps tier hostnames", {"a b": "1"}, "/a b", "host name", "*"),
    ("header_maps tier regex", {}, "", "an object is not a list", None),
    ("header_maps tier regex", [{"match": "(?=a)", "value": ""}],
     "/0/match", "not an RE2 regular expression", "lookaround"),
    ("header_maps tier regex", [{"match": "a" * 1025, "value": ""}],
     "/0/match", "1,025 characters", "1,024"),
    ("header_maps tier regex", [{"match": "(a)", "value": "$2"}],
     "/0/value", "no capture $2", "the regex has 1"),
    ("header_maps tier regex", [{"match": "a"}], "/0/value", "`value` is missing", '"$1"'),
    ("header_maps tier regex", [{"match": "a", "value": "", "i": 1}],
     "/0/i", "unknown key 'i'", "ignore_case"),
    ("header_maps tier shares", {"a": 5}, "/a", "5 is not a share", "20% or 0.5%"),
    ("header_maps tier shares", {"a": "5"}, "/a", "'5' is not a share", "20% or 0.5%"),
    ("header_maps tier shares", {"a": "0.125%"}, "/a", "'0.125%' is not a share", "0.5%"),
    ("header_maps v", {"source": "", "shares": {"a": "60%", "b": "40.01%"}},
     "/shares", "more than 100%", None),
    ("header_maps v", {"source": "", "shares": {"$nope": "60%"}},
     "/shares/$nope", "unknown variable $nope", None),
    ("header_maps v", {"source": "", "shares": {"a": "1%"}, "exact": {"a": "b"}},
     "/exact", "looks nothing up", "the source of the other"),
    ("header_maps host", {"source": "a"}, "", "built-in variable", "another name"),
    ("header_maps tier default", "a\nb", "", "CR, LF or NUL", None),
    # Routes: form.
    ("routes all path", "/chat/", "", "'/chat/' is not an object", "write {prefix: /chat/}"),
    ("routes all path", {}, "", "needs `exact`, `prefix` or `regex`", None),
    ("routes all path", {"exact": "/", "prefix": "/"},
     "", "has both `exact` and `prefix`", "leave one of them out"),
    ("routes all path", {"prefix": "chat"}, "/prefix", "'chat' is not a path", "write '/chat'"),
    ("routes all path", {"exact": "/a?b=c"}, "/exact", "has a query", "'/a'"),
    ("routes all path", {"exact": "/a/../b"}, "/exact", "matches no request", "dot"),
    ("routes all path", {"prefix": "//a"}, "/prefix", "matches no request", "slash"),
    ("routes all path", {"prefix": "/", "within": "al"}, "/within", "there is no route", "`all`"),
    ("routes all path", {"prefix": "/", "within": "all"}, "/within", "within itself", None),
    ("routes all", {"path": {"prefix": "/"}, "pool": "backend", "host_priority": 1},
     "/host_priority", "only with a `~regex`", None),
    ("routes all method", "A B", "", "not a method", "POST"),
    ("routes all method", "Trace", "", "Trace is never sent upstream", "CONNECT"),
    ("routes all target", "x", "", "begins with a slash", "/"),
    ("routes all", {"path": {"prefix": "/"}, "pool": "backend", "target": "/", "rewrite": "/"},
     "/target", "stands in place of `rewrite`", "leave one"),
    ("routes all body", "$nope", "", "unknown variable $nope", None),
    ("routes all request_buffer", "65MiB", "", "out of bounds", "`off`"),
    ("routes all request_headers set", {"A\nB": "x"}, "/A\nB", "not a field name", None),
    ("routes all response_headers remove", ["*"], "/0", "all fields of a request", "names"),
    ("routes all path", {"prefix": None}, "/prefix", "null is not text", "leave"),
    ("routes all path", {"regex": "("}, "/regex", "not an RE2", None),
    ("routes all path", {"regex": r"(a)\1"}, "/regex", "not an RE2", "backrefer"),
    ("routes all path", {"exact": "/", "final": True}, "/final", "only with `prefix`", None),
    ("routes all path", {"prefix": "/", "priority": 1}, "/priority", "only with `regex`", None),
    ("routes all path", {"prefix": "/", "ignore_case": True},
     "/ignore_case", "only with `regex`", None),
    ("routes all hosts", [], "", "a list without entries", "leave the key out"),
    ("routes all hosts", "a.example", "", "'a.example' is not a list", "write ["),
    ("routes all hosts", ["a.example", "b.example:80"],
     "/1", "'b.example:80' is not a host name", "leave the port out"),
    ("routes all hosts", ["*"], "/0", "'*' is not a host name", "for any"),
    ("routes all hosts", ["https://a"], "/0", "is not a host name", None),
    ("routes all hosts", ["münchen.de"], "/0", "is not a host name", "xn--"),
    ("routes all hosts", ["~("], "/0", "not an RE2", None),
    ("routes all upgrades", ["web socket"], "/0", "not a protocol", "websocket"),
    ("routes all upgrades", True, "", "true is not a list", None),
    ("routes all forwarded_headers", "on", "", "'on'", "write true"),
    ("routes all timeouts read", "unlimited", "", "'unlimited'", "always"),
    ("routes all limits body_bytes", 0, "", "0 is out", "`unlimited`"),
    ("routes all limits body_bytes", None, "", "null", "64KiB"),
    ("routes all tunnel idle_timeout", "unlimited",
     "", "'unlimited' is not a duration", "for no limit write `off`"),
    ("routes all tunnel idle_timeout", 0, "", "0 is not", "`off`"),
    ("routes all tunnel idle_timeout", False, "", "false is not", 'in quotes: "off"'),
    ("routes all tunnel ping_interval", 5, "", "5 is not a duration", 'write "5s"'),
    ("routes all tunnel ping_interval", "unlimited",
     "", "'unlimited' is not a duration", "for no limit write `off`"),
    # Routes: meaning.
    ("routes all", {"path": {"prefix": "/"}}, "", "needs `pool`, `pools` or `respond`", None),
    ("routes all pool", "bakend", "", "no pool 'bakend'", "did you mean `backend`?"),
    ("routes all pool", "zzz", "", "no pool 'zzz'", "pools: backend"),
    ("routes all pool", "", "", "'' is not the name of a pool", "such as"),
    ("routes all pool", "$http_x", "", "no header map 'http_x'", "maps: tier"),
    ("routes all pool", "$teir", "", "no header map 'teir'", "`tier`?"),
    ("routes all pool", "a-$tier", "", "is not the name of a pool", "$tier_pool"),
    ("routes all split_by", "$cookie_u", "", "only with `pools`", None),
    ("routes all listeners", ["publik"], "/0", "no listener 'publik'", "did you mean `public`?"),
    ("routes all listeners", [], "", "without entries", "leave the key out"),
    ("routes all rewrite", "/$1", "", "there is no capture $1", "only a regex"),
    ("routes all rewrite", "b", "", "begins with a slash", None),
    ("routes all request_headers", {"set": {"Content-Length": "1"}},
     "/set/Content-Length", "where a message ends", None),
    ("routes all request_headers", {"set": {"X Y": "1"}}, "/set/X Y", "not a field name", None),
    ("routes all request_headers", {"set": {"X": "1", "x": "1"}}, "/set/x", "set twice", None),
    ("routes all request_headers", {"remove": ["X", "Transfer-Encoding"]},
     "/remove/1", "where a message ends", None),
    ("routes all request_headers", {"remove": "X"}, "/remove", "'X' is not a list", "write ['X']"),
    ("routes all response_headers", {"set": {"X": "$teir"}},
     "/set/X", "unknown variable $teir", "did you mean $tier?"),
    ("routes all request_headers append", {"X": 5}, "/X", "5 is not text", '"5"'),
    ("routes all request_headers append", {"X": ["a", 5]}, "/X/1", "5 is not text", '"5"'),
    ("routes all request_headers append", {"X": None}, "/X", "null is not text", "leave"),
    ("routes all request_headers append", {"X": []}, "/X", "a list without entries", None),
    ("routes all request_headers append", {"X": ["a"] * 33}, "/X", "too many", "at most 32"),
    ("routes all request_headers append", {"X": [["a"]]}, "/X/0", "a list is not text", None),
    ("routes all request_headers append", {"X": "a" * 8193}, "/X", "too long", "8,192"),
    ("routes all request_headers append", {"X": ["a", "$stats"]},
     "/X/1", "unknown variable $stats", "did you mean $status?"),
    ("routes all request_headers on_success", {}, "", "unknown key 'on_success'", "known keys"),
    ("routes all request_headers rewrite_location", [],
     "", "unknown key 'rewrite_location'", "known keys"),
    ("routes all response_headers on_success", {"remove": ["X"]},
     "/remove", "unknown key 'remove'", "known keys: append, set"),
    ("routes all response_headers on_success", {"set": {"X": "$teir"}},
     "/set/X", "unknown variable $teir", "did you mean $tier?"),
    ("routes all response_headers on_success", {"append": {"X": ["a", "$teir"]}},
     "/append/X/1", "unknown variable $teir", "did you mean $tier?"),
    ("routes all response_headers on_success", {"append": {"Connection": "a"}},
     "/append/Connection", "the proxy writes it itself", None),
    ("routes all response_headers on_success", {"set": {"Content-Length": "1"}},
     "/set/Content-Length", "where a message ends", None),
    ("routes all response_headers on_success", None, "", "null is not an object", "write {}"),
    ("routes all response_headers rewrite_location", {"prefix": "a", "to": "b"},
     "", "an object is not a list", None),
    ("routes all response_headers rewrite_location", ["a"], "/0", "'a' is not an object", None),
    ("routes all response_headers rewrite_location", [{"prefix": "a"}],
     "/0/to", "`to` is missing", '"/"'),
    ("routes all response_headers rewrite_location", [{"to": "a"}],
     "/0", "needs `prefix` or `match`", None),
    ("routes all response_headers rewrite_location", [{"prefix": "a", "match": "b", "to": "a"}],
     "/0", "has both `prefix` and `match`", "leave one"),
    ("routes all response_headers rewrite_location",
     [{"prefix": "a", "to": "b"}, {"prefix": "a", "to": "b", "exact": "c"}],
     "/1/exact", "unknown key 'exact'", "known keys: ignore_case, match, prefix, to"),
    ("routes all response_headers rewrite_location", [{"prefix": 1, "to": "b"}],
     "/0/prefix", "1 is not text", '"1"'),
    ("routes all response_headers rewrite_location", [{"prefix": "a", "to": "$1"}],
     "/0/to", "there is no capture $1", "only a regex"),
    ("routes all response_headers rewrite_location", [{"match": "(a)", "to": "$2"}],
     "/0/to", "there is no capture $2", "the regex has 1"),
    ("routes all response_headers rewrite_location", [{"match": "(?=a)", "to": "b"}],
     "/0/match", "not an RE2 regular expression", "lookaround"),
    ("routes all response_headers rewrite_location", [{"prefix": "$teir", "to": "b"}],
     "/0/prefix", "unknown variable $teir", "did you mean $tier?"),
    ("routes all response_headers rewrite_location",
     [{"prefix": "a", "to": "b", "ignore_case": True}],
     "/0/ignore_case", "means something only with `match`", None),
    ("routes all response_headers absolute_location", "yes",
     "", "'yes' is not true or false", "write true"),
    ("routes all response_headers rewrite_cookie_domain",
     [{"prefix": "a", "to": "b", "exact": "c"}],
     "/0/prefix", "unknown key 'prefix'", "known keys: exact, ignore_case, match, to"),
    ("routes all response_headers rewrite_cookie_domain", [{"to": "b"}],
     "/0", "needs `exact` or `match`", None),
    ("routes all response_headers rewrite_cookie_path",
     [{"to": "b", "ignore_case": 1, "match": "a"}],
     "/0/ignore_case", "1 is not true or false", "write true"),
    ("routes all response_headers rewrite_cookie_path", [{"prefix": "/", "to": "a\nb"}],
     "/0/to", "cannot hold CR, LF or NUL", None),
    ("routes twin", {"path": {"prefix": "/"}, "pool": "backend"},
     "/path", "route 'all' has the same host and path", "change the hosts"),
]  # fmt: skip


def faults_of(raw: object) -> tuple[Fault, ...]:
    with pytest.raises(DocumentError) as raised:
        validate(raw)
    return raised.value.faults


@pytest.mark.parametrize(
    ("at", "value", "below", "message", "hint"),
    ONE_MISTAKE,
    ids=[f"{number}: {case[0]}" for number, case in enumerate(ONE_MISTAKE)],
)
def test_one_mistake_makes_one_fault(
    at: str, value: object, below: str, message: str, hint: str | None
) -> None:
    (fault,) = faults_of(changed(at, value))

    assert fault.path == pointer(*at.split(" ")) + below
    assert message in fault.message
    assert (hint or "") in (fault.hint or "")


def test_a_choice_made_twice_is_a_fault_of_the_object() -> None:
    (fault,) = faults_of(changed("routes all pools", {"backend": 1}))

    assert fault == Fault("/routes/all", "has both `pool` and `pools`", "leave one of them out")


def test_a_map_that_uses_itself_is_a_cycle() -> None:
    (fault,) = faults_of(changed("header_maps tier default", "$tier"))

    assert fault.path == "/header_maps/tier"
    assert "a cycle of maps: $tier uses $tier" in fault.message


def test_many_mistakes_are_all_found_at_once() -> None:
    raw = {
        "version": "1",
        "listeners": {
            "public": {"bind": "127.0.0.1:80", "timeouts": {"idle": 75, "body": 0}},
            "twin": {"bind": "127.0.0.1:080", "limits": {"connections": 0}},
            "Bad Name": {"bind": "127.0.0.1:81"},
        },
        "pools": {
            "backend": {
                "balance": {"hash": "$nope"},
                "endpoints": {"a": {"weight": 0}, "b:1": {"wieght": 1}, "c": {"address": "b:1"}},
            },
            "bad/name": {},
        },
        "header_maps": {"m": {"source": "$nope", "default": 1}},
        "routes": {
            "one": {"path": {"prefix": "x"}, "pool": "nope", "rewrite": 5},
            "two": {"path": {"exact": "/"}, "pool": "bad/name", "split_by": "$m", "hosts": [1]},
            "three": {"path": {"regex": "(a)"}, "pool": "$m", "rewrite": "/$2", "upgrades": "x"},
        },
    }

    found = {fault.path for fault in faults_of(raw)}

    assert found == {
        "/version",
        "/listeners/public/timeouts/idle",
        "/listeners/public/timeouts/body",
        "/listeners/twin/bind",
        "/listeners/twin/limits/connections",
        "/listeners/Bad Name",
        "/pools/backend/balance/hash",
        "/pools/backend/endpoints/a",
        "/pools/backend/endpoints/a/weight",
        "/pools/backend/endpoints/b:1/wieght",
        "/pools/backend/endpoints/c/address",
        "/pools/bad~1name",
        "/header_maps/m/source",
        "/header_maps/m/default",
        "/routes/one/path/prefix",
        "/routes/one/pool",
        "/routes/one/rewrite",
        "/routes/two/pool",
        "/routes/two/split_by",
        "/routes/two/hosts/0",
        "/routes/three/rewrite",
        "/routes/three/upgrades",
    }


@pytest.mark.parametrize(
    ("at", "value", "path"),
    [
        # What refers to a faulty object, or to one in a faulty section, is no fault of its own.
        ("pools backend", 5, "/pools/backend"),
        ("pools", 5, "/pools"),
        ("listeners", 5, "/listeners"),
        ("header_maps", 5, "/header_maps"),
        ("header_maps shown", 5, "/header_maps/shown"),
        ("header_maps tier", {"source": 1}, "/header_maps/tier/source"),
        ("routes mapped path", {"regex": 5}, "/routes/mapped/path/regex"),
        ("routes health hosts", [5], "/routes/health/hosts/0"),
        ("routes health listeners", [5], "/routes/health/listeners/0"),
    ],
)
def test_a_fault_has_no_echo_elsewhere(at: str, value: object, path: str) -> None:
    base = changed("routes other", {"path": {"exact": "/healthz"}, "pool": "canary"}, RICH)
    base["routes"]["health"]["listeners"] = ["local"]
    base["routes"]["other"]["listeners"] = ["public"]
    base["routes"]["split"]["request_headers"] = {"set": {"X": "$shown $tier"}}
    base["pools"]["backend"] = {}
    base["routes"]["split"]["pools"] = {"backend": 1}
    validate(base)

    assert [fault.path for fault in faults_of(changed(at, value, base))] == [path]


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ({}, ""),
        ({"prefix": "chat"}, "/prefix"),
        ({"exact": "/", "prefix": "/"}, ""),
        ({"prefix": "/", "regex": "(a)"}, ""),
    ],
)
def test_a_bad_path_does_not_hide_what_else_is_wrong_with_a_route(
    path: dict[str, str], below: str
) -> None:
    raw = changed("routes all", {"path": path, "pool": "nope", "rewrite": "/$2"})
    raw["routes"]["all"] |= {
        "request_headers": {"set": {"Content-Length": "1"}},
        "tunnel": {"idle_timeout": 1},
    }

    assert [fault.path for fault in faults_of(raw)] == [
        f"/routes/all/path{below}",
        "/routes/all/pool",
        "/routes/all/request_headers/set/Content-Length",
        "/routes/all/rewrite",
        "/routes/all/tunnel/idle_timeout",
    ]


def test_a_regex_of_the_wrong_form_makes_no_capture_unknown() -> None:
    raw = changed("routes all", {"path": {"regex": 5}, "pool": "backend", "rewrite": "/$1"})

    assert [fault.path for fault in faults_of(raw)] == ["/routes/all/path/regex"]


def test_a_route_without_path_is_told_so() -> None:
    (fault,) = faults_of(changed("routes all", {"pool": "backend"}))

    hint = 'such as {"prefix": "/chat/"}; only what error pages name needs none'
    assert fault == Fault("/routes/all/path", "`path` is missing", hint)


@pytest.mark.parametrize(
    ("hosts", "listeners", "clash"),
    [
        (None, None, True),
        (["a.example"], None, False),
        (None, ["public"], True),
        (None, ["local"], False),
        (None, ["local", "public"], True),
    ],
)
def test_equal_paths_clash_on_a_common_host_and_listener(
    hosts: list[str] | None, listeners: list[str] | None, clash: bool
) -> None:
    raw = changed("listeners local", {"bind": "127.0.0.1:0"})
    raw["routes"]["all"]["listeners"] = ["public"]
    twin = {"path": {"prefix": "/"}, "pool": "backend", "hosts": hosts, "listeners": listeners}
    raw["routes"]["twin"] = {key: value for key, value in twin.items() if value is not None}

    if clash:
        assert [fault.path for fault in faults_of(raw)] == ["/routes/twin/path"]
    else:
        validate(raw)


@pytest.mark.parametrize("hosts", [["A.example"], [".a.example"], ["x.example", "a.example"]])
def test_hosts_clash_whatever_their_spelling(hosts: list[str]) -> None:
    raw = changed("routes all hosts", ["a.example"])
    raw["routes"]["twin"] = {"path": {"prefix": "/"}, "pool": "backend", "hosts": hosts}

    assert [fault.path for fault in faults_of(raw)] == ["/routes/twin/path"]


def test_two_listeners_with_one_address_clash() -> None:
    raw = changed("listeners public bind", "[::1]:80")
    raw["listeners"]["twin"] = {"bind": "[0::1]:80"}

    (fault,) = faults_of(raw)

    assert fault.path == "/listeners/twin/bind"
    assert fault.message == "listener 'public' has the same address [::1]:80"


def test_two_listeners_with_port_zero_do_not_clash() -> None:
    validate(changed("listeners twin", {"bind": "127.0.0.1:0"}))


@pytest.mark.parametrize(
    ("entry", "path", "message", "hint"),
    [
        ({}, "/header_maps/m/default", "'' is no pool, and route 'all' takes its pool", "default"),
        ({"default": "bakend"}, "/header_maps/m/default", "'bakend' is no pool", "`backend`?"),
        (
            {"default": "backend", "exact": {"a/b": "x"}},
            "/header_maps/m/exact/a~1b",
            "'x' is no pool",
            "pools: backend",
        ),
        (
            {"default": "backend", "regex": [{"match": "(a)", "value": "$1"}]},
            "/header_maps/m/regex/0/value",
            "'$1' is no pool",
            "or another such map",
        ),
        (
            {"default": "backend", "shares": {"bakend": "5%"}},
            "/header_maps/m/shares/bakend",
            "'bakend' is no pool",
            "`backend`?",
        ),
    ],
)
def test_a_map_that_chooses_pools_may_name_nothing_else(
    entry: dict[str, Any], path: str, message: str, hint: str
) -> None:
    raw = changed("routes all pool", "$m")
    raw["header_maps"]["m"] = {"source": "$http_x"} | entry

    (fault,) = faults_of(raw)

    assert fault.path == path
    assert message in fault.message
    assert hint in (fault.hint or "")


def test_a_map_behind_one_that_chooses_pools_may_name_nothing_else() -> None:
    raw = changed("routes all pool", "$m")
    raw["routes"]["too"] = {"path": {"prefix": "/too"}, "pool": "$n"}
    raw["header_maps"]["m"] = {"source": "$http_x", "default": "$n", "exact": {"a": "${N}"}}
    raw["header_maps"]["n"] = {"source": "$http_y", "default": "bakend", "exact": {"a": "x$host"}}

    said = [(fault.path, fault.message) for fault in faults_of(raw)]

    assert [path for path, _ in said] == ["/header_maps/n/default", "/header_maps/n/exact/a"]
    assert said[0][1] == "'bakend' is no pool, and route 'all' takes its pool from here"


def test_a_split_without_any_share_is_refused() -> None:
    raw = changed("routes all", {"path": {"prefix": "/"}, "pools": {"backend": 0}})

    assert [fault.path for fault in faults_of(raw)] == ["/routes/all/pools"]


@pytest.mark.parametrize(
    ("at", "value", "path"),
    [
        ("routes all hosts", [f"h{n}.example" for n in range(1001)], "/routes/all/hosts"),
        ("routes all upgrades", ["a"] * 33, "/routes/all/upgrades"),
        (
            "pools backend endpoints 127.0.0.1:8000 labels",
            {f"l{n}": "" for n in range(33)},
            "/pools/backend/endpoints/127.0.0.1:8000/labels",
        ),
        ("listeners", {f"l{n}": {"bind": "127.0.0.1:0"} for n in range(1001)}, "/listeners"),
    ],
)
def test_too_many_entries_are_refused(at: str, value: object, path: str) -> None:
    (fault,) = faults_of(changed(at, value))

    assert fault.path == path
    assert fault.message == "has too many entries"
    assert (fault.hint or "").startswith("at most ")


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({1: 2}, "/1", "the key 1 is not text"),
        ({"pools": {1: {}}}, "/pools/1", "1 is not a name"),
        ({"pools": {"\ud800": {}}}, "/pools/\ufffd\ufffd\ufffd", "'\\ud800' is not a name"),
        (
            {"pools": {"p": {"drain": {"reason": "\ud800"}}}},
            "/pools/p/drain/reason",
            "'\\ud800' is not Unicode text",
        ),
        ({"listeners": ({},)}, "/listeners", "a list is not an object"),
        ({"version": b"1"}, "/version", "a value of type bytes is not `1`"),
    ],
)
def test_what_no_json_text_can_hold_is_refused_too(raw: object, path: str, message: str) -> None:
    (fault,) = faults_of(raw)

    assert (fault.path, fault.message) == (path, message)


@pytest.mark.parametrize("raw", [None, [], "text", 5, True, 1.5])
def test_a_document_that_is_no_object_is_refused(raw: object) -> None:
    (fault,) = faults_of(raw)

    assert fault.path == ""
    assert "is not an object" in fault.message


def test_keys_beginning_x_are_ignored_in_every_object() -> None:
    raw = changed("x-top", [None])
    raw["listeners"]["public"]["x-a"] = {"b": 1}
    raw["pools"]["backend"]["x-a"] = raw["pools"]["backend"]["endpoints"]["127.0.0.1:8000"][
        "x-"
    ] = 1
    raw["routes"]["all"]["path"]["x-a"] = 1

    assert validate(raw).routes.keys() == SMALL["routes"].keys()


def test_keys_beginning_x_are_names_where_keys_are_names() -> None:
    raw = changed("pools x-pool", {"endpoints": 5})

    assert [fault.path for fault in faults_of(raw)] == ["/pools/x-pool/endpoints"]


def test_more_faults_than_anyone_reads_are_cut_short() -> None:
    wrong = {
        f"r{number}": {"path": {"prefix": "/"}, "pool": f"p{number}"} for number in range(2000)
    }

    found = faults_of(changed("routes", wrong) | {"pools": {f"q{n}": {} for n in range(20)}})

    assert len(found) == MAX_FAULTS + 1
    assert found[-1] == Fault("", "more than 1,000 faults")


def test_more_wrong_keys_than_anyone_reads_are_cut_short() -> None:
    found = faults_of(changed("pools backend", {f"key{number}": 1 for number in range(5000)}))

    assert len(found) == MAX_FAULTS + 1


def within(outer: dict[str, Any], inner: dict[str, Any], **more: Any) -> tuple[Fault, ...]:
    raw = changed("routes all path", {"prefix": "/"})
    routes = {"outer": outer, "inner": inner} | more
    raw["routes"] |= {name: {"pool": "backend"} | route for name, route in routes.items()}
    return faults_of(raw)


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        ({"path": {"exact": "/a"}}, {"path": {"prefix": "/a/b"}}, "has an exact path"),
        ({"path": {"prefix": "/a"}}, {"path": {"prefix": "/b"}}, "does not begin with '/a'"),
        ({"path": {"prefix": "/a"}}, {"path": {"exact": "/b"}}, "does not begin with '/a'"),
        (
            {"path": {"prefix": "/a"}, "hosts": ["x"]},
            {"path": {"prefix": "/a"}},
            "other hosts or listeners",
        ),
        (
            {"path": {"prefix": "/a"}},
            {"path": {"regex": "x"}, "listeners": ["public"]},
            "other hosts or listeners",
        ),
    ],
)
def test_route_that_cannot_stand_within_another_is_told(
    outer: dict[str, Any], inner: dict[str, Any], message: str
) -> None:
    inner["path"]["within"] = "outer"
    (fault,) = within(outer, inner)
    assert fault.path == "/routes/inner/path/within"
    assert message in fault.message


def test_nothing_stands_within_a_route_that_only_its_name_leads_to() -> None:
    leads = {"path": {"prefix": "/b"}, "error_pages": [{"statuses": [502], "route": "outer"}]}
    (fault,) = within({}, {"path": {"prefix": "/a", "within": "outer"}}, other=leads)
    assert (fault.path, fault.message) == ("/routes/inner/path/within", "route 'outer' has no path")


@pytest.mark.parametrize("key", ["target", "rewrite", "body"])
def test_what_is_sent_upstream_means_nothing_on_a_prelude(key: str) -> None:
    raw = changed("routes all path", {"prefix": "/"})
    raw["routes"]["before"] = {"steps": [{"set": {"a": "b"}}], key: "/x"}
    (fault,) = faults_of(raw)
    assert fault.path == f"/routes/before/{key}"
    assert "no request ends at" in fault.message


def test_routes_in_a_circle_are_told() -> None:
    first = {"path": {"prefix": "/a", "within": "inner"}}
    second = {"path": {"prefix": "/a", "within": "outer"}}
    assert {fault.path for fault in within(first, second)} == {
        "/routes/outer/path/within",
        "/routes/inner/path/within",
    }


def test_repeated_slashes_may_stand_where_a_listener_keeps_them() -> None:
    raw = changed("routes all path", {"prefix": "//a"})
    raw["listeners"]["raw"] = {"bind": "127.0.0.1:1", "merge_slashes": False}
    assert validate(raw)
    raw["routes"]["all"]["listeners"] = ["public"]
    (fault,) = faults_of(raw)
    assert fault.path == "/routes/all/path/prefix"
