from __future__ import annotations

from copy import deepcopy

import pytest

from admin.documents.client_address import PRIVATE
from admin.documents.document import Validated, validate
from admin.translate import to_spec
from proxy import spec
from tests.unit.admin.documents.example import RICH, SMALL, changed


def test_an_empty_document_is_the_empty_spec() -> None:
    assert to_spec(validate({})) == spec.EMPTY


def test_a_listener_without_choices_has_the_defaults_of_the_spec() -> None:
    translated = to_spec(validate(SMALL))

    assert translated.listeners["public"] == spec.ListenerSpec(name="public", bind="127.0.0.1:0")


def test_a_pool_without_choices_has_the_defaults_of_the_spec() -> None:
    translated = to_spec(validate({"pools": {"empty": {}}}))

    assert translated.pools["empty"] == spec.PoolSpec(name="empty")


def test_an_endpoint_without_choices_has_the_defaults_of_the_spec() -> None:
    (endpoint,) = to_spec(validate(SMALL)).pools["backend"].endpoints

    assert endpoint == spec.EndpointSpec(name="127.0.0.1:8000", address="127.0.0.1:8000")


def test_a_header_map_without_choices_has_the_defaults_of_the_spec() -> None:
    translated = to_spec(validate({"header_maps": {"m": {"source": "$host"}}}))

    assert translated.header_maps["m"] == spec.HeaderMapSpec(name="m", source="$host")


def test_a_route_without_choices_has_the_defaults_of_the_spec() -> None:
    translated = to_spec(validate(SMALL))

    assert translated.routes["all"] == spec.RouteSpec(
        name="all", path=spec.PathSpec(kind="prefix", value="/"), pools=(("backend", 1),)
    )


def test_every_choice_of_a_listener_is_translated() -> None:
    assert to_spec(validate(RICH)).listeners["public"] == spec.ListenerSpec(
        name="public",
        bind="[::1]:8080",
        trusted_proxies=(*PRIVATE, "unix:", "192.0.2.7/32", "2001:db8::/32"),
        client_address=spec.ClientAddressSpec(header="X-Real-IP", recursive=False),
        default_host="www.example.org",
        paths="nginx",
        timeouts=spec.ListenerTimeouts(header_s=90.0),
        limits=spec.ListenerLimits(connections=None, header_bytes=8192, body_bytes=1_048_576),
        underscores_in_headers=True,
    )


def test_every_choice_of_a_pool_is_translated() -> None:
    pools = to_spec(validate(RICH)).pools

    assert pools["stable"] == spec.PoolSpec(
        name="stable",
        balance=spec.BalanceSpec(kind="hash", key="$cookie_user"),
        endpoints=(
            spec.EndpointSpec(
                name="unix:/run/app.sock",
                address="unix:/run/app.sock",
                state="drain",
                passive_health=None,
            ),
            spec.EndpointSpec(
                name="[2001:db8::1]:80",
                address="[2001:db8::1]:80",
                weight=5,
                passive_health=spec.PassiveHealthSpec(max_fails=1, fail_timeout_s=10.0),
            ),
            spec.EndpointSpec(
                name="named", address="app.example.org:8080", backup=True, max_connections=9
            ),
        ),
        header_bytes=16_384,
    )
    assert pools["canary"] == spec.PoolSpec(
        name="canary",
        endpoints=(
            spec.EndpointSpec(
                name="10.0.0.1:80",
                address="10.0.0.1:80",
                labels=(("app.kubernetes.io/name", "a b"),),
                passive_health=None,
            ),
        ),
        retry=spec.RetrySpec(when=frozenset(), max_attempts=None, budget_s=None),
    )


def test_the_rest_of_a_pool_is_translated() -> None:
    raw = changed(
        "pools backend",
        {
            "balance": "least_connections",
            "passive_health": {"max_fails": 2, "fail_timeout": "1s", "max_ejected_percent": 100},
            "keepalive": {"max_idle": 0, "idle_timeout": "2s", "max_requests": 5},
            "timeouts": {"connect": "1s", "send": "2s", "read": "3s"},
            "retry": {"when": ["timeout"], "non_idempotent": True, "replay_bytes": 0},
            "on_removal": "close",
            "drain": {"timeout": "5s", "rate": 7, "close_code": 4000, "reason": ""},
        },
    )

    assert to_spec(validate(raw)).pools["backend"] == spec.PoolSpec(
        name="backend",
        balance=spec.BalanceSpec(kind="least_connections"),
        max_ejected_percent=100,
        keepalive=spec.KeepaliveSpec(max_idle=0, idle_timeout_s=2.0, max_requests=5),
        timeouts=spec.PoolTimeouts(connect_s=1.0, send_s=2.0, read_s=3.0),
        retry=spec.RetrySpec(when=frozenset({"timeout"}), non_idempotent=True, replay_bytes=0),
        on_removal="close",
        drain=spec.DrainSpec(timeout_s=5.0, rate=7, close_code=4000, reason=""),
    )


