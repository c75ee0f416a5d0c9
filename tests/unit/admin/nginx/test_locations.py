from __future__ import annotations

from typing import Any

import pytest

from admin.nginx.report import Verdict
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
        "request_buffer": "1MiB",
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
        (location(path="'/a?b'"), "only an encoded question mark could match it"),
        (location(path="/a") + location(path="^~ /a"), 'duplicate location "/a"'),
        (location(path="= /a") + location(path="= /a"), 'duplicate location "/a"'),
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
        (location(to="$arg_url"), "the upstream depends on the request: $arg_url"),
        (location(to="http://$host"), "the upstream depends on the request: $host"),
        (location(to="http://10.0.0.$arg_n:80"), "depends on the request: 10.0.0.$arg_n:80"),
        (location(to="http://$host:$arg_port/"), "depends on the request: $host:$arg_port"),
        (location("proxy_method 'A B';"), "not a method"),
        (location("proxy_method CONNECT;"), "CONNECT is never sent upstream"),
        (location("proxy_set_body $nope;"), "unknown variable $nope"),
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
        ("/a/", "http://backend", {}),
        ("/a/", "http://backend/", {"rewrite": "/"}),
        ("/a", "http://backend/b", {"rewrite": "/b"}),
        ("= /a", "http://backend/b", {"rewrite": "/b"}),
        ("/a", "http://backend/b%20c?d=e", {"rewrite": "/b%20c?d=e"}),
        ("/a", "http://backend?d=e", {"rewrite": "/?d=e"}),
        ("/a", "http://backend$request_uri", {}),
        ("/a", "http://backend/$request_uri", {"target": "/$request_uri"}),
        ("/a", "http://backend$uri", {"target": "$uri"}),
        ("/a", "http://backend${document_uri}x", {"target": "${document_uri}x"}),
        ("/a", "http://backend?$args", {"target": "/?$args"}),
        ("~ ^/(a)", "http://backend", {}),
        ("~ ^/(a)", "http://backend/b/$1$is_args$args", {"target": "/b/$1$is_args$args"}),
        ("= /a", "http://backend$uri$is_args$args", {"target": "$uri$is_args$args"}),
    ],
)
def test_uri_of_proxy_pass_becomes_what_goes_upstream(
    path: str, to: str, expected: dict[str, str]
) -> None:
    made = route(path=path, to=to)
    assert {key: made[key] for key in ("rewrite", "target") if key in made} == expected


