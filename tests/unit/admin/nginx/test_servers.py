from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from admin.nginx.report import Verdict
from tests.unit.admin.nginx.conf import document, faults, http, location, server, verdict


def serving(*directives: str) -> str:
    return http(*(f"server {{ {each} {location()} }}" for each in directives))


def routes(*directives: str) -> list[tuple[Any, Any]]:
    """Return listeners and hosts of the routes of some servers."""
    made = document(serving(*directives))["routes"].values()
    return [(route.get("listeners"), route.get("hosts")) for route in made]


def listener(*directives: str, listen: str = "listen 127.0.0.1:8080;") -> dict[str, Any]:
    (made,) = document(serving(listen + " ".join(directives)))["listeners"].values()
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize(
    ("listen", "name", "bind"),
    [
        ("8080", "port-8080", "0.0.0.0:8080"),
        ("*:8080", "port-8080", "0.0.0.0:8080"),
        ("127.0.0.1", "127.0.0.1-80", "127.0.0.1:80"),
        ("127.0.0.1:8080", "127.0.0.1-8080", "127.0.0.1:8080"),
        ("[::]:8080", "port-8080-v6", "[::]:8080"),
        ("[::1]", "1-80", "[::1]:80"),
        ("unix:/run/a.sock", "unix-run-a.sock", "unix:/run/a.sock"),
        ("8080 default_server backlog=5 reuseport deferred", "port-8080", "0.0.0.0:8080"),
        ("[::]:80 ipv6only=on so_keepalive=on", "port-80-v6", "[::]:80"),
    ],
)
def test_listen_becomes_a_listener(listen: str, name: str, bind: str) -> None:
    made = document(serving(f"listen {listen};"))["listeners"]
    assert {name: each["bind"] for name, each in made.items()} == {name: bind}


@pytest.mark.parametrize(
    ("listen", "binds"),
    [
        ("8080-8082", ["0.0.0.0:8080", "0.0.0.0:8081", "0.0.0.0:8082"]),
        ("[::1]:8080-8081 so_keepalive=30m::10", ["[::1]:8080", "[::1]:8081"]),
        ("[::]:80 ipv6only=off", ["[::]:80", "0.0.0.0:80"]),
    ],
)
def test_listen_may_stand_for_several_addresses(listen: str, binds: list[str]) -> None:
    made = document(serving(f"listen {listen};"))["listeners"]
    assert [each["bind"] for each in made.values()] == binds


def test_listen_on_a_name_is_on_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", ("127.0.0.1", 8080)), (10, 1, 6, "", ("::1", 8080, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    made = document(serving("listen localhost:8080;"))["listeners"]
    assert [each["bind"] for each in made.values()] == ["127.0.0.1:8080", "[::1]:8080"]


def test_server_without_listen_has_nginx_port() -> None:
    (made,) = document(serving(""))["listeners"].values()
    assert made["bind"] in {"0.0.0.0:80", "0.0.0.0:8000"}  # 8000 unless root runs it


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("listen 99999;", "not a port"),
        ("listen 80 fast;", 'invalid parameter "fast"'),
        ("listen 80 setfib=1;", 'invalid parameter "setfib=1"'),
        ("listen 80 deferred=1;", 'invalid parameter "deferred=1"'),
        ("listen 80 rcvbuf;", 'invalid parameter "rcvbuf"'),
        ("listen 80 backlog=0;", 'invalid backlog "backlog=0"'),
        ("listen 80; listen *:80;", "a duplicate listen 0.0.0.0:80"),
        ("listen 80 ssl;", "ssl is not supported yet"),
        ("listen 80 http2;", "http2 is not supported yet"),
        ("listen 8090-8080;", "invalid port range"),
        ("listen 1-65535;", "a range of more than 1,000 ports"),
        ("listen 80 backlog=x;", 'invalid number "x"'),
        ("listen 80 so_keepalive=maybe:1:2:3;", "invalid so_keepalive value"),
        ("listen nowhere.invalid:80;", "host not found"),
    ],
)
def test_listen_that_cannot_be_is_told(listen: str, expected: str) -> None:
    found = faults(serving(listen))
    assert len(found) == 1
    assert expected in found[0]