def test_every_choice_of_a_header_map_is_translated() -> None:
    raw = changed(
        "header_maps m",
        {
            "source": "$host",
            "default": "d",
            "exact": {"b": "1", "a": "2"},
            "hostnames": {"*.x": "3"},
            "regex": [
                {"match": "(a)", "value": "$1"},
                {"match": "b", "value": "", "ignore_case": True},
            ],
        },
    )

    assert to_spec(validate(raw)).header_maps["m"] == spec.HeaderMapSpec(
        name="m",
        source="$host",
        default="d",
        exact=(("b", "1"), ("a", "2")),
        hostnames=(("*.x", "3"),),
        regex=(
            spec.RegexEntry(match="(a)", value="$1"),
            spec.RegexEntry(match="b", value="", ignore_case=True),
        ),
    )


def test_shares_become_hundredths_of_a_per_cent() -> None:
    shares = {"a": "0%", "b": "0.5%", "c": "007.25%", "d": "50.1%"}
    raw = changed("header_maps m", {"source": "$host", "shares": shares, "volatile": True})

    assert to_spec(validate(raw)).header_maps["m"] == spec.HeaderMapSpec(
        name="m",
        source="$host",
        shares=(("a", 0), ("b", 50), ("c", 725), ("d", 5010)),
        volatile=True,
    )


def test_pools_of_a_route_are_those_that_shares_choose() -> None:
    raw = changed("pools canary", {"endpoints": {"127.0.0.1:8001": {}}})
    raw["header_maps"] = {"v": {"source": "$host", "shares": {"canary": "5%"}}}
    raw["header_maps"]["v"]["default"] = "backend"
    raw["routes"]["all"]["pool"] = "$v"

    assert to_spec(validate(raw)).routes["all"].pools == (("backend", 1), ("canary", 1))


def test_every_choice_of_a_route_is_translated() -> None:
    routes = to_spec(validate(RICH)).routes

    assert routes["split"] == spec.RouteSpec(
        name="split",
        path=spec.PathSpec(kind="prefix", value="/split/", final=True),
        pools=(("stable", 95), ("canary", 0)),
        split_by="$cookie_user",
        hosts=(".example.org", "www.*", "~^a(?P<n>[0-9]+)\\.example\\.net$"),
    )
    assert routes["mapped"] == spec.RouteSpec(
        name="mapped",
        path=spec.PathSpec(
            kind="regex", value="^/users/(?P<user>[^/]+)", priority=3, ignore_case=True
        ),
        pools=(("stable", 1), ("canary", 1)),
        pool_variable="${tier}",
        rewrite="/u/$user",
        upgrades=("*",),
        timeouts=spec.RouteTimeouts(connect_s=0.5),
        body_bytes=None,
        tunnel=spec.TunnelSpec(idle_timeout_s=None),
        response_headers=spec.ResponseRulesSpec(set=(("X-Served-By", "$upstream_addr"),)),
    )
    assert routes["health"].path == spec.PathSpec(kind="exact", value="/healthz")
    assert routes["health"].listeners == ("local",)


