from __future__ import annotations

from typing import Any

import pytest

from tests.unit.admin.nginx.conf import document, faults, http, imported, location, route, server


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/a/", {"prefix": "/a/"}),
        ("= /a", {"exact": "/a"}),
        ("=/a", {"exact": "/a"}),
        ("^~ /a", {"prefix": "/a", "final": True}),
        ("~ ^/a$", {"regex": "^/a$"}),
        ("~* [.]png$", {"regex": "[.]png$", "ignore_case": True}),
        ("~*[.]png$", {"regex": "[.]png$", "ignore_case": True}),
        ('"/a b/"', {"prefix": "/a b/"}),
    ],
)
def test_location_becomes_a_path(written: str, path: dict[str, Any]) -> None:
    assert route(path=written)["path"] == path


def test_route_has_the_defaults_of_nginx() -> None:
    assert route() == {
        "path": {"prefix": "/"},
        "pool": "backend",
        "upgrades": [],
        "request_headers": {"set": {"Host": "backend", "Connection": "close"}},
        "response_headers": {
            "remove": [
                "Server", "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate",
                "X-Accel-Buffering", "X-Accel-Charset",
            ],
            "rewrite_location": [{"prefix": "http://backend/", "to": "/"}],
            "absolute_location": True,
        },
        "forwarded_headers": False,
        "http_version": "1.0",
    }  # fmt: skip


def paths(*locations: str) -> list[dict[str, Any]]:
    return [each["path"] for each in document(server(*locations))["routes"].values()]


def test_regular_expressions_are_tried_in_the_order_of_the_file() -> None:
    assert [each["priority"] for each in paths(*(location(path=f"~ {n}") for n in "cab"))] == [
        3, 2, 1,
    ]  # fmt: skip


def test_nested_prefix_is_final_if_the_outermost_location_is() -> None:
    nested = location("proxy_redirect off;", path="/a/b")
    assert paths(location(nested, path="^~ /a")) == [
        {"prefix": "/a", "final": True},
        {"prefix": "/a/b", "final": True},
    ]
    assert paths(location(location(path="^~ /a/b"), path="/a")) == [
        {"prefix": "/a"},
        {"prefix": "/a/b"},
    ]


@pytest.mark.parametrize(
    ("locations", "expected"),
    [
        (location(location(path="/b"), path="/a"), 'location "/b" is outside the location'),
        (location(location(path="/a"), path="= /a"), "cannot be inside this exact location"),
        (location(path="=~ /a"), "invalid location modifier"),
        (location(path="/a/../b"), "matches no request"),
        (location(path="/a") + location(path="/a"), "has the same host and path"),
        (location(path="~ (a"), "missing )"),
        (location(to="ftp://backend"), "invalid URL prefix"),
        (location(to="http://"), "no host in upstream"),
        (location(to="http://backend:80"), 'upstream "backend" may not have port 80'),
        (location(to="http://127.0.0.1:x"), "not a port"),
        (location(path="~ a", to="http://backend/b"), "cannot have URI part"),
        (location("proxy_http_version 2;"), "'2' is not"),
        (location("proxy_read_timeout 0;"), "'0s' is not a duration above zero"),
        (location("proxy_set_header Bad:Name a;"), "not a field name"),
        (location("add_header B@d a;"), "not a field name"),
        (location("add_header X-A a sometimes;"), 'invalid parameter "sometimes"'),
        (location("proxy_ignore_headers Date;"), 'invalid value "Date"'),
        (location("proxy_hide_header B@d;"), "not a field name"),
        (location("proxy_set_header X-A $;"), "invalid variable name"),
        (location(to="https://backend"), "TLS to the upstream"),
        (location(to="$url"), "a whole URL in a variable"),
        (location(to="http://$host"), "the upstream is in $host"),
        (location(to="http://10.0.0.$arg_n:80"), "an address put together from variables"),
        (location(to="http://backend/a?b=c"), "the URI has a query or an escape"),
        (location(to="http://backend/a%20b"), "the URI has a query or an escape"),
        (location(to="http://backend/$uri"), "nginx sends exactly this URI"),
        (location(path="/a", to="http://backend$uri"), "whatever follows the prefix"),
        (location(path="~ a", to="http://backend$uri"), "the query of the request would be lost"),
        (location("proxy_next_upstream denied;"), "denied is no cause to retry"),
    ],
)
def test_location_that_cannot_be_is_told_at_its_line(locations: str, expected: str) -> None:
    found = faults(server(locations))
    assert [fault for fault in found if expected in fault], found
    assert all(fault.partition(":")[0] in {"5", "6", "7"} for fault in found)


def test_named_location_is_no_route() -> None:
    assert paths(location(), location(path="@back")) == [{"prefix": "/"}]


