from __future__ import annotations

from typing import Any

import pytest

from admin.nginx.report import Verdict
from tests.unit.admin.nginx.conf import document, faults, http, location, server, verdict

DEFAULTS: dict[str, Any] = {
    "passive_health": {"max_fails": 1, "max_ejected_percent": 100},
    "keepalive": {"max_idle": 0},
    "timeouts": {"connect": "60s"},
    "retry": {
        "when": ["error", "timeout"],
        "max_attempts": "unlimited",
        "budget": "unlimited",
        "replay_bytes": "1MiB",
    },
}


def pool(*directives: str) -> dict[str, Any]:
    made = document(http(f"upstream u {{ {' '.join(directives)} }}"))["pools"]["u"]
    assert isinstance(made, dict)
    return made


def test_upstream_has_the_defaults_of_nginx() -> None:
    assert pool("server 127.0.0.1:1;") == {"endpoints": {"127.0.0.1:1": {}}, **DEFAULTS}


@pytest.mark.parametrize(
    ("server_", "name", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:80", {}),
        ("[::1]", "[::1]:80", {}),
        ("[::1]:9", "[::1]:9", {}),
        ("App.example.org:8000", "app.example.org:8000", {}),
        ("unix:/run/a.sock", "unix:/run/a.sock", {}),
        ("unix:/run/a@b", "server-1", {"address": "unix:/run/a@b"}),
        ("a:1 weight=5", "a:1", {"weight": 5}),
        ("a:1 weight=1 max_fails=1", "a:1", {}),
        ("a:1 max_fails=0", "a:1", {"passive_health": "off"}),
        (
            "a:1 max_fails=3 fail_timeout=30s",
            "a:1",
            {"passive_health": {"max_fails": 3, "fail_timeout": "30s"}},
        ),
        ("a:1 fail_timeout=0", "a:1", {"passive_health": {"fail_timeout": "1ms"}}),
        ("a:1 down", "a:1", {"state": "down"}),
        ("a:1 max_conns=9", "a:1", {"max_connections": 9}),
        ("a:1 max_conns=0", "a:1", {}),
    ],
)
def test_server_becomes_an_endpoint(server_: str, name: str, expected: dict[str, Any]) -> None:
    assert pool(f"server {server_};")["endpoints"] == {name: expected}


def test_backup_server_is_one() -> None:
    assert pool("server a:1;", "server b:2 backup;")["endpoints"]["b:2"] == {"backup": True}


def test_of_several_balancing_methods_the_last_one_counts() -> None:
    assert pool("hash $uri;", "ip_hash;", "least_conn;", "server a:1;")["balance"] == (
        "least_connections"
    )
    assert pool("least_conn;", "ip_hash;", "server a:1;")["balance"] == "ip_hash"


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("keepalive 4; ip_hash;", Verdict.APPROXIMATED),
        ("ip_hash; keepalive 4;", Verdict.KEPT),
        ("keepalive 4;", Verdict.KEPT),
    ],
)
def test_keepalive_before_the_method_that_makes_nginx_forget_it_is_told(
    directives: str, expected: Verdict
) -> None:
    assert verdict(http(f"upstream u {{ {directives} server a:1; }}"), "keepalive") is expected


def test_address_that_is_there_twice_has_two_seats() -> None:
    made = pool("server 1.2.3.4:1 weight=2;", "server 1.2.3.5:1;", "server 1.2.3.4:1 backup;")
    assert made["endpoints"] == {
        "1.2.3.4:1": {"weight": 2},
        "1.2.3.5:1": {},
        "1.2.3.4:1-2": {"address": "1.2.3.4:1", "seat": 2, "backup": True},
    }