def test_wildcard_and_an_address_of_its_port_are_listeners_beside_each_other() -> None:
    made = document(serving("listen 80; server_name a.test;", "listen 127.0.0.1:80;"))
    binds = {name: each["bind"] for name, each in made["listeners"].items()}
    assert binds == {"port-80": "0.0.0.0:80", "127.0.0.1-80": "127.0.0.1:80"}
    heard = [route["listeners"] for route in made["routes"].values()]
    assert heard == [["port-80"], ["127.0.0.1-80"]]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("backlog=5", Verdict.APPROXIMATED),
        ("deferred", Verdict.APPROXIMATED),
        ("fastopen=3", Verdict.APPROXIMATED),
        ("rcvbuf=8k sndbuf=8k", Verdict.APPROXIMATED),
        ("so_keepalive=on", Verdict.APPROXIMATED),
        ("so_keepalive=30m::10", Verdict.APPROXIMATED),
        ("so_keepalive=off", Verdict.KEPT),
        ("accept_filter=httpready", Verdict.KEPT),  # nginx ignores it on Linux
        ("bind reuseport default_server", Verdict.KEPT),
    ],
)
def test_option_of_a_socket_that_nothing_sets_is_told(option: str, expected: Verdict) -> None:
    assert verdict(serving(f"listen 80 {option};"), "listen") is expected


def test_second_default_server_is_a_fault() -> None:
    one = "listen 80 default_server;"
    assert faults(serving(one, one)) == ["7: a duplicate default server for 0.0.0.0:80"]


def test_only_server_takes_every_host() -> None:
    assert routes("listen 80; server_name a.test;") == [(None, None)]


def test_first_server_is_the_default_and_others_go_by_name() -> None:
    names = ("a.test", "b.test .c.test", "~^(d|e)$")
    assert routes(*(f"listen 80; server_name {each};" for each in names)) == [
        (None, None),
        (None, ["a.test"]),  # the last one's pattern could take it
        (None, ["b.test", ".c.test"]),
        (None, ["~^(d|e)$"]),
    ]


def test_marked_server_is_the_default() -> None:
    assert routes("listen 80; server_name A.test;", "listen 80 default_server;") == [
        (None, ["a.test"]),
        (None, None),
    ]


def test_server_without_a_name_takes_requests_without_a_host() -> None:
    assert routes("listen 80 default_server; server_name a;", "listen 80;") == [
        (None, None),
        (None, [""]),
    ]


def test_name_belongs_to_the_first_server_that_has_it() -> None:
    made = routes(
        "listen 80; server_name a.test;",
        "listen 80; server_name b.test a.test;",
        "listen 80; server_name b.test;",
    )
    assert made == [(None, None), (None, ["b.test"])]


def test_server_may_be_the_default_here_and_one_of_many_there() -> None:
    made = routes("listen 80; server_name a;", "listen 80; listen 81; server_name b;")
    assert made == [(["port-80"], None), (["port-80"], ["b"]), (["port-81"], None)]


def test_names_of_routes_tell_server_and_location() -> None:
    text = http(
        f"server {{ listen 80; server_name a.test; {location()} {location(path='/x/y/')} }}",
        f"server {{ listen 80; server_name ~^b[.](?<n>x)$; {location()} }}",
        f"server {{ listen 81; {location(path='/x/y/')} {location(path='= /x/y/')} }}",
    )
    assert [name for name in document(text)["routes"] if not name.endswith("-2")] == [
        "a.test-root", "a.test-x-y", "b-n-x-root", "x-y",
    ]  # fmt: skip


def test_listener_has_the_defaults_of_nginx() -> None:
    assert listener() == {
        "bind": "127.0.0.1:8080",
        "paths": "nginx",
        "timeouts": {"header": "60s"},
        "limits": {
            "connections": "unlimited",
            "headers": 10_000,
            "body_bytes": "1MiB",
            "requests_per_connection": 1000,
        },
        "odd_header_names": "drop",
    }


