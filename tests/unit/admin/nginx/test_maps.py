from __future__ import annotations

from typing import Any

import pytest

from tests.unit.admin.nginx.conf import document, faults, http, location


def header_map(entries: str, name: str = "m", source: str = "$http_a") -> Any:
    made = document(http(f"map {source} ${name} {{ {entries} }}"))["header_maps"]
    (only,) = made.items()
    return only


def test_seed_map_is_what_the_contract_shows() -> None:
    entries = "default upgrade; '' close;"
    assert header_map(entries, "connection_upgrade", "$http_upgrade") == (
        "connection_upgrade",
        {"source": "$http_upgrade", "default": "upgrade", "exact": {"": "close"}},
    )


def test_every_kind_of_entry_is_translated() -> None:
    entries = r"""
        hostnames; volatile; default $host;
        a 1; *.b.test 2; .c.test 3; d.* 4; ~^e(?<x>.)$ $x; ~*F 6; \default 7; \~g 8; \hostnames 9;
    """
    assert header_map(entries)[1] == {
        "source": "$http_a",
        "volatile": True,
        "default": "$host",
        "exact": {"a": "1", "default": "7", "~g": "8", "hostnames": "9"},
        "hostnames": {"*.b.test": "2", ".c.test": "3", "d.*": "4"},
        "regex": [
            {"match": "^e(?<x>.)$", "value": "$x"},
            {"match": "F", "value": "6", "ignore_case": True},
        ],
    }


def test_wildcards_are_plain_text_unless_there_are_hostnames() -> None:
    assert header_map("*.b.test 2;")[1]["exact"] == {"*.b.test": "2"}


def test_name_that_means_something_here_is_another_one_here() -> None:
    text = http(
        "map $http_a $client_ip { default a; }",
        "map $client_ip $_X { default $client_ip; }",
        f"server {{ listen 80; {location('proxy_set_header X-A ${_x}b;')} }}",
    )
    made = document(text)
    assert made["header_maps"] == {
        "nginx_client_ip": {"source": "$http_a", "default": "a"},
        "nginx__x": {"source": "$nginx_client_ip", "default": "$nginx_client_ip"},
    }
    (route,) = made["routes"].values()
    assert route["request_headers"]["set"]["X-A"] == "${nginx__x}b"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("map $a m { }", "invalid variable name"),
        ("map $host $m { default a; default b; }", "duplicate default map parameter"),
        ("map $host $m { a b; a c; }", 'conflicting parameter "a"'),
        ("map $host $m { a b; A c; }", "is there already"),
        ("map $host $m { a; }", "invalid number of the map parameters"),
        ("map $host $m { a b c; }", "invalid number of the map parameters"),
        ("map $nope $m { a b; }", "unknown variable $nope"),
        ("map $host $m { a $nope; }", "unknown variable $nope"),
        ("map $host $m { a $m; }", "a cycle of maps"),
        ("map $host $uri { a b; }", "$uri is a built-in variable"),
        ("map $host $m { a b; }\nmap $host $M { a b; }", "$M is defined twice"),
        ("map $host $m { ~(?=a) b; }", "not an RE2 regular expression"),
        ("map $request_body $m { a b; }", "there is no $request_body: bodies are streamed"),
    ],
)
def test_map_that_cannot_be_is_told_at_its_line(written: str, expected: str) -> None:
    found = faults(http(written))
    assert len(found) == 1
    assert expected in found[0]
    assert found[0].partition(":")[0] in {"4", "5"}


# -- split_clients --------------------------------------------------------------------------------


def split(entries: str) -> Any:
    return document(http(f"split_clients $http_a $m {{ {entries} }}"))["header_maps"]["m"]


@pytest.mark.parametrize(
    ("entries", "shares"),
    [
        ("0.5% a; 20% b; 7.25% c;", {"a": "0.5%", "b": "20%", "c": "7.25%"}),
        (".5% a; 5.% b; 07.10% c;", {"a": "0.5%", "b": "5%", "c": "7.1%"}),
        ("10% a; 2.5% a; 1% b;", {"a": "12.5%", "b": "1%"}),
        ("10% ''; 10% $x;", {"": "10%", "$$x": "10%"}),
        ("100% a;", {"a": "100%"}),
    ],
)
def test_shares_are_written_as_percentages(entries: str, shares: dict[str, str]) -> None:
    assert split(entries) == {"source": "$http_a", "shares": shares}