NESTED: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "flat": (
        location(location(path="/a/b"), location(path="= /a/c"), path="/a"),
        [{"prefix": "/a"}, {"prefix": "/a/b"}, {"exact": "/a/c"}],
    ),
    "regex in a prefix": (
        location(location(path="~ x"), location(path="^~ /a/b"), path="/a"),
        [
            {"prefix": "/a"},
            {"regex": "x", "within": "a"},
            {"prefix": "/a/b", "final": True, "within": "a"},
        ],
    ),
    "regexes in a regex": (
        location(location(path="~ x"), location(path="~* y"), path="~ z"),
        [
            {"regex": "z"},
            {"regex": "x", "priority": 2, "within": "z"},
            {"regex": "y", "priority": 1, "ignore_case": True, "within": "z"},
        ],
    ),
    "deeper": (
        location(location(location(path="~ x"), path="/a/b"), path="/a"),
        [{"prefix": "/a"}, {"prefix": "/a/b", "within": "a"}, {"regex": "x", "within": "a-b"}],
    ),
    "shadowed by a longer one outside": (
        location(location(path="/ab/c"), path="/a") + location(path="/ab"),
        [{"prefix": "/a"}, {"prefix": "/ab/c", "within": "a"}, {"prefix": "/ab"}],
    ),
    "shadowed by an exact one outside": (
        location(location(path="= /ab"), path="/a") + location(path="= /ab"),
        [{"prefix": "/a"}, {"exact": "/ab", "within": "a"}, {"exact": "/ab"}],
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_locations_stand_within_routes_where_that_matters(name: str) -> None:
    text, expected = NESTED[name]
    assert paths(text) == expected


GROUP = "location /g/ { " + location(path="/g/a") + " }"


@pytest.mark.parametrize("other", [location(), location(path="/g"), location(path="~ x")])
def test_requests_that_a_group_leaves_over_go_to_nobody_else(other: str) -> None:
    made = imported(server(GROUP, other))
    (group,) = [each for each in made.document["routes"].values() if "respond" in each]
    assert (group["path"], group["respond"]) == ({"prefix": "/g/"}, {"status": 404})
    told = made.report.told(Verdict.APPROXIMATED)
    assert any("nginx would look for a file" in line for line in told)


def test_routes_may_stand_within_a_group() -> None:
    regex = location(path="~ x")
    made = document(server(f"location /g/ {{ deny 192.0.2.1; {regex} }}", regex))["routes"]
    assert [each["path"] for each in made.values()] == [
        {"prefix": "/g/"},
        {"regex": "x", "within": "g"},
        {"regex": "x"},
    ]
    assert made["g"]["access"] == [{"deny": ["192.0.2.1"]}]


def test_names_that_hosts_capture_are_there_where_such_a_host_was_asked_for() -> None:
    names = "server_name a.test ~^(?<sub>.+)[.]b$;"
    sets = 'proxy_set_header X "$sub"; error_page 502 @x;'
    made = document(
        http(
            "server { listen 80; server_name other.test; location / { return 204; } }",
            f"server {{ listen 80; {names} location / {{ proxy_pass http://backend; {sets} }}",
            f"location @x {{ proxy_pass http://backend; {sets} }} }}",
        )
    )["routes"]
    named = next(each for each in made.values() if "path" not in each)
    assert named["hosts"] == ["~^(?<sub>.+)[.]b$"]
    assert named["request_headers"]["set"]["X"] == "$sub"


def test_named_location_that_only_unused_pages_lead_to_is_left_out() -> None:
    unused = "error_page 502 @x; location @x { return 204; }"
    assert paths(unused, location("error_page 503 /503;")) == [{"prefix": "/"}]


@pytest.mark.parametrize("path", ["/a/../b", "//a", "a", "'= a/b'", "/a/."])
def test_location_that_no_request_reaches_is_left_out(path: str) -> None:
    assert paths(location(), location(path=path.replace("'", ""))) == [{"prefix": "/"}]


def test_repeated_slashes_are_kept_where_nginx_keeps_them() -> None:
    made = document(server("merge_slashes off;", location(path="//a")))
    (listener,) = made["listeners"].values()
    assert listener["merge_slashes"] is False
    assert [each["path"] for each in made["routes"].values()] == [{"prefix": "//a"}]


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "method": ("proxy_method $arg_m;", {"method": "$arg_m"}),
    "body": (
        'proxy_set_body "a=$arg_a\nb";',
        {"body": "a=$arg_a\nb", "request_buffer": None},
    ),
    "no body": (
        "proxy_pass_request_body off; proxy_set_header Content-Length '';",
        {"body": "", "request_buffer": None},
    ),
    "another body all the same": (
        "proxy_pass_request_body off; proxy_set_body x;",
        {"body": "x", "request_buffer": None},
    ),
    "no fields": (
        "proxy_pass_request_headers off;",
        {
            "request_headers": {
                "set": {"Host": "backend", "Connection": "close"},
                "remove": ["*"],
            }
        },
    ),
    "the length as it is": (
        "proxy_set_header Content-Length $content_length;",
        {"request_headers": {"set": {"Host": "backend", "Connection": "close"}}},
    ),
    "streamed": ("proxy_request_buffering off;", {"request_buffer": None}),
    "no chunks": ("chunked_transfer_encoding off;", {"chunked_responses": False}),
    "times of the client": (
        "client_body_timeout 1s; send_timeout 2s; keepalive_timeout 3s 4s; keepalive_requests 5;",
        {
            "timeouts": {"body": "1s", "write": "2s", "idle": "3s"},
            "limits": {"requests_per_connection": 5},
        },
    ),
    "no keep-alive": ("keepalive_timeout 0;", {"limits": {"requests_per_connection": 1}}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_a_location_says_of_requests_goes_to_the_route(name: str) -> None:
    directives, expected = REQUESTS[name]
    made = route(directives)
    assert {key: made.get(key) for key in expected} == expected


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
    host = made["request_headers"]["set"]["Host"]
    assert (made["pool"], host) == ("$where_pool", "$where_proxy_host")
    assert maps["where_proxy_host"]["default"] == "10.0.0.1"
    assert maps["where_pool"] == {
        "source": "$host",
        "default": "10.0.0.1-80",
        "regex": [{"match": "^a", "value": "10.0.0.2-80"}],
        "hostnames": {"*.b": "10.0.0.2-80"},
    }


def test_map_may_name_a_part_of_an_address_or_a_whole_url() -> None:
    hosts = "map $arg_a $h { default 127.0.0.1; b 127.0.0.2; }"
    made, maps = routed(hosts, "http://$h:9000/x")
    assert (made["pool"], made["target"]) == ("$h_pool", "/x")
    assert made["request_headers"]["set"]["Host"] == "$h_proxy_host"
    assert maps["h_proxy_host"]["exact"] == {"b": "127.0.0.2:9000"}
    assert maps["h_pool"]["exact"] == {"b": "127.0.0.2-9000"}
    made, maps = routed("map $arg_a $u { default http://backend; b http://a.test:1; }", "$u")
    assert (made["pool"], maps["u_pool"]["exact"]) == ("$u_pool", {"b": "a.test-1"})
    assert maps["u_proxy_host"]["exact"] == {"b": "a.test:1"}


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


def test_values_with_shares_that_are_one_upstream_are_looked_up_behind_the_shares() -> None:
    split = "split_clients $uri $v { 50% 127.0.0.1; 10% 127.0.0.1:80; * backend; }"
    made, maps = routed(split, "http://$v")
    assert made["pool"] == "$v_pool"
    assert maps["v_pool"] == {
        "source": "$v",
        "exact": {"127.0.0.1": "127.0.0.1-80", "127.0.0.1:80": "127.0.0.1-80"},
        "default": "backend",
    }


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("50% backend;", "$v may be something else than an upstream"),
        ("50% $host; * backend;", "$v may be something else than an upstream"),
    ],
)
def test_split_clients_that_may_name_no_pool_is_refused(entries: str, expected: str) -> None:
    text = f"split_clients $uri $v {{ {entries} }}"
    (fault,) = faults(http(text, f"server {{ listen 80; {location(to='http://$v')} }}"))
    assert expected in fault