def test_settings_of_a_server_go_to_the_listener() -> None:
    made = listener(
        "client_header_timeout 5s; client_body_timeout 6s; send_timeout 7s;",
        "keepalive_timeout 8s; keepalive_requests 9; client_max_body_size 0;",
        "large_client_header_buffers 2 4k; underscores_in_headers on;",
        "set_real_ip_from 10.0.0.0/8; set_real_ip_from unix:;",
        "real_ip_header X-Forwarded-For; real_ip_recursive on;",
    )
    assert made["timeouts"] == {"header": "5s", "body": "6s", "write": "7s", "idle": "8s"}
    assert made["limits"] == {
        "connections": "unlimited",
        "headers": 10_000,
        "body_bytes": "unlimited",
        "requests_per_connection": 9,
        "header_bytes": 8192,
    }
    assert made["underscores_in_headers"] == "allow"
    assert made["trusted_proxies"] == ["10.0.0.0/8", "unix"]
    assert "client_address" not in made


def test_keep_alive_that_is_off_is_one_request_per_connection() -> None:
    made = listener("keepalive_timeout 0;")
    assert made["limits"]["requests_per_connection"] == 1
    assert made["timeouts"] == {"header": "60s"}


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("", {"header": "X-Real-IP", "recursive": False}),
        ("real_ip_recursive on;", {"header": "X-Real-IP"}),
        ("real_ip_header X-Forwarded-For;", {"recursive": False}),
        ("real_ip_header CF-Connecting-IP; real_ip_recursive on;", {"header": "CF-Connecting-IP"}),
    ],
)
def test_field_that_has_the_clients_address_is_the_documents(
    directives: str, expected: dict[str, Any]
) -> None:
    made = listener("set_real_ip_from 10.0.0.0/8;", directives)
    assert made["trusted_proxies"] == ["10.0.0.0/8"]
    assert made["client_address"] == expected


def test_networks_are_written_as_the_document_wants_them() -> None:
    made = listener("set_real_ip_from 10.1.2.3/8; set_real_ip_from FD00:0::1;")
    assert made["trusted_proxies"] == ["10.0.0.0/8", "fd00::1"]


def test_nobody_is_believed_without_set_real_ip_from() -> None:
    made = listener("real_ip_header X-Forwarded-For; real_ip_recursive on;")
    assert not {"trusted_proxies", "client_address"} & made.keys()


def test_name_that_is_believed_is_looked_up_when_the_file_is_read() -> None:
    made = listener("set_real_ip_from localhost;")
    assert "127.0.0.1" in made["trusted_proxies"]
    text = serving("listen 80; set_real_ip_from localhost;")
    assert verdict(text, "set_real_ip_from") is Verdict.KEPT


def test_whom_a_location_believes_is_the_routes() -> None:
    inside = "set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on;"
    made = document(server(location(inside), location(path="/b")))
    (route, other) = made["routes"].values()
    assert route["trusted_proxies"] == ["10.0.0.0/8"]
    assert not {"trusted_proxies", "client_address"} & other.keys()
    (around,) = made["listeners"].values()
    assert not {"trusted_proxies", "client_address"} & around.keys()
    (route,) = document(
        server("set_real_ip_from 10.0.0.0/8;", location("real_ip_header X-Client;"))
    )["routes"].values()
    assert route["trusted_proxies"] == ["10.0.0.0/8"]
    assert route["client_address"] == {"header": "X-Client", "recursive": False}


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("real_ip_header proxy_protocol;", "the PROXY protocol is not supported"),
        ("set_real_ip_from nowhere.invalid;", 'host not found in "nowhere.invalid"'),
        ("set_real_ip_from \x80;", 'host not found in "\x80"'),
        ("set_real_ip_from 10.0.0.0/99;", 'invalid parameter "10.0.0.0/99"'),
    ],
)
def test_client_address_that_cannot_be_read_is_refused(directives: str, expected: str) -> None:
    (fault,) = faults(serving("listen 80; set_real_ip_from 10.0.0.0/8;" + directives))
    assert expected in fault