def test_names_that_may_resolve_to_one_address_have_seats_of_their_own() -> None:
    made = pool("server a.test:1;", "server b.test:1;", "server 1.2.3.4:1;", "server b.test:2;")
    assert {name: each.get("seat") for name, each in made["endpoints"].items()} == {
        "a.test:1": None, "b.test:1": 2, "1.2.3.4:1": 3, "b.test:2": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        ("least_conn;", "least_connections"),
        ("ip_hash;", "ip_hash"),
        ("random;", "random_one"),
        ("random two least_conn;", "random"),
        ("hash $http_x_user consistent;", {"hash": "$http_x_user"}),
        ("hash $cookie_a$arg_b;", {"hash": "$cookie_a$arg_b", "consistent": False}),
    ],
)
def test_method_becomes_the_balance(directive: str, expected: Any) -> None:
    assert pool(directive, "server a:1;")["balance"] == expected


def test_kept_connections_are_those_of_nginx() -> None:
    assert pool("server a:1;", "keepalive 8;")["keepalive"] == {
        "max_idle": 8, "max_idle_total": 8, "idle_timeout": "60s", "max_requests": 1000,
        "max_age": "1h",
    }  # fmt: skip
    made = pool("server a:1; keepalive 8; keepalive_timeout 5s;", "keepalive_requests 2;"
                "keepalive_time 1m;")  # fmt: skip
    assert made["keepalive"] == {
        "max_idle": 8, "max_idle_total": 8, "idle_timeout": "5s", "max_requests": 2,
        "max_age": "60s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("", "no servers are inside upstream"),
        ("server a:1 weight=0;", 'invalid parameter "weight=0"'),
        ("server a:1 heavy;", 'invalid parameter "heavy"'),
        ("server a:b;", "not a port"),
        ("ip_hash; server a:1 backup;", "this balancing has no backup servers"),
        ("server a:1 backup;", "no servers in upstream but backup ones"),
        ("hash $uri ketama; server a:1;", 'invalid parameter "ketama"'),
        ("random three; server a:1;", 'invalid parameter "three"'),
        ("server a:1; keepalive 0;", 'invalid value "0"'),
        ("server a:1 fail_timeout=x;", 'invalid time "x"'),
        ("server a:1 resolve;", "resolve is not in nginx itself"),
        ("hash $nope; server a:1;", "unknown variable $nope"),
    ],
)
def test_upstream_that_nginx_does_not_take_is_a_fault(directives: str, expected: str) -> None:
    found = faults(http(f"upstream u {{ {directives} }}"))
    assert len(found) == 1
    assert expected in found[0]
    assert found[0].startswith("4: ")


def test_second_upstream_of_a_name_is_a_fault() -> None:
    assert faults(http("upstream Backend { server a; }")) == ['4: duplicate upstream "Backend"']


def test_rules_for_retries_go_to_the_pool() -> None:
    rules = """
        proxy_next_upstream error http_502 non_idempotent;
        proxy_next_upstream_tries 2;
        proxy_next_upstream_timeout 5s;
        proxy_request_buffering off;
    """
    assert document(server(location(rules)))["pools"]["backend"]["retry"] == {
        "when": ["error", "http_502"],
        "max_attempts": 2,
        "budget": "5s",
        "non_idempotent": True,
        "replay_bytes": 0,
    }


def test_retries_may_be_off() -> None:
    made = document(server(location("proxy_next_upstream off;")))
    assert made["pools"]["backend"]["retry"]["when"] == []


def test_location_with_other_rules_than_the_first_says_them_itself() -> None:
    text = server(
        location(path="/a/"),
        location("proxy_next_upstream off;", path="/b/"),
        location("proxy_next_upstream off;", path="/c/"),
    )
    made = document(text)
    assert list(made["pools"]) == ["backend"]
    off = DEFAULTS["retry"] | {"when": []}
    assert [route.get("retry") for route in made["routes"].values()] == [None, off, off]


def test_address_is_one_pool_however_often_it_is_named() -> None:
    text = server(*(location(path=f"/{n}/", to="http://127.0.0.1:9000") for n in "ab"))
    made = document(text)
    assert set(made["pools"]) == {"backend", "127.0.0.1-9000"}
    assert made["pools"]["127.0.0.1-9000"] == {"endpoints": {"127.0.0.1:9000": {}}, **DEFAULTS}