def test_the_rest_of_a_route_is_translated() -> None:
    raw = changed("routes all upgrades", ["WebSocket", "MQTT"])
    raw["routes"]["all"] |= {
        "forwarded_headers": False,
        "http_version": "1.0",
        "limits": {"body_bytes": "1KB", "requests_per_connection": 7},
        "timeouts": {"send": "1s", "read": "2s", "body": "3s", "write": "4s", "idle": "5s"},
        "hosts": ["A.Example", "~^A\\S"],
        "host_priority": 3,
        "target": "/t$args",
        "method": "$arg_m",
        "body": "a\nb",
        "request_buffer": "2KiB",
        "retry": {"when": ["timeout"]},
        "chunked_responses": False,
        "request_headers": {"remove": ["A"], "set": {"B": "b"}, "append": {"C": ["c", "d"]}},
        "response_headers": {
            "append": {"A": "a"},
            "on_success": {"set": {"B": "b"}, "append": {"C": ["c"], "D": ["d", "e"]}},
            "rewrite_location": [
                {"prefix": "http://a/", "to": "/"},
                {"match": "(.)", "to": "$1", "ignore_case": True},
            ],
            "absolute_location": True,
            "rewrite_cookie_domain": [{"exact": "a", "to": "b"}],
            "rewrite_cookie_path": [{"match": "a", "to": "b"}],
        },
    }

    assert to_spec(validate(raw)).routes["all"] == spec.RouteSpec(
        name="all",
        path=spec.PathSpec(kind="prefix", value="/"),
        pools=(("backend", 1),),
        hosts=("a.example", "~^A\\S"),
        upgrades=("websocket", "mqtt"),
        forwarded_headers=False,
        upstream_http_version="1.0",
        body_bytes=1000,
        requests_per_connection=7,
        host_priority=3,
        target="/t$args",
        method="$arg_m",
        body="a\nb",
        request_buffer_bytes=2048,
        retry=spec.RetrySpec(when=frozenset({"timeout"})),
        chunked_responses=False,
        client_timeouts=spec.ClientTimeouts(body_s=3.0, write_s=4.0, idle_s=5.0),
        timeouts=spec.RouteTimeouts(send_s=1.0, read_s=2.0),
        request_headers=spec.HeaderRulesSpec(
            remove=("A",), set=(("B", "b"),), append=(("C", "c"), ("C", "d"))
        ),
        response_headers=spec.ResponseRulesSpec(
            append=(("A", "a"),),
            on_success=spec.SuccessRulesSpec(
                set=(("B", "b"),), append=(("C", "c"), ("D", "d"), ("D", "e"))
            ),
            rewrite_location=(
                spec.SubstitutionSpec(kind="prefix", value="http://a/", to="/"),
                spec.SubstitutionSpec(kind="match", value="(.)", to="$1", ignore_case=True),
            ),
            absolute_location=True,
            rewrite_cookie_domain=(spec.SubstitutionSpec(kind="exact", value="a", to="b"),),
            rewrite_cookie_path=(spec.SubstitutionSpec(kind="match", value="a", to="b"),),
        ),
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], ()),
        (["10.1.2.3"], ("10.1.2.3/32",)),
        (["10.0.0.0/8", "10.0.0.0/8"], ("10.0.0.0/8",)),
        (["fe80::/10"], ("fe80::/10",)),
        (["0.0.0.0/0"], ("0.0.0.0/0",)),
        (["unix"], ("unix:",)),
        (["private", "10.0.0.0/8"], PRIVATE),
    ],
)
def test_trusted_proxies_become_networks(written: list[str], expected: tuple[str, ...]) -> None:
    raw = changed("listeners public trusted_proxies", written)

    assert to_spec(validate(raw)).listeners["public"].trusted_proxies == expected


def test_an_endpoint_inherits_passive_health_from_its_pool() -> None:
    raw = changed("pools backend passive_health", {"max_fails": 7, "fail_timeout": "2s"})
    raw["pools"]["backend"]["endpoints"] = {
        "127.0.0.1:1": {},
        "127.0.0.1:2": {"passive_health": {"max_fails": 1}},
        "127.0.0.1:3": {"passive_health": {"fail_timeout": "9s"}},
        "127.0.0.1:4": {"passive_health": "off"},
    }

    endpoints = to_spec(validate(raw)).pools["backend"].endpoints

    assert [endpoint.passive_health for endpoint in endpoints] == [
        spec.PassiveHealthSpec(max_fails=7, fail_timeout_s=2.0),
        spec.PassiveHealthSpec(max_fails=1, fail_timeout_s=2.0),
        spec.PassiveHealthSpec(max_fails=7, fail_timeout_s=9.0),
        None,
    ]


def test_equal_documents_have_equal_specs() -> None:
    assert to_spec(validate(RICH)) == to_spec(validate(RICH))


def test_a_route_has_the_pools_of_the_map_behind_its_map() -> None:
    raw = changed("routes all pool", "$first")
    raw["pools"]["other"] = raw["pools"]["third"] = {}
    raw["header_maps"] = {
        "first": {"source": "$http_x", "default": "${second}", "exact": {"a": "backend"}},
        "second": {"source": "$http_y", "default": "other", "exact": {"a": "backend"}},
        "third": {"source": "$host"},
    }
    first = deepcopy(raw)
    before = validate(first)
    translated = to_spec(before)
    assert dict(translated.routes["all"].pools) == {"backend": 1, "other": 1}

    raw["header_maps"]["third"] = {"source": "$uri"}
    after = validate(raw, Validated(first, before))
    assert to_spec(after, (before, translated)).routes["all"] is translated.routes["all"]

    raw["header_maps"]["second"] = {"source": "$http_y", "default": "third"}
    changed_ = to_spec(validate(raw), (after, translated))
    assert dict(changed_.routes["all"].pools) == {"backend": 1, "third": 1}