@pytest.mark.parametrize(
    ("path", "to", "expected"),
    [
        ("/a/", "http://backend", None),
        ("/a/", "http://backend/", "/"),
        ("/a", "http://backend/b", "/b"),
        ("= /a", "http://backend/b", "/b"),
        ("/a", "http://backend$request_uri", None),
        ("~ ^/(a)", "http://backend/b/$1$is_args$args", "/b/$1"),
        ("~ ^/(a)", "http://backend/b/$1?$args", "/b/$1"),
        ("= /a", "http://backend$uri$is_args$args", "$uri"),
    ],
)
def test_uri_of_proxy_pass_becomes_the_rewrite(path: str, to: str, expected: str | None) -> None:
    assert route(path=path, to=to).get("rewrite") == expected


@pytest.mark.parametrize(
    ("to", "pool", "host"),
    [
        ("http://BACKEND", "backend", "BACKEND"),
        ("http://127.0.0.1:9000", "127.0.0.1-9000", "127.0.0.1:9000"),
        ("http://127.0.0.1", "127.0.0.1-80", "127.0.0.1"),
        ("http://127.0.0.1:80/", "127.0.0.1-80", "127.0.0.1"),
        ("http://[::1]:9000", "1-9000", "[::1]:9000"),
        ("http://unix:/run/a.sock:/x/", "unix-run-a.sock", "localhost"),
        ("http://unix:/run/a.sock", "unix-run-a.sock", "localhost"),
    ],
)
def test_upstream_is_named_as_nginx_names_it(to: str, pool: str, host: str) -> None:
    made = route(to=to)
    assert (made["pool"], made["request_headers"]["set"]["Host"]) == (pool, host)


def test_websocket_rules_let_upgrades_through() -> None:
    made = route(
        "proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection upgrade;",
        "proxy_read_timeout 1h;", "proxy_http_version 1.1;",
    )  # fmt: skip
    assert (made["upgrades"], made["tunnel"]) == (["*"], {"idle_timeout": "1h"})
    assert made["timeouts"] == {"read": "1h"}
    assert "http_version" not in made


def set_by(*directives: str, outer: str = "") -> dict[str, Any]:
    text = server(outer, location(*directives))
    (made,) = document(text)["routes"].values()
    rules = made["request_headers"]
    assert isinstance(rules, dict)
    return rules


def test_request_headers_are_inherited_all_or_none() -> None:
    outer = "proxy_set_header X-A a; proxy_set_header Host $host;"
    assert set_by(outer=outer)["set"] == {"X-A": "a", "Host": "$host", "Connection": "close"}
    assert set_by("proxy_set_header X-B b;", outer=outer)["set"] == {
        "X-B": "b", "Host": "backend", "Connection": "close",
    }  # fmt: skip


def test_field_that_is_set_twice_is_appended() -> None:
    rules = set_by(*(f"proxy_set_header X-A {value};" for value in "abc"))
    assert rules == {
        "set": {"X-A": "a", "Host": "backend", "Connection": "close"},
        "append": {"X-A": ["b", "c"]},
    }


def test_empty_value_of_what_never_passes_is_no_rule() -> None:
    assert set_by("proxy_set_header TE '';", "proxy_set_header Accept-Encoding '';")["set"] == {
        "Accept-Encoding": "", "Host": "backend", "Connection": "close",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$proxy_host:$proxy_port", "backend:80"),
        ("${proxy_host}x", "backendx"),
        ("${document_uri}x", "${document_uri}x"),
        ("a$ssl_protocol-${http2}b", "a-b"),
        ("$Http_Host", "$Http_Host"),
        ("$server_name", "www.test"),
    ],
)
def test_variables_are_those_of_a_document(written: str, expected: str) -> None:
    rules = set_by(f'proxy_set_header X-A "{written}";', outer="server_name www.test b;")
    assert rules["set"]["X-A"] == expected


def response_rules(*directives: str, outer: str = "") -> dict[str, Any]:
    (made,) = document(server(outer, location(*directives)))["routes"].values()
    rules = made["response_headers"]
    assert isinstance(rules, dict)
    return rules


def test_response_headers_are_hidden_unless_they_are_passed() -> None:
    made = response_rules(
        "proxy_hide_header X-Powered-By;", "proxy_hide_header x-pad;", "proxy_hide_header Date;",
        "proxy_hide_header Transfer-Encoding;", "proxy_hide_header X-Both;",
        "proxy_pass_header X-Accel-Charset;", "proxy_pass_header server;",
        "proxy_pass_header x-both;", "proxy_pass_header X-Other;",
    )  # fmt: skip
    assert made["remove"] == [
        "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate",
        "X-Accel-Buffering", "X-Powered-By",
    ]  # fmt: skip


def test_hidden_and_passed_headers_are_inherited_one_without_the_other() -> None:
    made = response_rules(
        "proxy_pass_header X-Pad;", outer="proxy_hide_header X-A; proxy_pass_header Server;"
    )
    assert {"Server", "X-A"} <= set(made["remove"])
    assert "X-Pad" not in made["remove"]


def test_headers_are_added_for_successes_or_always() -> None:
    made = response_rules(
        "add_header X-A $status;", "add_header X-A two;", "add_header x-a other;",
        "add_header X-B b always;", "add_header X-B c always;", "add_header X-None '';",
        "add_header Set-Cookie a=b;", "add_header Set-Cookie c=d;",
    )  # fmt: skip
    assert made["append"] == {"X-B": ["b", "c"]}
    assert made["on_success"] == {
        "append": {"X-A": ["$status", "two"], "x-a": "other", "Set-Cookie": ["a=b", "c=d"]}
    }