def test_field_spelled_another_way_than_nginx_has_it_is_told() -> None:
    text = serving("listen 80; set_real_ip_from 10.0.0.0/8; real_ip_header x-forwarded-for;")
    assert verdict(text, "real_ip_header") is Verdict.APPROXIMATED


def test_whom_another_server_believes_is_told() -> None:
    second = "listen 80; server_name b; set_real_ip_from 10.0.0.0/8;"
    assert verdict(serving("listen 80;", second), "listen") is Verdict.APPROXIMATED


def test_settings_of_a_server_that_is_no_default_are_told() -> None:
    second = "listen 80; server_name b; underscores_in_headers on;"
    assert verdict(serving("listen 80;", second), "listen") is Verdict.APPROXIMATED
    second = "listen 80; server_name b; send_timeout 5s; keepalive_requests 2000;"
    assert verdict(serving("listen 80;", second), "listen") is Verdict.KEPT
    made = document(serving("listen 80;", second))
    (listener,) = made["listeners"].values()
    assert listener["limits"]["requests_per_connection"] == 2000
    assert [(each.get("timeouts"), each.get("limits")) for each in made["routes"].values()] == [
        (None, {"requests_per_connection": 1000}),
        ({"write": "5s"}, None),
    ]


def test_regular_expressions_of_servers_are_tried_in_the_order_of_the_file() -> None:
    text = serving("listen 80;", *(f"listen 80; server_name ~{each};" for each in "cab"))
    made = document(text)["routes"].values()
    priorities = {each["hosts"][0]: each.get("host_priority") for each in made if "hosts" in each}
    assert priorities == {"~c": 2, "~a": 1, "~b": None}


def test_captures_of_the_default_server_are_empty_for_other_hosts() -> None:
    text = http(
        "server { listen 80; server_name ~^(?<user>[a-z]+)[.]; "
        + location("proxy_set_header X-User $user;")
        + "}"
    )
    made = document(text)["routes"].values()
    users = [(each.get("hosts"), each["request_headers"]["set"]["X-User"]) for each in made]
    assert users == [(None, ""), (["~^(?<user>[a-z]+)[.]"], "$user")]


def test_name_of_the_machine_is_a_server_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = routes("listen 80;", "listen 80; server_name $hostname;")
    assert made == [(None, None), (None, [os.uname().nodename.lower()])]


def test_odd_fields_are_let_in_where_nginx_does() -> None:
    made = listener("ignore_invalid_headers off;")
    assert "odd_header_names" not in made
    assert made["underscores_in_headers"] == "allow"


def test_limit_of_bodies_is_the_locations_where_it_differs() -> None:
    text = server(
        "client_max_body_size 2m;",
        location(path="/a/"),
        location("client_max_body_size 3m;", path="/b/"),
    )
    made = document(text)
    assert [each.get("limits") for each in made["routes"].values()] == [
        None,
        {"body_bytes": "3MiB"},
    ]


# -- requests without a host ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        (("listen 80; server_name a.test b.test;",), "a.test"),
        (("listen 80;",), None),
        (("listen 80; server_name *.a.test;",), None),
        (("listen 80; server_name ~^a;",), None),
        (("listen 80; server_name a.test;", "listen 80;"), None),
        (("listen 80; server_name a.test;", "listen 80; server_name b.test '';"), "b.test"),
        (("listen 80; server_name a.test;", "listen 81;"), "a.test"),
        (("listen 80;", "listen 80 default_server; server_name b.test;"), None),
    ],
)
def test_request_without_a_host_has_its_servers_name(
    servers: tuple[str, ...], expected: str | None
) -> None:
    made = document(serving(*servers))["listeners"]["port-80"]
    assert made.get("default_host") == expected