def test_rest_is_the_default() -> None:
    assert split("1% a; * b; * c;") == {"source": "$http_a", "shares": {"a": "1%"}, "default": "b"}
    assert split("* $host;") == {"source": "$http_a", "default": "$$host"}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("60% a; 60% b;", "percent total is greater than 100%"),
        ("* a; 1% b;", "percent total is greater than 100%"),
        ("x% a;", 'invalid percent value "x%"'),
        ("5 a;", 'invalid percent value "5"'),
        ("% a;", 'invalid percent value "%"'),
        (".% a;", 'invalid percent value ".%"'),
        ("0% a;", 'invalid percent value "0%"'),
        ("0.005% a;", 'invalid percent value "0.005%"'),
        ("50% a b;", "invalid number of the split_clients parameters"),
        ("50%;", "invalid number of the split_clients parameters"),
        ("5% a; 5% b; 5% a;", '"a" has a share already'),
    ],
)
def test_shares_that_cannot_be_are_told_at_their_line(entries: str, expected: str) -> None:
    (fault,) = faults(http(f"split_clients $uri $v {{\n{entries} }}"))
    assert expected in fault
    assert fault.startswith("5:")


def test_split_clients_is_a_variable_like_any() -> None:
    text = http(
        "split_clients $http_a $v { * a; }",
        "map $v $w { default $v; }",
        f"server {{ listen 80; {location('proxy_set_header X-V $v;')} }}",
    )
    made = document(text)
    (route,) = made["routes"].values()
    assert route["request_headers"]["set"]["X-V"] == "$v"
    assert made["header_maps"]["w"]["source"] == "$v"
    (fault,) = faults(http("split_clients $uri $v { * a; }", "map $uri $V { a b; }"))
    assert "$v is defined twice" in fault


# -- host names -----------------------------------------------------------------------------------


def test_names_are_hosts_where_a_dot_behind_the_source_is_ignored() -> None:
    made = header_map("hostnames; a.test 1; '' 2; 'x y' 3;")[1]
    assert made["hostnames"] == {"a.test": "1"}
    assert made["exact"] == {"": "2", "x y": "3"}
    assert header_map("hostnames; a.test 1;")[1] == {
        "source": "$http_a",
        "hostnames": {"a.test": "1"},
    }


def test_wildcards_before_the_flag_are_plain_text() -> None:
    made = header_map("*.a.test 1; hostnames; *.b.test 2;")[1]
    assert (made["exact"], made["hostnames"]) == ({"*.a.test": "1"}, {"*.b.test": "2"})
    assert header_map("*.a.test 1; b.* 2; hostnames;")[1]["exact"] == {"*.a.test": "1", "b.*": "2"}


def test_names_of_captures_have_no_case() -> None:
    made = header_map(r"~^(?<Name>.)(?<other>.) ${NAME}x$name$Other;")[1]
    assert made["regex"][0]["value"] == "${Name}x$Name$other"


@pytest.mark.parametrize("key", ["*", "*.", "a.*.b", "*a.test", "a.test*", "*.a.*", "..", "a..b"])
def test_wildcard_that_nginx_does_not_know_is_told(key: str) -> None:
    (fault,) = faults(http(f"map $host $m {{ hostnames; {key} b; }}"))
    assert fault.endswith(f'invalid hostname or wildcard "{key}"')


def test_fault_of_a_name_is_told_at_its_line() -> None:
    (fault,) = faults(http("map $host $m {", "hostnames; b.test c;", "a.test $nope; }"))
    assert fault.startswith("6:")


CANARY = """
    upstream canary { server 127.0.0.1:9000; }
    split_clients $remote_addr $by_share { 5% canary; * backend; }
    map $cookie_canary $by_cookie { always canary; never 127.0.0.1:8000; default $by_share; }
"""


def test_map_may_leave_the_upstream_to_another_map() -> None:
    made = document(http(CANARY, "server { listen 81; " + location(to="http://$by_cookie") + "}"))
    (route,) = made["routes"].values()
    assert route["pool"] == "$by_cookie_pool"
    assert made["header_maps"]["by_cookie_pool"] == {
        "source": "$cookie_canary",
        "default": "$by_share",
        "exact": {"always": "canary", "never": "127.0.0.1-8000"},
    }
    assert made["header_maps"]["by_share"]["shares"] == {"canary": "5%"}
    assert made["pools"].keys() == {"backend", "canary", "127.0.0.1-8000"}


def test_maps_that_lead_to_each_other_choose_no_upstream() -> None:
    maps = "map $host $a { default $b; } map $host $b { default $a; }"
    said = faults(http(maps, "server { listen 81; " + location(to="http://$a") + "}"))
    assert any("may be something else than an upstream" in each for each in said)


def test_map_sees_what_a_name_or_a_path_captures() -> None:
    maps = "map $tenant $who { default x; a y; } map $PLACE-$host $where { default z; }"
    inside = "proxy_set_header X-Who $who$where;"
    text = http(
        maps,
        r"server { listen 81; server_name ~^(?<tenant>\w+)\.test$;",
        location(inside, path="~ ^/(?<place>[a-z]+)/(?<rest>.*)"),
        location(inside, path="/"),
        "}",
    )
    by_path, by_name = document(text)["routes"].values()
    assert by_path["steps"] == [{"set": {"place": "$place", "tenant": "$tenant"}}]
    assert by_name["steps"] == [{"set": {"tenant": "$tenant"}}]
    assert by_name["path"] == {"prefix": "/"}, "nothing has to precede the locations for that"