@pytest.mark.parametrize(
    ("directives", "always", "on_success"),
    [
        ("add_header ETag a;", None, {"ETag": "a"}),
        ("add_header ETag '' always;", {"ETag": ""}, None),
        ("add_header ETag a always; add_header etag b;", {"ETag": "a"}, {"etag": "b"}),
        ("add_header ETag a; add_header etag b always;", {"etag": "b"}, None),
        ("add_header ETag a; add_header etag b;", None, {"etag": "b"}),
    ],
)
def test_etag_and_last_modified_are_replaced_by_the_last_in_force(
    directives: str, always: dict[str, str] | None, on_success: dict[str, str] | None
) -> None:
    made = response_rules(directives)
    assert made.get("set") == always
    assert made.get("on_success", {}).get("set") == on_success


def test_added_headers_are_inherited_all_or_none() -> None:
    outer = "add_header X-A a; add_header X-B b always;"
    assert response_rules(outer=outer)["append"] == {"X-B": "b"}
    made = response_rules("add_header X-C c;", outer=outer)
    assert "append" not in made
    assert made["on_success"] == {"append": {"X-C": "c"}}


def test_field_for_every_status_behind_one_for_some_is_told() -> None:
    text = server(location("add_header X-A a;", "add_header x-a b always;"))
    (line,) = [line for line in imported(text).report.lines() if "always" in line]
    assert "it stands before the x-a that is for some statuses only" in line


TIER = "map $http_x_tier $tier { default backend; beta other; }\nupstream other { server a:1; }"


def routed(maps: str, to: str) -> tuple[dict[str, Any], dict[str, Any]]:
    made = document(http(maps, f"server {{ listen 80; {location(to=to)} }}"))
    (only,) = made["routes"].values()
    return only, made.get("header_maps", {})


def test_map_may_name_the_upstream() -> None:
    made, maps = routed(TIER, "http://$tier")
    assert (made["pool"], made["request_headers"]["set"]["Host"]) == ("$tier", "$tier")
    assert set(maps) == {"tier"}


def test_map_may_name_addresses_which_get_pools() -> None:
    where = "map $host $where { hostnames; default 10.0.0.1:80; ~^a 10.0.0.2:80; *.b 10.0.0.2:80; }"
    made, maps = routed(where, "http://${where}$request_uri")
    assert (made["pool"], made["request_headers"]["set"]["Host"]) == ("$where_pool", "$where")
    assert maps["where_pool"] == {
        "source": "$host",
        "default": "10.0.0.1-80",
        "regex": [{"match": "^a", "value": "10.0.0.2-80"}],
        "hostnames": {"*.b": "10.0.0.2-80"},
    }


@pytest.mark.parametrize("values", ["beta other;", "default $host;", "default '';"])
def test_map_that_may_name_no_upstream_is_refused(values: str) -> None:
    maps = f"map $http_x_tier $tier {{ {values} }} upstream other {{ server a:1; }}"
    (fault,) = faults(http(maps, f"server {{ listen 80; {location(to='http://$tier')} }}"))
    assert "$tier may be something else than an upstream" in fault


OTHER = "upstream other { server a:1; }"


def test_split_clients_chooses_pools_as_a_map_does() -> None:
    split = "split_clients $remote_addr$uri $v { 0.5% other; * backend; }"
    made, maps = routed(f"{split} {OTHER}", "http://$v")
    assert made["pool"] == "$v"
    assert maps == {
        "v": {"source": "$remote_addr$uri", "shares": {"other": "0.5%"}, "default": "backend"}
    }


def test_split_clients_of_addresses_has_a_map_of_pools_beside_it() -> None:
    split = "split_clients $uri $v { 20% other; 2% 127.0.0.1:1; * backend; }"
    made, maps = routed(f"{split} {OTHER}", "http://$v")
    assert made["pool"] == "$v_pool"
    assert maps["v_pool"] == {
        "source": "$uri",
        "shares": {"other": "20%", "127.0.0.1-1": "2%"},
        "default": "backend",
    }


def test_shares_that_leave_nothing_over_need_no_star() -> None:
    split = "split_clients $uri $v { 30% other; 70% backend; }"
    made, maps = routed(f"{split} {OTHER}", "http://$v")
    assert made["pool"] == "$v_pool"
    assert maps["v_pool"]["default"] == "backend"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("50% backend;", "$v may be something else than an upstream"),
        ("50% $host; * backend;", "$v may be something else than an upstream"),
        ("50% 127.0.0.1; 10% 127.0.0.1:80; * backend;", "two values with shares are one upstream"),
    ],
)
def test_split_clients_that_may_name_no_pool_is_refused(entries: str, expected: str) -> None:
    text = f"split_clients $uri $v {{ {entries} }}"
    (fault,) = faults(http(text, f"server {{ listen 80; {location(to='http://$v')} }}"))
    assert expected in fault
